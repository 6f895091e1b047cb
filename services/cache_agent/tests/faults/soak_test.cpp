// For LARDER_SOAK_SECONDS everything at once: what the agent has from the kernel stays what it was, what is sealed
// stays as it was sealed, and in the end all is given back.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>

#include "larder/base/units.h"
#include "tests/faults/churn.h"
#include "tests/faults/fault_test.h"
#include "tests/faults/worker.h"

namespace larder::cache_agent {
namespace {

using base::FormatBytes;
using base::IsOk;
using base::kMiB;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kArena = 192 * kMiB;  // twice what the buffers of all clients may take
constexpr uint64_t kArenasWritten = 10;
constexpr int kSeconds = 8;
constexpr int kSixths = 6;
constexpr int kSamplesOfASixth = 5;  // at least; then one a second
constexpr int kWave = 15;            // clients that are killed together, one of each kind
constexpr int kWorkers = 4;
constexpr char kOtherNamespace[] = "other";
// Workers may be connecting anew, each with the old connection and the new one: its socket, and the process behind it.
constexpr size_t kMoreFds = kWorkers * 2;

using Footprints = std::vector<AgentProcess::Footprint>;

// Of one sixth of the time.
AgentProcess::Footprint MedianOf(const Footprints& samples, size_t sixth) {
  const size_t from = samples.size() * sixth / kSixths, to = samples.size() * (sixth + 1) / kSixths;
  const auto median = [&](auto AgentProcess::Footprint::*part) {
    std::vector<uint64_t> values;
    for (size_t i = from; i < to; ++i) values.push_back(samples.at(i).*part);
    std::ranges::nth_element(values, values.begin() + static_cast<ptrdiff_t>(values.size() / 2));
    return values.at(values.size() / 2);
  };
  return {.fds = median(&AgentProcess::Footprint::fds),
          .maps = median(&AgentProcess::Footprint::maps),
          .rss = median(&AgentProcess::Footprint::rss),
          .anon = median(&AgentProcess::Footprint::anon)};
}

// The second sixth and the last: in the first it is still finding its size.
void ExpectFlat(const Footprints& samples, const AgentProcess& agent) {
  fmt::print("sixth   fds  maps  rss          private\n");
  for (size_t sixth = 0; sixth < kSixths; ++sixth) {
    const AgentProcess::Footprint median = MedianOf(samples, sixth);
    fmt::print("{:>5} {:>5} {:>5}  {:<12} {}\n", sixth + 1, median.fds, median.maps, FormatBytes(median.rss),
               FormatBytes(median.anon));
  }
  const AgentProcess::Footprint early = MedianOf(samples, 1), late = MedianOf(samples, kSixths - 1);
  const uint64_t slack = kAddressSanitizer || kThreadSanitizer ? agent.Slack() : kMiB;
  EXPECT_LE(late.rss, early.rss + early.rss / 50 + slack);
  EXPECT_LE(late.anon, early.anon + early.anon / 50 + slack);
  EXPECT_LE(late.fds, early.fds + kMoreFds);
  EXPECT_LE(late.maps, early.maps + kMoreFds + agent.MoreMaps());
}

class Soak : public FaultTest {
 protected:
  void SetUp() override {
    Start({fmt::format("--arena={}", kArena), EvictingFlag(dir_.path(), {kChurnNamespace, kOtherNamespace})});
    creator_connections_ = agent().Metric("larder_agent_connections");
    zygote_ = std::make_unique<ChildProcess>(Faulty());
    stopped_ = std::make_unique<ChildProcess>(Faulty());
  }
  void Begin() {
    witness_ = std::make_unique<Witness>(agent().endpoint(), "default");
    churn_ = std::make_unique<Churn>(agent().endpoint(), Churn::Kind::kCompacting);
    for (int i = 0; i < kWorkers; ++i) {
      workers_.push_back(
          std::make_unique<Worker>(agent().endpoint(), i % 2 == 0 ? kChurnNamespace : kOtherNamespace, i));
    }
    // Heaps of threads and slabs of each kind are made by what comes first.
    for (int i = 0; i < 3; ++i) ASSERT_NO_FATAL_FAILURE(HurtClients());
    ASSERT_TRUE(Eventually([&] {
      return agent().Metric("larder_agent_evictions_total{tier=\"hot\",reason=\"room\"}") > 0 &&
             agent().Metric("larder_agent_compacted_total") > 0;
    }));
  }
  // Kills some that are in the middle of everything, and stops one for a while.
  void HurtClients() {
    ASSERT_EQ(stopped_->Ask("begin WritingThroughAWindow stopped"), "OK");
    stopped_->Signal(SIGSTOP);
    // Where all stands still for seconds, as machines do in half an hour, those who do not answer REVOKE are cut off
    // before they are killed.
    const char* revoked = "larder_agent_denied_total{reason=\"revoked\"}";
    const double before = agent().Metric(revoked);
    const std::string began = zygote_->Ask(fmt::format("wave {}", kWave));
    if (began != "OK") {
      ASSERT_GT(agent().Metric(revoked), before) << began;
    }
    ASSERT_EQ(zygote_->Ask("kill"), std::to_string(kWave));
    stopped_->Signal(SIGCONT);
    ASSERT_EQ(stopped_->Ask("finish"), "OK");
    ASSERT_EQ(stopped_->Ask("hangup"), "OK");
    const double most = creator_connections_ + 2 + kMoreFds;  // the witness, the churn, the workers
    ASSERT_TRUE(Eventually([&] { return agent().Metric("larder_agent_connections") <= most; }));
  }
  uint64_t Written() const {
    uint64_t sum = 0;
    for (const auto& worker : workers_) sum += worker->written();
    return sum;
  }
  void End() {
    EXPECT_TRUE(witness_->Verify()) << witness_->Complaint();
    uint64_t verified = 0;
    for (const auto& worker : workers_) {
      EXPECT_EQ(worker->Complaint(), "");
      verified += worker->verified();
    }
    fmt::print("{} written, {} objects verified, beside {} rounds of the witness\n", FormatBytes(Written()), verified,
               witness_->rounds());
    EXPECT_THAT(churn_->failure(), IsOk());
    workers_.clear();
    churn_.reset();
    witness_.reset();
    zygote_.reset();
    stopped_.reset();  // it maps its window still
  }

  double creator_connections_ = 0;
  std::unique_ptr<ChildProcess> zygote_;
  std::unique_ptr<ChildProcess> stopped_;
  std::unique_ptr<Witness> witness_;
  std::unique_ptr<Churn> churn_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

TEST_F(Soak, WhatTheAgentHoldsStaysFlatAndAllIsGivenBack) {
  const Clock::duration length = std::chrono::seconds(NumberFromEnv("LARDER_SOAK_SECONDS", kSeconds));
  const auto pause = std::min<Clock::duration>(std::chrono::seconds(1), length / (kSixths * kSamplesOfASixth));
  ASSERT_NO_FATAL_FAILURE(Begin());
  Footprints samples;
  const auto begun = Clock::now();
  for (auto next = begun; next - begun < length || Written() < kArenasWritten * kArena; next += pause) {
    ASSERT_NO_FATAL_FAILURE(HurtClients());
    samples.push_back(agent().Measure());
    ASSERT_EQ(witness_->Complaint(), "");
    ASSERT_TRUE(Eventually([&] { return Clock::now() >= next; }));
  }
  ASSERT_NO_FATAL_FAILURE(End());
  ExpectFlat(samples, agent());
  ExpectServes();
  ExpectCreatorUntouched();
  for (const char* ns : {"default", kChurnNamespace, kOtherNamespace}) DeleteAll("", ns);
  EndCreator();
  Holdings now;
  EXPECT_TRUE(Eventually([&] {
    now = Look();
    return now.connections == 0 && now.creating == 0 && now.reading == 0 && now.quarantined == 0 && now.sealed == 0;
  })) << fmt::format("connections {}, creating {}, reading {}, quarantined {}, sealed {}", now.connections,
                     now.creating, now.reading, now.quarantined, now.sealed);
  ExpectArenaBalances(agent(), kArena);
}

}  // namespace
}  // namespace larder::cache_agent
