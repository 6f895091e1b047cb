#include "background/maintenance.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>

namespace larder::cache_agent {
namespace {

TEST(Maintenance, RoundsFollowEachOtherUntilItStops) {
  std::latch three(3);
  std::atomic<int> rounds = 0;
  Maintenance maintenance([&] {
    if (++rounds <= 3) three.count_down();
    return std::chrono::microseconds(1);
  });
  maintenance.Start();
  three.wait();
  maintenance.Stop();
  const int at_stop = rounds;
  maintenance.Stop();
  EXPECT_EQ(rounds, at_stop);
}

TEST(Maintenance, StopDoesNotWaitForAPause) {
  std::latch first(1);
  Maintenance maintenance([&] {
    first.count_down();
    return std::chrono::hours(1);
  });
  maintenance.Start();
  first.wait();
  maintenance.Stop();
}

TEST(Maintenance, AWakeEndsThePauseAndIsNotLostWhileARoundRuns) {
  std::latch running(1), woken(1), second(2);
  Maintenance maintenance([&] {
    if (running.try_wait()) {
      second.count_down();
    } else {
      running.count_down();
      woken.wait();
      second.count_down();
    }
    return std::chrono::hours(1);
  });
  maintenance.Start();
  running.wait();
  maintenance.Wake();
  woken.count_down();
  second.wait();
  maintenance.Stop();
}

TEST(Maintenance, OneThatNeverStartedStops) {
  bool ran = false;
  Maintenance([&] {
    ran = true;
    return base::Duration::max();
  }).Stop();
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace larder::cache_agent
