#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "larder/base/clock.h"
#include "larder/object/blob.h"
#include "larder/object/object.h"

namespace larder::object {

// How bytes are stored. Knows nothing of leases, namespaces' rights or sockets. Thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;
  // An empty blob for one creation of `id`. `size_hint` 0: unknown; a known size that can never fit is refused now:
  // RESOURCE_EXHAUSTED (ARENA_FULL, DISK_FULL) naming limit and use.
  virtual absl::StatusOr<std::unique_ptr<Blob>> Create(const ObjectId& id, Epoch epoch, uint64_t size_hint) = 0;
  // The same for a copy of another node's object, as `info` says (name, epoch, size, piece length, what the cluster
  // knows it as): what comes is expected, in parts of the piece length.
  virtual absl::StatusOr<std::unique_ptr<Blob>> Receive(const ObjectInfo& info) {
    auto blob = Create(info.id, info.epoch, info.size);
    if (!blob.ok()) return blob;
    if (absl::Status expected = (*blob)->Expect(info.size, info.meta.piece_length); !expected.ok()) return expected;
    return blob;
  }
  // Makes the blob's bytes those of a sealed object described by `info` (size, digest, meta, epoch filled in). The blob
  // is used up, also by a failure. Replaces what `id` had before; earlier views stay valid.
  virtual absl::StatusOr<std::shared_ptr<const BlobView>> Seal(std::unique_ptr<Blob> blob, const ObjectInfo& info) = 0;
  // Forgets a sealed object. Its bytes are freed when the last view is gone.
  virtual absl::Status Remove(const ObjectId& id, Epoch epoch) = 0;
  // Records a changed pin mark, where it must survive a restart.
  virtual absl::Status SetPinned(const ObjectId& id, Epoch epoch, bool pinned) = 0;
  // Records what the cluster knows it as, likewise; a power loss may take that back.
  virtual absl::Status SetTracked(const ObjectId& id, Epoch epoch, const TrackedAs& tracked) = 0;

  // What survived from before; called once, before anything else. Objects whose TTL has passed are removed,
  // half-written ones too (but for what RecoverUnfinished gives). What is damaged is set aside and counted, never
  // returned.
  struct Recovered {
    ObjectInfo info;
    std::shared_ptr<const BlobView> view;
  };
  virtual absl::StatusOr<std::vector<Recovered>> Recover() = 0;
  // What had come, before, of copies that Receive began; those whose description is damaged are removed. Once, after
  // Recover.
  struct Unfinished {
    ObjectInfo info;
    std::unique_ptr<Blob> blob;
  };
  virtual std::vector<Unfinished> RecoverUnfinished() { return {}; }

  // The budget, in bytes.
  struct Usage {
    uint64_t limit = 0;  // 0: as much as there is
    // By objects, sealed or not, with what they waste; where memory is shared also by write windows, and by what is
    // left unused for clients of earlier agents.
    uint64_t used = 0;
    uint64_t quarantined = 0;  // free, but some process may still see it
    uint64_t wasted = 0;       // of used: what Compact could free
    uint64_t scattered = 0;    // of wasted: what counts against namespaces as held beside their objects
  };
  virtual Usage usage() const = 0;
  // Which of a namespace's quotas its bytes count against.
  virtual Resource resource() const = 0;
  // Bytes that count against it though no object holds them: what was freed, but cannot be used by others yet.
  virtual uint64_t HeldBeside(const std::string& ns) const = 0;
  // The same bytes where they waste no room beside what was freed; null if they lie well as they are, or there is no
  // room to move them to. The old view stays valid, and holds its room until it is gone. May take as long as a copy.
  virtual std::shared_ptr<const BlobView> Compact(const ObjectId& id, const BlobView& view) = 0;
  // The tier that objects here belong to: "hot" or "warm".
  virtual std::string_view tier() const = 0;
  virtual Durability durability() const = 0;
  // Its calls may wait for a disk or a network: not for event threads.
  virtual bool blocks() const = 0;
};

}  // namespace larder::object
