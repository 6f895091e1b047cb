// Clients killed in the middle of everything leave nothing behind in the agent.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/client/client.h"
#include "tests/agent_process.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::kMiB;
using base::StatusIs;

constexpr int kWave = 50;
constexpr int kWaves = 4;

class Leaks : public testing::Test {
 protected:
  std::unique_ptr<client::Client> Connect(client::Options options = {}) {
    auto connected = client::Client::Connect(agent_.endpoint(), options);
    EXPECT_THAT(connected, IsOk());
    return *std::move(connected);
  }
  ChildProcess Victim(const std::string& mode, const std::string& key) {
    return ChildProcess({LARDER_VICTIM_BINARY, agent_.endpoint(), mode, key}, ChildProcess::Output::kStdout);
  }
  // Starts a wave of clients that hold things of all kinds, and kills them together.
  void KillAWave(int wave) {
    std::vector<ChildProcess> victims;
    for (int i = 0; i < kWave; ++i) {
      const std::string own_key = "victim/" + std::to_string(wave) + "/" + std::to_string(i);
      const std::string mode = i % 3 == 0 ? "get" : i % 3 == 1 ? "write" : "buffer";
      victims.push_back(Victim(mode, mode == "get" ? "kept" : own_key));
    }
    for (ChildProcess& victim : victims) {
      const std::string said = victim.ReadLine();
      ASSERT_TRUE(said.starts_with("ready")) << said;
    }
    for (ChildProcess& victim : victims) victim.Signal(SIGKILL);
    for (ChildProcess& victim : victims) EXPECT_EQ(victim.Wait(), -SIGKILL);
  }
  void ExpectNothingHeld() {
    for (const char* series :
         {"larder_agent_connections", "larder_lease_active{kind=\"create\"}", "larder_lease_active{kind=\"read\"}",
          "larder_agent_pool_bytes{state=\"quarantined\"}"}) {
      EXPECT_TRUE(Eventually([&] { return agent_.Metric(series) == 0; })) << series << " " << agent_.Metric(series);
    }
    EXPECT_EQ(agent_.Metric("larder_agent_objects{state=\"sealed\"}"), 1);
  }
  void SetUp() override {
    const std::string bytes(3 * kMiB, 'k');
    ASSERT_THAT(Connect()->Put({.key = "kept"}, base::AsBytes(bytes)), IsOk());
  }

  base::TempDir dir_;
  AgentProcess agent_{dir_.path(), {"--arena=256MiB"}};
};

// The SDK's clients; those that do more, and more of them, are in faults/kill_test.cpp.
TEST_F(Leaks, OfKilledClientsOfTheSdkNothingRemains) {
  // The first waves make the threads' heaps and the slabs of each kind; nothing may come after.
  KillAWave(-1);
  KillAWave(-2);
  ExpectNothingHeld();
  const double reclaimed_before = agent_.Metric("larder_lease_reclaimed_total{reason=\"closed\"}");
  const double live_before = agent_.Metric("larder_agent_pool_bytes{state=\"live\"}");
  const AgentProcess::Footprint before = agent_.Measure();
  for (int wave = 0; wave < kWaves; ++wave) ASSERT_NO_FATAL_FAILURE(KillAWave(wave));
  ExpectNothingHeld();
  EXPECT_EQ(agent_.Metric("larder_lease_reclaimed_total{reason=\"closed\"}") - reclaimed_before, kWaves * kWave);
  // Memory that is being zeroed counts as live.
  EXPECT_TRUE(Eventually([&] { return agent_.Metric("larder_agent_pool_bytes{state=\"live\"}") <= live_before; }));
  // The admin port may still be closing the connection of the last question.
  AgentProcess::Footprint after;
  EXPECT_TRUE(Eventually([&] {
    after = agent_.Measure();
    return after.fds <= before.fds;
  }));
  fmt::print("before: {} fds, {} maps, rss {}, private {}\nafter:  {} fds, {} maps, rss {}, private {}\n", before.fds,
             before.maps, base::FormatBytes(before.rss), base::FormatBytes(before.anon), after.fds, after.maps,
             base::FormatBytes(after.rss), base::FormatBytes(after.anon));
  EXPECT_LE(after.maps, before.maps + agent_.MoreMaps());
  EXPECT_LE(after.anon, before.anon + agent_.Slack());
  EXPECT_LE(after.rss, before.rss + agent_.Slack());
}

TEST_F(Leaks, WhoWaitsForADeadCreatorIsNextAtOnce) {
  auto impatient = Connect({.timeout = std::chrono::milliseconds(20), .retries = 0});
  auto patient = Connect();
  std::vector<double> milliseconds;
  for (int i = 0; i < 20; ++i) {
    const std::string key = "wanted/" + std::to_string(i);
    ChildProcess victim = Victim(i % 2 == 0 ? "write" : "buffer", key);
    ASSERT_TRUE(victim.ReadLine().starts_with("ready"));
    ASSERT_THAT(impatient->Create({.key = key}).status(), StatusIs(absl::StatusCode::kDeadlineExceeded));
    std::chrono::steady_clock::time_point granted;
    std::thread second([&] {
      LARDER_ASSERT_OK_AND_ASSIGN(auto writer, patient->Create({.key = key}));
      granted = std::chrono::steady_clock::now();
    });
    const auto killed = std::chrono::steady_clock::now();
    victim.Signal(SIGKILL);
    second.join();
    milliseconds.push_back(std::chrono::duration<double, std::milli>(granted - killed).count());
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  fmt::print("dead creator to next creator's lease: median {:.2f} ms, worst {:.2f} ms\n", milliseconds[10],
             milliseconds.back());
  EXPECT_LT(milliseconds.back(), 1000);
}

}  // namespace
}  // namespace larder::cache_agent
