#include "larder/base/gate.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <thread>

namespace larder::base {
namespace {

constexpr Deadline kPassed{};

TEST(Gate, RefusesNewcomersOnceClosed) {
  Gate gate;
  EXPECT_TRUE(gate.Enter().has_value());
  EXPECT_TRUE(gate.Close(kNoDeadline));
  EXPECT_FALSE(gate.Enter().has_value());
}

TEST(Gate, CloseWaitsForWhatIsInside) {
  Gate gate;
  std::optional<Gate::Pass> pass = gate.Enter();
  std::future<bool> closed = std::async(std::launch::async, [&] { return gate.Close(kNoDeadline); });
  while (gate.Enter()) std::this_thread::yield();  // until Close has begun
  EXPECT_EQ(closed.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  pass.reset();
  EXPECT_TRUE(closed.get());
}

TEST(Gate, CloseGivesUpAtItsDeadlineAndMayBeCalledAgain) {
  Gate gate;
  std::optional<Gate::Pass> pass = gate.Enter();
  EXPECT_FALSE(gate.Close(kPassed));
  EXPECT_FALSE(gate.Enter().has_value());
  pass.reset();
  EXPECT_TRUE(gate.Close(kPassed));
}

TEST(Gate, AMovedPassLeavesOnce) {
  Gate gate;
  std::optional<Gate::Pass> pass = gate.Enter();
  {
    const Gate::Pass moved = *std::move(pass);
    pass.reset();
    EXPECT_FALSE(gate.Close(kPassed));
  }
  EXPECT_TRUE(gate.Close(kPassed));
}

}  // namespace
}  // namespace larder::base
