#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/agent_control.h"
#include "core/context.h"
#include "core/object_view.h"
#include "larder/base/status.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

constexpr base::Duration kFirstPause = std::chrono::milliseconds(10);
constexpr base::Duration kLongestPause = std::chrono::milliseconds(250);

// Asks until the object is sealed; one that does not exist yet is waited for as well.
absl::StatusOr<object::ObjectStat> WaitSealed(Context& context, AgentControl& agent, const std::string& key) {
  for (base::Duration pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    absl::StatusOr<object::ObjectStat> stat = agent.Stat(key, context.Patience());
    if (!stat.ok() && !absl::IsNotFound(stat.status())) return stat.status();
    if (stat.ok() && stat->info.state == object::ObjectState::kSealed) return stat;
    LARDER_RETURN_IF_ERROR(context.interrupts.Sleep(pause));
  }
}

absl::Status Stat(Context& context, const Arguments& given) {
  if (given.Has("--wait") && given.Text("--wait") != "sealed") {
    return base::InvalidArgument("BAD_VALUE",
                                 "--wait '{}': without a tracker and an origin only 'sealed' can be waited for",
                                 given.Text("--wait"));
  }
  const std::string& key = given.operands.front();
  LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<AgentControl> agent, context.ConnectControl());
  LARDER_ASSIGN_OR_RETURN(const object::ObjectStat stat, given.Has("--wait") ? WaitSealed(context, *agent, key)
                                                                             : agent->Stat(key, context.Patience()));
  if (context.quiet) {
    context.out.Line(stat.info.id.key);
  } else if (context.json()) {
    context.out.Line(JsonText(ObjectJson(stat, agent->node())));
  } else {
    context.out.Text(Description(stat, agent->node(), context.wide()));
  }
  return absl::OkStatus();
}

}  // namespace

Verb StatVerb() {
  return {
      .name = "stat",
      .operands = "KEY",
      .min_operands = 1,
      .max_operands = 1,
      .summary = "Tell what is known of an object",
      .example = "larder stat models/m1 -o json",
      .flags = {{.name = "--wait",
                 .value = "sealed",
                 .help = "wait until the object is complete, also one that is not there yet",
                 .choices = {"sealed"}}},
      .run = Stat,
  };
}

}  // namespace larder::cli
