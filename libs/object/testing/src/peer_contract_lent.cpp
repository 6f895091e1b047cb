#include "testing/src/copies.h"

// Leases on some of the bytes of a copy that is still coming, or was parked.
namespace larder::object {

void LinkLendingRules() {}

namespace {

using base::IsOk;
using base::kMiB;
using base::StatusIs;
using std::chrono::seconds;

const auto kOutOfRange = StatusIs(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE");

// What the lease shows of these bytes.
std::vector<std::byte> Read(const BlobView& view, const ByteRun& bytes) {
  std::vector<std::byte> out(bytes.length);
  EXPECT_THAT(view.Read(bytes.offset, out), IsOk());
  return out;
}
std::vector<std::byte> Part(const std::vector<std::byte>& bytes, const ByteRun& of) {
  const auto begin = bytes.begin() + static_cast<ptrdiff_t>(of.offset);
  return {begin, begin + static_cast<ptrdiff_t>(of.length)};
}

}  // namespace

TEST_P(PeerContract, ALeaseOnBytesOfACopyShowsThoseAndNoOthers) {
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB + 5);
  Caller caller = Open();
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k", bytes)));
    Fill(*copy, bytes, 3);
    const ByteRun run{kPart + 7, kPart + 100};
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, copy->Lend(caller.session(), run));
    EXPECT_TRUE(grant.partial);
    EXPECT_EQ(grant.info.size, bytes.size());
    EXPECT_EQ(grant.view->size(), bytes.size());
    EXPECT_TRUE(Read(*grant.view, run) == Part(bytes, run));
    std::byte one{};
    EXPECT_THAT(grant.view->Read(run.offset - 1, {&one, 1}), kOutOfRange);
    EXPECT_THAT(grant.view->Read(run.offset + run.length, {&one, 1}), kOutOfRange) << "though it is here";
    std::vector<std::byte> more(run.length + 1);
    EXPECT_THAT(grant.view->Read(run.offset, more), kOutOfRange);
    EXPECT_THAT(grant.view->Shareable(), testing::IsEmpty()) << "the slab still fills";
    EXPECT_TRUE(grant.view->MemoryAt(run.offset).empty());
    EXPECT_FALSE(grant.view->File());
    LARDER_ASSERT_OK_AND_ASSIGN(const auto view, peer().ViewOf(caller.session(), grant.lease));
    EXPECT_TRUE(Read(*view, run) == Part(bytes, run));
    EXPECT_EQ(peer().usage().objects, 0u) << "it is no object";
    EXPECT_EQ(peer().usage().read_leases, 1u);
  }
  caller.Close();
  EXPECT_EQ(peer().usage().read_leases, 0u);
  ExpectNothingLeft();
}

TEST_P(PeerContract, PartsThatWereNotKeptAreNotLent) {
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB);
  const auto not_kept = StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_KEPT");
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(CopyPtr copy, Receive(peer(), Told("k", bytes)));
  Fill(*copy, bytes, 3);
  std::memset(copy->At(3 * kPart, kPart).data(), 1, 1);
  EXPECT_THAT(copy->Lend(caller.session(), {3 * kPart, 1}).status(), not_kept);
  EXPECT_THAT(copy->Lend(caller.session(), {3 * kPart - 1, 2}).status(), not_kept);
  EXPECT_THAT(copy->Lend(caller.session(), {3 * kPart - 1, 1}).status(), IsOk());
  EXPECT_THAT(copy->Lend(SessionId{12345}, {0, 1}).status(), StatusIs(absl::StatusCode::kNotFound, "NO_SESSION"));
  copy->Park();
  LARDER_ASSERT_OK_AND_ASSIGN(copy, Receive(peer(), Told("k", bytes)));
  EXPECT_THAT(copy->Lend(caller.session(), {0, 3 * kPart}).status(), IsOk());
  EXPECT_THAT(copy->Lend(caller.session(), {3 * kPart, 1}).status(), not_kept);
}

TEST_P(PeerContract, ALeaseOnBytesOfACopyGoesOnWhateverBecomesOfIt) {
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB);
  const ByteRun run{kPart, 2 * kPart};
  Caller caller = Open();
  const auto lend = [&](IncomingCopy& copy) { return copy.Lend(caller.session(), run).value(); };
  LARDER_ASSERT_OK_AND_ASSIGN(CopyPtr copy, Receive(peer(), Told("k", bytes)));
  Fill(*copy, bytes, 4);
  const ReadGrant first = lend(*copy);
  copy->Park();
  EXPECT_TRUE(Read(*first.view, run) == Part(bytes, run));
  LARDER_ASSERT_OK_AND_ASSIGN(copy, Receive(peer(), Told("k", bytes)));
  const ReadGrant second = lend(*copy);
  Fill(*copy, bytes);
  EXPECT_TRUE(Read(*first.view, run) == Part(bytes, run));
  LARDER_ASSERT_OK_AND_ASSIGN(const ObjectInfo sealed, Seal(*copy, bytes));
  copy.reset();
  EXPECT_TRUE(Read(*first.view, run) == Part(bytes, run)) << "it was sealed";
  EXPECT_TRUE(Read(*second.view, run) == Part(bytes, run));
  ASSERT_THAT(peer().Drop(sealed.id, sealed.epoch), IsOk());
  EXPECT_TRUE(Read(*first.view, run) == Part(bytes, run)) << "it was deleted";
  EXPECT_GE(Used(), bytes.size());
  // Another, which is parked and dropped.
  LARDER_ASSERT_OK_AND_ASSIGN(copy, Receive(peer(), Told("k", bytes)));
  Fill(*copy, bytes, 4);
  const ReadGrant third = lend(*copy);
  copy->Park();
  copy.reset();
  peer().DropParked({"team-a", "k"});
  EXPECT_TRUE(Read(*third.view, run) == Part(bytes, run));
  EXPECT_THAT(peer().ViewOf(caller.session(), third.lease).status(), IsOk());
  caller.Close();
}

TEST_P(PeerContract, WhatIsLentOfACopyGoesWithItsLease) {
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB);
  Caller caller = Open();
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k", bytes)));
    Fill(*copy, bytes, 4);
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, copy->Lend(caller.session(), {0, 1}));
    copy->Park();
    peer().DropParked({"team-a", "k"});
    EXPECT_GE(Used(), bytes.size());
  }
  caller.Close();
  ExpectNothingLeft();
}

TEST_P(PeerContract, OfWhatIsParkedTheColdestGoesThatNobodyReads) {
  Begin({.arena_bytes = 96 * kMiB, .max_bytes = 96 * kMiB});
  const std::vector<std::byte> bytes = SampleBytes(kPart + 1);
  Caller caller = Open();
  const auto park = [&](size_t number, bool lend) {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k" + std::to_string(number), bytes)));
    Fill(*copy, bytes, 1);
    if (lend) {
      ASSERT_THAT(copy->Lend(caller.session(), {0, 1}).status(), IsOk());
    }
    copy->Park();
  };
  const auto is_there = [&](size_t number) {
    const auto copy = Receive(peer(), Told("k" + std::to_string(number), bytes));
    return copy.ok() && std::ranges::count((*copy)->kept(), true) == 1;
  };
  for (size_t i = 0; i <= kMostParked; ++i) park(i, i == 0);
  EXPECT_TRUE(is_there(0)) << "it is read";
  EXPECT_FALSE(is_there(1)) << "the coldest of the others";
  EXPECT_TRUE(is_there(2));
}

TEST_P(PeerContract, WhatIsParkedAndReadGoesForNoLackOfRoomNorOldAge) {
  rules_["team-a"] = {.evict_last = true};
  Begin({.arena_bytes = 24 * kMiB, .max_bytes = 24 * kMiB});
  const std::vector<std::byte> bytes = SampleBytes(8 * kMiB);
  Caller caller = Open();
  LeaseId lease;
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("copy", bytes)));
    Fill(*copy, bytes, 6);
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, copy->Lend(caller.session(), {0, kPart}));
    lease = grant.lease;
    copy->Park();
  }
  for (int i = 0; i < 20; ++i) {
    const auto put = caller.PutKey("k" + std::to_string(i), SampleBytes(kMiB));
    MakeRoom();
  }
  for (base::Duration passed{}; passed < kParkedFor; passed += seconds(10)) {
    node_->clock().Advance(seconds(10));
    ASSERT_THAT(peer().Renew(caller.session()), IsOk());
    peer().Tick();
  }
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("copy", bytes)));
    EXPECT_EQ(std::ranges::count(copy->kept(), true), 6);
    copy->Park();
  }
  peer().Release(caller.session(), lease);
  node_->clock().Advance(kParkedFor);
  peer().Tick();
  LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("copy", bytes)));
  EXPECT_THAT(copy->kept(), testing::Not(testing::Contains(true)));
}

TEST_P(PeerContract, PastItsTimeToLiveNothingIsLentOfACopyNorKept) {
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB);
  ObjectInfo told = Told("k", bytes);
  told.ttl_left = seconds(10);
  Caller caller = Open();
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), told));
    Fill(*copy, bytes, 4);
    node_->clock().Advance(seconds(9));
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, copy->Lend(caller.session(), {0, 1}));
    EXPECT_EQ(grant.info.ttl_left, seconds(1));
    node_->clock().Advance(seconds(1));
    EXPECT_THAT(copy->Lend(caller.session(), {0, 1}).status(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
    EXPECT_TRUE(Read(*grant.view, {0, 1}) == Part(bytes, {0, 1})) << "who reads it goes on";
    copy->Park();
  }
  caller.Close();
  peer().Tick();
  ExpectNothingLeft();
}

TEST_P(PeerContract, ACopyThatAReaderFoundDamagedIsNotSealed) {
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB);
  Caller caller = Open();
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k", bytes)));
    Fill(*copy, bytes, 4);
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, copy->Lend(caller.session(), {0, 1}));
    peer().ReportDamage(caller.session(), grant.lease);
    Fill(*copy, bytes);
    EXPECT_THAT(Seal(*copy, bytes).status(), StatusIs(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH"));
  }
  EXPECT_THAT(caller.Stat("k").status(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  caller.Close();
  ExpectNothingLeft();
}

TEST_P(PeerContract, PartsOfACopyThatAReaderFoundDamagedAreLookedAtWhenItGoesOn) {
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB);
  Caller caller = Open();
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k", bytes)));
    Fill(*copy, bytes, 4);
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, copy->Lend(caller.session(), {0, 1}));
    peer().ReportDamage(caller.session(), grant.lease);
    copy->Park();
  }
  LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k", bytes)));
  EXPECT_EQ(std::ranges::count(copy->kept(), true), 4) << "they are well";
  Fill(*copy, bytes);
  EXPECT_THAT(Seal(*copy, bytes), IsOk());
}

}  // namespace larder::object
