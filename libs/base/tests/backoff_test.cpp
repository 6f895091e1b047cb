#include "larder/base/backoff.h"

#include <gtest/gtest.h>

namespace larder::base {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, DoublesUpToTheCap) {
  const auto most = [](int failures) { return BackoffDelay(failures, 100ms, 1s, 0.999999); };
  EXPECT_NEAR(static_cast<double>(most(0).count()), 100e6, 1e3);
  EXPECT_NEAR(static_cast<double>(most(1).count()), 200e6, 1e3);
  EXPECT_NEAR(static_cast<double>(most(3).count()), 800e6, 1e3);
  EXPECT_NEAR(static_cast<double>(most(4).count()), 1e9, 1e4);
  EXPECT_NEAR(static_cast<double>(most(1'000'000).count()), 1e9, 1e4);
}

TEST(Backoff, ChanceTakesAtMostHalf) {
  EXPECT_EQ(BackoffDelay(0, 100ms, 1s, 0), 50ms);
  EXPECT_EQ(BackoffDelay(0, 100ms, 1s, 0.5), 75ms);
  for (int i = 0; i < 1000; ++i) {
    const double random = BackoffRandom();
    ASSERT_TRUE(random >= 0 && random < 1) << random;
  }
}

}  // namespace
}  // namespace larder::base
