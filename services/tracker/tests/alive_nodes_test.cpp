#include "core/alive_nodes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "larder/base/testing/status_matchers.h"

namespace larder::tracker {
namespace {

using base::IsOk;
using base::StatusIs;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::Duration kSession = seconds(10);
constexpr base::MonotonicTime kBegin{std::chrono::hours(1)};
const NodeRef kNode{"a", NodeEpoch{7}};
const NodeRef kOther{"b", NodeEpoch{8}};

auto Alive() { return StatusIs(absl::StatusCode::kFailedPrecondition, "NODE_ALIVE"); }
auto Fenced() { return StatusIs(absl::StatusCode::kUnavailable, "NODE_FENCED"); }

class AliveNodesTest : public testing::Test {
 protected:
  // Leads in term 1, for long.
  AliveNodesTest() {
    nodes_.Lead(1, kBegin);
    now_ += kSession;
  }

  AliveNodes nodes_{kSession};
  base::MonotonicTime now_ = kBegin;
};

TEST_F(AliveNodesTest, OneThatWasAnsweredIsNotFencedWithinASession) {
  ASSERT_THAT(nodes_.Answer(kNode, now_), IsOk());
  EXPECT_THAT(nodes_.BeginFence(kNode, now_), Alive());
  EXPECT_THAT(nodes_.BeginFence(kNode, now_ + kSession - milliseconds(1)), Alive());
  EXPECT_THAT(nodes_.BeginFence(kOther, now_), IsOk()) << "it is about the node alone";
  EXPECT_THAT(nodes_.BeginFence({kNode.node, NodeEpoch{6}}, now_), IsOk()) << "and about its registration";
  EXPECT_THAT(nodes_.BeginFence(kNode, now_ + kSession), IsOk());
}

TEST_F(AliveNodesTest, EachAnswerCountsFromItsOwnTime) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_THAT(nodes_.Answer(kNode, now_), IsOk());
    ASSERT_THAT(nodes_.Answer(kOther, now_), IsOk());
    now_ += kSession / 2;
    EXPECT_THAT(nodes_.BeginFence(kNode, now_), Alive());
  }
  ASSERT_THAT(nodes_.Answer(kOther, now_), IsOk());
  EXPECT_THAT(nodes_.BeginFence(kNode, now_ + kSession / 2), IsOk());
  EXPECT_THAT(nodes_.BeginFence(kOther, now_ + kSession / 2), Alive());
}

TEST_F(AliveNodesTest, ANewLeaderFencesNobodyForASession) {
  nodes_.Lead(2, now_);
  EXPECT_THAT(nodes_.BeginFence(kNode, now_), Alive());
  EXPECT_THAT(nodes_.BeginFence(kNode, now_ + kSession - milliseconds(1)), Alive());
  EXPECT_THAT(nodes_.BeginFence(kNode, now_ + kSession), IsOk());
}

TEST_F(AliveNodesTest, SeeingAgainThatItLeadsChangesNothing) {
  EXPECT_TRUE(nodes_.Lead(1, now_));
  EXPECT_THAT(nodes_.BeginFence(kNode, now_), IsOk());
  nodes_.Lead(3, now_);
  EXPECT_FALSE(nodes_.Lead(2, now_ + kSession)) << "who saw an earlier term comes too late";
  EXPECT_THAT(nodes_.BeginFence(kOther, now_ + kSession), IsOk());
}

TEST_F(AliveNodesTest, OneThatIsBeingFencedIsNotAnswered) {
  ASSERT_THAT(nodes_.BeginFence(kNode, now_), IsOk());
  ASSERT_THAT(nodes_.BeginFence(kNode, now_), IsOk());
  EXPECT_THAT(nodes_.Answer(kNode, now_), Fenced());
  EXPECT_THAT(nodes_.Answer(kOther, now_), IsOk());
  nodes_.EndFence(kNode, 1);
  EXPECT_THAT(nodes_.Answer(kNode, now_), Fenced()) << "there is another";
  nodes_.EndFence(kNode, 1);
  EXPECT_THAT(nodes_.Answer(kNode, now_), IsOk());
}

TEST_F(AliveNodesTest, AFenceOfAnEarlierTermEndsNoneOfThisOne) {
  ASSERT_THAT(nodes_.BeginFence(kNode, now_), IsOk());
  nodes_.Lead(2, now_);
  EXPECT_THAT(nodes_.Answer(kNode, now_), IsOk()) << "the registry, asked after, knows of that one";
  now_ += kSession;
  ASSERT_THAT(nodes_.BeginFence(kNode, now_), IsOk());
  nodes_.EndFence(kNode, 1);
  EXPECT_THAT(nodes_.Answer(kNode, now_), Fenced());
}

TEST_F(AliveNodesTest, OneThatTheRegistryDoesNotKnowIsForgottenUnlessItAskedAgain) {
  ASSERT_THAT(nodes_.Answer(kNode, now_), IsOk());
  nodes_.Forget(kNode, now_);
  EXPECT_THAT(nodes_.BeginFence(kNode, now_), IsOk());
  nodes_.EndFence(kNode, 1);
  ASSERT_THAT(nodes_.Answer(kNode, now_), IsOk());
  ASSERT_THAT(nodes_.Answer(kNode, now_ + seconds(1)), IsOk());
  nodes_.Forget(kNode, now_);
  EXPECT_THAT(nodes_.BeginFence(kNode, now_ + seconds(1)), Alive());
}

}  // namespace
}  // namespace larder::tracker
