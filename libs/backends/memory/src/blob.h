#pragma once
#include <memory>
#include <string>
#include <vector>

#include "larder/arena/arena.h"
#include "larder/object/blob.h"
#include "larder/object/grains.h"

namespace larder::backends::memory {

// Up to this size an object is private memory and travels inline; also the step at which bytes are copied and summed
// while they are in the cache.
inline constexpr uint64_t kPrivateLimit = 64 * 1024;

// Where an object's bytes lie: either private, or in ranges of sealed slabs.
struct Content {
  uint64_t size = 0;
  std::unique_ptr<std::byte[]> small;
  uint64_t small_capacity = 0;
  arena::PrivateCharge charge;
  // For what is kept about the object; shared by the views that follow each other.
  std::vector<std::shared_ptr<const arena::PrivateCharge>> record;
  std::vector<arena::Range> ranges;
  uint64_t range_bytes = 0;      // sum of the ranges' sizes
  std::vector<uint32_t> grains;  // once it is taken
};

class MemoryBlob final : public object::Blob {
 public:
  MemoryBlob(arena::Arena& arena, std::string ns, arena::Purpose purpose = arena::Purpose::kNew)
      : arena_(arena), ns_(std::move(ns)), purpose_(purpose) {}
  // Counts `bytes` of what is kept about the object. RESOURCE_EXHAUSTED (ARENA_FULL).
  absl::Status ChargeRecord(uint64_t bytes);
  absl::Status Append(base::ByteSpan bytes) override;
  absl::Status Reserve(uint64_t size) override;
  uint64_t size() const override { return content_->size; }
  uint32_t crc32c() const override { return sums_.crc32c(); }
  absl::Status Expect(uint64_t size, uint32_t part) override;
  base::MutableByteSpan At(uint64_t offset, uint64_t size) override;
  absl::Status Keep(uint32_t number) override;
  std::vector<bool> Kept() override { return kept_; }
  absl::Status ReadKept(uint64_t offset, base::MutableByteSpan out) const override;
  std::shared_ptr<const object::BlobView> View() const override;
  // The bytes, without the room that was not used.
  std::shared_ptr<Content> Take();

 private:
  absl::Status ReservePrivate(uint64_t size);
  absl::Status ReserveRanges(uint64_t size);
  void CopyIn(std::byte* to, base::ByteSpan bytes);

  arena::Arena& arena_;
  std::string ns_;
  arena::Purpose purpose_;
  std::shared_ptr<Content> content_ = std::make_shared<Content>();
  size_t current_ = 0;       // the range that the next byte goes to
  uint64_t in_current_ = 0;  // bytes in it
  uint32_t part_ = 0;        // bytes of each, if it was expected
  std::vector<bool> kept_;   // parts
  object::GrainSums sums_;
};

// The bytes of a blob that is still being filled, or was: they stay where they are, whatever becomes of what is beside.
class KeptView final : public object::BlobView {
 public:
  explicit KeptView(std::shared_ptr<const Content> content);
  uint64_t size() const override { return size_; }
  absl::Status Read(uint64_t offset, base::MutableByteSpan out) const override;
  std::span<const uint32_t> grains() const override { return {}; }

 private:
  const std::shared_ptr<const Content> content_;  // only its end is ours: a seal changes what is in it
  const uint64_t size_ = content_->size;
  std::vector<base::ByteSpan> bytes_;
};

class MemoryView final : public object::BlobView {
 public:
  explicit MemoryView(std::shared_ptr<const Content> content);
  uint64_t size() const override { return content_->size; }
  absl::Status Read(uint64_t offset, base::MutableByteSpan out) const override;
  std::span<const uint32_t> grains() const override { return content_->grains; }
  base::ByteSpan MemoryAt(uint64_t offset) const override;
  std::span<const object::Extent> Shareable() const override { return extents_; }

  // Half of it or more lies in slabs of which much was freed.
  bool Sparse() const;
  // The same bytes and record in `blob`, which is empty; null if there is no room for them.
  std::shared_ptr<const MemoryView> CopyTo(MemoryBlob blob) const;

 private:
  const std::shared_ptr<const Content> content_;
  std::vector<object::Extent> extents_;
};

}  // namespace larder::backends::memory
