#pragma once
#include <absl/status/statusor.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>

#include "larder/arena/arena.h"
#include "larder/base/mutex.h"
#include "larder/base/unique_fd.h"
#include "larder/object/blob.h"
#include "src/inode_watch.h"

namespace larder::arena {

enum class SlabUse { kSpare, kSealed, kWindow };

// The ids of slabs' lives: 32 bits, as on the wire, never 0; no two slabs have the same at one time. Thread-safe.
class SlabIds {
 public:
  // From 1 to `last`, and round again.
  explicit SlabIds(uint32_t last = UINT32_MAX) : last_(last) {}
  uint32_t Take() LARDER_EXCLUDES(mutex_);
  void GiveBack(uint32_t id) LARDER_EXCLUDES(mutex_);

 private:
  const uint32_t last_;
  base::Mutex mutex_;
  uint32_t latest_ LARDER_GUARDED_BY(mutex_) = 0;
  std::unordered_set<uint32_t> taken_ LARDER_GUARDED_BY(mutex_);
};

// One memfd, mapped and touched. Its fields besides the constant ones belong to the pool's lock.
class Slab final : public object::SharedMemory {
 public:
  // Makes and touches `size` bytes; takes 0.2 to 0.8 ms per MiB.
  static absl::StatusOr<std::shared_ptr<Slab>> Make(uint64_t size, std::shared_ptr<SlabIds> ids,
                                                    std::shared_ptr<InodeWatch> watch);
  ~Slab() override;

  uint64_t id() const override { return id_; }
  uint64_t size() const override { return size_; }
  absl::StatusOr<base::UniqueFd> OpenReadOnly() const override;
  absl::StatusOr<base::UniqueFd> OpenWritable() const;
  std::byte* data() const { return data_; }
  // Others were given a descriptor to read it by. When its inode ends is told by this number; none: nobody knows.
  bool shared() const { return shared_; }
  std::optional<int> watched() const { return watched_; }

  // Seals it for one use, one namespace and, as a window, one owner, for ever.
  absl::Status Assign(SlabUse use, std::string ns, uint64_t owner = 0);
  // Whether another open description, mapping or descriptor in flight exists: only if not may content be replaced.
  enum class Proof {
    kUnshared,
    kShared,
    kNone,  // the kernel does not say, and never will: somebody changed the file's owner
  };
  Proof TryProof() const;
  // As new. Only after the proof, and while no range is in it.
  void Zero();

  SlabUse use = SlabUse::kSpare;
  std::string ns;
  uint64_t owner = 0;  // of a window
  uint64_t next = 0;   // where the next range begins
  uint64_t live = 0;   // bytes in ranges
  uint64_t ranges = 0;

 private:
  Slab(uint64_t size, std::shared_ptr<SlabIds> ids, std::shared_ptr<InodeWatch> watch)
      : ids_(std::move(ids)), watch_(std::move(watch)), id_(ids_->Take()), size_(size) {}
  const std::shared_ptr<SlabIds> ids_;
  const std::shared_ptr<InodeWatch> watch_;
  uint32_t id_;  // of this life; changes only while no range is in it
  const uint64_t size_;
  // Set once, before the first descriptor is given away; read when all of them should have been given back.
  mutable std::once_flag sharing_;
  mutable bool shared_ = false;
  mutable std::optional<int> watched_;
  base::UniqueFd memfd_;    // never leaves: memfd_create's own description is not counted by the kernel's proof
  base::UniqueFd counted_;  // the one counted description of the agent's own
  std::byte* data_ = nullptr;
};

}  // namespace larder::arena
