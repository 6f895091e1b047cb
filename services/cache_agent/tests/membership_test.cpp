#include "rpc/membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "tests/scripted_peer_manager.h"

namespace larder::cache_agent {
namespace {

namespace pb = larder::peers::v1;
using base::IsOk;
using base::StatusIs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr base::Duration kSession = seconds(10);
auto Fenced() { return StatusIs(absl::StatusCode::kUnavailable, "NODE_FENCED"); }

absl::Status NoLink() { return base::Error(absl::StatusCode::kUnavailable, "NO_TRACKER", "no link"); }

// A membership whose rounds the test runs; it is the tracker and the peer managers, too.
class MembershipTest : public testing::Test {
 protected:
  void Make(std::vector<std::string> managers) {
    MembershipOptions options{
        .managers = std::move(managers),
        .room = [this] { return room_; },
        .met = [this](const object::ObjectId& id,
                      std::vector<SwarmMember> members) { met_.emplace_back(id, std::move(members)); }};
    options.who.set_node("n");
    options.who.set_zone("z");
    options.who.set_rack("r");
    membership_ = std::make_unique<Membership>(
        std::move(options), [this](base::Duration, auto done) { asked_.push_back(std::move(done)); }, managers_.dial(),
        clock_, log_);
  }
  // Rounds for so long, as often as they are due.
  void Pass(base::Duration duration) {
    while (duration > base::Duration(0)) {
      const base::Duration due = std::max<base::Duration>(membership_->Round(), milliseconds(1));
      const base::Duration step = std::min(due, duration);
      clock_.Advance(step);
      duration -= step;
    }
    membership_->Round();
  }
  // Answers the oldest question.
  void TrackerSays(absl::StatusOr<TrackerClient::Alive> alive) {
    ASSERT_FALSE(asked_.empty());
    const auto done = std::move(asked_.front());
    asked_.pop_front();
    done(std::move(alive));
  }
  void TrackerSaysAlive(uint64_t node_epoch = 5) { TrackerSays(TrackerClient::Alive{node_epoch, kSession}); }
  ScriptedPeerManagers::Manager& manager(const std::string& address = "m:1") { return managers_.managers[address]; }
  size_t LinesWith(const std::string& part) {
    return static_cast<size_t>(
        std::ranges::count_if(lines_, [&](const std::string& line) { return line.find(part) != std::string::npos; }));
  }

  base::ManualClock clock_;
  std::vector<std::string> lines_;
  observe::Logger log_{{.output = [this](std::string_view line) { lines_.emplace_back(line); }}, clock_};
  NodeRoom room_;
  std::vector<std::pair<object::ObjectId, std::vector<SwarmMember>>> met_;
  ScriptedPeerManagers managers_;
  std::deque<object::Done<absl::StatusOr<TrackerClient::Alive>>> asked_;
  std::unique_ptr<Membership> membership_;
};

TEST_F(MembershipTest, WithoutManagersTheTrackerKeepsTheNodeAMember) {
  Make({});
  membership_->Round();
  TrackerSays(NoLink());
  EXPECT_THAT(membership_->MayAct(), Fenced());
  EXPECT_THAT(membership_->MayAsk(), IsOk()) << "it never was a member: the tracker knows";
  membership_->OnRegistered(5);
  for (int i = 0; i < 20; ++i) {
    Pass(seconds(2));
    ASSERT_THAT(asked_, SizeIs(1)) << i;
    TrackerSaysAlive();
    ASSERT_THAT(membership_->MayAct(), IsOk());
  }
}

TEST_F(MembershipTest, CutOffItIsFencedHalfASessionAfterItsLastAnsweredQuestionAndComesBackByItself) {
  Make({});
  membership_->OnRegistered(5);
  membership_->Round();
  TrackerSaysAlive();
  Pass(milliseconds(4999));
  while (!asked_.empty()) TrackerSays(NoLink());
  EXPECT_THAT(membership_->MayAct(), IsOk());
  clock_.Advance(milliseconds(1));
  EXPECT_THAT(membership_->MayAct(), Fenced());
  EXPECT_THAT(membership_->MayAsk(), Fenced());
  membership_->Round();
  EXPECT_EQ(LinesWith("no more"), 1u);
  EXPECT_EQ(membership_->view().state, SelfFence::State::kFenced);
  EXPECT_THAT(base::Message(membership_->view().why), HasSubstr("answered"));
  for (int i = 0; i < 10; ++i) {
    Pass(seconds(1));
    while (!asked_.empty()) TrackerSays(NoLink());
  }
  EXPECT_EQ(LinesWith("no more"), 1u) << "on change only";
  Pass(milliseconds(500));
  TrackerSaysAlive();
  EXPECT_THAT(membership_->MayAct(), IsOk());
  membership_->Round();
  EXPECT_EQ(LinesWith("node_epoch"), 2u);
}

TEST_F(MembershipTest, ANodeThatWasStoppedKnowsItBeforeItActsAndAsksAtOnce) {
  Make({});
  membership_->OnRegistered(5);
  membership_->Round();
  TrackerSaysAlive();
  membership_->Round();
  clock_.Advance(std::chrono::hours(1));  // without a round
  EXPECT_THAT(membership_->MayAct(), Fenced());
  membership_->Round();
  ASSERT_THAT(asked_, SizeIs(1));
  TrackerSays(base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED", "fenced"));
  membership_->OnFenced(5);
  EXPECT_THAT(membership_->MayAsk(), Fenced());
  membership_->OnRegistered(6);
  EXPECT_THAT(membership_->MayAsk(), IsOk());
  EXPECT_THAT(membership_->MayAct(), Fenced());
  membership_->Round();
  ASSERT_THAT(asked_, SizeIs(1));
  TrackerSaysAlive(6);
  EXPECT_THAT(membership_->MayAct(), IsOk());
  EXPECT_EQ(membership_->view().node_epoch, 6u);
}

TEST_F(MembershipTest, ALateAnswerCountsFromWhenItWasAskedFor) {
  Make({});
  membership_->OnRegistered(5);
  membership_->Round();
  clock_.Advance(milliseconds(4900));
  TrackerSaysAlive();
  EXPECT_THAT(membership_->MayAct(), IsOk());
  clock_.Advance(milliseconds(100));
  EXPECT_THAT(membership_->MayAct(), Fenced());
}

TEST_F(MembershipTest, AManagerThatLeadsKeepsTheNodeAMemberWithoutTheTracker) {
  Make({"m:1"});
  membership_->OnRegistered(5);
  membership_->Round();
  TrackerSaysAlive();  // asked once, at the beginning
  for (int i = 0; i < 20; ++i) {
    ASSERT_FALSE(manager().said.empty());
    EXPECT_EQ(manager().said.back().node_epoch(), 5u);
    manager().Answer(/*leads=*/true);
    Pass(seconds(2));
    EXPECT_THAT(membership_->MayAct(), IsOk());
  }
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_THAT(manager().said, SizeIs(21));
  EXPECT_EQ(membership_->view().answering, 1u);
}

TEST_F(MembershipTest, OnlyTheWordOfAManagerThatLeadsCounts) {
  Make({"m:1", "m:2"});
  membership_->OnRegistered(5);
  membership_->Round();
  TrackerSaysAlive();
  for (int i = 0; i < 2; ++i) {
    manager("m:1").Answer(/*leads=*/false);
    manager("m:2").Answer(/*leads=*/false);
    Pass(seconds(2));
  }
  EXPECT_THAT(membership_->MayAct(), IsOk());
  ASSERT_THAT(asked_, SizeIs(1)) << "since a quarter of a session";
  clock_.Advance(seconds(1));
  EXPECT_THAT(membership_->MayAct(), Fenced()) << "though both answer";
  manager("m:2").Answer(/*leads=*/true);
  EXPECT_THAT(membership_->MayAct(), IsOk());
  TrackerSays(NoLink());
}

TEST_F(MembershipTest, ADeadManagerFencesNobodyWhomTheTrackerAnswers) {
  Make({"m:1"});
  membership_->OnRegistered(5);
  membership_->Round();
  TrackerSaysAlive();
  manager().Answer(true);
  manager().End(absl::UnavailableError("connection reset"));
  for (int i = 0; i < 60; ++i) {
    Pass(milliseconds(500));
    while (!asked_.empty()) TrackerSaysAlive();
    ASSERT_THAT(membership_->MayAct(), IsOk()) << i;
    if (manager().linked) manager().End(absl::UnavailableError("connection refused"));
  }
  EXPECT_EQ(membership_->view().answering, 0u);
  EXPECT_EQ(LinesWith("peer manager left"), 1u) << "once, not for each attempt";
  EXPECT_GT(manager().dialled, 5);
  EXPECT_LT(manager().dialled, 25) << "with pauses that grow";
}

TEST_F(MembershipTest, HoweverManyAreRefusedTheTrackerIsNotAskedWithoutEnd) {
  Make({});
  membership_->OnRegistered(5);
  membership_->Round();
  TrackerSaysAlive();
  clock_.Advance(kSession);
  size_t asked = 0;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_THAT(membership_->MayAsk(), Fenced());
    membership_->Round();
    for (; !asked_.empty(); ++asked) TrackerSays(NoLink());
    clock_.Advance(milliseconds(1));
  }
  EXPECT_GE(asked, 2u);
  EXPECT_LE(asked, 4u) << "in a second: each twentieth of a session, 500 ms";
}

TEST_F(MembershipTest, AManagersDoubtIsTakenToTheTracker) {
  Make({"m:1"});
  membership_->OnRegistered(5);
  membership_->Round();
  TrackerSaysAlive();
  manager().Answer(true);
  manager().End(base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED", "fenced"));
  EXPECT_THAT(membership_->MayAct(), IsOk()) << "the tracker decides";
  membership_->Round();
  ASSERT_THAT(asked_, SizeIs(1)) << "at once";
  TrackerSays(base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED", "fenced"));
  membership_->OnFenced(5);
  membership_->OnRegistered(6);
  Pass(seconds(1));
  ASSERT_TRUE(manager().linked);
  EXPECT_EQ(manager().said.back().node_epoch(), 6u);
  EXPECT_TRUE(manager().said.front().has_hello());
}

TEST_F(MembershipTest, AManagerThatIsSilentIsLeftAndDialledAnew) {
  Make({"m:1"});
  membership_->OnRegistered(5);
  membership_->Round();
  TrackerSaysAlive();
  Pass(seconds(6));
  EXPECT_EQ(manager().dialled, 2);
  EXPECT_TRUE(manager().said.front().has_hello());
}

TEST_F(MembershipTest, NodesAreListedByTheManagerThatLeadsOrAnyThatAnswers) {
  Make({"m:1", "m:2", "m:3"});
  membership_->OnRegistered(5);
  membership_->Round();
  std::vector<absl::Status> listed;
  const auto list = [&] {
    membership_->ListNodes({}, seconds(1), [&](const auto& response) { listed.push_back(response.status()); });
  };
  list();
  ASSERT_THAT(listed, SizeIs(1));
  EXPECT_THAT(listed[0], StatusIs(absl::StatusCode::kUnavailable, "NO_PEER_MANAGER"));
  manager("m:1").Answer(false);
  manager("m:2").Answer(true);
  list();
  EXPECT_EQ(manager("m:2").asked_for_nodes, 1);
  EXPECT_EQ(manager("m:1").asked_for_nodes, 0);
  manager("m:2").nodes = absl::UnavailableError("stopping");
  list();
  EXPECT_EQ(manager("m:1").asked_for_nodes, 1);
  manager("m:2").nodes = base::InvalidArgument("BAD_LIMIT", "too many");
  list();
  EXPECT_EQ(manager("m:1").asked_for_nodes, 1) << "it would say the same";
  EXPECT_THAT(std::span(listed).subspan(1), ElementsAre(IsOk(), IsOk(), StatusIs(absl::StatusCode::kInvalidArgument)));
}

TEST_F(MembershipTest, NothingIsSaidAfterStop) {
  Make({"m:1"});
  membership_->OnRegistered(5);
  membership_->Round();
  membership_->Stop();
  EXPECT_FALSE(manager().linked);
  TrackerSaysAlive();
  membership_->Stop();
}

TEST_F(MembershipTest, ManagersAreToldWhatIsFetchedAndSayWhoElseDoes) {
  Make({"m:1", "m:2"});
  membership_->OnRegistered(5);
  membership_->Round();
  membership_->board().Put({"team", "k"}, {.epoch = {7}});
  membership_->Round();
  EXPECT_THAT(manager("m:1").joins, IsEmpty()) << "not before it knows the node";
  for (const char* name : {"m:1", "m:2"}) manager(name).Answer(false);
  membership_->Round();
  for (const char* name : {"m:1", "m:2"}) {
    ASSERT_THAT(manager(name).joins, SizeIs(1));
    EXPECT_EQ(manager(name).joins[0].first.fetching(0).key(), "k");
  }
  pb::JoinResponse response;
  pb::Swarm& swarm = *response.add_swarms();
  swarm.set_namespace_("team");
  swarm.set_key("k");
  const auto add = [&](const std::string& node, const std::string& zone, const std::string& rack) {
    pb::SwarmMember& member = *swarm.add_members();
    member.set_node(node);
    member.set_node_epoch(3);
    member.set_epoch(7);
    member.set_address("o:1");
    member.set_zone(zone);
    member.set_rack(rack);
  };
  add("near", "z", "r");
  add("in zone", "z", "s");
  add("far", "y", "r");
  manager("m:2").joins[0].second(response);
  ASSERT_THAT(met_, SizeIs(1));
  EXPECT_EQ(met_[0].first, (object::ObjectId{"team", "k"}));
  const auto member = [](const std::string& node, swarm::Distance distance) {
    return SwarmMember{.node = node, .node_epoch = 3, .epoch = {7}, .address = "o:1", .distance = distance};
  };
  EXPECT_THAT(met_[0].second,
              ElementsAre(member("near", swarm::Distance::kRack), member("in zone", swarm::Distance::kZone),
                          member("far", swarm::Distance::kElsewhere)));
  membership_->Round();
  EXPECT_TRUE(manager("m:2").joins.back().first.wait());
  EXPECT_THAT(manager("m:1").joins, SizeIs(1)) << "it has not answered";
}

TEST_F(MembershipTest, AManagerThatComesBackIsToldOfFetchesAnew) {
  Make({"m:1"});
  membership_->OnRegistered(5);
  membership_->board().Put({"team", "k"}, {.epoch = {7}});
  membership_->Round();
  manager().Answer(true);
  membership_->Round();
  ASSERT_THAT(manager().joins, SizeIs(1));
  const auto lost = manager().joins[0].second;
  manager().joins.clear();
  manager().End(absl::UnavailableError("gone"));
  lost(absl::UnavailableError("gone"));
  Pass(kSession / 5);
  EXPECT_THAT(manager().joins, IsEmpty());
  manager().Answer(true);
  membership_->Round();
  ASSERT_THAT(manager().joins, SizeIs(1));
  EXPECT_FALSE(manager().joins[0].first.wait());
}

}  // namespace
}  // namespace larder::cache_agent
