#include "background/maintenance.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>

namespace larder::cache_agent {
namespace {

TEST(Maintenance, RoundsFollowEachOtherUntilItStops) {
  std::latch three(3);
  std::atomic<int> rounds = 0;
  Maintenance maintenance(
      [&] {
        if (++rounds <= 3) three.count_down();
      },
      std::chrono::microseconds(1));
  maintenance.Start();
  three.wait();
  maintenance.Stop();
  const int at_stop = rounds;
  maintenance.Stop();
  EXPECT_EQ(rounds, at_stop);
}

TEST(Maintenance, StopDoesNotWaitForAPause) {
  std::latch first(1);
  Maintenance maintenance([&] { first.count_down(); }, std::chrono::hours(1));
  maintenance.Start();
  first.wait();
  maintenance.Stop();
}

TEST(Maintenance, OneThatNeverStartedStops) {
  Maintenance([] { FAIL(); }, std::chrono::hours(1)).Stop();
}

}  // namespace
}  // namespace larder::cache_agent
