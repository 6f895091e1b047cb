#include "src/event_loop.h"

#include <gmock/gmock.h>
#include <sys/eventfd.h>

#include <future>
#include <vector>

#include "larder/base/testing/status_matchers.h"

namespace larder::transport::uds {
namespace {

// A descriptor that is ready all the time.
base::UniqueFd Ready() { return base::UniqueFd(::eventfd(1, EFD_CLOEXEC)); }

// Longer than any share of a round.
void TakeLong() {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
  while (std::chrono::steady_clock::now() < until) {
  }
}

TEST(EventLoop, WhoIsOfAnotherGroupWaitsForOneEventOfEachAtMost) {
  constexpr int kMany = 20, kRounds = 50;
  EventLoop loop([] {}, std::chrono::seconds(1));
  ASSERT_THAT(loop.Start(), base::IsOk());
  std::vector<base::UniqueFd> fds;
  for (int i = 0; i <= kMany; ++i) fds.push_back(Ready());
  std::vector<int> handled(kMany);
  int since = 0, most = 0, rounds = 0;
  std::promise<void> done;
  loop.Post([&] {
    for (int i = 0; i < kMany; ++i) {
      ASSERT_THAT(loop.Add(
                      fds[i].get(), EPOLLIN,
                      [&, i](uint32_t) {
                        TakeLong();
                        ++handled[i];
                        ++since;
                      },
                      2),
                  base::IsOk());
    }
    ASSERT_THAT(loop.Add(fds[kMany].get(), EPOLLIN,
                         [&](uint32_t) {
                           most = std::max(most, std::exchange(since, 0));
                           if (++rounds == kRounds) done.set_value();
                         }),
                base::IsOk());
    loop.Move(fds[kMany].get(), 3);
  });
  done.get_future().wait();
  loop.Stop();
  EXPECT_LE(most, 2) << "one in this round, after its turn, and one in the next, before it";
  EXPECT_THAT(handled, testing::Each(testing::Ge(1))) << "within a group each has its turn";
}

}  // namespace
}  // namespace larder::transport::uds
