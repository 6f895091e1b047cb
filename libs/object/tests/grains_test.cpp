#include "larder/object/grains.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "larder/base/digest.h"

namespace larder::object {
namespace {

using base::ByteSpan;
using testing::ElementsAreArray;

std::vector<std::byte> Bytes(uint64_t size) {
  std::mt19937_64 random(size);
  std::vector<std::byte> bytes(size);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
  return bytes;
}

std::vector<uint32_t> Expected(ByteSpan bytes) {
  std::vector<uint32_t> grains;
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<uint64_t>(kGrain, bytes.size()))) {
    grains.push_back(base::Crc32c(bytes.first(std::min<uint64_t>(kGrain, bytes.size()))));
  }
  return grains;
}

constexpr uint64_t kSomeSizes[] = {0, 1, kGrain - 1, kGrain, kGrain + 1, 5 * kGrain, 5 * kGrain + 4097};

TEST(GrainSums, AreThoseOfEachGrainHoweverTheBytesCame) {
  for (const uint64_t size : kSomeSizes) {
    const std::vector<std::byte> bytes = Bytes(size);
    for (const uint64_t step : {uint64_t{997}, kGrain, 3 * kGrain + 1}) {
      GrainSums sums;
      for (uint64_t at = 0; at < size; at += step) {
        sums.Append(ByteSpan(bytes).subspan(at, std::min(step, size - at)));
      }
      EXPECT_EQ(sums.size(), size);
      EXPECT_THAT(sums.grains(), ElementsAreArray(Expected(bytes)));
      EXPECT_EQ(sums.crc32c(), base::Crc32c(bytes)) << size << " by " << step;
    }
  }
}

TEST(GrainSums, OfWhatComesInAnyOrderAreTheSame) {
  const uint64_t part = 2 * kGrain;
  for (const uint64_t size : kSomeSizes) {
    const std::vector<std::byte> bytes = Bytes(size);
    std::vector<uint64_t> order;
    for (uint64_t at = 0; at < size; at += part) order.push_back(at);
    std::ranges::shuffle(order, std::mt19937_64(1));
    GrainSums sums;
    sums.Expect(size);
    for (const uint64_t at : order) {
      // Halves of a grain, as where it lies in two places.
      const ByteSpan whole = ByteSpan(bytes).subspan(at, std::min(part, size - at));
      const uint64_t half = std::min<uint64_t>(whole.size(), 4096);
      sums.Put(at, whole.first(half));
      sums.Put(at + half, whole.subspan(half));
    }
    EXPECT_THAT(std::move(sums).Take(), ElementsAreArray(Expected(bytes)));
  }
}

TEST(GrainSums, TakeBackWhatWasNotKept) {
  const std::vector<std::byte> bytes = Bytes(4 * kGrain);
  for (const uint64_t kept : {uint64_t{0}, uint64_t{10}, kGrain, kGrain + 10}) {
    GrainSums sums;
    sums.Append(ByteSpan(bytes).first(kept));
    const uint32_t last = sums.grains().empty() ? 0 : sums.grains().back();
    sums.Append(ByteSpan(bytes).subspan(0, 2 * kGrain + 5));
    sums.TakeBack(kept, last);
    EXPECT_EQ(sums.crc32c(), base::Crc32c(ByteSpan(bytes).first(kept)));
    sums.Append(ByteSpan(bytes).subspan(kept));
    EXPECT_EQ(sums.crc32c(), base::Crc32c(bytes)) << kept;
  }
}

}  // namespace
}  // namespace larder::object
