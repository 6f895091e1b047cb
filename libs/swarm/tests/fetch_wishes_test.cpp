// Fetches of which only some pieces are wanted, and more as they run.
#include <algorithm>
#include <random>

#include "larder/base/status.h"
#include "tests/simulated_swarm.h"

namespace larder::swarm {
namespace {

using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr uint32_t kPiece = 256 * kKiB;

PieceSet Held(SimulatedSwarm& swarm) { return swarm.destination().pieces->held(); }

TEST(FetchWishes, OnlyWhatIsWantedIsFetchedAndTheFetchStays) {
  SimulatedSwarm swarm(SomeBytes(4 * kMiB), kPiece, 1);
  swarm.Add({.node = "a"});
  swarm.Begin({.wanted = {{{1, 2}}}});
  swarm.Run();
  EXPECT_FALSE(swarm.result().has_value());
  EXPECT_THAT(Held(swarm).Runs(), ElementsAre(PieceRun{1, 2}));
  EXPECT_EQ(swarm.sent["a"], 2 * kPiece);
}

TEST(FetchWishes, GrowWhileItRunsAndWhenNothingWasLeft) {
  SimulatedSwarm swarm(SomeBytes(4 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .rate = 10e6});
  swarm.Begin({.wanted = {{{0, 8}}}});
  swarm.Run(milliseconds(50));
  swarm.Want({6, 4});
  swarm.Run(seconds(5));
  EXPECT_THAT(Held(swarm).Runs(), ElementsAre(PieceRun{0, 10}));
  swarm.Want({15, 100});
  swarm.Run(seconds(5));
  EXPECT_THAT(Held(swarm).Runs(), ElementsAre(PieceRun{0, 10}, PieceRun{15, 1}));
  EXPECT_EQ(swarm.sent["a"], 11 * kPiece) << "none twice";
  EXPECT_THAT(swarm.dials, SizeIs(1));
}

TEST(FetchWishes, MadeBeforeTheListOfPiecesIsKnownAreRemembered) {
  SimulatedSwarm swarm(SomeBytes(4 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .latency = milliseconds(300)});
  swarm.Begin({.wanted = {{{1, 1}}}});
  swarm.Want({7, 1});
  swarm.Run(seconds(20));
  EXPECT_THAT(Held(swarm).Runs(), ElementsAre(PieceRun{1, 1}, PieceRun{7, 1}));
}

TEST(FetchWishes, OfAllThereIsEndIt) {
  SimulatedSwarm swarm(SomeBytes(4 * kMiB), kPiece, 1);
  swarm.Add({.node = "a"});
  swarm.Begin({.wanted = {{{1, 2}}}});
  swarm.Run(seconds(5));
  swarm.Want({0, UINT32_MAX});
  swarm.Run();
  ASSERT_TRUE(swarm.result().has_value());
  EXPECT_THAT(swarm.result()->status, IsOk());
  EXPECT_TRUE(swarm.destination().bytes == swarm.bytes());
  EXPECT_EQ(swarm.sent["a"], swarm.bytes().size());
}

TEST(FetchWishes, WhoComesToWantAllReadsNothingFirst) {
  for (const bool early : {true, false}) {
    SimulatedSwarm swarm(SomeBytes(16 * kMiB), kPiece, 1);
    swarm.Add({.node = "a"});
    swarm.Begin({.wanted = {{{0, 1}}}, .streaming = true});
    if (!early) swarm.Run(seconds(1));
    swarm.Want(kAllPieces);
    swarm.Run();
    ASSERT_TRUE(swarm.result().has_value());
    EXPECT_THAT(swarm.result()->status, IsOk());
    EXPECT_EQ(swarm.opens["a"].super_seeding, early);
    std::vector<uint32_t> order;
    for (const auto& asked : swarm.asked) order.push_back(asked.get.run.first);
    EXPECT_FALSE(std::ranges::is_sorted(order)) << "else everybody asks for the same ones first";
  }
}

// Whether all is known to be wanted before, and whether the list of pieces is.
TEST(FetchWishes, WhatSomebodyWaitsForComesBeforeTheRestOfAll) {
  for (const bool late : {false, true}) {
    SimulatedSwarm swarm(SomeBytes(16 * kMiB), kPiece, 1);
    swarm.Add({.node = "a", .rate = 10e6});
    swarm.Begin({});
    if (late) swarm.Run(milliseconds(300));
    const size_t before = swarm.asked.size();
    swarm.Want({50, 2});
    swarm.Run();
    ASSERT_TRUE(swarm.result().has_value());
    EXPECT_THAT(swarm.result()->status, IsOk());
    EXPECT_EQ(before > 0, late);
    EXPECT_THAT((std::vector{swarm.asked.at(before).get.run.first, swarm.asked.at(before + 1).get.run.first}),
                testing::UnorderedElementsAre(50, 51));
    EXPECT_EQ(swarm.sent["a"], swarm.bytes().size());
  }
}

TEST(FetchWishes, WhatSomebodyWaitsForIsAskedOfWhoSuperSeedsBeforeItIsOffered) {
  SimulatedSwarm swarm(SomeBytes(16 * kMiB), kPiece, 1);
  PieceSet offered(64);
  offered.Add({0, 40});
  for (const char* node : {"a", "b"}) swarm.Add({.node = node, .rate = 2e6, .offered = offered});
  swarm.Begin();
  swarm.Run(milliseconds(50));
  const size_t before = swarm.asked.size();
  swarm.Want({50, 2});
  swarm.Run();
  ASSERT_TRUE(swarm.result().has_value());
  EXPECT_THAT(swarm.result()->status, IsOk());
  ASSERT_GT(before, 0);
  EXPECT_THAT((std::vector{swarm.asked.at(before).get.run.first, swarm.asked.at(before + 1).get.run.first}),
              testing::UnorderedElementsAre(50, 51));
}

TEST(FetchWishes, WithNoneLeftNoPatienceRunsOut) {
  SimulatedSwarm swarm(SomeBytes(4 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .fault = Fault::kDie, .after = kPiece + 100 * kKiB});
  swarm.Begin({.wanted = {{{1, 1}}}});
  swarm.At(seconds(1), [&] { swarm.machine().RemoveParent("a"); });
  swarm.At(minutes(2), [] {});  // looks again
  swarm.Run(minutes(5));
  EXPECT_FALSE(swarm.result().has_value()) << "nobody is needed, and nothing is awaited";
  EXPECT_EQ(swarm.machine().next(), base::kNoDeadline);
  swarm.Want({2, 1});
  swarm.Run(seconds(1));
  ASSERT_TRUE(swarm.result().has_value());
  EXPECT_THAT(swarm.result()->status, StatusIs(absl::StatusCode::kUnavailable, "NO_PARENTS"));
  EXPECT_THAT(swarm.result()->held.Runs(), ElementsAre(PieceRun{1, 1}));
}

TEST(FetchWishes, AParentThatHungUpMeanwhileIsDialledAtOnceForTheNext) {
  SimulatedSwarm swarm(SomeBytes(4 * kMiB), kPiece, 1);
  const Parent parent = swarm.Add({.node = "a", .fault = Fault::kHangUp, .after = kPiece + 100 * kKiB});
  swarm.Begin({.wanted = {{{1, 1}}}}, {.first_redial = seconds(40), .longest_redial = seconds(40)});
  swarm.At(seconds(1), [&] { swarm.machine().OnClosed(1, absl::UnavailableError("closed"), swarm.time()); });
  swarm.At(minutes(2), [] {});  // looks again
  swarm.Run(minutes(5));
  EXPECT_THAT(swarm.dials, SizeIs(1)) << "nothing is wanted of it";
  swarm.Want({2, 1});
  swarm.Run(seconds(1));
  EXPECT_THAT(swarm.dials, SizeIs(2));
  EXPECT_THAT(Held(swarm).Runs(), ElementsAre(PieceRun{1, 2}));
  swarm.machine().OnClosed(1, absl::UnavailableError("closed"), swarm.time());
  swarm.Want({4, 1});
  swarm.Run(seconds(1));
  EXPECT_THAT(swarm.dials, SizeIs(3)) << "though its time had not come";
}

// Whatever is wanted, whenever, and whatever parents do: it comes, and nothing else.
TEST(FetchWishesProperty, AllThatIsWantedComesAndNothingElse) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    SimulatedSwarm swarm(SomeBytes(1 + random() % (8 * kMiB)), kPiece, seed);
    const auto pieces = static_cast<uint32_t>((swarm.bytes().size() - 1) / kPiece + 1);
    for (uint64_t i = 0; i < random() % 4; ++i) {
      constexpr Fault kFaults[] = {Fault::kDie, Fault::kHangUp, Fault::kStall, Fault::kLie, Fault::kForget};
      swarm.Add({.node = fmt::format("n{}", i),
                 .rate = 1e6 * static_cast<double>(1 + random() % 100),
                 .latency = milliseconds(random() % 50),
                 .fault = kFaults[random() % std::size(kFaults)],
                 .after = random() % (2 * kMiB)});
    }
    swarm.Add({.node = "sound", .rate = 10e6});
    PieceSet wished(pieces);
    const auto some = [&]() -> PieceRun {
      const auto first = static_cast<uint32_t>(random() % pieces);
      return {first, static_cast<uint32_t>(1 + random() % 3)};
    };
    const auto wish = [&](PieceRun run) {
      for (uint32_t piece = run.first; piece < pieces && run.Has(piece); ++piece) wished.Add(piece);
      return run;
    };
    PieceSet held(pieces);
    if (random() % 2 == 0) held.Add(static_cast<uint32_t>(random() % pieces));
    // What is held is taken for right: it must be.
    swarm.Begin({.held = held, .wanted = {{wish(some())}}});
    uint64_t judged = 0;
    swarm.destination().on_verified = [&](uint32_t piece) {
      EXPECT_TRUE(wished.Has(piece)) << piece;
      const uint64_t offset = uint64_t{piece} * kPiece;
      EXPECT_EQ(swarm.destination().bytes.substr(offset, kPiece), swarm.bytes().substr(offset, kPiece));
    };
    for (uint64_t more = random() % 6; more > 0; --more) {
      swarm.Run(milliseconds(random() % 3000));
      for (; judged < swarm.asked.size(); ++judged) {
        const PieceRun run = swarm.asked[judged].get.run;
        for (uint32_t piece = run.first; run.Has(piece); ++piece) EXPECT_TRUE(wished.Has(piece) && !held.Has(piece));
      }
      if (!swarm.result()) swarm.Want(wish(some()));
    }
    swarm.Run();
    PieceSet expected = wished;
    for (uint32_t piece = 0; piece < pieces; ++piece) {
      if (held.Has(piece)) expected.Add(piece);
    }
    EXPECT_EQ(swarm.result().has_value(), expected.full()) << "over when all is here, and not before";
    EXPECT_EQ(Held(swarm), expected);
    std::vector<uint32_t> verified = swarm.destination().verified;
    std::ranges::sort(verified);
    EXPECT_THAT(verified, testing::Truly([](const auto& v) { return std::ranges::adjacent_find(v) == v.end(); }));
  }
}

}  // namespace
}  // namespace larder::swarm
