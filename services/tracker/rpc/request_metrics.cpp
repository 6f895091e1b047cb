#include "rpc/request_metrics.h"

#include <algorithm>
#include <variant>

namespace larder::tracker {
namespace {

constexpr observe::CounterDecl<Op, absl::StatusCode> kRequests = {
    .name = "larder_tracker_requests_total",
    .help = "Commands and questions of gRPC clients by outcome; a batch counts each of its commands.",
    .labels = {"op", "code"}};
constexpr observe::GaugeDecl<> kWatchers = {.name = "larder_tracker_watchers",
                                            .help = "Watches that this member serves."};

absl::StatusCode CodeOf(const Reply& reply) {
  const auto* refusal = std::get_if<Refusal>(&reply);
  return refusal == nullptr ? absl::StatusCode::kOk : refusal->code;
}

}  // namespace

Op OpOf(const v1::Command& command) { return static_cast<Op>(command.command_case()); }

std::string_view LabelText(Op op) {
  switch (op) {
    case Op::kLocate:
      return "locate";
    case Op::kStat:
      return "stat";
    case Op::kList:
      return "list";
    case Op::kListStaged:
      return "list_staged";
    case Op::kListNodes:
      return "list_nodes";
    case Op::kListLeases:
      return "list_leases";
    case Op::kGetPlan:
      return "get_plan";
    case Op::kListEndedTickets:
      return "list_ended_tickets";
    case Op::kGetInventory:
      return "get_inventory";
    case Op::kWatch:
      return "watch";
    case Op::kStatus:
      return "status";
    case Op::kNodeAlive:
      return "node_alive";
  }
  const auto* field = v1::Command::descriptor()->FindFieldByNumber(static_cast<int>(op));
  return field == nullptr ? std::string_view("unknown") : std::string_view(field->name());
}

RequestMetrics::RequestMetrics(observe::Registry& registry)
    : requests_(registry.Add(kRequests)), watchers_(registry.Add(kWatchers)) {}

void RequestMetrics::Applied(std::span<const Op> ops, std::span<const Reply> replies) {
  // A series is looked up under a lock: once for a run of the same, as batches are.
  const size_t count = std::min(ops.size(), replies.size());
  for (size_t begin = 0, end = 0; begin < count; begin = end) {
    const absl::StatusCode code = CodeOf(replies[begin]);
    while (end < count && ops[end] == ops[begin] && CodeOf(replies[end]) == code) ++end;
    Done(ops[begin], code, end - begin);
  }
}

void RequestMetrics::Failed(std::span<const Op> ops, absl::StatusCode code) {
  for (size_t begin = 0, end = 0; begin < ops.size(); begin = end) {
    while (end < ops.size() && ops[end] == ops[begin]) ++end;
    Done(ops[begin], code, end - begin);
  }
}

}  // namespace larder::tracker
