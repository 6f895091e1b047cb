#include "background/expiry.h"

#include "core/queries.h"

namespace larder::tracker {

void Expiry::Round() {
  if (busy_->load()) return;
  const std::optional<LogTime> now = consensus_.LeaderTime();
  if (!now) return;
  busy_->store(true);
  consensus_.ReadStale([&consensus = consensus_, busy = busy_, now = *now](const absl::Status& status, Reader* reader) {
    const absl::StatusOr<LogTime> due = status.ok() ? NextDue(*reader) : status;
    if (!due.ok() || *due > now) return busy->store(false);
    // What it ends, and what it was answered, does not matter here: the next round looks again.
    consensus.Propose({.commands = {ExpireDue{}}},
                      [busy](const absl::StatusOr<std::vector<Reply>>&) { busy->store(false); });
  });
}

}  // namespace larder::tracker
