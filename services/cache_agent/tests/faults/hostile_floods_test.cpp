// A hostile client that asks for too much: the agent's memory is bounded, and others are served.
#include <signal.h>

#include <algorithm>

#include "larder/base/units.h"
#include "tests/faults/hostile_test.h"

namespace larder::cache_agent {
namespace {

using base::FormatBytes;
using base::kMiB;

constexpr int kProcesses = 16;
// Of private memory, whatever is asked: what one connection may leave unread, of each of them.
constexpr uint64_t kMostPrivate = 64 * kMiB;

class Floods : public HostileTest, public testing::WithParamInterface<Flood> {
 protected:
  // As an administrator sets them where tenants share a node.
  void SetUp() override {
    Start({"--arena=192MiB", "--quotas-default-memory=64MiB", "--quotas-default-leases=5000",
           "--quotas-default-connections=64"});
  }
};

TEST_P(Floods, LeaveTheAgentItsMemoryAndOthersTheirService) {
  const double connections = agent().Metric("larder_agent_connections");
  auto witness = std::make_unique<Witness>(agent().endpoint(), "default");
  ASSERT_TRUE(witness->Verify());
  witness.reset();
  ASSERT_TRUE(Eventually([&] { return agent().Metric("larder_agent_connections") == connections; }));
  const Holdings before = Look();
  ChildProcess hostile = Hostile();
  ASSERT_EQ(hostile.Ask(fmt::format("flood {} hostile {}", FloodName(GetParam()), kProcesses)), "OK");
  // Who was there, and who comes now.
  witness = std::make_unique<Witness>(agent().endpoint(), "default");
  AgentProcess::Footprint most;
  for (int round = 0; round < NumberFromEnv("LARDER_FLOOD_ROUNDS", 5); ++round) {
    ASSERT_TRUE(witness->Verify()) << witness->Complaint();
    ASSERT_NO_FATAL_FAILURE(ExpectServes());
    const AgentProcess::Footprint now = agent().Measure();
    most = {.fds = std::max(most.fds, now.fds), .anon = std::max(most.anon, now.anon)};
  }
  EXPECT_LE(most.anon, before.kernels.anon + kMostPrivate + agent().Slack());
  fmt::print("{}: {} fds (before {}), private {} (before {})\n", FloodName(GetParam()), most.fds, before.kernels.fds,
             FormatBytes(most.anon), FormatBytes(before.kernels.anon));
  ExpectCreatorUntouched();
  witness.reset();
  hostile.Signal(SIGKILL);
  hostile.Wait();
  Holdings now;
  EXPECT_TRUE(Eventually([&] {
    now = Look();
    return now.connections == before.connections && now.creating == 0 && now.reading == 0 && now.quarantined == 0;
  }))
      << fmt::format(
             "nothing of it is left but its objects: connections {} (before {}), creating {}, reading {}, "
             "quarantined {}",
             now.connections, before.connections, now.creating, now.reading, now.quarantined);
  ExpectArenaBalances(agent(), 192 * kMiB);
}

INSTANTIATE_TEST_SUITE_P(Of, Floods, testing::ValuesIn(kAllFloods),
                         [](const auto& info) { return FloodName(info.param); });

}  // namespace
}  // namespace larder::cache_agent
