#include "testing/src/copies.h"

// Copies of other nodes' objects.
namespace larder::object {

void LinkCopyRules() {}

namespace {

using base::AsBytes;
using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using std::chrono::seconds;

const auto kExists = StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS");
const auto kNoObject = StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT");

// What came of an object under "k", before it was parked: its first 6 parts, and a byte of one more.
void ParkHalf(Peer& peer, base::ByteSpan bytes) {
  LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer, Told("k", bytes)));
  Fill(*copy, bytes, 6);
  std::memset(copy->At(6 * kPart, kPart).data(), 1, 1);
  copy->Park();
}

}  // namespace

TEST_P(PeerContract, ACopyIsAnObjectLikeAnyOtherOnceItIsSealed) {
  for (const uint64_t size : {uint64_t{0}, uint64_t{100}, 3 * kMiB + 1}) {
    const std::vector<std::byte> bytes = SampleBytes(size, 9);
    const ObjectInfo told = Told("copy" + std::to_string(size), bytes);
    Caller caller = Open();
    LARDER_ASSERT_OK_AND_ASSIGN(CopyPtr copy, Receive(peer(), told));
    Fill(*copy, bytes);
    EXPECT_THAT(caller.Get(told.id.key).status(), kNoObject) << "not before it is sealed";
    LARDER_ASSERT_OK_AND_ASSIGN(const ObjectInfo info, Seal(*copy, bytes));
    copy.reset();
    EXPECT_NE(info.epoch, told.epoch) << "one of this node's";
    EXPECT_EQ(info.tracked, told.tracked);
    EXPECT_EQ(info.digest, told.digest);
    EXPECT_EQ(info.meta.tags, told.meta.tags);
    EXPECT_FALSE(info.pinned) << "not for a copy's sake";
    {
      LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, caller.Get(told.id.key));
      EXPECT_TRUE(BytesOf(*grant.view) == bytes);
    }
    caller.Close();
    if (durable()) {
      Restart();
      EXPECT_EQ(peer().FindSealed(told.id)->tracked, told.tracked);
    }
    ASSERT_THAT(peer().Drop(told.id, info.epoch), IsOk());
  }
  ExpectNothingLeft();
}

TEST_P(PeerContract, ACopyEndsWithItsTimeToLive) {
  ObjectInfo told = Told("copy", AsBytes("bytes"));
  told.meta.ttl = seconds(100);
  told.ttl_left = seconds(10);
  LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), told));
  Fill(*copy, AsBytes("bytes"));
  ASSERT_THAT(Seal(*copy, AsBytes("bytes")).status(), IsOk());
  node_->clock().Advance(seconds(9));
  EXPECT_TRUE(peer().FindSealed(told.id));
  node_->clock().Advance(seconds(1));
  EXPECT_FALSE(peer().FindSealed(told.id));
}

TEST_P(PeerContract, ACopyNeverTakesThePlaceOfWhatIsHere) {
  const std::vector<std::byte> bytes = SampleBytes(kMiB);
  LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k", bytes)));
  Fill(*copy, bytes);
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("own")), IsOk()) << "a copy on its way keeps nobody from creating";
  EXPECT_THAT(Seal(*copy, bytes), kExists);
  EXPECT_EQ(peer().FindSealed({"team-a", "k"})->size, 3u);
  ASSERT_THAT(caller.Delete("k"), IsOk());
  caller.Close();
  ExpectNothingLeft();
}

TEST_P(PeerContract, ACopyOfOtherBytesIsNotSealed) {
  const std::vector<std::byte> bytes = SampleBytes(kMiB), others = SampleBytes(kMiB, 5);
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k", bytes)));
    Fill(*copy, others);
    EXPECT_THAT(Seal(*copy, bytes), StatusIs(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH"));
  }
  EXPECT_FALSE(peer().FindSealed({"team-a", "k"}));
  ExpectNothingLeft();
}

TEST_P(PeerContract, ACopyThatIsGivenUpLeavesNothing) {
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k", SampleBytes(3 * kMiB))));
    EXPECT_GE(Used(), 3 * kMiB);
    std::memset(copy->At(0, kPart).data(), 1, 1);
  }
  ExpectNothingLeft();
}

TEST_P(PeerContract, ACopyThatWasParkedGoesOn) {
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB);
  ParkHalf(peer(), bytes);
  Caller caller = Open();
  EXPECT_THAT(caller.Get("k").status(), kNoObject);
  EXPECT_EQ(peer().usage().objects, 0u);
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k", bytes)));
    std::vector<bool> half(12);
    std::fill_n(half.begin(), 6, true);
    EXPECT_EQ(copy->kept(), half);
    Fill(*copy, bytes);
    ASSERT_THAT(Seal(*copy, bytes).status(), IsOk());
  }
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, caller.Get("k"));
    EXPECT_TRUE(BytesOf(*grant.view) == bytes);
  }
  ASSERT_THAT(caller.Delete("k"), IsOk());
  caller.Close();
  ExpectNothingLeft();
}

TEST_P(PeerContract, WhatIsParkedIsOfNoUseToAnythingElseUnderItsName) {
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB);
  ObjectInfo other = Told("k", bytes);
  other.tracked = TrackedAs{{3}, {6}};
  ObjectInfo longer = Told("k", SampleBytes(4 * kMiB));
  ObjectInfo parts = Told("k", bytes);
  parts.meta.piece_length *= 2;
  for (const ObjectInfo& told : {other, longer, parts}) {
    ParkHalf(peer(), bytes);
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), told));
    EXPECT_THAT(copy->kept(), testing::Not(testing::Contains(true)));
  }
  ParkHalf(peer(), bytes);
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("own")), IsOk());
  ASSERT_THAT(caller.Delete("k"), IsOk());
  caller.Close();
  ExpectNothingLeft();
}

TEST_P(PeerContract, WhatIsParkedGoesWhenItIsDroppedOrNobodyGoesOnWithIt) {
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB);
  ParkHalf(peer(), bytes);
  EXPECT_GE(Used(), 3 * kMiB);
  peer().DropParked({"team-a", "l"});
  peer().DropParked({"team-b", "k"});
  EXPECT_GE(Used(), 3 * kMiB);
  peer().DropParked({"team-a", "k"});
  ExpectNothingLeft();
  ParkHalf(peer(), bytes);
  node_->clock().Advance(kParkedFor - seconds(1));
  peer().Tick();
  EXPECT_GE(Used(), 3 * kMiB);
  node_->clock().Advance(seconds(1));
  peer().Tick();
  ExpectNothingLeft();
}

TEST_P(PeerContract, WhatIsParkedGoesBeforeAnythingElseWhenRoomIsShort) {
  rules_["team-a"] = {.evict_last = true};
  Begin({.arena_bytes = 24 * kMiB, .max_bytes = 24 * kMiB});
  const std::vector<std::byte> bytes = SampleBytes(8 * kMiB);
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("copy", bytes)));
    Fill(*copy, bytes, 6);
    copy->Park();
  }
  Caller caller = Open();
  for (int i = 0; i < 15; ++i) {
    ASSERT_THAT(caller.PutKey("k" + std::to_string(i), SampleBytes(kMiB)), IsOk());
    MakeRoom();
  }
  EXPECT_EQ(peer().usage().objects, 15u);
  EXPECT_EQ(peer().usage().evicted_room, 0u);
  LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("copy", SampleBytes(kMiB))));
  EXPECT_THAT(copy->kept(), testing::Not(testing::Contains(true))) << "it has gone";
}

TEST_P(PeerContract, WhatIsParkedGoesForTheNamespacesOwnQuota) {
  rules_["team-a"] = {.memory = 5 * kMiB, .disk = 5 * kMiB};
  Begin({});
  ParkHalf(peer(), SampleBytes(3 * kMiB));
  Answer<absl::StatusOr<std::shared_ptr<IncomingCopy>>> got;
  peer().Receive(Told("l", SampleBytes(4 * kMiB)), base::DeadlineAfter(node_->clock().Now(), seconds(2)),
                 [slot = got.Slot()](absl::StatusOr<CopyPtr> copy) {
                   copy.ok() ? slot(std::shared_ptr<IncomingCopy>(*std::move(copy))) : slot(copy.status());
                 });
  MakeRoom();
  ASSERT_TRUE(got.ready());
  EXPECT_THAT(got.Get().status(), IsOk());
}

TEST_P(PeerContract, WhatCameSurvivesARestartWhereObjectsDo) {
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB);
  ParkHalf(peer(), bytes);
  Restart();
  LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k", bytes)));
  EXPECT_EQ(std::ranges::count(copy->kept(), true), durable() ? 6 : 0);
  Fill(*copy, bytes);
  EXPECT_THAT(Seal(*copy, bytes).status(), IsOk());
}

TEST_P(PeerContract, ACopyCountsAgainstItsNamespacesQuota) {
  rules_["team-a"] = {.memory = 2 * kMiB, .disk = 2 * kMiB};
  Begin({});
  EXPECT_THAT(Receive(peer(), Told("k", SampleBytes(3 * kMiB))),
              StatusIs(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED"));
  LARDER_ASSERT_OK_AND_ASSIGN(const CopyPtr copy, Receive(peer(), Told("k", SampleBytes(kMiB))));
  EXPECT_THAT(Receive(peer(), Told("l", SampleBytes(kMiB + kMiB / 2))),
              StatusIs(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED"));
}

TEST_P(PeerContract, ACopyWaitsForRoomThatCanBeMade) {
  rules_["team-a"] = {.evict_last = true};
  Begin({.arena_bytes = 24 * kMiB, .max_bytes = 24 * kMiB});
  Caller caller = Open();
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(caller.PutKey("k" + std::to_string(i), SampleBytes(kMiB)), IsOk());
    MakeRoom();
  }
  Answer<absl::StatusOr<std::shared_ptr<IncomingCopy>>> got;
  peer().Receive(Told("copy", SampleBytes(12 * kMiB)), base::DeadlineAfter(node_->clock().Now(), seconds(2)),
                 [slot = got.Slot()](absl::StatusOr<CopyPtr> copy) {
                   copy.ok() ? slot(std::shared_ptr<IncomingCopy>(*std::move(copy))) : slot(copy.status());
                 });
  MakeRoom();
  ASSERT_TRUE(got.ready());
  EXPECT_THAT(got.Get().status(), IsOk());
}

TEST_P(PeerContract, AWaitForRoomEndsWithThePeer) {
  rules_["team-a"] = {.evict_last = true};
  Begin({.arena_bytes = 24 * kMiB, .max_bytes = 24 * kMiB});
  Caller caller = Open();
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(caller.PutKey("k" + std::to_string(i), SampleBytes(kMiB)), IsOk());
    MakeRoom();
  }
  Answer<absl::Status> got;
  peer().Receive(Told("copy", SampleBytes(12 * kMiB)), base::DeadlineAfter(node_->clock().Now(), seconds(2)),
                 [slot = got.Slot()](const absl::StatusOr<CopyPtr>& copy) { slot(copy.status()); });
  EXPECT_FALSE(got.ready());
  peer_.reset();
  EXPECT_FALSE(got.Get().ok());
}

TEST_P(PeerContract, WhatTheClusterHasEnoughOfGoesWhenRoomIsShort) {
  Begin({.arena_bytes = 24 * kMiB, .max_bytes = 24 * kMiB});
  std::vector<std::string> asked;
  peer().AskBeforeDropping([&](const std::vector<ObjectInfo>& infos, const Done<std::vector<bool>>& done) {
    std::vector<bool> may_go;
    for (const ObjectInfo& info : infos) {
      asked.push_back(info.id.key);
      may_go.push_back(info.id.key.starts_with("spare"));
    }
    done(may_go);
  });
  Caller caller = Open();
  const auto put = [&](const std::string& key, bool tracked) {
    const auto put = caller.PutKey(key, SampleBytes(kMiB));
    if (put.ok() && tracked) {
      ASSERT_THAT(peer().SetTracked(put->info.id, put->info.epoch, {{3}, {5}}), IsOk());
    }
  };
  put("own", false);
  put("last", true);
  put("spare/read", true);
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant read, caller.Get("spare/read"));
  for (int i = 0; i < 60; ++i) {
    put("spare/" + std::to_string(i), true);
    node_->clock().Advance(seconds(3));  // what was just looked up stays for a while
    ASSERT_THAT(caller.Renew().status(), IsOk());
    MakeRoom();
  }
  EXPECT_GT(peer().usage().evicted_room, 20u);
  for (const std::string key : {"own", "last", "spare/read", "spare/59"}) {
    EXPECT_TRUE(peer().FindSealed({"team-a", key})) << key;
  }
  EXPECT_FALSE(peer().FindSealed({"team-a", "spare/0"}));
  EXPECT_THAT(asked, testing::Not(testing::Contains("own"))) << "the cluster knows nothing of it";
  EXPECT_LE(std::ranges::count(asked, "last"), 60 * 3 / 30 + 1) << "asked again after a while only";
}

TEST_P(PeerContract, TheBytesOfAnEpochAreFoundWhileItIsThere) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult put, caller.PutKey("k", AsBytes("bytes")));
  const std::shared_ptr<const BlobView> view = peer().SealedView(put.info.id, put.info.epoch);
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(peer().SealedView(put.info.id, {put.info.epoch.value + 1}), nullptr);
  ASSERT_THAT(caller.Delete("k"), IsOk());
  EXPECT_EQ(peer().SealedView(put.info.id, put.info.epoch), nullptr);
  EXPECT_EQ(base::AsText(BytesOf(*view)), "bytes") << "for as long as somebody has them";
}

}  // namespace larder::object
