#include "larder/base/clock.h"

#include <gtest/gtest.h>

#include "larder/base/testing/manual_clock.h"

namespace larder::base {
namespace {

using namespace std::chrono_literals;

TEST(Clock, ManualClockMovesItsTimesOnlyWhenTold) {
  ManualClock clock;
  const MonotonicTime before = clock.Now();
  const MonotonicTime boot_before = clock.BootNow();
  const WallTime wall_before = clock.WallNow();
  EXPECT_EQ(clock.Now(), before);
  clock.Advance(5s);
  EXPECT_EQ(clock.Now() - before, 5s);
  EXPECT_EQ(clock.BootNow() - boot_before, 5s);
  EXPECT_EQ(clock.WallNow() - wall_before, 5s);
}

TEST(Clock, SystemClockNeverGoesBack) {
  const SystemClock clock;
  const MonotonicTime before = clock.Now();
  EXPECT_GE(clock.Now(), before);
  const MonotonicTime boot = clock.BootNow();
  EXPECT_GE(boot, before) << "the time asleep counts, too";
  EXPECT_GE(clock.BootNow(), boot);
  EXPECT_GT(clock.WallNow(), WallTime{});
}

TEST(DeadlineAfter, AddsTheWait) {
  const MonotonicTime now(1h);
  EXPECT_EQ(DeadlineAfter(now, 10s), now + 10s);
  EXPECT_EQ(DeadlineAfter(now, -10s), now - 10s);
}

TEST(DeadlineAfter, NeverPassesForAWaitTooLongToBeAdded) {
  EXPECT_EQ(DeadlineAfter(MonotonicTime(1h), Duration::max()), kNoDeadline);
  EXPECT_EQ(DeadlineAfter(kNoDeadline, 1s), kNoDeadline);
}

}  // namespace
}  // namespace larder::base
