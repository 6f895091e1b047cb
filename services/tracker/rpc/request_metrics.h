#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/reply.h"
#include "larder/observe/registry.h"
#include "larder/tracker/v1/tracker.pb.h"

namespace larder::tracker {

// What a request asks for: a command, by its number in v1.Command (0: one that is unknown), or a question.
enum class Op : uint8_t {
  kLocate = 100,
  kStat,
  kList,
  kListStaged,
  kListNodes,
  kListLeases,
  kGetPlan,
  kListEndedTickets,
  kGetInventory,
  kWatch,  // when it ends
  kStatus,
  kNodeAlive,
};
Op OpOf(const v1::Command& command);
// The command's field name, "acquire_create", or the question's name.
std::string_view LabelText(Op op);

// The requests that were answered. Thread-safe.
class RequestMetrics {
 public:
  explicit RequestMetrics(observe::Registry& registry);
  void Done(Op op, absl::StatusCode code, uint64_t count = 1) { requests_.With(op, code).Increment(count); }
  // What the commands of one request came to, one by one.
  void Applied(std::span<const Op> ops, std::span<const Reply> replies);
  void WatcherCame() { watchers_.Add(1); }
  void WatcherLeft() { watchers_.Add(-1); }
  // None of them was done.
  void Failed(std::span<const Op> ops, absl::StatusCode code);

 private:
  observe::Counters<Op, absl::StatusCode> requests_;
  observe::Gauge& watchers_;
};

}  // namespace larder::tracker
