#include "background/expiry.h"

#include <algorithm>

#include "core/queries.h"

namespace larder::tracker {
namespace {

// While a look is under way.
constexpr base::Duration kBusyPause = std::chrono::milliseconds(20);

}  // namespace

std::optional<base::Duration> Expiry::Look::Begin(uint64_t applied, LogTime now) {
  base::MutexLock lock(mutex);
  if (busy) return kBusyPause;
  if (found.applied == applied && found.due > now) {
    return base::Duration(std::min<uint64_t>(found.due.ns - now.ns, kLongestPause.count()));
  }
  busy = true;
  return std::nullopt;
}

void Expiry::Look::End(Found now) {
  base::MutexLock lock(mutex);
  busy = false;
  found = now;
}

base::Duration Expiry::Round() {
  const std::optional<LogTime> now = consensus_.LeaderTime();
  if (!now) return kLongestPause;
  // Before the look, which sees as much or more.
  const uint64_t applied = state_.mark().at.index;
  if (const auto pause = look_->Begin(applied, *now)) return *pause;
  consensus_.ReadStale(
      [&consensus = consensus_, look = look_, applied, now = *now](const absl::Status& status, Reader* reader) {
        const absl::StatusOr<LogTime> due = status.ok() ? NextDue(*reader) : status;
        if (!due.ok()) return look->End({});
        if (*due > now) return look->End({.applied = applied, .due = *due});
        // What it ends, and what it was answered, does not matter here: the next round looks again.
        consensus.Propose({.commands = {ExpireDue{}}},
                          [look](const absl::StatusOr<std::vector<Reply>>&) { look->End({}); });
      });
  return kBusyPause;
}

}  // namespace larder::tracker
