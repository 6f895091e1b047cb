// An agent, a real tracker and a real peer manager in one process, while one or the other is gone, and while the agent
// sleeps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "larder/base/testing/status_matchers.h"
#include "larder/peer_manager/app.h"
#include "larder/tracker/app.h"
#include "tests/agent_under_test.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::StatusIs;
using std::chrono::seconds;

constexpr base::Duration kHalfSession = seconds(5);  // of the tracker's default
constexpr object::AckPolicy kLocal = object::AckPolicy::kLocal;

// The kernel's clock, of an agent that now and then was stopped, or asleep.
class JumpingClock final : public base::Clock {
 public:
  void Jump(base::Duration by) { jumped_.fetch_add(by.count()); }
  base::MonotonicTime Now() const override { return system_.Now() + jumped(); }
  base::MonotonicTime BootNow() const override { return system_.BootNow() + jumped(); }
  base::WallTime WallNow() const override { return system_.WallNow() + jumped(); }

 private:
  base::Duration jumped() const { return base::Duration(jumped_.load()); }
  const base::SystemClock system_;
  std::atomic<base::Duration::rep> jumped_ = 0;
};

// A tracker alone, which can be ended and started again where it was.
class OneTracker {
 public:
  explicit OneTracker(const std::string& data_dir) { config_.data_dir = data_dir; }

  void Start() {
    process_ = std::make_unique<rpc::Process>(rpc::ProcessOptions{.log = {.output = [](std::string_view) {}}});
    app_ = std::make_unique<tracker::App>(config_, *process_);
    ASSERT_THAT(app_->Start(), IsOk());
    config_.grpc = app_->grpc_address();
  }
  void End() {
    app_.reset();
    process_.reset();
  }
  const std::string& address() const { return config_.grpc; }

 private:
  tracker::Config config_{.grpc = "127.0.0.1:0", .raft = "127.0.0.1:0", .resp = "127.0.0.1:0"};
  std::unique_ptr<rpc::Process> process_;
  std::unique_ptr<tracker::App> app_;
};

class CutOff : public AppTest {
 protected:
  void SetUp() override {
    tracker_.Start();
    Config config = Defaults();
    config.tracker = tracker_.address();
    config.peer_manager = StartManager();
    config.pieces = "127.0.0.1:0";
    agent_ = std::make_unique<Agent>(config, &clock_);
    ASSERT_THAT(agent_->Start(), IsOk());
    client_ = agent_->Connect();
    ASSERT_TRUE(Until([&] { return LinesWith("node is a member of the cluster") > 0; }));
  }

  // Its address; empty: there is none.
  virtual std::string StartManager() { return ""; }

  // Whether `done` is, within half a minute.
  template <typename Done>
  static bool Until(Done done) {
    const auto end = std::chrono::steady_clock::now() + seconds(30);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
    }
    return true;
  }
  size_t LinesWith(const std::string& part) {
    const std::vector<std::string> lines = agent_->Lines();
    return static_cast<size_t>(
        std::ranges::count_if(lines, [&](const std::string& line) { return line.find(part) != std::string::npos; }));
  }
  absl::Status PutTracked(const std::string& key) { return Put(*client_, key, "hello"); }
  absl::Status PutLocal(const std::string& key) {
    return client_->Put({.key = key, .ack = kLocal}, base::AsBytes("hello")).status();
  }
  static auto Fenced() { return StatusIs(absl::StatusCode::kUnavailable, "NODE_FENCED"); }
  bool Shows(const std::string& line) { return agent_->Metrics().find(line + "\n") != std::string::npos; }
  bool IsFenced() { return Shows("larder_agent_fenced 1"); }

  JumpingClock clock_;
  OneTracker tracker_{dir_ / "tracker"};
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<client::Client> client_;
};

TEST_F(CutOff, AnAgentThatNobodyAnswersAcknowledgesNothingForTheClusterServesOnAndComesBackByItself) {
  ASSERT_THAT(PutTracked("before"), IsOk());
  EXPECT_FALSE(IsFenced());
  tracker_.End();
  clock_.Jump(kHalfSession);
  EXPECT_THAT(PutTracked("refused"), Fenced());
  EXPECT_TRUE(IsFenced());
  EXPECT_THAT(client_->Get("before"), IsOk()) << "a local hit waits for nobody";
  EXPECT_THAT(PutLocal("local"), IsOk());
  EXPECT_THAT(client_->Get("local"), IsOk());

  tracker_.Start();
  EXPECT_TRUE(Until([&] { return PutTracked("refused").ok(); }));
  EXPECT_FALSE(IsFenced());
}

TEST_F(CutOff, AnAgentThatWasStoppedForLongerThanASessionIsBackOnceTheTrackerSaysThatItCounts) {
  clock_.Jump(4 * kHalfSession);
  EXPECT_TRUE(Until([&] { return PutTracked("k").ok(); }));
  EXPECT_FALSE(IsFenced());
}

TEST_F(CutOff, AnAgentIsReadyOnceTheTrackerHasRegisteredItAndStaysSoWithoutOne) {
  EXPECT_TRUE(Until([&] { return agent_->ready(); }));
  tracker_.End();
  clock_.Jump(kHalfSession);
  EXPECT_THAT(PutTracked("refused"), Fenced());
  EXPECT_TRUE(agent_->ready());

  // Another one, whose tracker is not there.
  Config config = Defaults("b");
  config.tracker = tracker_.address();
  config.pieces = "127.0.0.1:0";
  Agent late(config);
  ASSERT_THAT(late.Start(), IsOk());
  EXPECT_FALSE(late.ready());
  tracker_.Start();
  EXPECT_TRUE(Until([&] { return late.ready(); }));
}

class WithManager : public CutOff {
 protected:
  std::string StartManager() override {
    process_ = std::make_unique<rpc::Process>(rpc::ProcessOptions{.log = {.output = [](std::string_view) {}}});
    manager_ = std::make_unique<peer_manager::App>(
        // Its lease outlives a slow machine.
        peer_manager::Config{
            .grpc = "127.0.0.1:0", .trackers = {tracker_.address()}, .leader_ttl = std::chrono::minutes(5)},
        *process_);
    EXPECT_THAT(manager_->Start(), IsOk());
    return manager_->grpc_address();
  }
  bool KnowsItAsLive() {
    return process_->metrics().Render().find("larder_peers_nodes{state=\"live\"} 1\n") != std::string::npos;
  }
  bool Answers() { return Shows("larder_agent_peer_managers{state=\"connected\"} 1"); }

  std::unique_ptr<rpc::Process> process_;
  std::unique_ptr<peer_manager::App> manager_;
};

TEST_F(WithManager, ItsWordIsEnoughWhileItLeads) {
  ASSERT_TRUE(Until([&] { return Answers() && KnowsItAsLive(); }));
  tracker_.End();
  clock_.Jump(kHalfSession);
  // It leads on until its lease of the tracker ends.
  EXPECT_TRUE(Until([&] {
    if (!IsFenced()) return true;
    EXPECT_THAT(PutTracked("k"), StatusIs(absl::StatusCode::kUnavailable));  // and the node asks
    return false;
  }));
}

TEST_F(WithManager, ThatIsGoneFencesNobody) {
  ASSERT_TRUE(Until([&] { return Answers(); }));
  manager_.reset();
  ASSERT_TRUE(Until([&] { return Shows("larder_agent_peer_managers{state=\"lost\"} 1"); }));
  clock_.Jump(kHalfSession);
  EXPECT_TRUE(Until([&] { return PutTracked("k").ok(); }));
  EXPECT_FALSE(IsFenced());
}

}  // namespace
}  // namespace larder::cache_agent
