#include "larder/raft/testing/simulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace larder::raft {
namespace {

using testing::IsEmpty;

// LARDER_RAFT_SEEDS (500), LARDER_RAFT_STEPS (6000), LARDER_RAFT_FIRST_SEED (1): a failing seed is run again by them.
uint64_t Number(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

SimulationResult RunSeeds(SimulationOptions options, uint64_t seeds) {
  SimulationResult all;
  const uint64_t first = Number("LARDER_RAFT_FIRST_SEED", 1);
  options.steps = static_cast<int>(Number("LARDER_RAFT_STEPS", 6000));
  for (options.seed = first; options.seed < first + seeds; ++options.seed) {
    const SimulationResult one = Simulate(options);
    EXPECT_THAT(one.violations, IsEmpty()) << "seed " << options.seed;
    all.acknowledged += one.acknowledged;
    all.reads += one.reads;
    all.crashes += one.crashes;
    all.elections += one.elections;
  }
  return all;
}

TEST(Simulator, NothingAcknowledgedIsLostOrDoubledWhateverFails) {
  const uint64_t seeds = Number("LARDER_RAFT_SEEDS", 500);
  const SimulationResult all = RunSeeds({}, seeds);
  RecordProperty("acknowledged", std::to_string(all.acknowledged));
  RecordProperty("elections", std::to_string(all.elections));
  // A run in which nothing happens proves nothing.
  EXPECT_GT(all.acknowledged, 10 * seeds);
  EXPECT_GT(all.reads, 5 * seeds);
  EXPECT_GT(all.crashes, 3 * seeds);
  EXPECT_GT(all.elections, 2 * seeds);
}

TEST(Simulator, MembersComeAndGo) {
  const uint64_t seeds = Number("LARDER_RAFT_SEEDS", 500) / 2;
  const SimulationResult all = RunSeeds({.membership = true}, seeds);
  EXPECT_GT(all.acknowledged, 10 * seeds);
}

TEST(Simulator, OneVoterAloneServes) {
  const SimulationResult all = RunSeeds({.members = 1}, 50);
  EXPECT_GT(all.acknowledged, 50 * 50);
}

TEST(Simulator, OneVoterWithLearnersServes) {
  const uint64_t seeds = Number("LARDER_RAFT_SEEDS", 500) / 5;
  const SimulationResult all = RunSeeds({.members = 1, .membership = true}, seeds);
  EXPECT_GT(all.acknowledged, 10 * seeds);
}

TEST(Simulator, WithoutFaultsAllIsAcknowledged) {
  const SimulationResult one = Simulate({.seed = 7, .faults = false});
  EXPECT_THAT(one.violations, IsEmpty());
  EXPECT_GT(one.acknowledged, 30u);
}

TEST(Simulator, TheSameSeedDoesTheSame) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const SimulationOptions options{.seed = seed, .membership = seed % 2 == 0};
    EXPECT_EQ(Simulate(options).digest, Simulate(options).digest) << "seed " << seed;
  }
  EXPECT_NE(Simulate({.seed = 1}).digest, Simulate({.seed = 2}).digest);
}

}  // namespace
}  // namespace larder::raft
