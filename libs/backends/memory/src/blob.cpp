#include "src/blob.h"

#include <algorithm>
#include <cstring>

#include "larder/base/digest.h"
#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::backends::memory {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kHeapOverhead = 64;        // per private object, charged beside its bytes
constexpr uint64_t kGrowth = 2 * base::kMiB;  // step for objects of unknown size; above the arena's packing limit
constexpr uint64_t kPackedLimit = base::kMiB;

uint64_t RoundUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

// Drops all but the first `kept`, last first and shrunk to nothing: what was never written can be given out again at
// once, what is only freed waits for the rest of its slab.
void GiveBackUnused(std::vector<arena::Range>& ranges, size_t kept) {
  while (ranges.size() > kept) {
    ranges.back().Shrink(0);
    ranges.pop_back();
  }
}

void CopyOut(const Content& content, uint64_t offset, base::MutableByteSpan out) {
  if (out.empty()) return;
  if (content.ranges.empty()) {
    std::memcpy(out.data(), content.small.get() + offset, out.size());
    return;
  }
  for (const arena::Range& range : content.ranges) {
    if (offset >= range.size()) {
      offset -= range.size();
      continue;
    }
    const size_t part = std::min<uint64_t>(out.size(), range.size() - offset);
    std::memcpy(out.data(), range.data() + offset, part);
    out = out.subspan(part);
    offset = 0;
    if (out.empty()) break;
  }
}

absl::Status CheckWithin(uint64_t size, uint64_t offset, uint64_t length) {
  if (offset <= size && length <= size - offset) return absl::OkStatus();
  return base::Error(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", "bytes {}+{} of an object of {}", offset, length,
                     size);
}

}  // namespace

absl::Status MemoryBlob::ChargeRecord(uint64_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  LARDER_ASSIGN_OR_RETURN(arena::PrivateCharge charge, arena_.ChargePrivate(bytes));
  content_->record.push_back(std::make_shared<const arena::PrivateCharge>(std::move(charge)));
  return absl::OkStatus();
}

absl::Status MemoryBlob::Reserve(uint64_t size) {
  if (content_->ranges.empty() && size <= kPrivateLimit) return ReservePrivate(size);
  return ReserveRanges(size);
}

absl::Status MemoryBlob::ReservePrivate(uint64_t size) {
  if (size <= content_->small_capacity) return absl::OkStatus();
  const uint64_t capacity = std::min(kPrivateLimit, std::max(size, 2 * content_->small_capacity));
  LARDER_ASSIGN_OR_RETURN(arena::PrivateCharge charge, arena_.ChargePrivate(capacity + kHeapOverhead));
  std::unique_ptr<std::byte[]> bytes(new std::byte[capacity]);
  if (content_->size > 0) std::memcpy(bytes.get(), content_->small.get(), content_->size);
  content_->small = std::move(bytes);
  content_->small_capacity = capacity;
  content_->charge = std::move(charge);
  return absl::OkStatus();
}

absl::Status MemoryBlob::ReserveRanges(uint64_t size) {
  if (size <= content_->range_bytes) return absl::OkStatus();
  const bool first = content_->ranges.empty();
  // A packed range does not begin at a page, so nothing can be laid beside it: begin anew.
  const bool restart = first || (content_->ranges.size() == 1 && content_->range_bytes <= kPackedLimit);
  std::vector<arena::Range> added;
  uint64_t missing = restart ? size : size - content_->range_bytes;
  const bool packed = restart && size <= kPackedLimit;
  if (!packed) missing = RoundUp(missing, kPage);
  while (missing > 0) {
    auto range = arena_.AllocateSealed(ns_, packed ? missing : std::max(missing, kPackedLimit + kPage),
                                       packed ? missing : kPage, purpose_);
    if (!range.ok()) {
      GiveBackUnused(added, 0);
      return range.status();
    }
    missing -= std::min(missing, range->size());
    added.push_back(*std::move(range));
  }
  if (restart) {
    // What was there moves along: it is at most kPackedLimit.
    if (content_->size > 0) {
      const std::byte* from = first ? content_->small.get() : content_->ranges.front().data();
      uint64_t moved = 0;
      for (size_t i = 0; moved < content_->size; ++i) {
        const uint64_t part = std::min(added[i].size(), content_->size - moved);
        std::memcpy(added[i].data(), from + moved, part);
        moved += part;
        current_ = i;
        in_current_ = part;
      }
    }
    content_->ranges.clear();
    content_->range_bytes = 0;
    content_->small.reset();
    content_->small_capacity = 0;
    content_->charge = arena::PrivateCharge();
  }
  for (arena::Range& range : added) {
    content_->range_bytes += range.size();
    content_->ranges.push_back(std::move(range));
  }
  return absl::OkStatus();
}

void MemoryBlob::CopyIn(std::byte* to, base::ByteSpan bytes) {
  while (!bytes.empty()) {
    const base::ByteSpan step = bytes.first(std::min<size_t>(bytes.size(), kPrivateLimit));
    std::memcpy(to, step.data(), step.size());
    // Of the copy: the source may be memory that somebody else is writing.
    sums_.Append({to, step.size()});
    to += step.size();
    bytes = bytes.subspan(step.size());
  }
}

absl::Status MemoryBlob::Append(base::ByteSpan bytes) {
  const uint64_t size = content_->size + bytes.size();
  const bool small = content_->ranges.empty() && size <= kPrivateLimit;
  const uint64_t capacity = small ? content_->small_capacity : content_->range_bytes;
  if (size > capacity) {
    // Of unknown size: grow in steps, so that many small appends stay few ranges; where a step does not fit any more,
    // by what is needed.
    absl::Status grown = Reserve(small ? size : RoundUp(size, kGrowth));
    if (!grown.ok() && !small) grown = Reserve(size);
    LARDER_RETURN_IF_ERROR(grown);
  }
  if (small) {
    CopyIn(content_->small.get() + content_->size, bytes);
    content_->size = size;
    return absl::OkStatus();
  }
  while (!bytes.empty()) {
    arena::Range& range = content_->ranges[current_];
    if (in_current_ == range.size()) {
      ++current_;
      in_current_ = 0;
      continue;
    }
    const base::ByteSpan part = bytes.first(std::min<uint64_t>(bytes.size(), range.size() - in_current_));
    CopyIn(range.data() + in_current_, part);
    in_current_ += part.size();
    content_->size += part.size();
    bytes = bytes.subspan(part.size());
  }
  return absl::OkStatus();
}

absl::Status MemoryBlob::Expect(uint64_t size, uint32_t part) {
  LARDER_RETURN_IF_ERROR(Reserve(size));
  content_->size = size;
  part_ = part;
  kept_.resize((size + part - 1) / part);
  sums_.Expect(size);
  // Where it ends, for what was not used of the last range.
  uint64_t before = 0;
  for (current_ = 0; current_ + 1 < content_->ranges.size() && before + content_->ranges[current_].size() < size;) {
    before += content_->ranges[current_++].size();
  }
  in_current_ = size - before;
  return absl::OkStatus();
}

base::MutableByteSpan MemoryBlob::At(uint64_t offset, uint64_t size) {
  if (content_->ranges.empty()) return {content_->small.get() + offset, size};
  for (const arena::Range& range : content_->ranges) {
    if (offset < range.size()) return {range.data() + offset, std::min(size, range.size() - offset)};
    offset -= range.size();
  }
  return {};
}

absl::Status MemoryBlob::Keep(uint32_t number) {
  const uint64_t begin = uint64_t{number} * part_;
  // The part's grains: one may lie in two ranges, which are page-aligned, so that its halves are summed one by one.
  for (uint64_t at = begin, end = std::min(content_->size, begin + part_); at < end;) {
    const uint64_t grain_end = std::min(end, at / object::kGrain * object::kGrain + object::kGrain);
    const base::MutableByteSpan bytes = At(at, grain_end - at);
    sums_.Put(at, bytes);
    at += bytes.size();
  }
  kept_[number] = true;
  return absl::OkStatus();
}

absl::Status MemoryBlob::ReadKept(uint64_t offset, base::MutableByteSpan out) const {
  CopyOut(*content_, offset, out);
  return absl::OkStatus();
}

std::shared_ptr<const object::BlobView> MemoryBlob::View() const { return std::make_shared<const KeptView>(content_); }

std::shared_ptr<Content> MemoryBlob::Take() {
  content_->grains = std::move(sums_).Take();
  if (!content_->ranges.empty()) {
    GiveBackUnused(content_->ranges, content_->size == 0 ? 0 : current_ + 1);
    if (content_->size > 0) content_->ranges.back().Shrink(in_current_);
  } else if (content_.use_count() == 1 &&  // else it is read where it is
             content_->small_capacity > content_->size + content_->size / 4 + kHeapOverhead) {
    if (auto charge = arena_.ChargePrivate(content_->size + kHeapOverhead); charge.ok()) {
      std::unique_ptr<std::byte[]> exact(new std::byte[content_->size]);
      if (content_->size > 0) std::memcpy(exact.get(), content_->small.get(), content_->size);
      content_->small = std::move(exact);
      content_->charge = *std::move(charge);
    }
  }
  return std::move(content_);
}

KeptView::KeptView(std::shared_ptr<const Content> content) : content_(std::move(content)) {
  if (content_->ranges.empty()) bytes_.emplace_back(content_->small.get(), content_->size);
  for (const arena::Range& range : content_->ranges) bytes_.emplace_back(range.data(), range.size());
}

absl::Status KeptView::Read(uint64_t offset, base::MutableByteSpan out) const {
  LARDER_RETURN_IF_ERROR(CheckWithin(size_, offset, out.size()));
  for (const base::ByteSpan bytes : bytes_) {
    if (out.empty()) break;
    const uint64_t skipped = std::min<uint64_t>(offset, bytes.size());
    const base::ByteSpan part = bytes.subspan(skipped, std::min<uint64_t>(bytes.size() - skipped, out.size()));
    std::ranges::copy(part, out.begin());
    out = out.subspan(part.size());
    offset -= skipped;
  }
  return absl::OkStatus();
}

MemoryView::MemoryView(std::shared_ptr<const Content> content) : content_(std::move(content)) {
  for (const arena::Range& range : content_->ranges) {
    extents_.push_back({.memory = range.memory(), .offset = range.offset(), .length = range.size()});
  }
}

absl::Status MemoryView::Read(uint64_t offset, base::MutableByteSpan out) const {
  LARDER_RETURN_IF_ERROR(CheckWithin(content_->size, offset, out.size()));
  CopyOut(*content_, offset, out);
  return absl::OkStatus();
}

bool MemoryView::Sparse() const {
  uint64_t sparse = 0;
  for (const arena::Range& range : content_->ranges) sparse += range.Sparse() ? range.size() : 0;
  return sparse > 0 && sparse >= content_->size / 2;
}

std::shared_ptr<const MemoryView> MemoryView::CopyTo(MemoryBlob blob) const {
  if (!blob.Reserve(content_->size).ok()) return nullptr;
  for (const arena::Range& range : content_->ranges) {
    if (!blob.Append({range.data(), range.size()}).ok()) return nullptr;
  }
  std::shared_ptr<Content> content = blob.Take();
  content->record = content_->record;
  return std::make_shared<const MemoryView>(std::move(content));
}

base::ByteSpan MemoryView::MemoryAt(uint64_t offset) const {
  if (content_->ranges.empty()) return base::ByteSpan(content_->small.get(), content_->size).subspan(offset);
  for (const arena::Range& range : content_->ranges) {
    if (offset < range.size()) return base::ByteSpan(range.data(), range.size()).subspan(offset);
    offset -= range.size();
  }
  return {};
}

}  // namespace larder::backends::memory
