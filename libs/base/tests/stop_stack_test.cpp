#include "larder/base/stop_stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::base {
namespace {

using ::testing::ElementsAre;

TEST(StopStack, UnwindsLastFirstWithTheDeadline) {
  std::vector<std::string> stopped;
  const Deadline deadline(std::chrono::seconds(7));
  StopStack stops;
  for (const char* name : {"store", "raft", "listener"}) {
    stops.Push(name, [&, name](Deadline given) {
      EXPECT_EQ(given, deadline);
      stopped.push_back(name);
    });
  }
  stops.Run(deadline);
  EXPECT_THAT(stopped, ElementsAre("listener", "raft", "store"));
  EXPECT_TRUE(stops.empty());
}

TEST(StopStack, StopsNothingTwice) {
  int stopped = 0;
  {
    StopStack stops;
    stops.Push("one", [&](Deadline) { ++stopped; });
    stops.Run(kNoDeadline);
    stops.Run(kNoDeadline);
  }
  EXPECT_EQ(stopped, 1);
}

TEST(StopStack, ItsEndUnwindsAStartThatFailedHalfWay) {
  std::vector<std::string> stopped;
  {
    StopStack stops;
    stops.Push("first", [&](Deadline) { stopped.push_back("first"); });
    stops.Push("second", [&](Deadline) { stopped.push_back("second"); });
  }
  EXPECT_THAT(stopped, ElementsAre("second", "first"));
}

}  // namespace
}  // namespace larder::base
