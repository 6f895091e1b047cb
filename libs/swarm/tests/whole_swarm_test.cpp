// An author and children that fetch from it and from each other: how long it takes, and what the author sends.
#include "tests/whole_swarm.h"

namespace larder::swarm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

double Seconds(base::Duration time) { return std::chrono::duration<double>(time).count(); }

// Runs until all have it.
void Finish(WholeSwarm& swarm, const WholeSwarm::Options& options) {
  swarm.Run();
  for (int child = 1; child <= options.children; ++child) {
    EXPECT_TRUE(swarm.done(child)) << "child " << child << " has " << swarm.held(child) << " pieces";
  }
}

TEST(WholeSwarm, EachPieceLeavesTheAuthorOnceAndSpreadsInTime) {
  struct Case {
    int children;
    uint32_t pieces;
    int seeds;
    double least;  // of T*
  };
  for (const Case& of : {Case{2, 64, 10, 0.95}, Case{3, 64, 20, 0.93}, Case{3, 256, 3, 0.95}, Case{7, 64, 10, 0.87},
                         Case{15, 64, 2, 0.75}}) {
    for (int seed = 1; seed <= of.seeds; ++seed) {
      const WholeSwarm::Options options = {
          .children = of.children, .pieces = of.pieces, .seed = static_cast<uint64_t>(seed)};
      WholeSwarm swarm(options);
      SCOPED_TRACE(testing::Message() << of.children << " children, " << of.pieces << " pieces, seed " << seed);
      Finish(swarm, options);
      EXPECT_LE(swarm.sent(), 1.04);
      EXPECT_GE(swarm.bound() / Seconds(swarm.took()), of.least);
    }
  }
}

// Where a piece takes long to leave, children wait for their first ones longer than a child that gets nothing is to
// wait.
TEST(WholeSwarm, OnSlowLinksToo) {
  for (const int children : {7, 15}) {
    const WholeSwarm::Options options = {.children = children, .rate = 12e6};
    WholeSwarm swarm(options);
    SCOPED_TRACE(testing::Message() << children << " children");
    Finish(swarm, options);
    EXPECT_LE(swarm.sent(), 1.1);
    EXPECT_GE(swarm.bound() / Seconds(swarm.took()), 0.75);
  }
}

// By plain rules a child's choice is its own, but what arrives at others counts.
TEST(WholeSwarm, WithoutSuperSeedingWhatArrivesAtOthersIsAskedOfThem) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const WholeSwarm::Options options = {.children = 3, .seed = seed, .seeding = false};
    WholeSwarm swarm(options);
    Finish(swarm, options);
    EXPECT_LE(swarm.sent(), 1.25) << "seed " << seed;
  }
}

TEST(WholeSwarm, OneChildAloneIsAsFastAsWithoutSuperSeeding) {
  for (const base::Duration latency :
       {base::Duration(std::chrono::microseconds(300)), base::Duration(milliseconds(20))}) {
    WholeSwarm::Options options = {.children = 1, .latency = latency};
    WholeSwarm swarm(options);
    Finish(swarm, options);
    options.seeding = false;
    WholeSwarm plain(options);
    Finish(plain, options);
    EXPECT_LE(Seconds(swarm.took()), 1.01 * Seconds(plain.took()));
    EXPECT_EQ(swarm.sent(), 1);
  }
}

TEST(WholeSwarm, ChildrenThatDoNotKnowEachOtherAreAsFastAsWithoutSuperSeeding) {
  for (const int children : {2, 3, 7}) {
    WholeSwarm::Options options = {.children = children, .acquainted = false};
    WholeSwarm swarm(options);
    Finish(swarm, options);
    options.seeding = false;
    WholeSwarm plain(options);
    Finish(plain, options);
    EXPECT_LE(Seconds(swarm.took()), 1.02 * Seconds(plain.took())) << children;
  }
}

TEST(WholeSwarm, WhoJoinsLaterHasFromOthersWhatLeftBefore) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const WholeSwarm::Options options = {.children = 2, .seed = seed, .last_joins = milliseconds(500)};
    WholeSwarm swarm(options);
    Finish(swarm, options);
    EXPECT_LE(swarm.sent(), 1.04) << "seed " << seed;
  }
}

TEST(WholeSwarm, TheDeathOfAChildCostsLittle) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    for (const auto when : {milliseconds(100), milliseconds(600), milliseconds(1000)}) {
      const WholeSwarm::Options options = {.children = 4, .seed = seed};
      WholeSwarm swarm(options);
      swarm.At(when, [&] { swarm.Kill(4); });
      swarm.Run();
      SCOPED_TRACE(testing::Message() << "seed " << seed << " at " << when.count() << " ms");
      for (const int child : {1, 2, 3}) EXPECT_TRUE(swarm.done(child)) << swarm.held(child);
      EXPECT_LE(swarm.sent(), 1.1);
      EXPECT_LE(Seconds(swarm.took()), 1.15 * swarm.bound() + 0.6) << "it starves once at most";
    }
  }
}

TEST(WholeSwarm, AChildThatStopsKeepsOthersFromNothing) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const WholeSwarm::Options options = {.children = 3, .pieces = 256, .seed = seed};
    WholeSwarm swarm(options);
    swarm.At(milliseconds(300), [&] { swarm.Stop(3); });
    swarm.Run();
    for (const int child : {1, 2}) EXPECT_TRUE(swarm.done(child)) << swarm.held(child) << " seed " << seed;
    // Two seconds is what a child waits for a silent sibling.
    EXPECT_LE(Seconds(swarm.took()), 1.1 * swarm.bound() + 0.6 + 2) << "seed " << seed;
    EXPECT_LE(swarm.sent(), 1.25) << "seed " << seed;
  }
}

}  // namespace
}  // namespace larder::swarm
