#include "core/manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/status.h"
#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "tests/scripted_cluster.h"

namespace larder::peer_manager {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr base::Duration kSession = seconds(10);
constexpr base::Duration kTtl = seconds(5);

class ManagerTest : public testing::Test {
 protected:
  absl::Status Enter(const std::string& node, uint64_t session, uint64_t epoch) {
    return manager_.Enter({session}, {.node = node}, {.epoch = {epoch}}).status();
  }
  BeatAnswer Beat(const std::string& node, uint64_t session, uint64_t epoch) {
    const auto answer = manager_.Take(node, {session}, {.epoch = {epoch}});
    EXPECT_THAT(answer, IsOk());
    return answer.value_or(BeatAnswer());
  }
  // Time passes in small steps; the tracker renews the lease and tells of `tracked_`, while it answers.
  void Pass(base::Duration time) {
    for (; time > base::Duration::zero(); time -= milliseconds(100)) {
      clock_.Advance(milliseconds(100));
      Step();
    }
  }
  void Step() {
    manager_.Round();
    if (!answers_) return;
    for (const auto& renewed : cluster_.renewals()) renewed(absl::OkStatus());
    for (const auto& told : cluster_.readings()) told(tracked_);
  }
  void Lead(uint64_t term) {
    Step();
    for (const auto& look : cluster_.looks()) look(std::optional<LeaderLease>());
    Step();
    for (const auto& grant : cluster_.grants()) grant(Term{term});
    Step();
    ASSERT_TRUE(manager_.status().leads);
  }

  base::ManualClock clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, clock_};
  observe::Registry metrics_;
  ScriptedCluster cluster_;
  bool answers_ = true;
  std::vector<TrackedNode> tracked_;
  Manager manager_{
      {.name = "self", .session = kSession, .leader_ttl = kTtl, .most_nodes = 100}, cluster_, clock_, log_, metrics_};
};

TEST_F(ManagerTest, WhoeverDoesNotLeadNamesTheLeaderAndNobodyMayCountOnIt) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Step();
  for (const auto& look : cluster_.looks()) {
    look(std::optional(LeaderLease{.holder = "other", .term = {3}, .left = kTtl}));
  }
  const BeatAnswer answer = Beat("a", 1, 5);
  EXPECT_FALSE(answer.leads);
  EXPECT_EQ(answer.term, Term{3});
  EXPECT_EQ(manager_.status().leader->holder, "other");
  EXPECT_THAT(cluster_.grants(), IsEmpty());
}

TEST_F(ManagerTest, TheLeaderFencesWhoIsSilentInItsTerm) {
  tracked_ = {{.name = "a", .epoch = {5}}, {.name = "b", .epoch = {6}}};
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  ASSERT_THAT(Enter("b", 2, 6), IsOk());
  Lead(7);
  EXPECT_TRUE(Beat("a", 1, 5).leads);
  EXPECT_EQ(Beat("a", 1, 5).term, Term{7});
  Pass(kSession - milliseconds(100));
  ASSERT_TRUE(Beat("b", 2, 6).leads);
  EXPECT_THAT(cluster_.fences(), IsEmpty());
  EXPECT_FALSE(manager_.status().may_fence);
  Pass(milliseconds(200));
  EXPECT_TRUE(manager_.status().may_fence);
  const auto fences = cluster_.fences();
  ASSERT_THAT(fences, SizeIs(1));
  EXPECT_EQ(fences[0].node, (NodeRef{"a", {5}}));
  EXPECT_EQ(fences[0].term, Term{7});
  fences[0].done(absl::OkStatus());
  EXPECT_THAT(metrics_.Render(), HasSubstr("larder_peers_fenced_total 1"));
  EXPECT_THAT(metrics_.Render(), HasSubstr("larder_peers_nodes{state=\"lost\"} 1"));
  EXPECT_THAT(metrics_.Render(), HasSubstr("larder_peers_nodes{state=\"live\"} 1"));
}

TEST_F(ManagerTest, WhomTheTrackerAnsweredIsAskedForAgainLater) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Lead(7);
  Pass(kSession + milliseconds(100));
  for (int i = 0; i < 3; ++i) {
    const auto fences = cluster_.fences();
    ASSERT_THAT(fences, SizeIs(1)) << i;
    fences[0].done(base::MakeError(StatusCode::kFailedPrecondition, "NODE_ALIVE", ""));
    Pass(kSession / 5 - milliseconds(100));
    ASSERT_THAT(cluster_.fences(), IsEmpty()) << i;
    Pass(milliseconds(200));
  }
  cluster_.fences().at(0).done(absl::DeadlineExceededError("nobody answered"));
  EXPECT_THAT(Enter("a", 2, 5), StatusIs(StatusCode::kUnavailable, "NODE_FENCED")) << "it may be done";
}

TEST_F(ManagerTest, ARefusalAfterAnOrderThatMayBeDoneEndsTheTermAndTheNextReadsWhatBecameOfIt) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Lead(7);
  Pass(kSession + milliseconds(100));
  cluster_.fences().at(0).done(absl::UnavailableError("the tracker's leader left"));
  Pass(kSession / 5);
  answers_ = false;
  cluster_.fences().at(0).done(base::MakeError(StatusCode::kFailedPrecondition, "NODE_ALIVE", "a new leader"));
  EXPECT_FALSE(manager_.status().leads) << "a new term makes the first order stale";
  ASSERT_THAT(Enter("a", 2, 5), IsOk());
  EXPECT_FALSE(Beat("a", 2, 5).leads);
  for (const auto& renewed : cluster_.renewals()) renewed(absl::OkStatus());
  for (const auto& told : cluster_.readings()) told(tracked_);
  Lead(8);
  EXPECT_FALSE(Beat("a", 2, 5).leads) << "the records were not read in this term";
  tracked_ = {{.name = "a", .epoch = {5}, .fenced = true}};
  for (const auto& told : cluster_.readings()) told(tracked_);
  EXPECT_THAT(manager_.Take("a", {2}, {.epoch = {5}}), StatusIs(StatusCode::kUnavailable, "NODE_FENCED"));
}

TEST_F(ManagerTest, NobodyMayCountOnANewLeaderBeforeItKnowsWhomTheOneBeforeFenced) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Step();
  for (const auto& told : cluster_.readings()) told(tracked_);
  answers_ = false;
  clock_.Advance(kSession / 5);
  Step();
  const auto before = cluster_.readings();
  ASSERT_THAT(before, SizeIs(1)) << "asked before it led";
  Lead(7);
  EXPECT_FALSE(Beat("a", 1, 5).leads);
  before[0](tracked_);
  EXPECT_FALSE(Beat("a", 1, 5).leads);
  Step();
  tracked_ = {{.name = "a", .epoch = {5}, .fenced = true}};
  for (const auto& told : cluster_.readings()) told(tracked_);
  EXPECT_THAT(manager_.Take("a", {1}, {.epoch = {5}}), StatusIs(StatusCode::kUnavailable, "NODE_FENCED"));
  ASSERT_THAT(Enter("a", 2, 6), IsOk());
  EXPECT_TRUE(Beat("a", 2, 6).leads);
}

TEST_F(ManagerTest, WithoutATrackerSessionsGoOnAndNobodyLeadsOrIsFenced) {
  tracked_ = {{.name = "a", .epoch = {5}}, {.name = "b", .epoch = {6}}};
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  ASSERT_THAT(Enter("b", 2, 6), IsOk());
  Lead(7);
  answers_ = false;
  Pass(kSession - milliseconds(100));
  for (const auto& renewed : cluster_.renewals()) renewed(absl::UnavailableError("nobody answers"));
  EXPECT_FALSE(manager_.status().leads);
  EXPECT_FALSE(manager_.status().tracker_answers);
  EXPECT_THAT(metrics_.Render(), HasSubstr("larder_peers_tracker_answers 0"));
  EXPECT_THAT(metrics_.Render(), HasSubstr("larder_peers_is_leader 0"));
  Pass(2 * kSession);
  EXPECT_THAT(cluster_.fences(), IsEmpty());
  EXPECT_FALSE(Beat("a", 1, 5).leads);
  const auto nodes = manager_.List("", 10);
  ASSERT_THAT(nodes, SizeIs(2));
  EXPECT_EQ(nodes[0].state, NodeState::kLive);
  EXPECT_EQ(nodes[1].state, NodeState::kSuspect);
}

TEST_F(ManagerTest, WhatTheTrackerRefusesForItsTermEndsIt) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Lead(7);
  Pass(kSession + milliseconds(100));
  cluster_.fences().at(0).done(base::MakeError(StatusCode::kAborted, "TOKEN_STALE", ""));
  EXPECT_FALSE(manager_.status().leads);
  EXPECT_FALSE(Beat("a", 1, 5).leads) << "taken again: the order was refused";
}

TEST_F(ManagerTest, AnOrderOfAnEarlierTermDoesNotEndOneOfThis) {
  ASSERT_THAT(Enter("a", 1, 5), IsOk());
  Lead(7);
  Pass(kSession + milliseconds(100));
  const auto early = cluster_.fences();
  answers_ = false;
  Pass(kTtl);
  ASSERT_FALSE(manager_.status().leads);
  for (const auto& renewed : cluster_.renewals()) renewed(absl::UnavailableError("nobody answers"));
  answers_ = true;
  Lead(8);
  Pass(kSession + milliseconds(100));
  const auto late = cluster_.fences();
  ASSERT_THAT(late, SizeIs(1));
  early.at(0).done(base::MakeError(StatusCode::kAborted, "TOKEN_STALE", ""));
  EXPECT_TRUE(manager_.status().leads) << "it was the other term's";
  EXPECT_THAT(Enter("a", 2, 5), StatusIs(StatusCode::kUnavailable, "NODE_FENCED")) << "the order of this is under way";
  late[0].done(absl::OkStatus());
  EXPECT_EQ(manager_.List("", 1).at(0).state, NodeState::kLost);
}

TEST_F(ManagerTest, WhoResignsGivesTheLeaseBack) {
  Lead(7);
  manager_.Resign(base::kNoDeadline);
  EXPECT_EQ(cluster_.released(), Term{7});
  EXPECT_FALSE(manager_.status().leads);
}

TEST_F(ManagerTest, WhatIsGrantedToOneThatResignedIsGivenBack) {
  Step();
  for (const auto& look : cluster_.looks()) look(std::optional<LeaderLease>());
  Step();
  const auto grants = cluster_.grants();
  ASSERT_THAT(grants, SizeIs(1));
  manager_.Resign(base::SystemClock().Now());
  EXPECT_EQ(cluster_.released(), Term());
  grants[0](Term{7});
  EXPECT_EQ(cluster_.released(), Term{7});
  EXPECT_FALSE(manager_.status().leads);
}

TEST_F(ManagerTest, WhoResignsWaitsForWhatIsBeingGranted) {
  Step();
  for (const auto& look : cluster_.looks()) look(std::optional<LeaderLease>());
  Step();
  const auto grants = cluster_.grants();
  ASSERT_THAT(grants, SizeIs(1));
  Term released;
  std::thread resigns([&] {
    manager_.Resign(base::kNoDeadline);
    released = cluster_.released();
  });
  grants[0](Term{7});
  resigns.join();
  EXPECT_EQ(released, Term{7});
}

TEST_F(ManagerTest, ManyThatVanishAreCountedAndFencedAllTheSame) {
  for (uint64_t i = 1; i <= 4; ++i) {
    tracked_.push_back({.name = "node-" + std::to_string(i), .epoch = {i}});
    ASSERT_THAT(Enter("node-" + std::to_string(i), i, i), IsOk());
  }
  Lead(7);
  EXPECT_THAT(metrics_.Render(), HasSubstr("larder_peers_mass_loss 0"));
  for (uint64_t i = 1; i <= 2; ++i) manager_.Leave("node-" + std::to_string(i), {i});
  Pass(milliseconds(100));
  EXPECT_TRUE(manager_.status().mass_loss);
  EXPECT_THAT(metrics_.Render(), HasSubstr("larder_peers_mass_loss 1"));
  Pass(kSession + milliseconds(100));
  EXPECT_THAT(cluster_.fences(), SizeIs(4));
}

}  // namespace
}  // namespace larder::peer_manager
