// What a hostile client costs its neighbours: the 99th percentile (in a short run, the median) of an honest client's
// calls, alone and beside each flood.
//
// Processors are not the agent's to share out, and two are few. The agent has one for itself, where the thread that
// serves clients comes first; but for the thread that makes memory ready, which would never run there. On another come
// first the honest client, then that thread, then the hostile client; and all but that before all else on the machine
// (SCHED_RR), where the test may say so. Else the hostile client has only idle moments (SCHED_IDLE). What is left is
// what the agent, its sockets and its memory make of it.
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "larder/base/file.h"
#include "tests/faults/hostile_test.h"
#include "tests/faults/neighbour.h"

namespace larder::cache_agent {
namespace {

constexpr int kProcesses = 16;
constexpr int kAgentsCpu = 0;
constexpr int kHonestCpu = 1;
// Below this a percentile is of the machine, not of the agent; microseconds. What has no preference waits for others'
// slices of a processor.
constexpr double kNoise = 100, kNoiseOfSlices = 5000;

// Of each call the best of some runs: others come and go on a machine, the flood is there all the time.
Latencies BestOf(Neighbour& neighbour, int calls) {
  Latencies best = neighbour.Measure(calls);
  for (int run = 1; run < NumberFromEnv("LARDER_P99_RUNS", 1); ++run) {
    const Latencies again = neighbour.Measure(calls);
    std::ranges::transform(best, again, best.begin(), [](double a, double b) { return std::min(a, b); });
  }
  return best;
}

void Pin(int thread, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  ASSERT_EQ(::sched_setaffinity(thread, sizeof set, &set), 0);
}

// Whether the thread, not its children, now comes before all that has a lower priority.
bool Prefer(int thread, int priority) {
  const sched_param wanted{.sched_priority = priority};
  return ::sched_setscheduler(thread, SCHED_RR | SCHED_RESET_ON_FORK, &wanted) == 0;
}

class Neighbours : public HostileTest, public testing::WithParamInterface<Flood> {
 protected:
  void SetUp() override {
    if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one processor is not enough to tell whose time it is";
    Start({"--arena=256MiB", "--quotas-default-memory=64MiB", "--quotas-default-leases=5000",
           "--quotas-default-connections=64"});
    for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", agent().pid()))) {
      const int thread = std::stoi(entry.path().filename());
      LARDER_ASSERT_OK_AND_ASSIGN(const std::string name, base::ReadFile(entry.path() / "comm"));
      Pin(thread, name == "larder-maint\n" ? kHonestCpu : kAgentsCpu);
      Prefer(thread, name == "larder-uds\n" ? 2 : 1);
    }
    Pin(0, kHonestCpu);
    preferred_ = Prefer(0, 2);
  }
  void TearDown() override {
    const sched_param none{};
    ::sched_setscheduler(0, SCHED_OTHER, &none);
    HostileTest::TearDown();
  }
  bool preferred_ = false;
};

TEST_P(Neighbours, AreServedAsFastAsAlone) {
  const int calls = NumberFromEnv("LARDER_P99_CALLS", 20);
  const int times = NumberFromEnv("LARDER_P99_TIMES", 10);
  Neighbour honest(agent().endpoint(), "honest");
  honest.Measure(calls);  // what is new to it is made
  const Latencies alone = BestOf(honest, calls);
  ChildProcess hostile = Hostile();
  const int cpu = std::thread::hardware_concurrency() > 2 ? 2 : kHonestCpu;
  ASSERT_EQ(hostile.Ask(fmt::format("run {} {}", cpu, preferred_ ? "normal" : "idle")), "OK");
  ASSERT_EQ(hostile.Ask(fmt::format("flood {} hostile {}", FloodName(GetParam()), kProcesses)), "OK");
  const Latencies beside = BestOf(honest, calls);
  for (size_t call = 0; call < kCallNames.size(); ++call) {
    fmt::print("{} beside {}: {:.0f} us, alone {:.0f} us, {:.1f} times\n", kCallNames[call], FloodName(GetParam()),
               beside[call], alone[call], beside[call] / alone[call]);
    EXPECT_LE(beside[call], times * std::max(alone[call], preferred_ ? kNoise : kNoiseOfSlices)) << kCallNames[call];
  }
}

INSTANTIATE_TEST_SUITE_P(Of, Neighbours, testing::ValuesIn(kAllFloods),
                         [](const auto& info) { return FloodName(info.param); });

}  // namespace
}  // namespace larder::cache_agent
