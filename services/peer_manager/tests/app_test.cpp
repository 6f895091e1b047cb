// Managers and a real tracker in one process, over loopback.
#include "larder/peer_manager/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "larder/base/testing/status_matchers.h"
#include "tests/plane_under_test.h"

namespace larder::peer_manager {
namespace {

namespace v1 = larder::peers::v1;
using base::IsOk;
using base::StatusIs;
using ::testing::HasSubstr;
using HostedManager = Hosted<App>;
using Steady = std::chrono::steady_clock;

using AppTest = PlaneTest;

// One that serves, and whom to ask.
class ManagerUnderTest {
 public:
  explicit ManagerUnderTest(const Config& config) : app_(config) {
    EXPECT_THAT(app_.Start(), IsOk());
    calls_.emplace(app_.address());
  }
  ~ManagerUnderTest() { app_.Stop(); }
  HostedManager& app() { return app_; }
  ManagerCalls& calls() { return *calls_; }
  std::string address() const { return app_.address(); }

 private:
  HostedManager app_;
  std::optional<ManagerCalls> calls_;
};

TEST_F(AppTest, TwoLiveInOneProcessAndStopInAnyOrder) {
  for (const bool first_first : {true, false}) {
    HostedManager a(ConfigOf()), b(ConfigOf());
    ASSERT_THAT(a.Start(), IsOk());
    ASSERT_THAT(b.Start(), IsOk());
    EXPECT_NE(a.address(), b.address());
    (first_first ? a : b).Stop();
    (first_first ? b : a).Stop();
    a.Stop();
  }
}

TEST_F(AppTest, AStartThatFailsLeavesNothingRunning) {
  HostedManager a(ConfigOf());
  ASSERT_THAT(a.Start(), IsOk());
  Config config = ConfigOf();
  config.grpc = a.address();
  HostedManager b(config);
  EXPECT_THAT(b.Start(), StatusIs(absl::StatusCode::kFailedPrecondition, "CANNOT_LISTEN"));
  b.Stop();
  a.Stop();
  HostedManager again(config);
  EXPECT_THAT(again.Start(), IsOk());
  ManagerCalls calls(again.address());
  EXPECT_TRUE(Soon([&] { return calls.Leads(); })) << "nothing holds the lease";
  again.Stop();
}

TEST_F(AppTest, ASilentNodeIsSuspectThenLostAndFencedByTheOneThatLeads) {
  ManagerUnderTest first(ConfigOf()), second(ConfigOf());
  const uint64_t a = registry_->Register("a");
  const uint64_t b = registry_->Register("b");
  BeatingNode a_to_first(first.address(), "a", a), a_to_second(second.address(), "a", a);
  BeatingNode b_to_first(first.address(), "b", b), b_to_second(second.address(), "b", b);
  const auto both_show = [&](const std::string& node, v1::NodeState state) {
    return Soon([&] { return first.calls().StateOf(node) == state && second.calls().StateOf(node) == state; });
  };
  ASSERT_TRUE(both_show("b", v1::NODE_STATE_LIVE));
  registry_->SetDraining("a", true);
  b_to_first.Silence();
  b_to_second.Silence();
  EXPECT_TRUE(both_show("b", v1::NODE_STATE_SUSPECT));
  EXPECT_TRUE(Soon([&] { return registry_->IsFenced("b"); }));
  EXPECT_TRUE(both_show("b", v1::NODE_STATE_LOST));
  EXPECT_TRUE(both_show("a", v1::NODE_STATE_DRAINING));
  EXPECT_FALSE(registry_->NodeAlive("b", b));
  EXPECT_FALSE(registry_->IsFenced("a"));
  const bool first_leads = first.calls().Leads();
  EXPECT_NE(first_leads, second.calls().Leads());
  EXPECT_THAT((first_leads ? first : second).app().Metrics(), HasSubstr("larder_peers_fenced_total 1"));
  EXPECT_THAT((first_leads ? second : first).app().Metrics(), HasSubstr("larder_peers_fenced_total 0"));
}

TEST_F(AppTest, ANodeThatTheTrackerAnsweredWithinASessionIsNotFenced) {
  ManagerUnderTest manager(ConfigOf());
  const uint64_t epoch = registry_->Register("a");
  ASSERT_TRUE(Soon([&] { return registry_->NodeAlive("a", epoch) && manager.calls().Status().may_fence(); }));
  // Sessions of time in which the manager would fence it.
  for (const auto until = Steady::now() + 3 * kSession; Steady::now() < until;) {
    ASSERT_TRUE(registry_->NodeAlive("a", epoch));
    ASSERT_FALSE(registry_->IsFenced("a"));
  }
  EXPECT_EQ(manager.calls().StateOf("a"), v1::NODE_STATE_SUSPECT);
  EXPECT_TRUE(Soon([&] { return registry_->IsFenced("a"); })) << "it asks no more";
}

TEST_F(AppTest, AnotherTakesOverInALaterTermAndFencesNobodyForASession) {
  ManagerUnderTest first(ConfigOf()), second(ConfigOf());
  ASSERT_TRUE(Soon([&] { return first.calls().Leads() || second.calls().Leads(); }));
  const bool first_leads = first.calls().Leads();
  ManagerUnderTest& leader = first_leads ? first : second;
  ManagerUnderTest& next = first_leads ? second : first;
  const uint64_t term = leader.calls().Status().term();
  EXPECT_TRUE(Soon([&] { return next.calls().Status().term() == term; })) << "it knows who leads";
  registry_->Register("a");
  const auto before = Steady::now();
  leader.app().Stop();
  ASSERT_TRUE(Soon([&] { return next.calls().Leads(); }));
  EXPECT_GT(next.calls().Status().term(), term);
  EXPECT_TRUE(Soon([&] { return registry_->IsFenced("a"); }));
  EXPECT_GE(Steady::now() - before, kSession) << "it did not know whom the one before answered";
}

TEST_F(AppTest, WhoStopsGivesItsLeadershipBackBeforeItEndsSessions) {
  ManagerUnderTest manager(ConfigOf());
  ASSERT_TRUE(Soon([&] { return manager.calls().Leads(); }));
  EXPECT_TRUE(registry_->SomeoneLeads());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  const auto session = manager.calls().stub().Session(&context);
  v1::SessionRequest hello;
  hello.set_sequence(1);
  hello.mutable_hello()->set_node("a");
  v1::SessionResponse answer;
  ASSERT_TRUE(session->Write(hello) && session->Read(&answer));
  std::thread stops([&] { manager.app().Stop(); });
  EXPECT_FALSE(session->Read(&answer));
  EXPECT_FALSE(registry_->SomeoneLeads()) << "whose session ends with this must not be fenced for its silence";
  stops.join();
  EXPECT_EQ(session->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(AppTest, WithoutATrackerSessionsGoOnAndLeadershipLapses) {
  ManagerUnderTest manager(ConfigOf());
  ManagerCalls& calls = manager.calls();
  const uint64_t epoch = registry_->Register("a");
  ASSERT_TRUE(Soon([&] { return calls.Leads() && calls.StateOf("a") == v1::NODE_STATE_SUSPECT; }));
  const uint64_t term = calls.Status().term();
  const std::string address = tracker_->address();
  tracker_->Stop();
  tracker_.reset();
  EXPECT_TRUE(Soon([&] { return !calls.Leads() && !calls.Status().tracker_answers(); }));
  EXPECT_THAT(manager.app().Metrics(), HasSubstr("larder_peers_tracker_answers 0"));
  BeatingNode beating(manager.address(), "a", epoch);
  EXPECT_TRUE(Soon([&] { return calls.StateOf("a") == v1::NODE_STATE_LIVE; }));
  tracker_ = std::make_unique<Hosted<tracker::App>>(TrackerConfig(dir_ / "tracker", address));
  ASSERT_THAT(tracker_->Start(), IsOk());
  EXPECT_TRUE(Soon([&] { return calls.Leads() && calls.Status().tracker_answers(); }));
  EXPECT_GT(calls.Status().term(), term);
  EXPECT_EQ(calls.StateOf("a"), v1::NODE_STATE_LIVE);
}

}  // namespace
}  // namespace larder::peer_manager
