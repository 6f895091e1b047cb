#include "larder/object/grains.h"

#include <algorithm>

#include "larder/base/digest.h"

namespace larder::object {

uint32_t CombineGrains(std::span<const uint32_t> grains, uint64_t size) {
  uint32_t crc = 0;
  for (const uint32_t grain : grains) {
    const uint64_t length = std::min(size, kGrain);
    crc = base::Crc32cCombine(crc, grain, length);
    size -= length;
  }
  return crc;
}

void GrainSums::Append(base::ByteSpan bytes) {
  const uint64_t offset = size_;
  size_ += bytes.size();
  grains_.resize(GrainsOf(size_));
  Put(offset, bytes);
}

void GrainSums::TakeBack(uint64_t size, uint32_t last) {
  size_ = size;
  grains_.resize(GrainsOf(size));
  if (!grains_.empty()) grains_.back() = last;
}

void GrainSums::Expect(uint64_t size) {
  size_ = size;
  grains_.assign(GrainsOf(size), 0);
}

void GrainSums::Put(uint64_t offset, base::ByteSpan bytes) {
  while (!bytes.empty()) {
    const uint64_t in_grain = offset % kGrain;
    const base::ByteSpan part = bytes.first(std::min<uint64_t>(kGrain - in_grain, bytes.size()));
    uint32_t& sum = grains_[offset / kGrain];
    sum = base::Crc32c(part, in_grain == 0 ? 0 : sum);
    offset += part.size();
    bytes = bytes.subspan(part.size());
  }
}

}  // namespace larder::object
