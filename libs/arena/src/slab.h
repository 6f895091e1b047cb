#pragma once
#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "larder/arena/arena.h"
#include "larder/base/unique_fd.h"
#include "larder/object/blob.h"

namespace larder::arena {

enum class SlabUse { kSpare, kSealed, kWindow };

// One memfd, mapped and touched. Its fields besides the constant ones belong to the pool's lock.
class Slab final : public object::SharedMemory {
 public:
  // Makes and touches `size` bytes; takes 0.2 to 0.8 ms per MiB.
  static absl::StatusOr<std::shared_ptr<Slab>> Make(uint64_t size);
  ~Slab() override;

  uint64_t id() const override { return id_; }
  uint64_t size() const override { return size_; }
  absl::StatusOr<base::UniqueFd> OpenReadOnly() const override;
  absl::StatusOr<base::UniqueFd> OpenWritable() const;
  std::byte* data() const { return data_; }

  // Seals it for one use, one namespace and, as a window, one owner, for ever.
  absl::Status Assign(SlabUse use, std::string ns, uint64_t owner = 0);
  // True if no other open description, mapping or descriptor in flight exists: only then may content be replaced.
  bool ProvenUnshared() const;
  // As new. Only after the proof, and while no range is in it.
  void Zero();

  SlabUse use = SlabUse::kSpare;
  std::string ns;
  uint64_t owner = 0;  // of a window
  uint64_t next = 0;   // where the next range begins
  uint64_t live = 0;   // bytes in ranges
  uint64_t ranges = 0;

 private:
  Slab(uint64_t id, uint64_t size) : id_(id), size_(size) {}
  uint64_t id_;  // of this life; changes only while no range is in it
  const uint64_t size_;
  base::UniqueFd memfd_;    // never leaves: memfd_create's own description is not counted by the kernel's proof
  base::UniqueFd counted_;  // the one counted description of the agent's own
  std::byte* data_ = nullptr;
};

}  // namespace larder::arena
