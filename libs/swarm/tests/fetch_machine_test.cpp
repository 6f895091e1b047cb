// A fetch among simulated parents, in simulated time.
#include "src/fetch_machine.h"

#include <algorithm>
#include <set>

#include "larder/base/status.h"
#include "tests/simulated_swarm.h"

namespace larder::swarm {
namespace {

using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

constexpr uint32_t kPiece = 256 * kKiB;

// Everything that was verified is what the object is, and all of it was.
void ExpectWhole(SimulatedSwarm& swarm) {
  ASSERT_TRUE(swarm.result().has_value()) << "it goes on for ever";
  EXPECT_THAT(swarm.result()->status, IsOk());
  EXPECT_TRUE(swarm.destination().bytes == swarm.bytes());
}

// Whatever is verified must be right at that moment, and stay so.
void CheckEachPiece(SimulatedSwarm& swarm) {
  swarm.destination().on_verified = [&swarm](uint32_t piece) {
    TestDestination& destination = swarm.destination();
    for (const uint32_t verified : destination.verified) {
      const uint64_t offset = destination.manifest->OffsetOf(verified);
      const uint32_t size = destination.manifest->SizeOf(verified);
      ASSERT_EQ(destination.bytes.substr(offset, size), swarm.bytes().substr(offset, size)) << verified;
    }
    ASSERT_EQ(std::ranges::count(destination.verified, piece), 1);
  };
}

TEST(FetchMachine, GetsAnObjectFromOneParent) {
  SimulatedSwarm swarm(SomeBytes(3 * kMiB + 5), kPiece, 1);
  swarm.Add({.node = "a"});
  swarm.Begin();
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_EQ(swarm.sent["a"], swarm.bytes().size());
}

TEST(FetchMachine, PutsBytesWhereTheyBelongHoweverShortTheRangesOfMemoryAre) {
  SimulatedSwarm swarm(SomeBytes(3 * kMiB + 5), kPiece, 1);
  CheckEachPiece(swarm);
  swarm.destination().range_sizes = kRaggedRanges;
  swarm.Add({.node = "a"});
  swarm.Begin();
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_EQ(swarm.sent["a"], swarm.bytes().size());
}

constexpr std::array kFaults = {Fault::kRefuse, Fault::kDie,    Fault::kHangUp,    Fault::kStall,  Fault::kTrickle,
                                Fault::kLie,    Fault::kDamage, Fault::kMalformed, Fault::kForget, Fault::kDrip};

TEST(FetchMachine, SurvivesEachFaultAtEachStepIfOneParentIsSound) {
  for (const Fault fault : kFaults) {
    // Before the manifest, before the first piece, within it, between two, near the end.
    for (const uint64_t after :
         {uint64_t{0}, uint64_t{1}, uint64_t{100} * kKiB, uint64_t{kPiece}, uint64_t{900} * kKiB}) {
      SimulatedSwarm swarm(SomeBytes(2 * kMiB), kPiece, after + 1);
      CheckEachPiece(swarm);
      swarm.Add({.node = "bad", .rate = 400e6, .fault = fault, .after = after});
      swarm.Add({.node = "good"});
      swarm.Begin();
      swarm.Run();
      SCOPED_TRACE(testing::Message() << "fault " << static_cast<int>(fault) << " after " << after);
      ExpectWhole(swarm);
      EXPECT_LE(swarm.now(), seconds(5));
    }
  }
}

TEST(FetchMachineProperty, EndsWithAllBytesWhateverTheOthersDo) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    std::mt19937_64 random(seed);
    SimulatedSwarm swarm(SomeBytes(random() % (6 * kMiB)), kPiece, seed);
    CheckEachPiece(swarm);
    if (seed % 2 == 1) swarm.destination().range_sizes = kRaggedRanges;
    const uint64_t count = 1 + random() % 6;
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t fault = random() % (kFaults.size() + 2);
      swarm.Add({.node = fmt::format("n{}", i),
                 .rate = 1e6 * static_cast<double>(1 + random() % 200),
                 .latency = milliseconds(random() % 50),
                 .fault = fault < kFaults.size() ? kFaults[fault] : Fault::kNone,
                 .after = random() % (2 * kMiB)});
    }
    swarm.Add({.node = "sound", .rate = 10e6});
    swarm.Begin({.streaming = random() % 2 == 0});
    swarm.Run();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ExpectWhole(swarm);
  }
}

TEST(FetchMachineProperty, PartsThatParentsHaveAreEnoughTogether) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::mt19937_64 random(seed);
    SimulatedSwarm swarm(SomeBytes(5 * kMiB), kPiece, seed);
    std::vector<PieceSet> held(3, PieceSet(20));
    for (uint32_t piece = 0; piece < 20; ++piece) held[random() % 3].Add(piece);
    for (size_t i = 0; i < held.size(); ++i) swarm.Add({.node = fmt::format("n{}", i), .held = held[i]});
    swarm.Begin();
    swarm.Run();
    ExpectWhole(swarm);
    EXPECT_EQ(swarm.sent["n0"] + swarm.sent["n1"] + swarm.sent["n2"], 5 * kMiB) << "each piece came once";
  }
}

TEST(FetchMachine, GoesOnElsewhereAtTheByteItHasComeTo) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), 1 * kMiB, 1);
  swarm.Add({.node = "a", .fault = Fault::kDie, .after = 300 * kKiB});
  swarm.Begin({.more_parents_may_come = true});
  swarm.Run(seconds(5));
  swarm.machine().AddParent(swarm.Add({.node = "b"}), swarm.time());
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_EQ(swarm.asked.back().node, "b");
  EXPECT_EQ(swarm.asked.back().get.start, 320 * kKiB) << "the simulated parent ends at a multiple of 64 KiB";
  EXPECT_EQ(swarm.sent["a"] + swarm.sent["b"], 1 * kMiB);
}

TEST(FetchMachine, LeavesAParentThatIsSilentForTwoSeconds) {
  SimulatedSwarm swarm(SomeBytes(8 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .fault = Fault::kStall, .after = 1 * kMiB});
  swarm.Add({.node = "b", .rate = 1e6});
  swarm.Begin();
  swarm.Run();
  ExpectWhole(swarm);
  ASSERT_FALSE(swarm.failures.empty());
  EXPECT_EQ(swarm.failures[0].node, "a");
  EXPECT_THAT(swarm.failures[0].why, StatusIs(absl::StatusCode::kUnavailable, "STALLED"));
  EXPECT_FALSE(swarm.failures[0].final);
}

TEST(FetchMachine, LeavesAParentThatSendsOnlyWhatNobodyWants) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .fault = Fault::kDrip, .after = kPiece});
  swarm.Begin();
  swarm.Run(milliseconds(2500));
  ASSERT_EQ(swarm.failures.size(), 1);
  EXPECT_THAT(swarm.failures[0].why, StatusIs(absl::StatusCode::kUnavailable, "STALLED"));
}

TEST(FetchMachine, AParentThatIsSlowToMakeItsManifestKnownIsNotLeft) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .fault = Fault::kStall});
  swarm.Begin();
  for (int i = 1; i <= 5; ++i) {
    swarm.At(seconds(i), [&] { swarm.machine().OnBytes(1, swarm.time()); });
  }
  swarm.Run(seconds(6));
  EXPECT_THAT(swarm.failures, testing::IsEmpty()) << "part of it came each second";
  swarm.Run(seconds(2));
  EXPECT_EQ(swarm.failures.size(), 1);
}

TEST(FetchMachine, OnesOwnRateLimitIsNotAParentsStall) {
  // The simulated parents send 64 KiB at once: read every 3.2 s; then every 32 s, longer than a fetch goes on without
  // progress.
  for (const uint64_t rate : {20 * kKiB, 2 * kKiB}) {
    SimulatedSwarm swarm(SomeBytes(512 * kKiB), kPiece, 1);
    swarm.limiter().SetRate(rate);
    swarm.Add({.node = "a"});
    swarm.Add({.node = "b"});
    swarm.Begin();
    swarm.Run();
    ExpectWhole(swarm);
    EXPECT_THAT(swarm.failures, testing::IsEmpty()) << rate;
    EXPECT_EQ(swarm.sent["a"] + swarm.sent["b"], 512 * kKiB)
        << "what is slow by one's own limit is not asked for twice";
  }
}

TEST(FetchMachine, OnesOwnRateLimitMakesNoStragglers) {
  SimulatedSwarm swarm(SomeBytes(100 * kMiB), 1 * kMiB, 1);
  swarm.Add({.node = "a", .rate = 10e6});
  swarm.Add({.node = "b", .rate = 10e6});
  swarm.Add({.node = "c", .rate = 1e6});
  swarm.Begin();
  // The limit keeps the child from reading what the third one sends, for a moment of each tenth of a second.
  for (int i = 1; i < 100; ++i) {
    swarm.At(i * milliseconds(100), [&] { swarm.machine().OnPaused(3, swarm.time()); });
    swarm.At(i * milliseconds(100) + milliseconds(10), [&] { swarm.machine().OnResumed(3, swarm.time()); });
  }
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_EQ(swarm.Value("larder_swarm_stragglers_total"), 0);
}

TEST(FetchMachine, AParentThatIsSilentIsLeftAlsoUnderALimit) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  swarm.limiter().SetRate(100 * kKiB);
  swarm.Add({.node = "a", .fault = Fault::kStall, .after = 128 * kKiB});
  swarm.Begin();
  swarm.Run(seconds(4));  // 128 KiB are read in 1.3 s
  ASSERT_EQ(swarm.failures.size(), 1);
  EXPECT_THAT(swarm.failures[0].why, StatusIs(absl::StatusCode::kUnavailable, "STALLED"));
}

TEST(FetchMachine, SetsAParentThatLiesAsideAndSaysSo) {
  for (const Fault fault : {Fault::kLie, Fault::kDamage}) {
    SimulatedSwarm swarm(SomeBytes(8 * kMiB), kPiece, 1);
    CheckEachPiece(swarm);
    swarm.Add({.node = "liar", .fault = fault, .after = 1 * kMiB});
    swarm.Add({.node = "sound"});
    swarm.Begin();
    swarm.Run();
    ExpectWhole(swarm);
    ASSERT_EQ(swarm.failures.size(), 1);
    EXPECT_EQ(swarm.failures[0].node, "liar");
    EXPECT_THAT(swarm.failures[0].why, StatusIs(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH"));
    EXPECT_TRUE(swarm.failures[0].final);
    EXPECT_EQ(swarm.Value("larder_transfer_digest_mismatch_total"), 1);
    EXPECT_EQ(std::ranges::count(swarm.dials, "liar", &std::pair<std::string, base::Duration>::first), 1);
  }
}

TEST(FetchMachine, BlamesNobodyForAPieceOfSeveralParents) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), 1 * kMiB, 1);
  CheckEachPiece(swarm);
  // It lies in the first half of the piece, and is gone before the end.
  swarm.Add({.node = "a", .fault = Fault::kLie, .after = 0});
  swarm.Begin({.more_parents_may_come = true});
  swarm.At(milliseconds(8), [&] {
    swarm.machine().RemoveParent("a");
    swarm.machine().AddParent(swarm.Add({.node = "b"}), swarm.time());
  });
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_GT(swarm.sent["a"], 0);
  EXPECT_THAT(swarm.failures, testing::IsEmpty());
  EXPECT_EQ(swarm.Value("larder_transfer_digest_mismatch_total"), 1);
  EXPECT_EQ(swarm.asked.back().get.start, 0) << "the second time from one parent alone";
}

TEST(FetchMachine, WithoutProgressForHalfAMinuteNamesEachParentAndWhy) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  swarm.Add({.node = "refuses", .fault = Fault::kRefuse});
  swarm.Add({.node = "silent", .fault = Fault::kStall});
  swarm.Begin();
  swarm.Run();
  ASSERT_TRUE(swarm.result().has_value());
  EXPECT_EQ(swarm.now(), seconds(30));
  EXPECT_THAT(swarm.result()->status, StatusIs(absl::StatusCode::kUnavailable, "NO_PROGRESS"));
  EXPECT_THAT(base::Message(swarm.result()->status),
              AllOf(HasSubstr("refuses (refuses:1): CANNOT_DIAL"), HasSubstr("silent (silent:1): STALLED")));
}

TEST(FetchMachine, FailsAtOnceWhenNobodyCanHelp) {
  const absl::Status stale = base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "another epoch");
  const absl::Status gone = base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "not here");
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .refusal = stale});
  swarm.Add({.node = "b", .refusal = gone});
  swarm.Begin();
  swarm.Run();
  ASSERT_TRUE(swarm.result().has_value());
  EXPECT_LE(swarm.now(), seconds(1));
  EXPECT_THAT(swarm.result()->status, StatusIs(absl::StatusCode::kUnavailable, "NO_PARENTS"));
  EXPECT_THAT(base::Message(swarm.result()->status), AllOf(HasSubstr("EPOCH_STALE"), HasSubstr("NO_OBJECT")));
  EXPECT_THAT(swarm.failures, Each(Field(&ParentFailure::final, true)));
}

TEST(FetchMachine, WaitsForParentsThatMayComeWhenNobodyIsLeft) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .refusal = base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "not here")});
  swarm.Add({.node = "b", .rate = 1e3});
  swarm.Begin({.more_parents_may_come = true}, {.no_progress = seconds(10)});
  swarm.At(seconds(1), [&] { swarm.machine().RemoveParent("a"); });
  swarm.At(seconds(2), [&] { swarm.machine().RemoveParent("b"); });
  swarm.Run(seconds(8));
  ASSERT_FALSE(swarm.result().has_value());
  swarm.machine().AddParent(swarm.Add({.node = "c"}), swarm.time());
  swarm.Run(seconds(1));
  ExpectWhole(swarm);
}

TEST(FetchMachine, WithoutParentsThatMayComeTheLastOneThatIsRemovedEndsIt) {
  for (const bool more_may_come : {false, true}) {
    SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
    swarm.Add({.node = "a", .rate = 1e3});
    swarm.Begin({.more_parents_may_come = more_may_come});
    swarm.At(seconds(1), [&] { swarm.machine().RemoveParent("a"); });
    swarm.Run();
    ASSERT_TRUE(swarm.result().has_value());
    EXPECT_THAT(swarm.result()->status,
                StatusIs(absl::StatusCode::kUnavailable, more_may_come ? "NO_PROGRESS" : "NO_PARENTS"));
    EXPECT_THAT(base::Message(swarm.result()->status), HasSubstr("no parent is known"));
    EXPECT_EQ(std::chrono::floor<seconds>(swarm.now()), seconds(more_may_come ? 30 : 1));
  }
}

TEST(FetchMachine, AParentThatIsNotReadyYetIsAskedAgainSoonEachTime) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .refusal = base::Error(absl::StatusCode::kUnavailable, "NOT_YET", "no epoch")});
  swarm.Begin();
  swarm.At(seconds(20), [&] { swarm.Add({.node = "a"}); });
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_LE(swarm.now(), milliseconds(21'100));
  for (size_t i = 1; i < swarm.dials.size(); ++i) {
    EXPECT_GE(swarm.dials[i].second - swarm.dials[i - 1].second, milliseconds(500)) << i;
    EXPECT_LE(swarm.dials[i].second - swarm.dials[i - 1].second, milliseconds(1100)) << i;
  }
  EXPECT_THAT(swarm.failures, Each(Field(&ParentFailure::final, false)));
}

TEST(FetchMachine, DialsAgainAfterPausesThatGrowToAMinute) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .fault = Fault::kRefuse});
  swarm.Begin({}, {.no_progress = std::chrono::hours(1)});
  swarm.Run(std::chrono::minutes(30));
  double most = 1;
  for (size_t i = 1; i < swarm.dials.size(); ++i) {
    const double pause = std::chrono::duration<double>(swarm.dials[i].second - swarm.dials[i - 1].second).count();
    EXPECT_GE(pause, most / 2) << i;
    EXPECT_LE(pause, most + 0.1) << i;
    most = std::min(60.0, most * 2);
  }
  EXPECT_GT(swarm.dials.size(), 20);
}

TEST(FetchMachine, LeavesAStragglerForTheOthers) {
  SimulatedSwarm swarm(SomeBytes(400 * kMiB), 4 * kMiB, 1);
  swarm.Add({.node = "a", .rate = 40e6});
  swarm.Add({.node = "b", .rate = 40e6});
  swarm.Add({.node = "slow", .rate = 4e6});
  swarm.Begin();
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_GE(swarm.Value("larder_swarm_stragglers_total"), 1);
  EXPECT_THAT(swarm.cancels, testing::Contains(testing::Pair("slow", testing::_)));
  // 400 MiB at 80 MB/s are 5.2 s; the four pieces that the slow one has by then would take it 4 s more each.
  EXPECT_LE(swarm.now(), milliseconds(5900));
}

TEST(FetchMachine, StragglersAreLeftForOneThatWasDoneSoon) {
  SimulatedSwarm swarm(SomeBytes(12 * kPiece), kPiece, 1);
  swarm.Add({.node = "a", .fault = Fault::kTrickle, .after = 1});
  swarm.Add({.node = "b", .fault = Fault::kTrickle, .after = 1});
  swarm.Add({.node = "sound", .rate = 10e6});
  swarm.Begin();
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_LE(swarm.now(), seconds(3));
}

TEST(FetchMachine, AStragglerGivesWhatNobodyElseHas) {
  SimulatedSwarm swarm(SomeBytes(100 * kMiB), 1 * kMiB, 1);
  PieceSet most(100);
  most.Add(PieceRun{0, 98});
  swarm.Add({.node = "a", .rate = 10e6, .held = most});
  swarm.Add({.node = "b", .rate = 10e6, .held = most});
  swarm.Add({.node = "slow", .rate = 0.5e6});
  swarm.Begin();
  swarm.Run();
  ExpectWhole(swarm);
  // The 98 MiB of the others take 5.1 s, the 2 MiB that it alone has 4.2 s.
  EXPECT_LE(swarm.now(), milliseconds(5500));
}

TEST(FetchMachine, AsksForTheLastPiecesTwiceAndThatIsAll) {
  SimulatedSwarm swarm(SomeBytes(256 * kMiB), 4 * kMiB, 1);
  swarm.Add({.node = "a", .rate = 100e6});
  swarm.Add({.node = "b", .rate = 30e6});
  swarm.Begin();
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_LE(swarm.Value("larder_swarm_duplicate_bytes_total"), 256 * kMiB / 50);
  EXPECT_LE(swarm.sent["a"] + swarm.sent["b"], 256 * kMiB + 256 * kMiB / 50);
  // 256 MiB at 130 MB/s are 2.06 s; a piece of the slower one alone takes 0.14 s.
  EXPECT_LE(swarm.now(), milliseconds(2150));
}

TEST(FetchMachine, KeepsFourPiecesOfEachParentUnderWay) {
  SimulatedSwarm swarm(SomeBytes(20 * kMiB), kPiece, 1);
  swarm.Add({.node = "a"});
  swarm.Add({.node = "b"});
  swarm.Begin();
  swarm.Run(milliseconds(5));
  for (const std::string node : {"a", "b"}) {
    uint32_t pieces = 0;
    for (const auto& asked : swarm.asked) pieces += asked.node == node ? asked.get.run.count : 0;
    EXPECT_EQ(pieces, 4) << node;
  }
}

TEST(FetchMachine, ReadersGetTheFirstPiecesFirst) {
  SimulatedSwarm swarm(SomeBytes(20 * kMiB), kPiece, 1);
  swarm.Add({.node = "a"});
  swarm.Begin({.streaming = true});
  swarm.Run();
  ExpectWhole(swarm);
  for (uint32_t i = 0; i < 8; ++i) EXPECT_EQ(swarm.asked[i].get.run.first, i);
}

TEST(FetchMachine, ResumesFromWhatIsHeld) {
  SimulatedSwarm swarm(SomeBytes(4 * kMiB), kPiece, 1);
  PieceSet held(16);
  held.Add(PieceRun{0, 15});
  swarm.Add({.node = "a"});
  swarm.Begin({.held = held});
  swarm.Run();
  ASSERT_THAT(swarm.result()->status, IsOk());
  EXPECT_EQ(swarm.sent["a"], kPiece);
  EXPECT_TRUE(swarm.result()->held.full());
}

TEST(FetchMachine, CancelKeepsWhatIsVerified) {
  SimulatedSwarm swarm(SomeBytes(4 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .rate = 10e6});
  swarm.Begin();
  swarm.Run(milliseconds(200));
  swarm.machine().Cancel(base::Error(absl::StatusCode::kCancelled, "CANCELLED", "enough"));
  EXPECT_THAT(swarm.result()->status, StatusIs(absl::StatusCode::kCancelled, "CANCELLED"));
  EXPECT_EQ(swarm.result()->held.count(), swarm.destination().verified.size());
  EXPECT_GT(swarm.result()->held.count(), 4);
  EXPECT_TRUE(swarm.destination().pieces->arriving().empty());
}

TEST(FetchMachine, APieceThatArrivesAtItsParentIsWaitedForAndThenAskedAgain) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  PieceSet held = PieceSet::All(4);
  held.Remove(2);
  PieceSet arriving(4);
  arriving.Add(2);
  swarm.Add({.node = "a", .held = held, .arriving = arriving});
  swarm.Begin();
  swarm.At(seconds(1), [&] { swarm.Hold("a", 2); });
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_LT(swarm.now(), milliseconds(1100)) << "it was asked for before it was there";
  EXPECT_THAT(swarm.failures, testing::IsEmpty());
}

TEST(FetchMachine, TwoThatWaitForEachOtherDoNotSoForEver) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .held = PieceSet(4), .arriving = PieceSet::All(4)});
  swarm.Begin();
  swarm.At(seconds(10), [&] { swarm.machine().AddParent(swarm.Add({.node = "b"}), swarm.time()); });
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_THAT(swarm.failures, testing::IsEmpty()) << "who waits is not to blame";
  EXPECT_LT(swarm.now(), seconds(11));
}

TEST(FetchMachine, RefusesAManifestThatTheTrackerDoesNotKnow) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  swarm.Add({.node = "a"});
  swarm.Begin({.manifest = base::Sha256Digest{1}});
  swarm.Run();
  EXPECT_THAT(swarm.result()->status, StatusIs(absl::StatusCode::kUnavailable, "NO_PARENTS"));
  EXPECT_THAT(swarm.failures[0].why, StatusIs(absl::StatusCode::kDataLoss, "MANIFEST_MISMATCH"));
}

TEST(FetchMachine, ParentsComeAndGoWhileItRuns) {
  SimulatedSwarm swarm(SomeBytes(40 * kMiB), kPiece, 1);
  CheckEachPiece(swarm);
  swarm.Add({.node = "a", .rate = 10e6});
  swarm.Begin();
  swarm.At(seconds(1), [&] { swarm.machine().AddParent(swarm.Add({.node = "b", .rate = 10e6}), swarm.time()); });
  swarm.At(seconds(2), [&] { swarm.machine().RemoveParent("a"); });
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_GT(swarm.sent["b"], 10 * kMiB);
  EXPECT_LT(swarm.sent["a"], 25 * kMiB);
}

TEST(FetchMachine, ATicketThatExpiredIsReplacedByAddingTheParentAgain) {
  SimulatedSwarm swarm(SomeBytes(1 * kMiB), kPiece, 1);
  const Parent parent =
      swarm.Add({.node = "a", .refusal = base::Error(absl::StatusCode::kUnauthenticated, "TICKET_EXPIRED", "late")});
  swarm.Begin({.more_parents_may_come = true});
  swarm.Run(seconds(1));
  ASSERT_FALSE(swarm.result().has_value());
  swarm.Add({.node = "a"});
  swarm.machine().AddParent(parent, swarm.time());
  swarm.Run();
  ExpectWhole(swarm);
}

PieceSet FirstPieces(uint32_t size, uint32_t count) {
  PieceSet set(size);
  set.Add(PieceRun{0, count});
  return set;
}

TEST(FetchMachine, WhoSuperSeedsIsAskedForWhatItOffersFirstAndForTheRestIfNobodyElseIsThere) {
  SimulatedSwarm swarm(SomeBytes(5 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .offered = FirstPieces(20, 6)});
  swarm.Begin();
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_TRUE(swarm.opens["a"].super_seeding);
  for (uint32_t i = 0; i < 20; ++i) {
    EXPECT_EQ(swarm.asked[i].get.run.first < 6, i < 6) << i;
    EXPECT_EQ(swarm.asked[i].at < milliseconds(100), i < 6) << "another parent may come";
  }
  EXPECT_LE(swarm.now(), milliseconds(200));
}

TEST(FetchMachine, WhoSuperSeedsIsNotAskedForWhatOthersMayHaveSoonUnlessNothingComes) {
  SimulatedSwarm swarm(SomeBytes(5 * kMiB), kPiece, 1);
  swarm.Add({.node = "a", .offered = FirstPieces(20, 6)});
  swarm.Add({.node = "b", .held = PieceSet(20), .arriving = PieceSet(20)});
  swarm.Begin();
  swarm.At(milliseconds(400), [&] {
    for (uint32_t piece = 6; piece < 12; ++piece) swarm.Hold("b", piece);
  });
  swarm.Run();
  ExpectWhole(swarm);
  EXPECT_EQ(swarm.sent["b"], 6 * kPiece);
  for (uint32_t i = 0; i < 20; ++i) EXPECT_EQ(swarm.asked[i].at >= milliseconds(890), i >= 12) << i;
  EXPECT_LE(swarm.now(), milliseconds(1500)) << "and then for a few, and for more when nothing came again";
}

TEST(FetchMachine, WhoWantsNotAllOrSomethingFirstTakesNoPartInSuperSeeding) {
  for (const bool streaming : {false, true}) {
    SimulatedSwarm swarm(SomeBytes(5 * kMiB), kPiece, 1);
    swarm.Add({.node = "a"});
    FetchRequest request{.streaming = streaming};
    if (!streaming) request.wanted = {{.first = 0, .count = 1}};
    swarm.Begin(request);
    swarm.Run(seconds(1));
    EXPECT_FALSE(swarm.opens["a"].super_seeding);
  }
  SimulatedSwarm resumed(SomeBytes(5 * kMiB), kPiece, 1);
  resumed.Add({.node = "a", .fault = Fault::kHangUp, .after = kMiB});
  resumed.Begin();
  resumed.Run(seconds(2));
  EXPECT_GE(resumed.dials.size(), 2);
  EXPECT_FALSE(resumed.opens["a"].super_seeding) << "it has some of what it would be offered";
  for (const uint32_t kept : {0, 2, 3}) {
    SimulatedSwarm swarm(SomeBytes(5 * kMiB), kPiece, 1);
    swarm.Add({.node = "a"});
    FetchRequest request{.held = PieceSet(20)};
    for (uint32_t piece = 0; piece < kept; ++piece) request.held->Add(piece);
    swarm.Begin(request);
    swarm.Run(seconds(1));
    EXPECT_EQ(swarm.opens["a"].super_seeding, kept < 3) << "of an earlier fetch, too, but for a few";
  }
}

TEST(FetchMachine, SurvivesEachFaultOfAParentThatSuperSeeds) {
  for (const Fault fault : kFaults) {
    for (const uint64_t after : {uint64_t{0}, uint64_t{100} * kKiB, uint64_t{kPiece}, uint64_t{900} * kKiB}) {
      SimulatedSwarm swarm(SomeBytes(4 * kMiB), kPiece, after + 1);
      CheckEachPiece(swarm);
      swarm.Add({.node = "bad", .offered = FirstPieces(16, 8), .fault = fault, .after = after});
      swarm.Add({.node = "good", .rate = 10e6, .offered = FirstPieces(16, 3)});
      swarm.Begin();
      swarm.Run();
      SCOPED_TRACE(testing::Message() << "fault " << static_cast<int>(fault) << " after " << after);
      ExpectWhole(swarm);
      EXPECT_LE(swarm.now(), seconds(5));
      EXPECT_LE(swarm.asked.size(), 64) << "what is not there is not asked for again and again";
    }
  }
}

TEST(PiecesOf, AreThoseThatHoldTheBytes) {
  EXPECT_EQ(PiecesOf({.offset = 0, .length = 1}, kPiece), (PieceRun{0, 1}));
  EXPECT_EQ(PiecesOf({.offset = kPiece - 1, .length = 1}, kPiece), (PieceRun{0, 1}));
  EXPECT_EQ(PiecesOf({.offset = kPiece - 1, .length = 2}, kPiece), (PieceRun{0, 2}));
  EXPECT_EQ(PiecesOf({.offset = kPiece, .length = kPiece}, kPiece), (PieceRun{1, 1}));
  EXPECT_EQ(PiecesOf({.offset = kPiece, .length = 2 * kPiece + 1}, kPiece), (PieceRun{1, 3}));
}

}  // namespace
}  // namespace larder::swarm
