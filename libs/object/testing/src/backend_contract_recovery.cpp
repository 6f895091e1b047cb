#include <gmock/gmock.h>

#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/testing/backend_contract.h"
#include "testing/src/shows.h"

namespace larder::object {

void LinkRecoveryRules() {}

namespace {

using base::IsOk;
using base::kMiB;
using std::chrono::hours;
using std::chrono::seconds;
using testing::AnyOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

const ObjectId kId{"team-a", "models/weights"};

std::vector<std::string> KeysOf(const std::map<std::string, Backend::Recovered>& found) {
  std::vector<std::string> keys;
  for (const auto& [key, one] : found) keys.push_back(key);
  return keys;
}

}  // namespace

// ---- what survives

TEST_P(BackendContract, NamesItsTierAndDurability) {
  EXPECT_THAT(std::string(backend().tier()), AnyOf("hot", "warm"));
  EXPECT_NE(DurabilityName(backend().durability()), "unknown");
}

TEST_P(BackendContract, WhatWasSealedIsFoundAgainWithAllThatIsKnownOfIt) {
  const std::vector<std::byte> bytes = SampleBytes(200'001);
  ObjectInfo full{.id = {"team-b", "häuser/日本"}, .epoch = {41}};
  full.digest = base::Sha256DigestOf({1, 2, 3, 255});
  full.meta = {
      .ttl = hours(1), .tags = {"a", "", std::string(128, 'x')}, .application = "trainer", .wanted_replicas = 3};
  full.meta.piece_length = 4 * kMiB;
  Store(full, bytes);
  Store(ObjectId{"team-a", "plain"}, 42, {});
  const auto found = RestartAndRecover();
  if (!durable()) {
    EXPECT_THAT(found, IsEmpty());
    return;
  }
  ASSERT_THAT(KeysOf(found), ElementsAre(full.id.key, "plain"));
  const Backend::Recovered& one = found.at(full.id.key);
  EXPECT_EQ(one.info.id, full.id);
  EXPECT_EQ(one.info.state, ObjectState::kSealed);
  EXPECT_EQ(one.info.epoch, full.epoch);
  EXPECT_EQ(one.info.size, bytes.size());
  EXPECT_EQ(one.info.digest, full.digest);
  EXPECT_EQ(one.info.meta.ttl, full.meta.ttl);
  EXPECT_EQ(one.info.meta.tags, full.meta.tags);
  EXPECT_EQ(one.info.meta.application, "trainer");
  EXPECT_EQ(one.info.meta.wanted_replicas, 3u);
  EXPECT_EQ(one.info.meta.piece_length, 4 * kMiB);
  EXPECT_EQ(one.info.tier, backend().tier());
  EXPECT_FALSE(one.info.pinned);
  ExpectShows(*one.view, bytes);
  const Backend::Recovered& plain = found.at("plain");
  EXPECT_EQ(plain.info.digest, base::Crc32cDigest(0));
  EXPECT_EQ(plain.info.meta.ttl, std::nullopt);
  EXPECT_EQ(plain.info.ttl_left, std::nullopt);
  EXPECT_EQ(plain.view->size(), 0u);
}

TEST_P(BackendContract, EverySizeIsFoundAgain) {
  if (!durable()) return;
  for (const uint64_t size : kSizes) Store({"team-a", std::to_string(size)}, size + 1, SampleBytes(size, size));
  const auto found = RestartAndRecover();
  for (const uint64_t size : kSizes) {
    ASSERT_TRUE(found.contains(std::to_string(size))) << size;
    ExpectShows(*found.at(std::to_string(size)).view, SampleBytes(size, size));
  }
}

TEST_P(BackendContract, OnlyTheWallClockTellsHowLongAnObjectLayWhileDown) {
  if (!durable()) return;
  for (const int ttl : {10, 60, 3600}) {
    ObjectInfo info{.id = {"team-a", std::to_string(ttl)}, .epoch = {1}};
    info.meta.ttl = seconds(ttl);
    Store(info, base::AsBytes("x"));
  }
  node_->clock().SetWallAhead(seconds(10));
  {
    const auto found = RestartAndRecover();
    ASSERT_THAT(KeysOf(found), ElementsAre("3600", "60"));
    EXPECT_EQ(found.at("60").info.ttl_left, seconds(50));
    EXPECT_EQ(found.at("60").info.meta.ttl, seconds(60));
  }
  // A clock that was set back gives no object a longer life than its whole TTL.
  node_->clock().SetWallAhead(-hours(5));
  EXPECT_EQ(RestartAndRecover().at("3600").info.ttl_left, seconds(3600));
}

TEST_P(BackendContract, AnObjectWithTheLongestTtlIsFoundAgain) {
  if (!durable()) return;
  ObjectInfo info{.id = kId, .epoch = {1}};
  info.meta.ttl = hours(24) * 365 * 100;
  Store(info, base::AsBytes("x"));
  ASSERT_THAT(KeysOf(RestartAndRecover()), ElementsAre(kId.key));
}

TEST_P(BackendContract, PinsAreFoundAgainAsLastSet) {
  if (!durable()) return;
  for (const std::string key : {"on", "off", "overwritten", "stale"}) {
    Store({"team-a", key}, 1, base::AsBytes(key));
    ASSERT_THAT(backend().SetPinned({"team-a", key}, {1}, key != "stale"), IsOk());
  }
  ASSERT_THAT(backend().SetPinned({"team-a", "on"}, {1}, true), IsOk());
  ASSERT_THAT(backend().SetPinned({"team-a", "off"}, {1}, false), IsOk());
  ASSERT_THAT(backend().SetPinned({"team-a", "off"}, {1}, false), IsOk());
  Store({"team-a", "overwritten"}, 2, {});
  Store({"team-a", "stale"}, 2, {});
  ASSERT_THAT(backend().SetPinned({"team-a", "stale"}, {1}, true), IsOk());
  const auto found = RestartAndRecover();
  ASSERT_EQ(found.size(), 4u);
  EXPECT_TRUE(found.at("on").info.pinned);
  EXPECT_FALSE(found.at("off").info.pinned);
  EXPECT_FALSE(found.at("overwritten").info.pinned) << "a new object is not pinned";
  EXPECT_FALSE(found.at("stale").info.pinned) << "an older epoch's pin is nobody's";
}

TEST_P(BackendContract, WhatIsTrackedIsFoundAgainAsSuch) {
  for (const std::string key : {"tracked", "not", "replaced", "stale"}) {
    Store({"team-a", key}, 1, base::AsBytes(key));
  }
  ASSERT_THAT(backend().SetTracked({"team-a", "tracked"}, {1}, {{3}, {5}}), IsOk());
  ASSERT_THAT(backend().SetTracked({"team-a", "tracked"}, {1}, {{3}, {6}}), IsOk());
  ASSERT_THAT(backend().SetTracked({"team-a", "replaced"}, {1}, {{4}, {7}}), IsOk());
  Store({"team-a", "replaced"}, 2, {});
  Store({"team-a", "stale"}, 2, {});
  ASSERT_THAT(backend().SetTracked({"team-a", "stale"}, {1}, {{5}, {8}}), IsOk());
  if (!durable()) return;
  const auto found = RestartAndRecover();
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found.at("tracked").info.tracked, (TrackedAs{{3}, {6}}));
  EXPECT_EQ(base::AsText(BytesOf(*found.at("tracked").view)), "tracked");
  EXPECT_EQ(found.at("not").info.tracked, std::nullopt);
  EXPECT_EQ(found.at("replaced").info.tracked, std::nullopt) << "a new object was not told of";
  EXPECT_EQ(found.at("stale").info.tracked, std::nullopt);
}

TEST_P(BackendContract, WhatWasRemovedIsNotFoundAgainAndItsPinNeither) {
  if (!durable()) return;
  Store(kId, 1, SampleBytes(1'000));
  ASSERT_THAT(backend().SetPinned(kId, {1}, true), IsOk());
  ASSERT_THAT(backend().Remove(kId, {1}), IsOk());
  EXPECT_THAT(RestartAndRecover(), IsEmpty());
  Store(kId, 2, SampleBytes(1'000));
  EXPECT_FALSE(RestartAndRecover().at(kId.key).info.pinned);
}

TEST_P(BackendContract, WhatWasNeverSealedIsNotFoundAgain) {
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Blob> blob, backend().Create(kId, {1}, 1'000));
    ASSERT_THAT(blob->Append(SampleBytes(1'000)), IsOk());
  }
  EXPECT_THAT(RestartAndRecover(), IsEmpty());
}

TEST_P(BackendContract, WhatWasFoundAgainCountsAndIsRemovedLikeAnythingElse) {
  if (!durable()) return;
  const uint64_t before = node_->Used();
  Store(kId, 1, SampleBytes(kMiB));
  Store({"team-a", "b"}, 2, SampleBytes(10));
  const uint64_t with_both = [&] {
    const auto found = RestartAndRecover();
    return node_->Used();
  }();
  EXPECT_GE(with_both, before + kMiB);
  {
    const auto found = RestartAndRecover();
    EXPECT_EQ(node_->Used(), with_both);
    ASSERT_THAT(backend().Remove(kId, {1}), IsOk());
    ExpectShows(*found.at(kId.key).view, SampleBytes(kMiB));
    EXPECT_EQ(node_->Used(), with_both) << "freed with the last view";
  }
  EXPECT_THAT(KeysOf(RestartAndRecover()), UnorderedElementsAre("b"));
}

TEST_P(BackendContract, NamespacesWithTheSameKeyAreDifferentObjects) {
  const std::vector<std::byte> a = SampleBytes(500, 1);
  const std::vector<std::byte> b = SampleBytes(500, 2);
  const auto view_a = Store({"team-a", "k"}, 1, a);
  const auto view_b = Store({"team-b", "k"}, 2, b);
  ASSERT_THAT(backend().Remove({"team-a", "k"}, {1}), IsOk());
  ExpectShows(*view_a, a);
  ExpectShows(*view_b, b);
  if (!durable()) return;
  const auto found = RestartAndRecover();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found.at("k").info.id.ns, "team-b");
}

}  // namespace larder::object
