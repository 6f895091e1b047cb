#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/testing/backend_contract.h"
#include "testing/src/shows.h"

// Objects whose parts come in any order.
namespace larder::object {

void LinkPartRules() {}

namespace {

using base::ByteSpan;
using base::IsOk;
using base::kKiB;
using base::kMiB;

const ObjectId kId{"team-a", "copies/weights"};
constexpr uint32_t kPart = 256 * kKiB;

// Puts bytes where the blob says, in steps of `step`.
void PutPart(Blob& blob, ByteSpan bytes, uint64_t offset, uint64_t size, uint64_t step) {
  for (const uint64_t end = offset + size; offset < end;) {
    const base::MutableByteSpan place = blob.At(offset, std::min(step, end - offset));
    ASSERT_GE(place.size(), 1u);
    ASSERT_LE(place.size(), std::min(step, end - offset));
    std::memcpy(place.data(), bytes.data() + offset, place.size());
    offset += place.size();
  }
}

}  // namespace

TEST_P(BackendContract, PartsMayComeInAnyOrder) {
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, 64 * kKiB, 64 * kKiB + 1, uint64_t{kPart}, kPart + uint64_t{1},
                              5 * kMiB, 9 * kMiB + 77}) {
    SCOPED_TRACE(testing::Message() << "size " << size);
    Begin({});
    const std::vector<std::byte> bytes = SampleBytes(size, 3);
    LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend().Create(kId, {7}, size));
    ASSERT_THAT(blob->Expect(size, kPart), IsOk());
    std::vector<uint32_t> order;
    for (uint32_t part = 0; part * uint64_t{kPart} < size; ++part) order.push_back(part);
    std::ranges::shuffle(order, std::mt19937_64(size));
    for (size_t i = 0; i < order.size(); ++i) {
      const uint64_t begin = uint64_t{order[i]} * kPart, length = std::min<uint64_t>(kPart, size - begin);
      // Two at a time: some of the next is there before this one is kept.
      if (i + 1 < order.size()) PutPart(*blob, bytes, uint64_t{order[i + 1]} * kPart, 1, 1);
      PutPart(*blob, bytes, begin, length, i % 2 == 0 ? 997 : length);
      ASSERT_THAT(blob->Keep(order[i]), IsOk());
      std::vector<std::byte> kept(length);
      ASSERT_THAT(blob->ReadKept(begin, kept), IsOk());
      ASSERT_TRUE(std::ranges::equal(kept, base::ByteSpan(bytes).subspan(begin, length)));
    }
    EXPECT_EQ(blob->size(), size);
    EXPECT_EQ(blob->crc32c(), base::Crc32c(bytes));
    const ObjectInfo info = InfoOf(*blob, kId, 7);
    LARDER_ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const BlobView> view, backend().Seal(std::move(blob), info));
    ExpectShows(*view, bytes);
    if (!durable()) continue;
    const auto found = RestartAndRecover();
    ASSERT_TRUE(found.contains(kId.key));
    ExpectShows(*found.at(kId.key).view, bytes);
  }
}

TEST_P(BackendContract, PartsThatNeverCameLeaveNothing) {
  const uint64_t before = node_->Used();
  {
    LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend().Create(kId, {7}, 3 * kMiB));
    ASSERT_THAT(blob->Expect(3 * kMiB, kPart), IsOk());
    PutPart(*blob, SampleBytes(3 * kMiB), kPart, kPart, kPart);
    ASSERT_THAT(blob->Keep(1), IsOk());
    EXPECT_GE(backend().usage().used, before + 3 * kMiB) << "room for all of it, from the beginning";
  }
  EXPECT_EQ(node_->Used(), before);
}

TEST_P(BackendContract, PartsThatCannotFitAreRefusedBeforeTheyCome) {
  Begin({.arena_bytes = 16 * kMiB, .max_bytes = 16 * kMiB});
  LARDER_ASSERT_OK_AND_ASSIGN(std::unique_ptr<Blob> blob, backend().Create(kId, {7}, 0));
  EXPECT_EQ(blob->Expect(64 * kMiB, kPart).code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace larder::object
