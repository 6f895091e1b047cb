#include <optional>

#include "core/queries.h"
#include "larder/base/status.h"
#include "rpc/answers.h"

namespace larder::tracker {

absl::Status Answer(Reader& snapshot, LogTime, const v1::GetPlanRequest& request, v1::GetPlanResponse& response) {
  LARDER_ASSIGN_OR_RETURN(const std::optional<PlanRecord> plan, FindPlan(snapshot, request.lease()));
  if (!plan) return base::Error(absl::StatusCode::kNotFound, "NO_PLAN", "lease {} has no plan", request.lease());
  response.set_token(plan->token.value);
  response.set_plan(plan->plan);
  return absl::OkStatus();
}

}  // namespace larder::tracker
