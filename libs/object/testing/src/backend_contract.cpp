#include "larder/object/testing/backend_contract.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "testing/src/shows.h"

namespace larder::object {

// Of the files of those names: else the linker would drop their tests.
void LinkRecoveryRules();
void LinkPartRules();

namespace {

using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using testing::IsEmpty;

const ObjectId kId{"team-a", "models/weights"};

MATCHER(IsOutOfRoom, "is RESOURCE_EXHAUSTED (ARENA_FULL or DISK_FULL)") {
  const std::string reason = base::Reason(arg);
  *result_listener << "which is " << arg.code() << " (" << reason << "): " << base::Message(arg);
  return arg.code() == absl::StatusCode::kResourceExhausted && (reason == "ARENA_FULL" || reason == "DISK_FULL");
}

}  // namespace

void BackendContract::Begin(const TestNode::Options& options) {
  node_.reset();
  node_ = std::make_unique<TestNode>(GetParam(), options);
  LARDER_ASSERT_OK_AND_ASSIGN(const std::vector<Backend::Recovered> found, backend().Recover());
  ASSERT_THAT(found, IsEmpty());
}

ObjectInfo BackendContract::InfoOf(const Blob& blob, const ObjectId& id, uint64_t epoch) {
  return {.id = id,
          .state = ObjectState::kSealed,
          .epoch = {epoch},
          .size = blob.size(),
          .digest = base::Crc32cDigest(blob.crc32c())};
}

std::shared_ptr<const BlobView> BackendContract::Store(ObjectInfo info, base::ByteSpan bytes) {
  auto blob = backend().Create(info.id, info.epoch, bytes.size());
  EXPECT_THAT(blob.status(), IsOk());
  if (!blob.ok()) return nullptr;
  EXPECT_THAT((*blob)->Append(bytes), IsOk());
  const ObjectInfo plain = InfoOf(**blob, info.id, info.epoch.value);
  info.state = plain.state;
  info.size = plain.size;
  if (info.digest.kind == base::Digest::Kind::kNone) info.digest = plain.digest;
  auto view = backend().Seal(*std::move(blob), info);
  EXPECT_THAT(view.status(), IsOk());
  return view.ok() ? *view : nullptr;
}

std::shared_ptr<const BlobView> BackendContract::Store(const ObjectId& id, uint64_t epoch, base::ByteSpan bytes) {
  return Store(ObjectInfo{.id = id, .epoch = {epoch}}, bytes);
}

std::map<std::string, Backend::Recovered> BackendContract::RestartAndRecover() {
  node_->Restart();
  std::map<std::string, Backend::Recovered> by_key;
  auto found = backend().Recover();
  EXPECT_THAT(found.status(), IsOk());
  if (!found.ok()) return by_key;
  for (Backend::Recovered& one : *found) {
    const std::string key = one.info.id.key;
    EXPECT_TRUE(by_key.emplace(key, std::move(one)).second) << key;
  }
  return by_key;
}

void BackendContract::RoundTrip(uint64_t size, uint64_t hint, bool pieces) {
  SCOPED_TRACE(testing::Message() << "size " << size << ", hint " << hint << (pieces ? ", in pieces" : ""));
  const std::vector<std::byte> bytes = SampleBytes(size, size + 7);
  std::mt19937_64 random(size ^ hint);
  LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend().Create(kId, {size + 1}, hint));
  for (uint64_t at = 0; at < size;) {
    const uint64_t most = random() % 3 == 0 ? 200 : random() % 3 == 0 ? 70'000 : size / 3 + 1;
    const uint64_t part = pieces ? std::min<uint64_t>(size - at, 1 + random() % most) : size;
    ASSERT_THAT(blob->Append(base::ByteSpan(bytes).subspan(at, part)), IsOk());
    at += part;
    ASSERT_EQ(blob->size(), at);
  }
  EXPECT_EQ(blob->crc32c(), base::Crc32c(bytes));
  const ObjectInfo info = InfoOf(*blob, kId, size + 1);
  LARDER_ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const BlobView> view, backend().Seal(std::move(blob), info));
  ExpectShows(*view, bytes);
}

// ---- bytes

TEST_P(BackendContract, GivesBackWhatWasAppendedAtEverySizeUnderAnExactHint) {
  for (const uint64_t size : kSizes) RoundTrip(size, size, false);
}

TEST_P(BackendContract, GivesBackWhatWasAppendedAtEverySizeUnderNoHint) {
  for (const uint64_t size : kSizes) RoundTrip(size, 0, false);
}

TEST_P(BackendContract, GivesBackWhatWasAppendedInPiecesUnderAnExactHint) {
  for (const uint64_t size : kSizes) RoundTrip(size, size, true);
}

TEST_P(BackendContract, GivesBackWhatWasAppendedInPiecesUnderNoHint) {
  for (const uint64_t size : kSizes) RoundTrip(size, 0, true);
}

TEST_P(BackendContract, AHintThatIsTooSmallOnlyCostsTime) {
  for (const uint64_t size : kSizes) {
    for (const uint64_t hint : {uint64_t{1}, size / 2, size - std::min<uint64_t>(size, 1)}) RoundTrip(size, hint, true);
  }
}

TEST_P(BackendContract, AHintThatIsTooLargeOnlyCostsRoom) {
  for (const uint64_t size : kSizes) {
    for (const uint64_t hint : {size + 1, 2 * size + 70'000, 9 * kMiB}) RoundTrip(size, hint, true);
  }
}

TEST_P(BackendContract, GivesBackWhatWasAppendedWhenTheArenaHasLargeSlabs) {
  Begin({.arena_bytes = 32 * kMiB, .slab_bytes = 4 * kMiB});
  for (const uint64_t size : kSizes) {
    for (const uint64_t hint : {uint64_t{0}, size - size / 3, size, size + 3 * kMiB}) RoundTrip(size, hint, true);
  }
}

TEST_P(BackendContract, AnObjectThatOutgrowsItsHintKeepsItsBytesWhereverItMovesTo) {
  Begin({.arena_bytes = 32 * kMiB, .slab_bytes = 4 * kMiB});
  for (const uint64_t room : {4 * kKiB, 100 * kKiB, 500 * kKiB}) {  // left beside another object
    const std::vector<std::byte> beside = SampleBytes(4 * kMiB - room);
    const auto view = Store({"team-a", "beside"}, 1, beside);
    ASSERT_NE(view, nullptr);
    for (const uint64_t hint : {60 * kKiB, 200 * kKiB, 900 * kKiB}) RoundTrip(hint + 700'001, hint, true);
    ExpectShows(*view, beside);
  }
}

TEST_P(BackendContract, ObjectsSideBySideKeepTheirOwnBytes) {
  std::vector<std::pair<std::shared_ptr<const BlobView>, std::vector<std::byte>>> stored;
  for (const uint64_t size : kSizes) {
    std::vector<std::byte> bytes = SampleBytes(size, size + 99);
    stored.emplace_back(Store({"team-a", std::to_string(size)}, 1, bytes), bytes);
    ASSERT_NE(stored.back().first, nullptr);
  }
  for (const auto& [view, bytes] : stored) ExpectShows(*view, bytes);
}

TEST_P(BackendContract, AnAppendIsACopy) {
  for (const uint64_t size : {uint64_t{100}, 300 * kKiB}) {
    std::vector<std::byte> bytes = SampleBytes(size);
    const std::vector<std::byte> before = bytes;
    LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend().Create(kId, {1}, size));
    ASSERT_THAT(blob->Append(bytes), IsOk());
    std::ranges::fill(bytes, std::byte{0});
    const ObjectInfo info = InfoOf(*blob, kId, 1);
    LARDER_ASSERT_OK_AND_ASSIGN(const auto view, backend().Seal(std::move(blob), info));
    ExpectShows(*view, before);
  }
}

TEST_P(BackendContract, AnEmptyAppendChangesNothing) {
  LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend().Create(kId, {1}, 0));
  ASSERT_THAT(blob->Append({}), IsOk());
  EXPECT_EQ(blob->size(), 0u);
  EXPECT_EQ(blob->crc32c(), 0u);
  ASSERT_THAT(blob->Append(base::AsBytes("abc")), IsOk());
  ASSERT_THAT(blob->Append({}), IsOk());
  EXPECT_EQ(blob->size(), 3u);
  EXPECT_EQ(blob->crc32c(), base::Crc32c(base::AsBytes("abc")));
}

TEST_P(BackendContract, ReadsAnyRange) {
  const uint64_t size = 3 * kMiB + 777;
  const std::vector<std::byte> bytes = SampleBytes(size);
  const auto view = Store(kId, 1, bytes);
  ASSERT_NE(view, nullptr);
  std::mt19937_64 random(3);
  std::vector<std::pair<uint64_t, uint64_t>> ranges = {{0, 0}, {size, 0},   {size - 1, 1},
                                                       {0, 1}, {65'535, 2}, {kMiB - 1, 2}};
  for (int i = 0; i < 40; ++i) {
    const uint64_t offset = random() % size;
    ranges.emplace_back(offset, random() % std::min<uint64_t>(size - offset, i % 2 == 0 ? size : 300));
  }
  for (const auto& [offset, length] : ranges) {
    std::vector<std::byte> out(length);
    ASSERT_THAT(view->Read(offset, out), IsOk()) << offset << "+" << length;
    ASSERT_TRUE(std::ranges::equal(out, base::ByteSpan(bytes).subspan(offset, length))) << offset << "+" << length;
  }
}

TEST_P(BackendContract, RefusesRangesThatLeaveTheObject) {
  const auto refused = StatusIs(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE");
  for (const uint64_t size : {uint64_t{0}, uint64_t{100}, 200 * kKiB}) {
    const auto view = Store(kId, 1, SampleBytes(size));
    ASSERT_NE(view, nullptr);
    std::vector<std::byte> out(10);
    EXPECT_THAT(view->Read(size, out), refused);
    EXPECT_THAT(view->Read(size + 1, base::MutableByteSpan()), refused);
    EXPECT_THAT(view->Read(size + 1 - std::min<uint64_t>(size, 10), out), refused);
    EXPECT_THAT(view->Read(~uint64_t{0}, out), refused);
    EXPECT_THAT(view->Read(~uint64_t{0} - 4, out), refused);
    EXPECT_THAT(view->Read(size, base::MutableByteSpan()), IsOk());
  }
}

TEST_P(BackendContract, NoMemoryIsSharedByTwoNamespaces) {
  std::map<uint64_t, std::string> owner;
  std::vector<std::shared_ptr<const BlobView>> views;
  for (int i = 0; i < 12; ++i) {
    const std::string ns = i % 2 == 0 ? "team-a" : "team-b";
    views.push_back(Store({ns, std::to_string(i)}, 1, SampleBytes(70'000 + i)));
    ASSERT_NE(views.back(), nullptr);
    for (const Extent& extent : views.back()->Shareable()) {
      EXPECT_EQ(owner.emplace(extent.memory->id(), ns).first->second, ns);
    }
    if (i % 3 == 0) views.clear();
    node_->arena().Maintain();
  }
}

// ---- lifetimes

TEST_P(BackendContract, AViewOutlivesRemoveUnchanged) {
  for (const uint64_t size : {uint64_t{5'000}, 200 * kKiB, 3 * kMiB}) {
    const std::vector<std::byte> bytes = SampleBytes(size);
    const auto view = Store(kId, 1, bytes);
    ASSERT_NE(view, nullptr);
    ASSERT_THAT(backend().Remove(kId, {1}), IsOk());
    for (int i = 0; i < 4; ++i) Store({"team-a", "other"}, 2, SampleBytes(size, 50 + i));
    node_->arena().Maintain();
    ExpectShows(*view, bytes);
  }
}

TEST_P(BackendContract, AViewOutlivesAnOverwriteUnchanged) {
  for (const uint64_t size : {uint64_t{5'000}, 200 * kKiB, 3 * kMiB}) {
    const std::vector<std::byte> first = SampleBytes(size, 1);
    const std::vector<std::byte> second = SampleBytes(size, 2);
    const auto old_view = Store(kId, 1, first);
    const auto new_view = Store(kId, 2, second);
    ASSERT_TRUE(old_view != nullptr && new_view != nullptr);
    node_->arena().Maintain();
    ExpectShows(*old_view, first);
    ExpectShows(*new_view, second);
  }
}

TEST_P(BackendContract, RemoveOfAnOlderEpochLeavesTheNewerObject) {
  Store(kId, 1, SampleBytes(1'000, 1));
  const std::vector<std::byte> second = SampleBytes(2'000, 2);
  const auto view = Store(kId, 2, second);
  ASSERT_NE(view, nullptr);
  ASSERT_THAT(backend().Remove(kId, {1}), IsOk());
  ExpectShows(*view, second);
  if (!durable()) return;
  const auto found = RestartAndRecover();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found.at(kId.key).info.epoch, Epoch{2});
  ExpectShows(*found.at(kId.key).view, second);
}

TEST_P(BackendContract, RemoveIsIdempotent) {
  EXPECT_THAT(backend().Remove(kId, {1}), IsOk());
  Store(kId, 1, SampleBytes(1'000));
  EXPECT_THAT(backend().Remove(kId, {1}), IsOk());
  EXPECT_THAT(backend().Remove(kId, {1}), IsOk());
}

// ---- the budget

TEST_P(BackendContract, AnAppendThatDoesNotFitLeavesTheBlobAsItWas) {
  for (const uint64_t part : {uint64_t{30'000}, 300 * kKiB, kMiB + 1}) {
    Begin({.arena_bytes = 8 * kMiB, .max_bytes = 8 * kMiB});
    std::vector<std::byte> bytes;
    LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend().Create(kId, {1}, 0));
    absl::Status appended;
    for (int i = 0; bytes.size() <= 8 * kMiB; ++i) {
      const std::vector<std::byte> more = SampleBytes(part, i);
      const uint64_t used = node_->Used();
      appended = blob->Append(more);
      if (!appended.ok()) {
        EXPECT_EQ(node_->Used(), used);
        break;
      }
      bytes.insert(bytes.end(), more.begin(), more.end());
    }
    EXPECT_THAT(appended, IsOutOfRoom());
    EXPECT_EQ(blob->size(), bytes.size());
    EXPECT_EQ(blob->crc32c(), base::Crc32c(bytes));
    const Backend::Usage usage = backend().usage();
    EXPECT_LE(usage.used, usage.limit);
    EXPECT_EQ(usage.limit, 8 * kMiB);
    const ObjectInfo info = InfoOf(*blob, kId, 1);
    LARDER_ASSERT_OK_AND_ASSIGN(const auto view, backend().Seal(std::move(blob), info));
    ExpectShows(*view, bytes);
  }
}

TEST_P(BackendContract, AHintThatCanNeverFitIsRefusedAtOnce) {
  Begin({.arena_bytes = 8 * kMiB, .max_bytes = 8 * kMiB});
  const uint64_t used = node_->Used();
  for (const uint64_t hint : {8 * kMiB + 1, uint64_t{1} << 40, uint64_t{1} << 63, ~uint64_t{0} - 5'000, ~uint64_t{0}}) {
    const auto blob = backend().Create(kId, {1}, hint);
    EXPECT_THAT(blob.status(), IsOutOfRoom()) << hint;
    EXPECT_EQ(node_->Used(), used) << hint;
  }
  EXPECT_NE(Store(kId, 1, SampleBytes(100)), nullptr);
}

TEST_P(BackendContract, WhatIsReservedIsThereForAppendsAndARefusalChangesNothing) {
  Begin({.arena_bytes = 12 * kMiB, .max_bytes = 12 * kMiB});
  LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend().Create(kId, {1}, 0));
  const std::vector<std::byte> bytes = SampleBytes(5 * kMiB);
  const base::ByteSpan first = base::ByteSpan(bytes).first(3'000), rest = base::ByteSpan(bytes).subspan(3'000);
  ASSERT_THAT(blob->Append(first), IsOk());
  ASSERT_THAT(blob->Reserve(bytes.size()), IsOk());
  EXPECT_EQ(blob->size(), first.size());
  const uint64_t used = node_->Used();
  EXPECT_THAT(blob->Reserve(40 * kMiB), IsOutOfRoom());
  EXPECT_EQ(node_->Used(), used);
  // Another takes what is left.
  LARDER_ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Blob> other, backend().Create({"team-a", "other"}, {2}, 0));
  for (uint64_t step = 4 * kMiB; step >= 4096; step /= 2) {
    while (other->Append(SampleBytes(step)).ok()) {
    }
  }
  ASSERT_THAT(blob->Append(rest), IsOk());
  const ObjectInfo info = InfoOf(*blob, kId, 1);
  LARDER_ASSERT_OK_AND_ASSIGN(const auto view, backend().Seal(std::move(blob), info));
  ExpectShows(*view, bytes);
}

TEST_P(BackendContract, ACompactedViewShowsTheSameBytesAndTheOldOneStays) {
  std::vector<std::shared_ptr<const BlobView>> views;
  std::vector<std::vector<std::byte>> contents;
  for (uint64_t i = 0; i < 60; ++i) {
    contents.push_back(SampleBytes(70'000 + i % 7 * 50'000, i));
    views.push_back(Store({"team-a", std::to_string(i)}, i + 1, contents.back()));
    ASSERT_NE(views.back(), nullptr);
  }
  for (uint64_t i = 0; i < 60; ++i) {
    if (i % 6 == 0) continue;
    ASSERT_THAT(backend().Remove({"team-a", std::to_string(i)}, {i + 1}), IsOk());
    views[i] = nullptr;
  }
  const uint64_t wasted = backend().usage().wasted;
  for (uint64_t i = 0; i < 60; i += 6) {
    const auto moved = backend().Compact({"team-a", std::to_string(i)}, *views[i]);
    if (moved == nullptr) continue;  // it lies well
    ExpectShows(*moved, contents[i]);
    ExpectShows(*views[i], contents[i]);
    views[i] = moved;
  }
  node_->arena().Maintain();
  EXPECT_LE(backend().usage().wasted, wasted / 2);
}

TEST_P(BackendContract, AHintBeyondAllDisksIsRefusedAlsoWithoutALimit) {
  for (const uint64_t hint : {~uint64_t{0} - 5'000, ~uint64_t{0}}) {
    EXPECT_THAT(backend().Create(kId, {1}, hint).status(), IsOutOfRoom()) << hint;
  }
}

TEST_P(BackendContract, RoomThatWasAskedForButNotUsedIsGivenBackAtTheSeal) {
  const uint64_t before = node_->Used();
  LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend().Create(kId, {1}, 9 * kMiB));
  ASSERT_THAT(blob->Append(SampleBytes(1'000)), IsOk());
  EXPECT_GE(node_->Used(), before + 9 * kMiB) << "a hint reserves";
  const ObjectInfo info = InfoOf(*blob, kId, 1);
  LARDER_ASSERT_OK_AND_ASSIGN(const auto view, backend().Seal(std::move(blob), info));
  EXPECT_LE(node_->Used(), before + node_->arena().slab_size() + 64 * kKiB) << "a slab, and what is kept about it";
}

TEST_P(BackendContract, WhatIsSealedCountsAtLeastItsSize) {
  const uint64_t before = node_->Used();
  const auto view = Store(kId, 1, SampleBytes(3 * kMiB));
  EXPECT_GE(node_->Used(), before + 3 * kMiB);
}

TEST_P(BackendContract, EverythingIsGivenBackWhenAllIsDropped) {
  const uint64_t before = node_->Used();
  {
    std::vector<std::unique_ptr<Blob>> unsealed;
    std::vector<std::shared_ptr<const BlobView>> views;
    uint64_t epoch = 1;
    for (const uint64_t size : {uint64_t{0}, uint64_t{10}, 65 * kKiB, kMiB, 2 * kMiB + 1}) {
      for (const uint64_t hint : {uint64_t{0}, size, size + 200'000}) {
        auto blob = backend().Create({"team-a", "dropped"}, {epoch++}, hint);
        ASSERT_THAT(blob.status(), IsOk());
        ASSERT_THAT((*blob)->Append(SampleBytes(size)), IsOk());
        if (unsealed.size() < 3) unsealed.push_back(*std::move(blob));
        views.push_back(Store(kId, epoch++, SampleBytes(size / 2)));
        if (views.size() % 2 == 0) views.erase(views.begin());
      }
    }
    ASSERT_THAT(backend().Remove(kId, {epoch - 1}), IsOk());
    EXPECT_GT(node_->Used(), before);
  }
  EXPECT_EQ(node_->Used(), before);
  EXPECT_EQ(backend().usage().quarantined, 0u);
  if (durable()) {
    EXPECT_THAT(RestartAndRecover(), IsEmpty());
  }
}

TEST_P(BackendContract, WhatWasReadByAnotherProcessIsOnlyQuarantinedUntilItLetsGo) {
  auto view = Store(kId, 1, SampleBytes(kMiB));
  ASSERT_NE(view, nullptr);
  if (view->Shareable().empty()) return;
  const Backend::Usage before = backend().usage();
  auto fd = view->Shareable().front().memory->OpenReadOnly();
  ASSERT_THAT(fd.status(), IsOk());
  ASSERT_THAT(backend().Remove(kId, {1}), IsOk());
  view.reset();
  node_->arena().Maintain();
  EXPECT_GT(backend().usage().quarantined, before.quarantined);
  fd->Reset();
  node_->arena().Maintain();
  EXPECT_EQ(backend().usage().quarantined, before.quarantined);
}

// ---- threads

TEST_P(BackendContract, FourThreadsAtOnceKeepTheirBytesAndGiveEverythingBack) {
  const uint64_t before = node_->Used();
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 25; ++i) {
        const ObjectId id{t % 2 == 0 ? "team-a" : "team-b", "k" + std::to_string(i % 3 + 10 * t)};
        const std::vector<std::byte> bytes = SampleBytes((i % 5) * 50'000, t * 1'000 + i);
        const auto view = Store(id, i + 1, bytes);
        ASSERT_NE(view, nullptr);
        ASSERT_TRUE(BytesOf(*view) == bytes);
        if (i % 2 == 0) {
          EXPECT_THAT(backend().SetPinned(id, {i + 1}, true), IsOk());
        }
        EXPECT_THAT(backend().Remove(id, {i + 1}), IsOk());
        if (i % 5 == 0) node_->arena().Maintain();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(node_->Used(), before);
  EXPECT_THAT(RestartAndRecover(), IsEmpty());
}

// ---- cases

std::vector<BackendEntry> EntriesOf(const BackendRegistry& registry) {
  LinkRecoveryRules();
  LinkPartRules();
  std::vector<BackendEntry> entries;
  for (const std::string& name : registry.Names()) entries.push_back(**registry.Get(name));
  return entries;
}

std::string NameOfEntry(const testing::TestParamInfo<BackendEntry>& info) { return info.param.name; }

void PrintTo(const BackendEntry& entry, std::ostream* out) { *out << entry.name; }

// A registry without entries is for its own test to find.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BackendContract);

}  // namespace larder::object
