#include "core/swarm_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr base::Duration kSession = seconds(10);

class SwarmDeskTest : public testing::Test {
 protected:
  // A call's answer: the names it brought, once it came.
  struct Asked {
    int answers = 0;
    absl::Status status;
    std::vector<std::string> names;
    SwarmVersion version;
  };
  using AskedPtr = std::shared_ptr<Asked>;

  void Enter(const std::string& node, uint64_t epoch = 1) {
    ASSERT_THAT(manager_.Enter({++sessions_}, {.node = node, .incarnation = epoch, .place = {.address = node + ":1"}},
                               {.epoch = {epoch}}),
                IsOk());
  }
  void Beat(const std::string& node, uint64_t session) {
    ASSERT_THAT(manager_.Take(node, {session}, {.epoch = {1}}), IsOk());
  }
  AskedPtr Join(const std::string& node, bool wait, std::vector<Fetching> fetching, uint64_t epoch = 1) {
    const auto asked = std::make_shared<Asked>();
    desk_.Join({.node = {node, {epoch}}, .sequence = ++sequence_, .wait = wait, .fetching = std::move(fetching)},
               [asked](const absl::StatusOr<SwarmDesk::Told>& told) {
                 ++asked->answers;
                 asked->status = told.status();
                 if (!told.ok()) return;
                 for (const SwarmNews& news : *told) {
                   asked->version = news.version;
                   for (const SwarmMember& member : news.members) asked->names.push_back(member.node.node);
                 }
               });
    return asked;
  }
  void Pass(base::Duration time) {
    clock_.Advance(time);
    manager_.Round();
    desk_.Round();
  }
  std::string Metrics() { return metrics_.Render(); }
  static Fetching Model(SwarmVersion known = {}) { return {.id = {"team", "model"}, .epoch = {7}, .known = known}; }

  base::ManualClock clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, clock_};
  observe::Registry metrics_;
  ScriptedCluster cluster_;
  Manager manager_{{.name = "self", .session = kSession, .leader_ttl = seconds(5), .most_nodes = 10},
                   cluster_,
                   clock_,
                   log_,
                   metrics_};
  SwarmDesk desk_{manager_, 3, clock_, metrics_};
  uint64_t sessions_ = 0;
  uint64_t sequence_ = 0;
};

TEST_F(SwarmDeskTest, WhoWaitsHearsOfWhoJoins) {
  Enter("a");
  Enter("b");
  EXPECT_EQ(Join("a", false, {Model()})->answers, 1);
  const AskedPtr waiting = Join("a", true, {Model()});
  EXPECT_EQ(waiting->answers, 0);
  EXPECT_THAT(Join("b", false, {Model()})->names, ElementsAre("a"));
  EXPECT_EQ(waiting->answers, 1);
  EXPECT_THAT(waiting->names, ElementsAre("b"));
  EXPECT_EQ(Join("a", true, {Model(waiting->version)})->answers, 0) << "it was told";
  EXPECT_THAT(Metrics(), HasSubstr("larder_peers_swarms 1"));
  EXPECT_THAT(Metrics(), HasSubstr("larder_peers_swarm_members 2"));
  EXPECT_THAT(Metrics(), HasSubstr("larder_peers_joins_total 2"));
}

TEST_F(SwarmDeskTest, ACallWaitsForAFifthOfASession) {
  Enter("a");
  const AskedPtr waiting = Join("a", true, {Model()});
  Pass(kSession / 5 - milliseconds(1));
  EXPECT_EQ(waiting->answers, 0);
  Pass(milliseconds(1));
  EXPECT_EQ(waiting->answers, 1);
  EXPECT_THAT(waiting->names, IsEmpty());
  EXPECT_THAT(waiting->status, IsOk());
}

TEST_F(SwarmDeskTest, OneCallOfANodeWaitsAndOneThatWasOvertakenSaysNothing) {
  Enter("a");
  Enter("b");
  const AskedPtr first = Join("a", true, {Model()});
  const AskedPtr second = Join("a", true, {Model()});
  EXPECT_EQ(first->answers, 1);
  EXPECT_EQ(second->answers, 0);
  sequence_ -= 2;
  EXPECT_EQ(Join("a", true, {})->answers, 1);
  EXPECT_THAT(Join("b", false, {Model()})->names, ElementsAre("a"));
}

TEST_F(SwarmDeskTest, OnlyWhoIsLiveInThatRegistrationMayJoin) {
  EXPECT_THAT(Join("a", true, {Model()})->status, StatusIs(StatusCode::kUnavailable, "NODE_NOT_LIVE"));
  Enter("a", 5);
  EXPECT_THAT(Join("a", true, {Model()}, 4)->status, StatusIs(StatusCode::kFailedPrecondition, "NODE_EPOCH_STALE"));
  EXPECT_THAT(Join("a", true, {Model()}, 6)->status, StatusIs(StatusCode::kUnavailable, "NODE_NOT_LIVE"));
  EXPECT_THAT(Join("a", false, {Model()}, 5)->status, IsOk());
}

TEST_F(SwarmDeskTest, WhoVanishesIsNotNamedAndForgotten) {
  Enter("a");
  Enter("b");
  Join("a", false, {Model()});
  manager_.Leave("a", {1});
  EXPECT_THAT(Join("b", false, {Model()})->names, IsEmpty()) << "at once";
  EXPECT_THAT(Metrics(), HasSubstr("larder_peers_swarm_members 2"));
  Pass(kSession / 20);
  EXPECT_THAT(Metrics(), HasSubstr("larder_peers_swarm_members 1"));
}

TEST_F(SwarmDeskTest, WhoIsNotLiveIsNotLeftWaiting) {
  Enter("a");
  const AskedPtr waiting = Join("a", true, {Model()});
  manager_.Leave("a", {1});
  Pass(kSession / 20);
  EXPECT_THAT(waiting->status, StatusIs(StatusCode::kUnavailable, "NODE_NOT_LIVE"));
}

TEST_F(SwarmDeskTest, WhoCallsNoMoreIsForgottenThoughItBeats) {
  Enter("a");
  Join("a", false, {Model()});
  for (int i = 0; i < 4; ++i) {
    Pass(kSession / 8);
    Beat("a", 1);
    EXPECT_THAT(Metrics(), HasSubstr(i < 3 ? "larder_peers_swarm_members 1" : "larder_peers_swarm_members 0"));
  }
}

TEST_F(SwarmDeskTest, WhatIsTooMuchIsRefusedAndTheOldHolds) {
  Enter("a");
  Enter("b");
  Join("a", false, {Model(), {.id = {"team", "x"}, .epoch = {1}}});
  EXPECT_THAT(Join("b", true, {Model(), {.id = {"team", "y"}, .epoch = {1}}})->status,
              StatusIs(StatusCode::kResourceExhausted, "TOO_MANY_FETCHES"));
  EXPECT_THAT(Metrics(), HasSubstr("larder_peers_swarm_members 2"));
}

TEST_F(SwarmDeskTest, AStopAnswersAllAndTakesNoMore) {
  Enter("a");
  const AskedPtr waiting = Join("a", true, {Model()});
  desk_.Stop();
  EXPECT_THAT(waiting->status, StatusIs(StatusCode::kUnavailable, "STOPPING"));
  EXPECT_THAT(Join("a", true, {Model()})->status, StatusIs(StatusCode::kUnavailable, "STOPPING"));
}

}  // namespace
}  // namespace larder::peer_manager
