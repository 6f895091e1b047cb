#include "core/queries.h"
#include "larder/base/status.h"
#include "rpc/answers.h"
#include "rpc/record_proto.h"

namespace larder::tracker {

absl::Status Answer(Reader& snapshot, LogTime now, const v1::StatRequest& request, v1::StatResponse& response) {
  const ObjectId id = FromProto(request.object());
  LARDER_RETURN_IF_ERROR(CheckName(id));
  LARDER_ASSIGN_OR_RETURN(const ObjectStat stat, Stat(snapshot, id));
  if (stat.state == ObjectState::kAbsent) {
    return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "{}/{} does not exist", id.ns, id.key);
  }
  *response.mutable_located() = ToProto(stat, now);
  return absl::OkStatus();
}

}  // namespace larder::tracker
