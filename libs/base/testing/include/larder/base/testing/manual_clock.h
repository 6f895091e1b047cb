#pragma once
#include <atomic>

#include "larder/base/clock.h"

namespace larder::base {

// A clock that moves only when told to; all its times move together. Thread-safe.
class ManualClock final : public Clock {
 public:
  void Advance(Duration by) { passed_.fetch_add(by.count()); }
  MonotonicTime Now() const override { return MonotonicTime(std::chrono::hours(1)) + passed(); }
  MonotonicTime BootNow() const override { return Now(); }
  WallTime WallNow() const override {
    return WallTime(std::chrono::sys_days(std::chrono::year(2024) / 1 / 1)) + passed();
  }

 private:
  Duration passed() const { return Duration(passed_.load()); }
  std::atomic<Duration::rep> passed_ = 0;
};

}  // namespace larder::base
