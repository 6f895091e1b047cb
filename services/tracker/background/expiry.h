#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/consensus.h"
#include "core/served_state.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"

namespace larder::tracker {

// Proposes, where it leads, that what is due ends: within a round or two of when it is. Round from one thread.
class Expiry {
 public:
  // Borrows both.
  Expiry(Consensus& consensus, const ServedState& state) : consensus_(consensus), state_(state) {}

  // Looks whether something is due, unless the last look, or what it led to, is still under way, or nothing was applied
  // since and the time that it told of has not come. Does not block. The time until there is something to do again, at
  // most kLongestPause, unless something is applied or this member begins to lead before.
  base::Duration Round();

  // The machine may sleep, which the clock by which one waits does not count.
  static constexpr base::Duration kLongestPause = std::chrono::seconds(1);

 private:
  // What the last look found: of all up to the entry `applied` (0: of nothing) the first is due at `due`.
  struct Found {
    uint64_t applied = 0;
    LogTime due;
  };
  // Shared with what is under way, which may end after this object.
  struct Look {
    base::Mutex mutex;
    bool busy LARDER_GUARDED_BY(mutex) = false;
    Found found LARDER_GUARDED_BY(mutex);

    // Begins, or says how long to wait with it: one is under way, or nothing was due for that long and nothing applied
    // since.
    std::optional<base::Duration> Begin(uint64_t applied, LogTime now) LARDER_EXCLUDES(mutex);
    void End(Found now) LARDER_EXCLUDES(mutex);
  };

  Consensus& consensus_;
  const ServedState& state_;
  const std::shared_ptr<Look> look_ = std::make_shared<Look>();
};

}  // namespace larder::tracker
