#include "rpc/join_conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "larder/base/status.h"

namespace larder::cache_agent {
namespace {

namespace pb = larder::peers::v1;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::Duration kSession = seconds(10);
const object::ObjectId kModel{"team", "model"};
const object::ObjectId kData{"team", "data"};

class JoinConversationTest : public testing::Test {
 protected:
  JoinConversation::Step Next(uint64_t node_epoch = 5) { return joins_.Next(now_, node_epoch, kSession, board_); }
  // What is said; nothing: an empty message.
  pb::JoinRequest Say(uint64_t node_epoch = 5) { return Next(node_epoch).send.value_or(pb::JoinRequest()); }
  bool Silent() { return !Next().send; }
  bool Answer(const pb::JoinRequest& request, uint64_t version = 0) {
    pb::JoinResponse response;
    if (version != 0) {
      pb::Swarm& swarm = *response.add_swarms();
      swarm.set_namespace_("team");
      swarm.set_key("model");
      swarm.set_version(version);
    }
    return joins_.OnAnswered(request.sequence(), response, now_);
  }
  void Refuse(const pb::JoinRequest& request) {
    EXPECT_FALSE(joins_.OnAnswered(request.sequence(),
                                   base::Error(absl::StatusCode::kUnavailable, "NODE_NOT_LIVE", "not yet"), now_));
  }

  int changes_ = 0;
  FetchBoard board_{[this] { ++changes_; }};
  JoinConversation joins_{"n"};
  base::MonotonicTime now_{std::chrono::hours(1)};
};

TEST_F(JoinConversationTest, SaysNothingWhileNothingIsFetchedOrTheNodeIsNotRegistered) {
  EXPECT_TRUE(Silent());
  board_.Put(kModel, {});
  EXPECT_FALSE(Next(0).send);
}

TEST_F(JoinConversationTest, SaysWhatIsNewAtOnceAndThenWaitsForNews) {
  board_.Put(kModel, {.epoch = {7}, .percent = 30, .parents = 2});
  const pb::JoinRequest first = Say();
  EXPECT_EQ(first.node(), "n");
  EXPECT_EQ(first.node_epoch(), 5u);
  EXPECT_FALSE(first.wait());
  ASSERT_EQ(first.fetching_size(), 1);
  EXPECT_EQ(first.fetching(0).ShortDebugString(), "namespace: \"team\" key: \"model\" epoch: 7 percent: 30 parents: 2");
  EXPECT_TRUE(Silent()) << "until that is answered";
  EXPECT_TRUE(Answer(first, 3));
  const pb::JoinRequest second = Say();
  EXPECT_TRUE(second.wait());
  EXPECT_GT(second.sequence(), first.sequence());
  EXPECT_EQ(second.fetching(0).known(), 3u);
  EXPECT_TRUE(Silent());
  EXPECT_TRUE(Answer(second, 4));
  EXPECT_EQ(Say().fetching(0).known(), 4u);
}

TEST_F(JoinConversationTest, WhatIsNewDoesNotWaitForACallThatWaits) {
  board_.Put(kModel, {.epoch = {7}});
  Answer(Say());
  const pb::JoinRequest waiting = Say();
  ASSERT_TRUE(waiting.wait());
  board_.Put(kData, {});
  const pb::JoinRequest fresh = Say();
  EXPECT_FALSE(fresh.wait());
  EXPECT_EQ(fresh.fetching_size(), 2);
  EXPECT_FALSE(Answer(waiting, 9)) << "it was given up";
  EXPECT_TRUE(Answer(fresh));
  EXPECT_TRUE(Say().wait());
}

TEST_F(JoinConversationTest, ItsEpochIsNewsAndHowFarItIsIsNot) {
  board_.Put(kModel, {});
  Answer(Say());
  ASSERT_TRUE(Say().wait());
  board_.Put(kModel, {.percent = 50, .parents = 3});
  EXPECT_TRUE(Silent());
  board_.Put(kModel, {.epoch = {7}, .percent = 50});
  EXPECT_FALSE(Say().wait());
  EXPECT_EQ(changes_, 2);
}

TEST_F(JoinConversationTest, WhatIsOverIsTakenBackOnce) {
  board_.Put(kModel, {.epoch = {7}});
  Answer(Say(), 3);
  board_.Erase(kModel);
  board_.Erase(kModel);
  const pb::JoinRequest last = Say();
  EXPECT_FALSE(last.wait());
  EXPECT_EQ(last.fetching_size(), 0);
  EXPECT_TRUE(Answer(last));
  EXPECT_TRUE(Silent());
  board_.Put(kModel, {.epoch = {8}});
  EXPECT_EQ(Say().fetching(0).known(), 0u) << "of another time";
}

TEST_F(JoinConversationTest, AnotherManagerIsToldEverythingAnew) {
  board_.Put(kModel, {.epoch = {7}});
  Answer(Say(), 3);
  const pb::JoinRequest waiting = Say();
  joins_.OnLinkLost();
  EXPECT_FALSE(Answer(waiting, 4));
  const pb::JoinRequest again = Say();
  EXPECT_FALSE(again.wait());
  EXPECT_EQ(again.fetching(0).known(), 0u);
  EXPECT_GT(again.sequence(), waiting.sequence());
}

TEST_F(JoinConversationTest, ARefusalIsFollowedByAPauseAndEverythingAnew) {
  board_.Put(kModel, {.epoch = {7}});
  Answer(Say(), 3);
  Refuse(Say());
  const JoinConversation::Step step = Next();
  EXPECT_FALSE(step.send);
  EXPECT_EQ(step.again, kSession / 20);
  now_ += kSession / 20;
  const pb::JoinRequest again = Say();
  EXPECT_FALSE(again.wait());
  EXPECT_EQ(again.fetching(0).known(), 0u);
}

TEST_F(JoinConversationTest, AnotherRegistrationIsToldEverythingAnew) {
  board_.Put(kModel, {.epoch = {7}});
  Answer(Say(), 3);
  ASSERT_TRUE(Say().wait());
  const pb::JoinRequest again = Say(6);
  EXPECT_EQ(again.node_epoch(), 6u);
  EXPECT_FALSE(again.wait());
  EXPECT_EQ(again.fetching(0).known(), 0u);
}

TEST_F(JoinConversationTest, TheBoardHasRoomForSoMany) {
  for (size_t i = 0; i <= FetchBoard::kMost; ++i) board_.Put({"team", "k" + std::to_string(i)}, {});
  EXPECT_EQ(board_.view().entries.size(), FetchBoard::kMost);
  board_.Put({"team", "k0"}, {.epoch = {3}});
  EXPECT_EQ(board_.view().entries.at({"team", "k0"}).epoch.value, 3u);
}

}  // namespace
}  // namespace larder::cache_agent
