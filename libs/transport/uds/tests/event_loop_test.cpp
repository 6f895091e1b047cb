#include "src/event_loop.h"

#include <gmock/gmock.h>
#include <sys/eventfd.h>

#include <array>
#include <atomic>
#include <future>
#include <vector>

#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::transport::uds {
namespace {

base::UniqueFd Descriptor(unsigned ready) { return base::UniqueFd(::eventfd(ready, EFD_CLOEXEC)); }

TEST(EventLoop, WhoAsksSeldomWaitsForOneEventOfAllOthers) {
  constexpr int kMany = 21, kFloods = 3, kCalls = 200;
  base::ManualClock clock;
  EventLoop loop([] { return false; }, std::chrono::hours(1), clock);
  ASSERT_THAT(loop.Start(), base::IsOk());
  const base::UniqueFd asks = Descriptor(0);
  std::vector<base::UniqueFd> floods;  // ready all the time
  for (int i = 0; i < kMany; ++i) floods.push_back(Descriptor(1));
  std::vector<int> handled(kMany);
  int waited = 0, most = 0, calls = 0;
  std::promise<void> done;
  loop.Post([&] {
    for (int i = 0; i < kMany; ++i) {
      const auto handle = [&, i](uint32_t) {
        clock.Advance(std::chrono::microseconds(200));  // more than a turn
        ++handled[i];
        ++waited;
        ASSERT_EQ(::eventfd_write(asks.get(), 1), 0);
      };
      ASSERT_THAT(loop.Add(floods[i].get(), EPOLLIN, handle, 2 + i % kFloods), base::IsOk());
    }
    const auto handle = [&](uint32_t) {
      eventfd_t count = 0;
      ASSERT_EQ(::eventfd_read(asks.get(), &count), 0);
      clock.Advance(std::chrono::microseconds(20));
      const int turns = std::exchange(waited, 0);
      if (++calls > kFloods) most = std::max(most, turns);  // at first nobody has had more than another
      if (calls == kCalls) done.set_value();
    };
    ASSERT_THAT(loop.Add(asks.get(), EPOLLIN, handle, 2), base::IsOk());
    loop.Move(asks.get(), 9);
  });
  done.get_future().wait();
  loop.Stop();
  EXPECT_EQ(most, 1);
  EXPECT_THAT(handled, testing::Each(testing::Ge(1))) << "within a group each has its turn";
}

TEST(EventLoop, GroupsThatAskAllTheTimeHaveAsMuchOfItEach) {
  constexpr auto kLong = std::chrono::microseconds(200), kShort = std::chrono::microseconds(25);
  constexpr int kLongs = 100;
  base::ManualClock clock;
  EventLoop loop([] { return false; }, std::chrono::hours(1), clock);
  ASSERT_THAT(loop.Start(), base::IsOk());
  const std::array<base::UniqueFd, 4> ready = {Descriptor(1), Descriptor(1), Descriptor(1), Descriptor(1)};
  int longs = 0, shorts = 0, shorts_then = 0;
  std::promise<void> done;
  loop.Post([&] {
    const auto handle_long = [&](uint32_t) {
      clock.Advance(kLong);
      if (++longs != kLongs) return;
      shorts_then = shorts;
      done.set_value();
    };
    const auto handle_short = [&](uint32_t) {
      clock.Advance(kShort);
      ++shorts;
    };
    ASSERT_THAT(loop.Add(ready[0].get(), EPOLLIN, handle_long, 2), base::IsOk());
    for (size_t i = 1; i < ready.size(); ++i) {
      ASSERT_THAT(loop.Add(ready[i].get(), EPOLLIN, handle_short, 3), base::IsOk());
    }
  });
  done.get_future().wait();
  loop.Stop();
  EXPECT_NEAR(shorts_then, kLongs * (kLong / kShort), kLong / kShort + 1);
}

TEST(EventLoop, WhoeverIsOfAGroupHasTurnsOfIt) {
  base::ManualClock clock;
  EventLoop loop([] { return false; }, std::chrono::hours(1), clock);
  ASSERT_THAT(loop.Start(), base::IsOk());
  // Two groups of two each: whose turn it is alternates.
  const std::array<base::UniqueFd, 4> ready = {Descriptor(1), Descriptor(1), Descriptor(1), Descriptor(1)};
  std::array<int, 4> had{};
  int all = 0;
  std::promise<void> done;
  loop.Post([&] {
    for (size_t i = 0; i < ready.size(); ++i) {
      const auto handle = [&, i](uint32_t) {
        clock.Advance(std::chrono::microseconds(200));
        ++had[i];
        if (++all == 400) done.set_value();
      };
      ASSERT_THAT(loop.Add(ready[i].get(), EPOLLIN, handle, 2 + i % 2), base::IsOk());
    }
  });
  done.get_future().wait();
  loop.Stop();
  EXPECT_THAT(had, testing::Each(testing::Ge(50)));
}

TEST(EventLoop, TicksAsLongAsItIsWantedAndAgainAfterWork) {
  constexpr base::Duration kPeriod = std::chrono::milliseconds(1);
  const base::ManualClock clock;
  std::atomic<int> ticks = 0, others = 0;
  const auto reached = [](const std::atomic<int>& count, int wanted) {
    for (int now = count; now < wanted; now = count) count.wait(now);
  };
  EventLoop loop(
      [&] {
        const bool more = ++ticks < 3;
        ticks.notify_all();
        return more;
      },
      kPeriod, clock);
  EventLoop other(
      [&] {
        ++others;
        others.notify_all();
        return true;
      },
      kPeriod, clock);
  ASSERT_THAT(loop.Start(), base::IsOk());
  ASSERT_THAT(other.Start(), base::IsOk());
  reached(ticks, 3);
  reached(others, others + 20);
  EXPECT_EQ(ticks, 3) << "it wanted no more";
  const base::UniqueFd fd = Descriptor(0);
  loop.Post([&] { ASSERT_THAT(loop.Add(fd.get(), EPOLLIN, [&](uint32_t) { loop.Remove(fd.get()); }), base::IsOk()); });
  reached(ticks, 4);
  reached(others, others + 20);  // a task that is posted may be seen twice
  const int settled = ticks;
  ASSERT_EQ(::eventfd_write(fd.get(), 1), 0);
  reached(ticks, settled + 1);
  other.Stop();
  loop.Stop();
}

}  // namespace
}  // namespace larder::transport::uds
