#include "larder/base/clock.h"

#include <ctime>

namespace larder::base {

MonotonicTime SystemClock::Now() const { return std::chrono::steady_clock::now(); }

MonotonicTime SystemClock::BootNow() const {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return MonotonicTime(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

WallTime SystemClock::WallNow() const { return std::chrono::system_clock::now(); }

Deadline DeadlineAfter(MonotonicTime now, Duration wait) {
  if (wait > Duration::zero() && now > kNoDeadline - wait) return kNoDeadline;
  return now + wait;
}

}  // namespace larder::base
