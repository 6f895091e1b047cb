#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/base/units.h"

namespace larder::object {

// Every backend keeps a checksum of each grain of an object's bytes, so that a part is verified without the whole, and
// the checksums of pieces of whatever length are known without reading them again.
inline constexpr uint64_t kGrain = 64 * base::kKiB;

// How many grains an object of `size` bytes has; the last one may be shorter.
constexpr uint64_t GrainsOf(uint64_t size) { return size / kGrain + (size % kGrain != 0 ? 1 : 0); }

// The CRC-32C of `size` bytes, from that of each of their grains. Costs about 0.1 us a grain.
uint32_t CombineGrains(std::span<const uint32_t> grains, uint64_t size);

// The checksums of an object's grains, taken while its bytes go by. Not thread-safe.
class GrainSums {
 public:
  // Bytes at the end.
  void Append(base::ByteSpan bytes);
  // Back to the first `size` bytes, of which what it was told of last may have been the end of: `last` is what
  // grains().back() was then (0 if there was none).
  void TakeBack(uint64_t size, uint32_t last);
  // Instead of Append: an object of `size` bytes, whose grains come in any order. Once, before anything else.
  void Expect(uint64_t size);
  // The same, of which some are known: as many as there are grains.
  void Resume(std::vector<uint32_t> grains, uint64_t size) {
    grains_ = std::move(grains);
    size_ = size;
  }
  // The bytes at `offset`; those of one grain in their order.
  void Put(uint64_t offset, base::ByteSpan bytes);

  uint64_t size() const { return size_; }
  // Of all bytes; of what was expected, once all of it was put.
  uint32_t crc32c() const { return CombineGrains(grains_, size_); }
  const std::vector<uint32_t>& grains() const { return grains_; }
  std::vector<uint32_t> Take() && { return std::move(grains_); }

 private:
  std::vector<uint32_t> grains_;
  uint64_t size_ = 0;
};

}  // namespace larder::object
