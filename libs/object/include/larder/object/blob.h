#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/base/unique_fd.h"

namespace larder::object {

// Sealed memory that another process may map: its holder can never change a byte of it. Thread-safe.
class SharedMemory {
 public:
  virtual ~SharedMemory() = default;
  // Unique within this process's life, and never used again: memory that serves a second time has another.
  virtual uint64_t id() const = 0;
  virtual uint64_t size() const = 0;
  // A new read-only description of it. RESOURCE_EXHAUSTED when descriptors are short.
  virtual absl::StatusOr<base::UniqueFd> OpenReadOnly() const = 0;
};

// `length` bytes of an object at `offset` of `memory`. The extents of one object stand in the order of its bytes; all
// but the last have lengths that are multiples of the page size and all offsets are page-aligned if there is more than
// one.
struct Extent {
  std::shared_ptr<const SharedMemory> memory;
  uint64_t offset = 0;
  uint64_t length = 0;
};

// The window on a sealed object's bytes. While it lives the bytes stay and never change. Thread-safe. Capabilities:
class BlobView {
 public:
  virtual ~BlobView() = default;
  virtual uint64_t size() const = 0;
  // Fills `out` with the bytes from `offset`; OUT_OF_RANGE past the end. May block on disk.
  // DATA_LOSS (CHECKSUM) when what lies there is not what was sealed.
  virtual absl::Status Read(uint64_t offset, base::MutableByteSpan out) const = 0;
  // The CRC-32C of each grain (object/grains.h), as it was sealed.
  virtual std::span<const uint32_t> grains() const = 0;
  // The bytes from `offset` on that lie together in this process's memory; empty where they lie in none.
  virtual base::ByteSpan MemoryAt(uint64_t /*offset*/) const { return {}; }
  // The whole object as one piece of this process's memory, where it lies in such.
  std::optional<base::ByteSpan> Bytes() const {
    const base::ByteSpan bytes = MemoryAt(0);
    if (bytes.size() != size()) return std::nullopt;
    return bytes;
  }
  // Where the bytes lie one after the other in a file, from `offset` on; the descriptor is the view's.
  struct FilePart {
    int fd = -1;
    uint64_t offset = 0;
  };
  virtual std::optional<FilePart> File() const { return std::nullopt; }
  // Where other processes may map it; empty: it cannot be shared, carry its bytes.
  virtual std::span<const Extent> Shareable() const { return {}; }
};

// The bytes of one object while the agent writes them: append, or have the parts come in any order; then seal. Owned by
// a peer; one caller at a time. Dropping it unsealed frees everything.
class Blob {
 public:
  virtual ~Blob() = default;
  // Adds bytes at the end, checksummed from the copy that was kept. RESOURCE_EXHAUSTED (ARENA_FULL, DISK_FULL) leaves
  // the blob as it was.
  virtual absl::Status Append(base::ByteSpan bytes) = 0;
  // Room for `size` bytes in all, so that appends up to there find some; errors as Append's.
  virtual absl::Status Reserve(uint64_t size) = 0;
  virtual uint64_t size() const = 0;
  // CRC-32C of all bytes so far.
  virtual uint32_t crc32c() const = 0;

  // ---- instead of Append: parts of `part` bytes each, a multiple of kGrain, but for the last, which has the rest

  // Room for all `size` bytes. Once, before anything else. Errors as Append's.
  virtual absl::Status Expect(uint64_t size, uint32_t part) = 0;
  // Where the bytes from `offset` on are to be put: `size` of them or fewer, at least one, within one part. The same
  // memory until the part is kept.
  virtual base::MutableByteSpan At(uint64_t offset, uint64_t size) = 0;
  // All bytes of the part of that number were put where they belong, and are summed now. Once for each part. Errors as
  // Append's.
  virtual absl::Status Keep(uint32_t number) = 0;
  // For each part, whether it was kept, and lies there as it was: a disk is read again, which takes as long as it
  // takes. One that does not is to come, and be kept, anew.
  virtual std::vector<bool> Kept() = 0;
  // Nothing comes for a while: of parts that were not kept nothing is remembered, nor held in memory for their sake.
  virtual void Pause() {}
  // The end of its life, from now on, frees only what this process has of it: the backend's next life finds what was
  // kept (RecoverUnfinished), where it outlives the process at all.
  virtual void Leave() {}
  // Fills `out` with the bytes from `offset`, all of parts that were kept. Any thread, beside At and Keep; may wait for
  // a disk.
  virtual absl::Status ReadKept(uint64_t offset, base::MutableByteSpan out) const = 0;
  // After Expect: its bytes, of which only those of kept parts mean anything, and are verified as those of a sealed
  // object are. Good beside all calls and beyond the blob's life, also where that ends in a seal. Only Read and size.
  virtual std::shared_ptr<const BlobView> View() const = 0;
};

}  // namespace larder::object
