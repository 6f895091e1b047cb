// A hostile client and the memory that it is given: nobody else's bytes are changed by it, or seen.
#include <algorithm>

#include "larder/base/units.h"
#include "tests/faults/hostile_test.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::kKiB;
using base::kMiB;
using testing::AnyOf;
using testing::HasSubstr;
using testing::MatchesRegex;

constexpr uint64_t kArena = 64 * kMiB;
constexpr uint64_t kKeptBytes = 2 * kMiB;
// A window's way for io_uring may be barred, by kernel or machine.
constexpr char kNoPins[] = "io_uring_setup";

class SealedMemory : public HostileTest {
 protected:
  void SetUp() override { Start({"--arena=64MiB"}); }
};

TEST_F(SealedMemory, CannotBeChangedByAnyWayThatTheKernelHas) {
  // In extents of its own, and packed beside what the honest client has.
  auto honest = Connect();
  const std::string packed = Pattern("packed", 300 * kKiB);
  ASSERT_THAT(honest->Put({.key = "packed"}, base::AsBytes(packed)), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const auto large_before, honest->Get(kKeptKey));
  LARDER_ASSERT_OK_AND_ASSIGN(const auto packed_before, honest->Get("packed"));
  Witness witness(agent().endpoint(), "default");
  ChildProcess hostile = HostileIn("default");
  for (const char* key : {kKeptKey, "packed"}) {
    EXPECT_THAT(hostile.Ask(std::string("change ") + key), MatchesRegex("[0-9]+ refused")) << key;
  }
  EXPECT_TRUE(witness.Verify()) << witness.Complaint();
  ASSERT_TRUE(large_before->Bytes());
  ASSERT_TRUE(packed_before->Bytes());
  EXPECT_TRUE(base::AsText(*large_before->Bytes()) == Pattern(kKeptKey, kKeptSize)) << "as mapped before";
  EXPECT_TRUE(base::AsText(*packed_before->Bytes()) == packed) << "as mapped before";
  for (const auto& reader : {&large_before, &packed_before}) {
    std::vector<std::byte> agents(static_cast<size_t>((*reader)->info().size));
    ASSERT_THAT((*reader)->Read(0, agents), IsOk());
    EXPECT_EQ(base::Crc32c(agents), (*reader)->info().digest.crc32c);
  }
  ExpectServes();  // by descriptors that it opens now, whatever their modes
  ExpectCreatorUntouched();
}

// The digest is of the bytes that readers get, whatever the writer does meanwhile.
TEST_F(SealedMemory, OfAWindowThatIsWrittenAllTheTimeIsAsItsDigestSays) {
  ChildProcess hostile = HostileIn("default");
  for (int round = 0; round < NumberFromEnv("LARDER_RACES", 60); ++round) {
    ASSERT_EQ(hostile.Ask(fmt::format("seal raced {}", kMiB)), "OK");
    auto honest = Connect();  // one at a time: each keeps what it mapped, until it is asked back
    LARDER_ASSERT_OK_AND_ASSIGN(const auto reader, honest->Get("raced"));
    ASSERT_TRUE(reader->Bytes());
    ASSERT_EQ(base::Crc32c(*reader->Bytes()), reader->info().digest.crc32c) << "round " << round;
  }
}

class KeptMemory : public HostileTest, public testing::WithParamInterface<Keeping> {
 protected:
  void SetUp() override { Start({"--arena=64MiB"}); }
  // Told that everything is given back the agent believes it only where the kernel says so, too.
  bool ProofSees() const {
    return GetParam() != Keeping::kPath && GetParam() != Keeping::kPipe && GetParam() != Keeping::kPinned;
  }
  std::string Way() const { return KeepingName(GetParam()); }
  void ExpectAllGivenBack(ChildProcess& hostile) {
    EXPECT_EQ(hostile.Ask("let go"), "OK");
    EXPECT_TRUE(Eventually([&] { return Look().quarantined == 0; })) << Look().quarantined;
    ExpectArenaBalances(agent(), kArena);
  }
};

TEST_P(KeptMemory, OfASealedObjectNeverShowsAnothersBytes) {
  if (GetParam() == Keeping::kPinned) return;  // barred: SealedMemory.CannotBeChangedByAnyWayThatTheKernelHas
  ChildProcess hostile = HostileIn("hostile");
  ASSERT_EQ(hostile.Ask(fmt::format("put own {}", kKeptBytes)), "OK");
  ASSERT_EQ(hostile.Ask("keep " + Way() + " own"), "OK");
  const std::string crc = hostile.Ask("crc");
  auto honest = Connect({.ns = "honest"});
  ASSERT_NO_FATAL_FAILURE(FillWithMarker(*honest));
  EXPECT_EQ(hostile.Ask(std::string("finds ") + kMarker), "0");
  if (ProofSees()) {
    EXPECT_GT(Look().quarantined, 0);
    EXPECT_EQ(hostile.Ask("crc"), crc) << "what can be seen stays as it was sealed";
  }
  ExpectAllGivenBack(hostile);
  ExpectServes();
}

TEST_P(KeptMemory, OfAWindowIsNobodyElsesAndWritesToItReachNobody) {
  ChildProcess hostile = HostileIn("default");
  const std::string kept = hostile.Ask(fmt::format("keep {} window {}", Way(), kKeptBytes));
  if (kept.find(kNoPins) != kept.npos) GTEST_SKIP() << kept;
  ASSERT_EQ(kept, "OK");
  ASSERT_EQ(hostile.Ask("scribble"), "OK");
  // Others of its own namespace, and of another.
  for (const std::string ns : {"default", "honest"}) {
    auto honest = Connect({.ns = ns});
    const std::string content = Pattern(ns, kKeptBytes);
    const base::Digest digest = base::Crc32cDigest(base::Crc32c(base::AsBytes(content)));
    for (int round = 0; round < 10; ++round) {
      LARDER_ASSERT_OK_AND_ASSIGN(auto writer, honest->Create({.key = "honest", .overwrite = true}));
      LARDER_ASSERT_OK_AND_ASSIGN(const base::MutableByteSpan buffer, writer->Buffer(kKeptBytes));
      ASSERT_TRUE(std::ranges::all_of(buffer, [](std::byte b) { return b == std::byte{0}; })) << "a window is all zero";
      std::ranges::copy(base::AsBytes(content), buffer.begin());
      ASSERT_THAT(writer->Seal(digest), IsOk()) << ns << ", round " << round;
      LARDER_ASSERT_OK_AND_ASSIGN(const auto reader, honest->Get("honest"));
      ASSERT_TRUE(reader->Bytes());
      ASSERT_TRUE(base::AsText(*reader->Bytes()) == content) << ns << ", round " << round;
    }
    ASSERT_NO_FATAL_FAILURE(FillWithMarker(*honest));
  }
  EXPECT_EQ(hostile.Ask("rest"), "OK");
  EXPECT_EQ(hostile.Ask(std::string("finds ") + kMarker), "0");
  ExpectAllGivenBack(hostile);
  ExpectServes();
  ExpectCreatorUntouched();
}

INSTANTIATE_TEST_SUITE_P(By, KeptMemory,
                         testing::Values(Keeping::kMapping, Keeping::kDescriptor, Keeping::kReopened,
                                         Keeping::kInFlight, Keeping::kFork, Keeping::kThird, Keeping::kPath,
                                         Keeping::kPipe, Keeping::kPinned),
                         [](const auto& info) { return KeepingName(info.param); });

class GivenMemory : public HostileTest {};

// Not only its own part of it: it maps all that its descriptors are of.
TEST_F(GivenMemory, HoldsNothingThatAnotherNamespaceEverHad) {
  Start({"--arena=64MiB"});
  ChildProcess hostile = HostileIn("hostile");
  auto honest = Connect({.ns = "honest"});
  for (int round = 0; round < 6; ++round) {
    ASSERT_NO_FATAL_FAILURE(FillWithMarker(*honest));
    ASSERT_THAT(honest->Delete("marked"), IsOk());
    EXPECT_EQ(hostile.Ask(std::string("rake ") + kMarker), "0") << "round " << round;
  }
  ExpectServes();
}

// A parent's end is its connection's, whoever has inherited the socket; what it mapped stays as it was.
TEST_F(GivenMemory, StaysAsItWasWithTheChildOfAClientThatDied) {
  Start({"--arena=64MiB"});
  const Holdings before = Look();
  ChildProcess hostile = HostileIn("hostile");
  ASSERT_EQ(hostile.Ask(fmt::format("put own {}", kKeptBytes)), "OK");
  ASSERT_EQ(hostile.Ask("keep Mapping own"), "OK");
  const std::string crc = hostile.Ask("crc");
  ASSERT_EQ(hostile.Ask("heir"), "OK");
  EXPECT_TRUE(Eventually([&] { return Look().connections == before.connections; })) << "the child has the socket still";
  EXPECT_THAT(hostile.Ask("put more 100"), HasSubstr("CONNECTION_LOST"));
  auto honest = Connect({.ns = "honest"});
  ASSERT_NO_FATAL_FAILURE(FillWithMarker(*honest));
  EXPECT_EQ(hostile.Ask("crc"), crc);
  EXPECT_GT(Look().quarantined, 0);
  EXPECT_EQ(hostile.Ask("let go"), "OK");
  EXPECT_TRUE(Eventually([&] { return Look().quarantined == 0; }));
  ExpectArenaBalances(agent(), kArena);
}

}  // namespace
}  // namespace larder::cache_agent
