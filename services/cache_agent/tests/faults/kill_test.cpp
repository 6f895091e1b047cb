// Clients killed in the middle of everything leave nothing behind in the agent, and touch nobody else's objects.
#include <chrono>

#include "larder/base/units.h"
#include "tests/faults/fault_test.h"

namespace larder::cache_agent {
namespace {

using base::FormatBytes;
using base::kMiB;

constexpr int kWave = 30;  // two of each kind; their windows are within what one namespace may have

class Kills : public FaultTest {
 protected:
  void SetUp() override { Start({"--arena=256MiB"}); }
  // Starts a wave of clients that hold things of all kinds, kills them together, and waits until the agent knows.
  void KillAWave(ChildProcess& zygote, double connections) {
    ASSERT_EQ(zygote.Ask("wave " + std::to_string(kWave)), "OK");
    ASSERT_EQ(zygote.Ask("kill"), std::to_string(kWave));
    ASSERT_TRUE(Eventually([&] { return agent().Metric("larder_agent_connections") == connections; }));
  }
};

TEST_F(Kills, OfThousandsOfClientsInTheMiddleOfEverythingNothingRemains) {
  const int waves = NumberFromEnv("LARDER_KILLS", 1000) / kWave;
  const double connections = agent().Metric("larder_agent_connections");
  ChildProcess zygote = Faulty();
  // The first waves make the threads' heaps and the slabs of each kind; nothing may come after.
  for (int wave = 0; wave < 3; ++wave) ASSERT_NO_FATAL_FAILURE(KillAWave(zygote, connections));
  EXPECT_TRUE(Witness(agent().endpoint(), "default").Verify());
  DeleteAll("wave/");  // the batches' objects, and what was sealed in time
  ASSERT_TRUE(Eventually([&] { return agent().Metric("larder_agent_connections") == connections; }));
  const Holdings before = Look();
  auto witness = std::make_unique<Witness>(agent().endpoint(), "default");
  const auto begun = std::chrono::steady_clock::now();
  for (int wave = 0; wave < waves; ++wave) ASSERT_NO_FATAL_FAILURE(KillAWave(zygote, connections + 1));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  EXPECT_TRUE(witness->Verify()) << witness->Complaint();
  fmt::print("{} clients killed, {:.0f} a second, beside {} rounds of honest reads\n", waves * kWave,
             waves * kWave / took.count(), witness->rounds());
  witness.reset();
  DeleteAll("wave/");
  ExpectNothingLeaked(before);
  ExpectArenaBalances(agent(), 256 * kMiB);
  const Holdings after = Look();
  fmt::print("before: {} fds, {} maps, rss {}, private {}\nafter:  {} fds, {} maps, rss {}, private {}\n",
             before.kernels.fds, before.kernels.maps, FormatBytes(before.kernels.rss), FormatBytes(before.kernels.anon),
             after.kernels.fds, after.kernels.maps, FormatBytes(after.kernels.rss), FormatBytes(after.kernels.anon));
  ExpectServes();
  ExpectCreatorUntouched();
}

}  // namespace
}  // namespace larder::cache_agent
