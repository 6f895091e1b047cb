#include "core/slow_proposals.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

namespace larder::tracker {
namespace {

std::string Milliseconds(std::optional<base::Duration> time) {
  if (!time) return "unknown";
  return fmt::format("{:.1f}", std::chrono::duration<double, std::milli>(*time).count());
}

}  // namespace

void SlowProposals::Note(const raft::SlowProposal& slow) {
  if (clock_.Now() < next_line_) {
    ++not_logged_;
    return;
  }
  next_line_ = clock_.Now() + kBetweenLines;
  log_.Warning("slow proposal", {{"outcome", slow.outcome},
                                 {"took_ms", Milliseconds(slow.took)},
                                 {"queue_ms", Milliseconds(slow.queue)},
                                 {"append_ms", Milliseconds(slow.append)},
                                 {"commit_ms", Milliseconds(slow.commit)},
                                 {"apply_ms", Milliseconds(slow.apply)},
                                 {"reply_ms", Milliseconds(slow.reply)},
                                 {"others", std::exchange(not_logged_, 0)}});
}

}  // namespace larder::tracker
