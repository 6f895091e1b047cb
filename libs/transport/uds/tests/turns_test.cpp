#include "src/turns.h"

#include <gmock/gmock.h>

#include <map>
#include <vector>

namespace larder::transport::uds {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Turns of groups that wait all the time and take so long each; who had how many of them.
std::map<Turns::Group, int> Take(Turns& turns, const std::map<Turns::Group, base::Duration>& floods, int count) {
  std::vector<Turns::Group> waiting;
  for (const auto& [group, time] : floods) waiting.push_back(group);
  std::map<Turns::Group, int> had;
  for (int i = 0; i < count; ++i) {
    const Turns::Group next = turns.Next(waiting);
    turns.Took(next, floods.at(next));
    ++had[next];
  }
  return had;
}

TEST(Turns, WhoAsksSeldomIsNextHoweverManyAskAllTheTime) {
  const std::map<Turns::Group, base::Duration> floods = {
      {1, microseconds(20)}, {2, microseconds(20)}, {3, microseconds(30)}, {4, microseconds(200)}};
  const std::vector<Turns::Group> all = {1, 2, 3, 4, 9};
  Turns turns;
  Take(turns, floods, 100);
  for (int call = 0; call < 20; ++call) {
    for (int trip = 0; trip < 4; ++trip) {
      EXPECT_EQ(turns.Next(all), 9u) << "trip " << trip << " of call " << call;
      turns.Took(9, microseconds(20));
      Take(turns, floods, 1);  // before its next request comes
    }
    Take(turns, floods, 40);  // before its next call
  }
}

TEST(Turns, AreOfMuchTheSameTimeForAllWhoWait) {
  Turns turns;
  const auto had = Take(turns, {{1, microseconds(10)}, {2, microseconds(20)}, {3, microseconds(40)}}, 700);
  EXPECT_NEAR(had.at(1), 400, 2);
  EXPECT_NEAR(had.at(2), 200, 2);
  EXPECT_NEAR(had.at(3), 100, 2);
}

TEST(Turns, OfAGroupWithManyDescriptorsAreNoMore) {
  Turns turns;
  const std::vector<Turns::Group> waiting = {1, 1, 1, 1, 1, 1, 2};
  std::map<Turns::Group, int> had;
  for (int i = 0; i < 100; ++i) {
    const Turns::Group next = turns.Next(waiting);
    turns.Took(next, microseconds(20));
    ++had[next];
  }
  EXPECT_EQ(had.at(2), 50);
}

TEST(Turns, ThatWereNotTakenAreSavedUpForAFewAndNoMore) {
  Turns turns;
  Take(turns, {{1, microseconds(20)}, {2, microseconds(20)}}, 1000);  // ten ms each, while 3 is idle
  const auto had = Take(turns, {{1, microseconds(20)}, {3, microseconds(20)}}, 105);
  EXPECT_NEAR(had.at(3) - had.at(1), Turns::kMostSaved / microseconds(20), 1);
}

TEST(Turns, OfWhoWasAloneAreNotHeldAgainstIt) {
  Turns turns;
  Take(turns, {{1, microseconds(20)}}, 1000);
  const auto had = Take(turns, {{1, microseconds(20)}, {2, microseconds(20)}}, 105);
  EXPECT_NEAR(had.at(2) - had.at(1), Turns::kMostSaved / microseconds(20), 1);
}

TEST(Turns, ThatTookLongCountAsAMillisecond) {
  Turns turns;
  turns.Took(turns.Next(std::vector<Turns::Group>{1}), seconds(1));
  const std::vector<Turns::Group> waiting = {1, 2};
  int others = 0;
  for (; turns.Next(waiting) == 2; ++others) turns.Took(2, microseconds(100));
  EXPECT_NEAR(others, Turns::kMostCounted / microseconds(100), 1) << "and what they may have saved";
}

TEST(Turns, ThatTakeNoTimeAreTakenOneAfterAnother) {
  Turns turns;
  const auto had = Take(turns, {{1, base::Duration()}, {2, base::Duration()}, {3, milliseconds(0)}}, 99);
  EXPECT_THAT(had, testing::ElementsAre(testing::Pair(1, 33), testing::Pair(2, 33), testing::Pair(3, 33)));
}

}  // namespace
}  // namespace larder::transport::uds
