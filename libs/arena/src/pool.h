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
#include "src/inode_watch.h"
#include "src/slab.h"

namespace larder::arena {

inline constexpr uint64_t kSmallSlab = 4 * base::kMiB;  // of small windows; no slab is smaller by default

// The slabs and the budget. Every slab is in exactly one place: in use (ranges > 0, or open for more), in quarantine,
// dirty (proven, not yet zeroed), free, or dropped.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(uint64_t limit, uint64_t slab_size);

  absl::Status Start();
  absl::StatusOr<Range> AllocateSealed(const std::string& ns, uint64_t want, uint64_t least, Purpose purpose);
  absl::StatusOr<std::vector<Range>> AllocateWindow(const std::string& ns, uint64_t owner, uint64_t size,
                                                    uint64_t most);
  absl::StatusOr<PrivateCharge> ChargePrivate(uint64_t bytes);
  absl::StatusOr<PrivateCharge> Withhold(const std::string& ns, uint64_t bytes);
  void Maintain();
  Arena::Usage usage() const;
  uint64_t HeldBeside(const std::string& ns) const;
  std::vector<uint64_t> Quarantined() const;
  bool Sparse(const Slab& slab) const;
  uint64_t slab_size() const { return slab_size_; }
  bool recycles() const { return recycles_; }

  void Free(const std::shared_ptr<Slab>& slab, uint64_t offset, uint64_t size);
  void Shrink(Slab& slab, uint64_t offset, uint64_t old_size, uint64_t new_size);
  void FreePrivate(uint64_t bytes, const std::string& withheld_from);

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
  // The bytes of one namespace.
  struct Account {
    uint64_t sealed = 0;       // slabs in use
    uint64_t live = 0;         // of these, in ranges
    uint64_t windows = 0;      // in use or in quarantine: or who keeps mapped what he discards could take all
    uint64_t quarantined = 0;  // slabs of both kinds
    uint64_t ending = 0;       // dropped slabs that somebody holds still
    uint64_t withheld = 0;
    bool operator==(const Account&) const = default;
  };
  void Book(const std::string& ns, uint64_t Account::*what, int64_t bytes) LARDER_REQUIRES(mutex_);
  Account AccountOf(const std::string& ns) const LARDER_REQUIRES(mutex_);
  // What HeldBeside tells of freed parts.
  uint64_t Scattered(const std::string& ns, const Account& account) const LARDER_REQUIRES(mutex_);
  // A tenant may have twice what it leaves of `limit` to the others.
  static bool LeavesOthers(uint64_t own, uint64_t all, uint64_t more, uint64_t limit);

  absl::StatusOr<SlabPtr> Obtain(const Key& key, Purpose purpose) LARDER_EXCLUDES(mutex_);
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
  bool MayTakeWindow(const std::string& ns, uint64_t bytes, uint64_t most) const LARDER_REQUIRES(mutex_);
  void BookWindow(const std::string& ns, int64_t bytes) LARDER_REQUIRES(mutex_);
  // Nobody else sees it any more, as far as the kernel can say.
  void Clean(SlabPtr slab) LARDER_REQUIRES(mutex_);
  // It cannot be used again.
  void Discard(SlabPtr slab) LARDER_REQUIRES(mutex_);
  uint64_t OpenRoom(const std::string& ns) const LARDER_REQUIRES(mutex_);
  bool IsSparse(const Slab& slab) const LARDER_REQUIRES(mutex_);
  void ZeroDirty() LARDER_EXCLUDES(mutex_);
  // A spare slab, if there is none and the budget has room: whoever needs one must not wait while it is made.
  void KeepSpare() LARDER_EXCLUDES(mutex_);
  // In no slab in use, nor charged, nor held by somebody.
  uint64_t Unused() const LARDER_REQUIRES(mutex_);
  // Drops free slabs until `bytes` of the budget are free; false, and nothing promised, if that is not enough.
  bool MakeRoom(uint64_t bytes) LARDER_REQUIRES(mutex_);
  // Its bytes are the budget's again once nobody has them any more.
  void Drop(SlabPtr slab) LARDER_REQUIRES(mutex_);
  void CollectEnded() LARDER_REQUIRES(mutex_);
  absl::StatusOr<PrivateCharge> Charge(uint64_t bytes, const std::string& withheld_from) LARDER_REQUIRES(mutex_);
  void Retire(SlabPtr slab) LARDER_REQUIRES(mutex_);
  // Takes out of quarantine what nobody else can see any more.
  void ReleaseProven() LARDER_REQUIRES(mutex_);
  absl::Status Full(uint64_t asked) const LARDER_REQUIRES(mutex_);
  Range Cut(const SlabPtr& slab, uint64_t offset, uint64_t size) LARDER_REQUIRES(mutex_);

  const uint64_t limit_;
  const uint64_t slab_size_;
  const uint64_t reserve_;  // bytes that only what is moved may use
  const std::shared_ptr<SlabIds> ids_ = std::make_shared<SlabIds>();
  const std::shared_ptr<InodeWatch> watch_ = std::make_shared<InodeWatch>();
  bool recycles_ = true;

  mutable base::Mutex mutex_;
  uint64_t budget_ LARDER_GUARDED_BY(mutex_);  // bytes that are neither in a slab nor charged
  uint64_t private_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  uint64_t window_bytes_ LARDER_GUARDED_BY(mutex_) = 0;       // in use
  uint64_t kept_window_bytes_ LARDER_GUARDED_BY(mutex_) = 0;  // with those in quarantine
  uint64_t withheld_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  uint64_t held_bytes_ LARDER_GUARDED_BY(mutex_) = 0;                  // in quarantine or ending
  std::map<std::string, Account> accounts_ LARDER_GUARDED_BY(mutex_);  // none is empty
  uint64_t live_bytes_ LARDER_GUARDED_BY(mutex_) = 0;                  // in ranges
  uint64_t readying_ LARDER_GUARDED_BY(mutex_) = 0;                    // bytes of slabs being zeroed or made, soon free
  uint64_t in_use_ LARDER_GUARDED_BY(mutex_) = 0;                      // bytes of slabs in use
  std::map<Key, std::vector<SlabPtr>> free_ LARDER_GUARDED_BY(mutex_);
  std::deque<SlabPtr> quarantine_ LARDER_GUARDED_BY(mutex_);
  std::deque<SlabPtr> dirty_ LARDER_GUARDED_BY(mutex_);
  std::vector<SlabPtr> dropped_ LARDER_GUARDED_BY(mutex_);  // whose memory is soon given back, off the lock
  struct Ending {
    std::string ns;
    uint64_t bytes = 0;
  };
  std::map<int, Ending> ending_ LARDER_GUARDED_BY(mutex_);  // dropped slabs that somebody holds, by number of watch_
  std::map<std::string, std::vector<SlabPtr>> open_ LARDER_GUARDED_BY(mutex_);  // sealed slabs with room, per namespace
};

}  // namespace larder::arena
