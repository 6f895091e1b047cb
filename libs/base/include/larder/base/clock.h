#pragma once
#include <chrono>

namespace larder::base {

using Duration = std::chrono::nanoseconds;
// A point of the monotonic clock. Never persisted: it means nothing to another process.
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
// A point of the wall clock; for people, and for what must survive a restart.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;
// When a caller stops waiting. kNoDeadline never passes.
using Deadline = MonotonicTime;
inline constexpr Deadline kNoDeadline = Deadline::max();

// The source of time, so that decisions are tested without waiting. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime Now() const = 0;
  // Like Now, of another beginning, but goes on while the machine sleeps: for what must not last longer than was said.
  virtual MonotonicTime BootNow() const = 0;
  virtual WallTime WallNow() const = 0;
};

// The kernel's clocks.
class SystemClock final : public Clock {
 public:
  MonotonicTime Now() const override;
  MonotonicTime BootNow() const override;
  WallTime WallNow() const override;
};

// now + wait, where a wait too long to be added means kNoDeadline.
Deadline DeadlineAfter(MonotonicTime now, Duration wait);

}  // namespace larder::base
