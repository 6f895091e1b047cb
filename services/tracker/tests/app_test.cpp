#include "larder/tracker/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"

namespace larder::tracker {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::HasSubstr;

base::Deadline InTenSeconds() { return base::SystemClock().Now() + std::chrono::seconds(10); }

// One tracker with a process of its own.
class Tracker {
 public:
  explicit Tracker(const Config& config)
      : process_({.admin = {.host = "127.0.0.1"},
                  .log = {.output = [](std::string_view) {}},
                  .on_fail = [this](const absl::Status& why) { failed_.set_value(why); }}),
        app_(std::make_unique<App>(config, process_)) {}

  absl::Status Start() { return app_->Start(); }
  void Stop() { app_->Stop(InTenSeconds()); }
  App& app() { return *app_; }
  std::string Metrics() { return process_.metrics().Render(); }
  // Within ten seconds.
  bool BecomesReady() {
    const base::Deadline end = InTenSeconds();
    while (!process_.ready() && base::SystemClock().Now() < end) std::this_thread::yield();
    return process_.ready();
  }
  bool ready() const { return process_.ready(); }

 private:
  std::promise<absl::Status> failed_;
  rpc::Process process_;
  std::unique_ptr<App> app_;
};

class TrackerAppTest : public testing::Test {
 protected:
  Config ConfigOf(const std::string& name) {
    return {.data_dir = dir_ / name, .grpc = "127.0.0.1:0", .raft = "127.0.0.1:0", .resp = "127.0.0.1:0"};
  }
  base::TempDir dir_;
};

TEST_F(TrackerAppTest, TwoLiveInOneProcessAndStopInAnyOrder) {
  for (const bool first_first : {true, false}) {
    Tracker a(ConfigOf("a")), b(ConfigOf("b"));
    ASSERT_THAT(a.Start(), IsOk());
    ASSERT_THAT(b.Start(), IsOk());
    EXPECT_NE(a.app().grpc_address(), b.app().grpc_address());
    EXPECT_NE(a.app().resp_address(), b.app().resp_address());
    (first_first ? a : b).Stop();
    (first_first ? b : a).Stop();
    a.Stop();
  }
}

TEST_F(TrackerAppTest, ADirectoryHasOneOwnerAndOneName) {
  Tracker a(ConfigOf("a"));
  ASSERT_THAT(a.Start(), IsOk());
  Tracker second(ConfigOf("a"));
  EXPECT_THAT(second.Start(), StatusIs(absl::StatusCode::kAlreadyExists, "LOCKED"));
  a.Stop();
  Config other = ConfigOf("a");
  other.raft_id = 2;
  EXPECT_THAT(Tracker(other).Start(), StatusIs(absl::StatusCode::kFailedPrecondition, "OTHER_MEMBER"));
  other = ConfigOf("a");
  other.cluster = "other";
  EXPECT_THAT(Tracker(other).Start(), StatusIs(absl::StatusCode::kFailedPrecondition, "OTHER_MEMBER"));
  ASSERT_THAT(base::WriteFileAtomically(dir_ / "a/member.json", "{}"), IsOk());
  EXPECT_THAT(Tracker(ConfigOf("a")).Start(), StatusIs(absl::StatusCode::kDataLoss, "BAD_MEMBER_FILE"));
}

TEST_F(TrackerAppTest, AStartThatFailsLeavesNothingRunning) {
  Tracker a(ConfigOf("a"));
  ASSERT_THAT(a.Start(), IsOk());
  for (const int taken : {0, 1, 2}) {
    Config config = ConfigOf("b");
    if (taken == 0) config.raft = a.app().raft_address();
    if (taken == 1) config.grpc = a.app().grpc_address();
    if (taken == 2) config.resp = a.app().resp_address();
    Tracker b(config);
    EXPECT_FALSE(b.Start().ok()) << taken;
    b.Stop();
    Tracker again(ConfigOf("b"));
    EXPECT_THAT(again.Start(), IsOk()) << taken << ": nothing holds the directory";
  }
}

TEST_F(TrackerAppTest, ALoneOneLeadsAndCountsWhatItDoes) {
  Tracker a(ConfigOf("a"));
  ASSERT_THAT(a.Start(), IsOk());
  const std::string text = a.Metrics();
  for (const char* name : {"larder_raft_is_leader", "larder_raft_log_bytes", "larder_raft_stage_duration_seconds",
                           "larder_tracker_watchers", "larder_resp_connections"}) {
    EXPECT_THAT(text, HasSubstr(name));
  }
}

TEST_F(TrackerAppTest, IsReadyOnceAQuorumSaysWhatItHadToApply) {
  Tracker alone(ConfigOf("a"));
  EXPECT_FALSE(alone.ready());
  ASSERT_THAT(alone.Start(), IsOk());
  EXPECT_TRUE(alone.BecomesReady());
  alone.Stop();
  EXPECT_FALSE(alone.ready());
}

TEST_F(TrackerAppTest, ServesWithoutAQuorumButIsNotReady) {
  Config config = ConfigOf("a");
  // No one listens there.
  config.initial_cluster = "1=127.0.0.1:1,2=127.0.0.1:1";
  Tracker a(config);
  ASSERT_THAT(a.Start(), IsOk());
  EXPECT_THAT(a.Metrics(), HasSubstr("larder_raft_is_leader 0"));
  EXPECT_FALSE(a.ready());
}

TEST(ParseCluster, NamesEachMemberOnce) {
  const auto members = ParseCluster("1=a:7411,2=[::1]:7411");
  ASSERT_THAT(members, IsOk());
  EXPECT_EQ(members->size(), 2u);
  EXPECT_EQ(members->at(2), "[::1]:7411");
  EXPECT_TRUE(ParseCluster("")->empty());
  for (const char* bad : {"a:7411", "0=a:7411", "x=a:7411", "1=a", "1=a:0", "1=a:1,1=b:1", "1=a:1,", "-1=a:1"}) {
    EXPECT_FALSE(ParseCluster(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace larder::tracker
