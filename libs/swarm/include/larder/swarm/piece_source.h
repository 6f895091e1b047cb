#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>

#include "larder/base/bytes.h"
#include "larder/base/unique_fd.h"
#include "larder/object/blob.h"
#include "larder/object/ids.h"
#include "larder/swarm/manifest.h"
#include "larder/swarm/piece_set.h"

namespace larder::swarm {

// The bytes of an object where a node keeps them. While it lives, held bytes stay and never change. Thread-safe.
class PieceBytes {
 public:
  // Bytes that lie together: in memory, or else in a file at an offset.
  struct Stretch {
    base::ByteSpan memory;
    int fd = -1;
    uint64_t fd_offset = 0;
    uint64_t size = 0;
    std::shared_ptr<const void> keep;  // while it lives the bytes stay; null: while the PieceBytes does
  };
  virtual ~PieceBytes() = default;
  // Those from `offset` on, at most `most` of them, within the object; none if they cannot be read any more, or, where
  // PieceMap says so, not now. Never blocks.
  virtual Stretch At(uint64_t offset, uint64_t most) const = 0;
};

// An object in one piece of memory, which `owner` keeps.
std::shared_ptr<const PieceBytes> BytesInMemory(base::ByteSpan bytes, std::shared_ptr<const void> owner);
// An object in a file, its first byte at `offset`.
std::shared_ptr<const PieceBytes> BytesInFile(base::UniqueFd fd, uint64_t offset);

// A sealed object where a backend keeps it: in memory, or in a file; null where it is in neither.
std::shared_ptr<const PieceBytes> BytesOfView(std::shared_ptr<const object::BlobView> view);

// What a node offers of one object.
struct ServedObject {
  std::shared_ptr<const Manifest> manifest;
  std::shared_ptr<const PieceBytes> bytes;
  std::shared_ptr<PieceMap> pieces;  // null: sealed, all are held
};

// Where a PieceServer finds what it serves. Thread-safe.
class PieceSource {
 public:
  virtual ~PieceSource() = default;
  // In pieces of `piece_length` bytes, so that its manifest is the one that is known of the object, however the copy
  // here was made; 0: as it was. What still arrives comes in the pieces in which it arrives.
  // NOT_FOUND (NO_OBJECT) if this node has nothing of it, ABORTED (EPOCH_STALE) if it has another epoch of it,
  // UNAVAILABLE (NOT_YET) if it has the bytes and will know soon under which epoch: who asked comes again. Called on an
  // event thread: it must not block.
  virtual absl::StatusOr<ServedObject> Find(const object::ObjectId& id, object::Epoch epoch, uint32_t piece_length) = 0;
  // A child says that `size` bytes at `offset` of what Find gave came wrong: a reason to look at them, and no more. On
  // an event thread likewise.
  virtual void Doubt(const object::ObjectId& id, object::Epoch epoch, uint64_t offset, uint32_t size) = 0;
};

}  // namespace larder::swarm
