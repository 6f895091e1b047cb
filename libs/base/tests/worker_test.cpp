#include "larder/base/worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <vector>

namespace larder::base {
namespace {

TEST(Worker, RoundsFollowEachOtherUntilItStops) {
  std::latch three(3);
  std::atomic<int> rounds = 0;
  Worker worker("test", [&] {
    if (++rounds <= 3) three.count_down();
    return std::chrono::microseconds(1);
  });
  worker.Start();
  three.wait();
  worker.Stop();
  const int at_stop = rounds;
  worker.Stop();
  EXPECT_EQ(rounds, at_stop);
}

TEST(Worker, StopDoesNotWaitForAPause) {
  std::latch first(1);
  Worker worker("test", [&] {
    first.count_down();
    return std::chrono::hours(1);
  });
  worker.Start();
  first.wait();
  worker.Stop();
}

TEST(Worker, AWakeEndsThePauseAndIsNotLostWhileARoundRuns) {
  std::latch running(1), woken(1), second(2);
  Worker worker("test", [&] {
    if (running.try_wait()) {
      second.count_down();
    } else {
      running.count_down();
      woken.wait();
      second.count_down();
    }
    return std::chrono::hours(1);
  });
  worker.Start();
  running.wait();
  worker.Wake();
  woken.count_down();
  second.wait();
  worker.Stop();
}

TEST(Worker, HoweverOftenItIsWokenItPausesAsLongAsItsShortest) {
  std::latch three(3);
  std::vector<MonotonicTime> begun;
  Worker worker(
      "test",
      [&] {
        if (begun.size() < 3) {
          begun.push_back(std::chrono::steady_clock::now());
          three.count_down();
        }
        return std::chrono::hours(1);
      },
      std::chrono::milliseconds(20));
  worker.Start();
  while (!three.try_wait()) worker.Wake();
  worker.Stop();
  EXPECT_GE(begun[1] - begun[0], std::chrono::milliseconds(20));
  EXPECT_GE(begun[2] - begun[1], std::chrono::milliseconds(20));
}

TEST(Worker, OneThatNeverStartedStops) {
  bool ran = false;
  Worker("test", [&] {
    ran = true;
    return Duration::max();
  }).Stop();
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace larder::base
