#pragma once
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "larder/arena/arena.h"
#include "larder/base/mutex.h"
#include "larder/base/units.h"
#include "src/slab.h"

namespace larder::arena {

inline constexpr uint64_t kSmallSlab = 4 * base::kMiB;  // of small windows; no slab is smaller by default

// The slabs and the budget. Every slab is in exactly one place: in use (ranges > 0, or open for more), in quarantine,
// dirty (proven, not yet zeroed) or free.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  explicit Pool(uint64_t limit, uint64_t slab_size) : limit_(limit), slab_size_(slab_size), budget_(limit) {}

  absl::Status Start();
  absl::StatusOr<Range> AllocateSealed(const std::string& ns, uint64_t want, uint64_t least);
  absl::StatusOr<std::vector<Range>> AllocateWindow(const std::string& ns, uint64_t owner, uint64_t size);
  absl::StatusOr<PrivateCharge> ChargePrivate(uint64_t bytes);
  void Maintain();
  Arena::Usage usage() const;
  uint64_t QuarantinedOf(const std::string& ns) const;
  std::vector<uint64_t> Quarantined() const;
  bool Sparse(const Slab& slab) const;
  uint64_t slab_size() const { return slab_size_; }
  bool recycles() const { return recycles_; }

  void Free(const std::shared_ptr<Slab>& slab, uint64_t offset, uint64_t size);
  void Shrink(Slab& slab, uint64_t offset, uint64_t old_size, uint64_t new_size);
  void FreePrivate(uint64_t bytes);

 private:
  using SlabPtr = std::shared_ptr<Slab>;
  // What a slab can serve as without being made anew.
  struct Key {
    SlabUse use{};
    std::string ns;
    uint64_t owner = 0;  // of a window
    uint64_t size = 0;
    auto operator<=>(const Key&) const = default;
  };
  static Key KeyOf(const Slab& slab) { return {slab.use, slab.ns, slab.owner, slab.size()}; }

  absl::StatusOr<SlabPtr> Obtain(const Key& key) LARDER_EXCLUDES(mutex_);
  // How a sealed range is to be: `aim` bytes, or at least `least` where the slab ends.
  struct Want {
    uint64_t align = 0;
    uint64_t aim = 0;
    uint64_t least = 0;
  };
  // From a slab that is being filled; from a sparse one only where there is nothing else.
  std::optional<Range> CutOpen(const std::string& ns, const Want& want, bool also_sparse) LARDER_REQUIRES(mutex_);
  SlabPtr TakeFree(const Key& key) LARDER_REQUIRES(mutex_);
  // One that nobody else sees any more, but that is not yet zeroed.
  SlabPtr TakeDirty(const Key& key) LARDER_REQUIRES(mutex_);
  void Quarantine(SlabPtr slab) LARDER_REQUIRES(mutex_);
  bool MayTakeWindow(const std::string& ns, uint64_t bytes) const LARDER_REQUIRES(mutex_);
  void CountWindow(const std::string& ns, int64_t bytes) LARDER_REQUIRES(mutex_);
  // Nobody else sees it any more, as far as the kernel can say.
  void Clean(SlabPtr slab) LARDER_REQUIRES(mutex_);
  uint64_t Wasted() const LARDER_REQUIRES(mutex_);
  bool IsSparse(const Slab& slab) const LARDER_REQUIRES(mutex_);
  void ZeroDirty() LARDER_EXCLUDES(mutex_);
  // A spare slab, if there is none and the budget has room: whoever needs one must not wait while it is made.
  void KeepSpare() LARDER_EXCLUDES(mutex_);
  // Drops free slabs until `bytes` of the budget are free; false, and nothing promised, if that is not enough.
  bool MakeRoom(uint64_t bytes) LARDER_REQUIRES(mutex_);
  void Retire(SlabPtr slab) LARDER_REQUIRES(mutex_);
  // Takes out of quarantine what nobody else can see any more.
  void ReleaseProven() LARDER_REQUIRES(mutex_);
  absl::Status Full(uint64_t asked) const LARDER_REQUIRES(mutex_);
  Range Cut(const SlabPtr& slab, uint64_t offset, uint64_t size) LARDER_REQUIRES(mutex_);

  const uint64_t limit_;
  const uint64_t slab_size_;
  bool recycles_ = true;

  mutable base::Mutex mutex_;
  uint64_t budget_ LARDER_GUARDED_BY(mutex_);  // bytes that are neither in a slab nor charged
  uint64_t private_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  uint64_t window_bytes_ LARDER_GUARDED_BY(mutex_) = 0;  // in use
  // With those in quarantine, or who keeps mapped what he discards could take all.
  uint64_t kept_window_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  std::map<std::string, uint64_t> windows_of_ LARDER_GUARDED_BY(mutex_);
  uint64_t live_bytes_ LARDER_GUARDED_BY(mutex_) = 0;         // in ranges
  uint64_t live_window_bytes_ LARDER_GUARDED_BY(mutex_) = 0;  // of these, in windows
  uint64_t readying_ LARDER_GUARDED_BY(mutex_) = 0;           // bytes of slabs being zeroed or made, soon free
  uint64_t in_use_ LARDER_GUARDED_BY(mutex_) = 0;             // bytes of slabs in use
  std::map<Key, std::vector<SlabPtr>> free_ LARDER_GUARDED_BY(mutex_);
  std::deque<SlabPtr> quarantine_ LARDER_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> quarantined_of_ LARDER_GUARDED_BY(mutex_);  // bytes by namespace; none: absent
  std::deque<SlabPtr> dirty_ LARDER_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<SlabPtr>> open_ LARDER_GUARDED_BY(mutex_);  // sealed slabs with room, per namespace
};

}  // namespace larder::arena
