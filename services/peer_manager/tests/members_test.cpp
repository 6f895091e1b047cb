#include "core/members.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "larder/base/testing/status_matchers.h"

namespace larder::peer_manager {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

constexpr base::Duration kSession = seconds(10);  // T_s
constexpr base::Duration kBeat = kSession / 5;
constexpr size_t kMostNodes = 5;

class MembersTest : public testing::Test {
 protected:
  void Pass(base::Duration time) {
    now_ += time;
    members_.Advance(now_);
  }
  absl::StatusOr<std::optional<SessionId>> Enter(const std::string& node, uint64_t session, uint64_t epoch,
                                                 uint64_t incarnation = 1) {
    const Introduction said = {.node = node,
                               .incarnation = incarnation,
                               .place = {.address = "said:1", .zone = "z", .rack = "r"},
                               .capacity = {.memory = 100, .disk = 200}};
    return members_.Enter({session}, said, {.epoch = {epoch}}, now_);
  }
  absl::Status Beat(const std::string& node, uint64_t session, uint64_t epoch) {
    return members_.Take(node, {session}, {.epoch = {epoch}, .load = {.upload_queue = 7}}, now_);
  }
  void Track(std::vector<TrackedNode> nodes) { members_.OnTracked(nodes, now_, now_); }
  std::vector<NodeRef> Fences() { return members_.TakeFences(100, now_); }
  NodeView View(const std::string& node) {
    for (const NodeView& view : members_.List("", 100, now_)) {
      if (view.name == node) return view;
    }
    ADD_FAILURE() << node << " is not shown";
    return {};
  }
  NodeState State(const std::string& node) { return View(node).state; }
  // Leads for long enough.
  void Lead() {
    members_.Lead(now_);
    Pass(kSession);
  }

  base::MonotonicTime now_{std::chrono::hours(1)};
  Members members_{kSession, kMostNodes};
};

TEST_F(MembersTest, WhoSaysHelloWithItsRegistrationIsLiveAndShownAsItSays) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Pass(seconds(1));
  ASSERT_THAT(Beat("a", 1, 5), IsOk());
  Pass(milliseconds(500));
  const NodeView view = View("a");
  EXPECT_EQ(view.state, NodeState::kLive);
  EXPECT_EQ(view.in_state, milliseconds(1500));
  EXPECT_EQ(view.epoch, NodeEpoch{5});
  EXPECT_TRUE(view.connected);
  EXPECT_EQ(view.place, (Place{.address = "said:1", .zone = "z", .rack = "r"}));
  EXPECT_THAT(view.capacity, Optional(Capacity{.memory = 100, .disk = 200}));
  EXPECT_THAT(view.load, Optional(Load{.upload_queue = 7}));
  EXPECT_THAT(view.since_seen, Optional(milliseconds(500)));
}

TEST_F(MembersTest, TwoMissedBeatsMakeItSuspectAndTheNextOneLive) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Pass(2 * kBeat);
  EXPECT_EQ(State("a"), NodeState::kLive) << "the second may be on its way";
  Pass(kBeat / 2);
  EXPECT_EQ(State("a"), NodeState::kSuspect);
  ASSERT_THAT(Beat("a", 1, 5), IsOk());
  EXPECT_EQ(State("a"), NodeState::kLive);
}

TEST_F(MembersTest, ABrokenSessionMakesItSuspectAtOnce) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  members_.Leave("a", {1}, now_);
  EXPECT_EQ(State("a"), NodeState::kSuspect);
  EXPECT_FALSE(View("a").connected);
  ASSERT_THAT(Enter("a", 2, 5), IsOk());
  EXPECT_EQ(State("a"), NodeState::kLive);
}

TEST_F(MembersTest, WhoIsNotRegisteredIsSuspectAndNeverFenced) {
  ASSERT_THAT(Enter("a", 1, 0), IsOk());
  EXPECT_EQ(State("a"), NodeState::kSuspect);
  Lead();
  EXPECT_THAT(Fences(), IsEmpty());
  ASSERT_THAT(Beat("a", 1, 6), IsOk());
  EXPECT_EQ(State("a"), NodeState::kLive) << "it registered";
  ASSERT_THAT(Beat("a", 1, 0), IsOk());
  EXPECT_EQ(State("a"), NodeState::kSuspect) << "it is no longer sure";
}

TEST_F(MembersTest, OfTwoSessionsTheLaterOneCounts) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  EXPECT_THAT(Enter("a", 2, 5), IsOk());
  EXPECT_THAT(Beat("a", 1, 5), StatusIs(StatusCode::kAborted, "SESSION_REPLACED"));
  members_.Leave("a", {1}, now_);
  EXPECT_EQ(State("a"), NodeState::kLive) << "the end of the replaced one means nothing";
  LARDER_ASSERT_OK_AND_ASSIGN(const auto replaced, Enter("a", 3, 6, 2));
  EXPECT_EQ(replaced, SessionId{2});
  EXPECT_THAT(Enter("a", 4, 6, 1), StatusIs(StatusCode::kFailedPrecondition, "INCARNATION_STALE"));
  ASSERT_THAT(Beat("a", 3, 6), IsOk());
}

TEST_F(MembersTest, AnEarlierRegistrationThanIsKnownIsRefused) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Track({{.name = "a", .epoch = {6}, .incarnation = 1}});
  EXPECT_EQ(State("a"), NodeState::kSuspect) << "it has not told of its new one";
  EXPECT_THAT(Beat("a", 1, 5), StatusIs(StatusCode::kFailedPrecondition, "NODE_EPOCH_STALE"));
  EXPECT_THAT(Enter("a", 2, 5), StatusIs(StatusCode::kFailedPrecondition, "NODE_EPOCH_STALE"));
  ASSERT_THAT(Enter("a", 3, 6), IsOk());
  EXPECT_EQ(State("a"), NodeState::kLive);
}

TEST_F(MembersTest, TheTrackersWordIsAboveWhatSomebodySaid) {
  const std::vector<TrackedNode> told = {{.name = "a", .epoch = {5}, .incarnation = 1}};
  Track(told);
  Lead();
  ASSERT_THAT(Enter("a", 1, 999, 9), IsOk()) << "nobody knows better yet";
  const base::MonotonicTime entered = now_;
  Pass(kSession);
  ASSERT_THAT(Fences(), ElementsAre(NodeRef{"a", {999}}));
  members_.OnTracked(told, entered, now_);
  EXPECT_THAT(Enter("a", 2, 5, 9), StatusIs(StatusCode::kFailedPrecondition, "NODE_EPOCH_STALE"))
      << "the answer may be older";
  EXPECT_THAT(Enter("a", 2, 5, 1), StatusIs(StatusCode::kFailedPrecondition, "INCARNATION_STALE"));
  members_.OnTracked(told, entered + milliseconds(1), now_);
  EXPECT_EQ(View("a").epoch, NodeEpoch{5});
  Pass(kSession - milliseconds(1));
  EXPECT_THAT(Fences(), IsEmpty()) << "it has a session of its own";
  ASSERT_THAT(Enter("a", 2, 5, 1), IsOk());
  EXPECT_EQ(State("a"), NodeState::kLive);
}

TEST_F(MembersTest, ARegistrationThatTheTrackerDoesNotKnowOfIsSuspect) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  ASSERT_THAT(Enter("b", 2, 6), IsOk());
  EXPECT_EQ(State("a"), NodeState::kLive) << "the tracker was not asked yet";
  Track({{.name = "a", .epoch = {5}, .incarnation = 1}});
  EXPECT_EQ(State("a"), NodeState::kLive);
  EXPECT_EQ(State("b"), NodeState::kSuspect);
  ASSERT_THAT(Beat("a", 1, 7), IsOk());
  EXPECT_EQ(State("a"), NodeState::kSuspect);
  Track({{.name = "a", .epoch = {7}, .incarnation = 1}, {.name = "b", .epoch = {6}, .incarnation = 1}});
  EXPECT_EQ(State("a"), NodeState::kLive);
  EXPECT_EQ(State("b"), NodeState::kLive);
  Track({{.name = "a", .epoch = {7}, .incarnation = 1}});
  EXPECT_EQ(State("b"), NodeState::kSuspect) << "it is forgotten there";
}

TEST_F(MembersTest, SilentForASessionItIsFencedAndLost) {
  Lead();
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  ASSERT_THAT(Enter("b", 2, 6), IsOk());
  Pass(kSession - milliseconds(1));
  ASSERT_THAT(Beat("b", 2, 6), IsOk());
  EXPECT_THAT(Fences(), IsEmpty());
  Pass(milliseconds(1));
  EXPECT_THAT(Fences(), ElementsAre(NodeRef{"a", {5}}));
  EXPECT_THAT(Fences(), IsEmpty()) << "it is under way";
  EXPECT_EQ(State("a"), NodeState::kSuspect);
  members_.EndFence({"a", {5}}, FenceOutcome::kFenced, now_);
  EXPECT_EQ(State("a"), NodeState::kLost);
  Pass(10 * kSession);
  EXPECT_THAT(Fences(), ElementsAre(NodeRef{"b", {6}})) << "a is over";
  EXPECT_THAT(Beat("a", 1, 5), StatusIs(StatusCode::kUnavailable, "NODE_FENCED"));
  EXPECT_THAT(Enter("a", 3, 5), StatusIs(StatusCode::kUnavailable, "NODE_FENCED"));
  ASSERT_THAT(Enter("a", 3, 7), IsOk());
  EXPECT_EQ(State("a"), NodeState::kLive);
}

TEST_F(MembersTest, OnlyWhoLeadsForASessionFences) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Pass(10 * kSession);
  EXPECT_THAT(Fences(), IsEmpty()) << "it does not lead";
  members_.Lead(now_);
  EXPECT_FALSE(members_.MayFence(now_));
  Pass(kSession - milliseconds(1));
  EXPECT_THAT(Fences(), IsEmpty()) << "the leader before it may have answered";
  Pass(milliseconds(1));
  EXPECT_TRUE(members_.MayFence(now_));
  EXPECT_THAT(Fences(), ElementsAre(NodeRef{"a", {5}}));
  members_.StopLeading();
  EXPECT_THAT(Fences(), IsEmpty());
  EXPECT_THAT(Beat("a", 1, 5), IsOk()) << "the order is of a term that is over";
}

TEST_F(MembersTest, WhileAFenceIsUnderWayThatRegistrationIsNotTaken) {
  Lead();
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Pass(kSession);
  ASSERT_THAT(Fences(), ElementsAre(NodeRef{"a", {5}}));
  const auto fenced = StatusIs(StatusCode::kUnavailable, "NODE_FENCED");
  EXPECT_THAT(Beat("a", 1, 5), fenced);
  members_.EndFence({"a", {5}}, FenceOutcome::kUnknown, now_);
  EXPECT_THAT(Enter("a", 2, 5), fenced) << "it may still be done";
  Pass(kBeat);
  ASSERT_THAT(Fences(), ElementsAre(NodeRef{"a", {5}})) << "asked again";
  EXPECT_TRUE(members_.EndFence({"a", {5}}, FenceOutcome::kRefused, now_)) << "the first order may still be done";
  EXPECT_THAT(Fences(), IsEmpty()) << "later";
  EXPECT_THAT(Enter("a", 2, 5), fenced);
  Pass(kBeat);
  ASSERT_THAT(Fences(), ElementsAre(NodeRef{"a", {5}}));
  EXPECT_TRUE(members_.EndFence({"a", {5}}, FenceOutcome::kRefused, now_)) << "and still";
  EXPECT_THAT(Enter("a", 2, 5), fenced);
  members_.StopLeading();
  ASSERT_THAT(Enter("a", 2, 5), IsOk()) << "the orders are of a term that is over";
  EXPECT_EQ(State("a"), NodeState::kLive);
}

TEST_F(MembersTest, ARefusedFenceIsAskedForAgain) {
  Lead();
  Track({{.name = "a", .epoch = {5}}});
  Pass(kSession);
  ASSERT_THAT(Fences(), ElementsAre(NodeRef{"a", {5}}));
  EXPECT_FALSE(members_.EndFence({"a", {5}}, FenceOutcome::kRefused, now_)) << "nothing was done";
  EXPECT_THAT(Fences(), IsEmpty()) << "later";
  Pass(kBeat);
  ASSERT_THAT(Fences(), ElementsAre(NodeRef{"a", {5}}));
  EXPECT_FALSE(members_.EndFence({"a", {5}}, FenceOutcome::kRefused, now_));
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  EXPECT_EQ(State("a"), NodeState::kLive);
  Pass(kBeat);
  EXPECT_THAT(Fences(), IsEmpty()) << "it was heard";
}

TEST_F(MembersTest, ThoseThatAreRefusedAgainAndAgainLeaveTheOthersTheirTurn) {
  Track({{.name = "a", .epoch = {1}}, {.name = "b", .epoch = {2}}, {.name = "c", .epoch = {3}}});
  Lead();
  const auto two_are_refused = [&] {
    std::vector<std::string> asked;
    for (const NodeRef& node : members_.TakeFences(2, now_)) {
      members_.EndFence(node, FenceOutcome::kRefused, now_);
      asked.push_back(node.node);
    }
    Pass(kBeat);
    return asked;
  };
  EXPECT_THAT(two_are_refused(), ElementsAre("a", "b"));
  EXPECT_THAT(two_are_refused(), ElementsAre("c", "a"));
  EXPECT_THAT(two_are_refused(), ElementsAre("b", "c"));
}

TEST_F(MembersTest, ARegistrationThatIsNewsHasASessionOfItsOwn) {
  Lead();
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Pass(kSession);
  ASSERT_THAT(Fences(), ElementsAre(NodeRef{"a", {5}}));
  Track({{.name = "a", .epoch = {6}}});
  members_.EndFence({"a", {5}}, FenceOutcome::kFenced, now_);
  EXPECT_EQ(State("a"), NodeState::kSuspect) << "another registration is in force";
  Pass(kSession - milliseconds(1));
  EXPECT_THAT(Fences(), IsEmpty());
  Pass(milliseconds(1));
  EXPECT_THAT(Fences(), ElementsAre(NodeRef{"a", {6}}));
}

TEST_F(MembersTest, WhatItNeverHeardOfIsShownAsTheTrackerKnowsIt) {
  Track({{.name = "a",
          .epoch = {5},
          .incarnation = 3,
          .place = {.address = "tracked:1", .zone = "far", .rack = "9"},
          .since_seen = seconds(4)},
         {.name = "b", .epoch = {6}, .fenced = true}});
  const NodeView a = View("a");
  EXPECT_EQ(a.state, NodeState::kSuspect);
  EXPECT_EQ(a.place, (Place{.address = "tracked:1", .zone = "far", .rack = "9"}));
  EXPECT_EQ(a.incarnation, 3u);
  EXPECT_EQ(a.capacity, std::nullopt);
  EXPECT_THAT(a.since_seen, Optional(seconds(4)));
  EXPECT_EQ(State("b"), NodeState::kLost);
  Lead();
  EXPECT_THAT(Fences(), ElementsAre(NodeRef{"a", {5}})) << "silent for as long as this manager leads";
}

TEST_F(MembersTest, MarksOfTheTrackerAreShown) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Track({{.name = "a", .epoch = {5}, .draining = true, .quarantined = true}});
  EXPECT_EQ(State("a"), NodeState::kDraining);
  EXPECT_TRUE(View("a").quarantined);
  members_.Leave("a", {1}, now_);
  EXPECT_EQ(State("a"), NodeState::kSuspect);
  EXPECT_TRUE(View("a").draining);
  ASSERT_THAT(Enter("a", 2, 5), IsOk());
  Track({{.name = "a", .epoch = {5}}});
  EXPECT_EQ(State("a"), NodeState::kLive) << "taken off";
  EXPECT_EQ(View("a").place.address, "said:1") << "its own word is newer";
}

TEST_F(MembersTest, StrangersAreFewAndForgottenWhenTheyLeave) {
  for (uint64_t i = 1; i <= kMostNodes; ++i) ASSERT_THAT(Enter("node-" + std::to_string(i), i, 0), IsOk());
  EXPECT_THAT(Enter("one-more", 9, 0), StatusIs(StatusCode::kResourceExhausted, "TOO_MANY_SESSIONS"));
  members_.Leave("node-1", {1}, now_);
  EXPECT_EQ(State("node-1"), NodeState::kSuspect) << "the tracker was not asked yet";
  Track({{.name = "known", .epoch = {1}}});
  Track({{.name = "known", .epoch = {1}}, {.name = "node-2", .epoch = {2}}});
  EXPECT_EQ(members_.List("", 100, now_).size(), kMostNodes);
  EXPECT_EQ(members_.Count(NodeState::kSuspect), kMostNodes);
  EXPECT_THAT(Enter("known", 9, 1), IsOk());
}

TEST_F(MembersTest, ListsByNameInPages) {
  Track({{.name = "b", .epoch = {1}}, {.name = "a", .epoch = {2}}, {.name = "c", .epoch = {3}}});
  const auto names = [&](const std::string& after, size_t most) {
    std::vector<std::string> found;
    for (const NodeView& view : members_.List(after, most, now_)) found.push_back(view.name);
    return found;
  };
  EXPECT_THAT(names("", 2), ElementsAre("a", "b"));
  EXPECT_THAT(names("b", 2), ElementsAre("c"));
  EXPECT_THAT(names("c", 2), IsEmpty());
}

class MassLossTest : public testing::Test {
 protected:
  void Vanish(int first, int count) {
    for (int i = first; i < first + count; ++i) loss_.Vanished("node-" + std::to_string(i), now_);
    live_ -= static_cast<size_t>(count);
    loss_.Look(live_, now_);
  }
  void Pass(base::Duration time) {
    now_ += time;
    loss_.Look(live_, now_);
  }
  size_t live_ = 10;
  base::MonotonicTime now_{std::chrono::hours(1)};
  MassLoss loss_{kSession};
};

TEST_F(MassLossTest, IsOnWhenMoreThanThirtyInAHundredVanishWithinASession) {
  Vanish(0, 3);
  EXPECT_FALSE(loss_.is_on()) << "3 of 10";
  Pass(kSession - milliseconds(1));
  Vanish(3, 1);
  EXPECT_TRUE(loss_.is_on()) << "4 of 10";
}

TEST_F(MassLossTest, IsOffForThoseThatGoOneByOne) {
  for (int i = 0; i < 8; ++i) {
    Vanish(i, 1);
    EXPECT_FALSE(loss_.is_on()) << i;
    Pass(kSession);
  }
}

TEST_F(MassLossTest, OneOfThreeIsNoMass) {
  live_ = 3;
  Vanish(0, 1);
  EXPECT_FALSE(loss_.is_on());
  Vanish(1, 1);
  EXPECT_TRUE(loss_.is_on());
}

TEST_F(MassLossTest, EndsWhenTheyAreBackOrSixSessionsLater) {
  Vanish(0, 5);
  ASSERT_TRUE(loss_.is_on());
  Pass(2 * kSession);
  EXPECT_TRUE(loss_.is_on()) << "they are away";
  for (int i = 0; i < 2; ++i) loss_.Back("node-" + std::to_string(i));
  live_ += 2;
  loss_.Look(live_, now_);
  EXPECT_FALSE(loss_.is_on()) << "3 of 10 are away";
  Vanish(5, 4);
  ASSERT_TRUE(loss_.is_on());
  Pass(6 * kSession);
  EXPECT_FALSE(loss_.is_on());
}

TEST_F(MembersTest, ManyThatVanishAtOnceAreAMassLoss) {
  for (uint64_t i = 0; i < 4; ++i) ASSERT_THAT(Enter("node-" + std::to_string(i), i + 1, i + 1), IsOk());
  members_.Leave("node-0", {1}, now_);
  Pass(milliseconds(1));
  EXPECT_FALSE(members_.mass_loss());
  members_.Leave("node-1", {2}, now_);
  Pass(milliseconds(1));
  EXPECT_TRUE(members_.mass_loss());
  ASSERT_THAT(Enter("node-0", 9, 1), IsOk());
  Pass(milliseconds(1));
  EXPECT_FALSE(members_.mass_loss());
}

}  // namespace
}  // namespace larder::peer_manager
