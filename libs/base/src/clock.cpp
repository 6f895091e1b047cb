#include "larder/base/clock.h"

namespace larder::base {

MonotonicTime SystemClock::Now() const { return std::chrono::steady_clock::now(); }

WallTime SystemClock::WallNow() const { return std::chrono::system_clock::now(); }

Deadline DeadlineAfter(MonotonicTime now, Duration wait) {
  if (wait > Duration::zero() && now > kNoDeadline - wait) return kNoDeadline;
  return now + wait;
}

}  // namespace larder::base
