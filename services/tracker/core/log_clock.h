#pragma once
#include <algorithm>
#include <cstdint>

#include "core/ids.h"
#include "larder/base/clock.h"

namespace larder::tracker {

// A leader's log time: that of the last entry before it led, and what has passed since. So log time stands while nobody
// leads, and nothing ends early by a clock. Not thread-safe.
class LogClock {
 public:
  // In `term` this member leads; `applied` is the log time of the entries before that term, `boot_now` base::Clock's.
  LogTime Now(uint64_t term, LogTime applied, base::MonotonicTime boot_now) {
    if (term != term_) {
      term_ = term;
      begun_ = boot_now;
      base_ = applied;
    }
    return After(base_, std::max(base::Duration(boot_now - begun_), base::Duration::zero()));
  }

 private:
  uint64_t term_ = 0;
  LogTime base_;
  base::MonotonicTime begun_{};
};

}  // namespace larder::tracker
