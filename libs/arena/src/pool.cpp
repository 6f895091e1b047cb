#include "src/pool.h"

#include <signal.h>
#include <sys/mman.h>

#include <algorithm>

#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::arena {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kPacked = base::kMiB;  // objects up to this size lie side by side in one slab
constexpr uint64_t kPackedAlign = 64;
constexpr size_t kOpenSlabs = 4;  // per namespace
constexpr uint64_t kSparse = 5;   // a slab of which more than one part in so many was freed

uint64_t RoundUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

}  // namespace

absl::Status Pool::Start() {
  // Who opens a slab while the proof holds its lease makes the kernel send SIGIO, which would end the process.
  ::signal(SIGIO, SIG_IGN);
  // The proof must fail while another description or mapping exists, and succeed after; else never use memory again.
  LARDER_ASSIGN_OR_RETURN(SlabPtr probe, Slab::Make(kPage));
  LARDER_RETURN_IF_ERROR(probe->Assign(SlabUse::kSealed, "probe"));
  bool proof = probe->ProvenUnshared();
  {
    LARDER_ASSIGN_OR_RETURN(base::UniqueFd other, probe->OpenReadOnly());
    proof = proof && !probe->ProvenUnshared();
    void* at = ::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, other.get(), 0);
    if (at == MAP_FAILED) return base::ErrnoError(errno, "map a memfd");
    other.Reset();
    proof = proof && !probe->ProvenUnshared();
    ::munmap(at, kPage);
  }
  recycles_ = proof && probe->ProvenUnshared();

  std::vector<SlabPtr> slabs;
  for (uint64_t made = 0; made + slab_size_ <= limit_; made += slab_size_) {
    LARDER_ASSIGN_OR_RETURN(SlabPtr slab, Slab::Make(slab_size_));
    slabs.push_back(std::move(slab));
  }
  base::MutexLock lock(mutex_);
  budget_ -= slabs.size() * slab_size_;
  free_[{.size = slab_size_}] = std::move(slabs);
  return absl::OkStatus();
}

absl::Status Pool::Full(uint64_t asked) const {
  uint64_t quarantined = 0;
  for (const auto& [ns, bytes] : quarantined_of_) quarantined += bytes;
  return base::Error(absl::StatusCode::kResourceExhausted, "ARENA_FULL",
                     "the memory arena has no room for {} (limit {}, in use {}, still mapped by readers of deleted "
                     "objects {}): delete objects, end the clients that keep deleted ones, or raise 'arena'",
                     base::FormatBytes(asked), base::FormatBytes(limit_), base::FormatBytes(in_use_ + private_bytes_),
                     base::FormatBytes(quarantined));
}

Pool::SlabPtr Pool::TakeFree(const Key& key) {
  auto it = free_.find(key);
  if (it == free_.end()) return nullptr;
  SlabPtr slab = std::move(it->second.back());
  it->second.pop_back();
  if (it->second.empty()) free_.erase(it);
  return slab;
}

Pool::SlabPtr Pool::TakeDirty(const Key& key) {
  const auto it = std::ranges::find_if(dirty_, [&](const SlabPtr& slab) { return KeyOf(*slab) == key; });
  if (it == dirty_.end()) return nullptr;
  SlabPtr slab = std::move(*it);
  dirty_.erase(it);
  return slab;
}

bool Pool::MakeRoom(uint64_t bytes) {
  while (budget_ < bytes) {
    SlabPtr victim;
    if (!dirty_.empty()) {
      victim = std::move(dirty_.front());
      dirty_.pop_front();
    } else if (!free_.empty()) {
      // Spares last: they are what any namespace can take at once. kSpare sorts first.
      victim = TakeFree(free_.rbegin()->first);
    } else {
      return false;
    }
    budget_ += victim->size();
  }
  return true;
}

absl::StatusOr<Pool::SlabPtr> Pool::Obtain(const Key& key) {
  const uint64_t size = key.size;
  SlabPtr slab, dirty;
  {
    base::MutexLock lock(mutex_);
    slab = TakeFree(key);
    if (slab == nullptr) slab = TakeFree({.size = size});
    if (slab == nullptr) slab = dirty = TakeDirty(key);
    if (slab == nullptr && !MakeRoom(size)) {
      // Readers may have let go since: the last chance is in quarantine.
      ReleaseProven();
      if (!MakeRoom(size)) return Full(size);
    }
    if (slab == nullptr) budget_ -= size;
    in_use_ += size;
  }
  // Making, touching and zeroing take a while: not under the lock.
  if (dirty != nullptr) dirty->Zero();
  absl::Status failed;
  if (slab == nullptr) {
    auto made = Slab::Make(size);
    if (made.ok()) {
      slab = *std::move(made);
    } else {
      failed = made.status();
    }
  }
  if (failed.ok() && slab->use == SlabUse::kSpare) failed = slab->Assign(key.use, key.ns, key.owner);
  if (!failed.ok()) {
    base::MutexLock lock(mutex_);
    budget_ += size;
    in_use_ -= size;
    return failed;
  }
  return slab;
}

Range Pool::Cut(const SlabPtr& slab, uint64_t offset, uint64_t size) {
  slab->next = offset + size;
  slab->live += size;
  slab->ranges += 1;
  live_bytes_ += size;
  if (slab->use == SlabUse::kWindow) live_window_bytes_ += size;
  return Range(shared_from_this(), slab, offset, size);
}

std::optional<Range> Pool::CutOpen(const std::string& ns, const Want& want, bool also_sparse) {
  for (SlabPtr& slab : open_[ns]) {
    if (!also_sparse && IsSparse(*slab)) continue;  // what is moved away from it must not come back
    const uint64_t offset = RoundUp(slab->next, want.align);
    if (offset >= slab->size()) continue;
    const uint64_t room = slab->size() - offset;
    if (room >= std::min(want.aim, want.least)) return Cut(slab, offset, std::min(want.aim, room));
  }
  return std::nullopt;
}

absl::StatusOr<Range> Pool::AllocateSealed(const std::string& ns, uint64_t want, uint64_t least) {
  const bool packed = want <= kPacked;
  const uint64_t aim = std::min(want, slab_size_);
  const Want cut{.align = packed ? kPackedAlign : kPage, .aim = aim, .least = packed ? std::max(least, aim) : least};
  const bool whole = aim == slab_size_;  // worth more than its parts
  if (!whole) {
    base::MutexLock lock(mutex_);
    if (auto range = CutOpen(ns, cut, false)) return *std::move(range);
  }
  absl::StatusOr<SlabPtr> slab = Obtain({.use = SlabUse::kSealed, .ns = ns, .size = slab_size_});
  base::MutexLock lock(mutex_);
  if (!slab.ok()) {
    auto range = whole ? std::nullopt : CutOpen(ns, cut, true);
    return range ? absl::StatusOr<Range>(*std::move(range)) : slab.status();
  }
  Range range = Cut(*slab, 0, aim);
  if (whole) return range;
  std::vector<SlabPtr>& open = open_[ns];
  open.push_back(*slab);
  if (open.size() > kOpenSlabs) {
    auto fullest = std::max_element(open.begin(), open.end(),
                                    [](const SlabPtr& a, const SlabPtr& b) { return a->next < b->next; });
    open.erase(fullest);  // its ranges keep it
  }
  return range;
}

absl::StatusOr<std::vector<Range>> Pool::AllocateWindow(const std::string& ns, uint64_t owner, uint64_t size) {
  size = RoundUp(std::max<uint64_t>(size, 1), kPage);
  // Small windows get small slabs, so that many clients can write at once.
  const uint64_t slab_size = size <= kSmallSlab ? std::min(kSmallSlab, slab_size_) : slab_size_;
  const uint64_t whole = RoundUp(size, slab_size);
  {
    base::MutexLock lock(mutex_);
    if (!MayTakeWindow(ns, whole)) ReleaseProven();  // their clients may have let go since
    if (!MayTakeWindow(ns, whole)) {
      return base::Error(absl::StatusCode::kResourceExhausted, "NO_WINDOW",
                         "no write window of {} for namespace '{}': {} of {} are in use (write without one)",
                         base::FormatBytes(size), ns, base::FormatBytes(kept_window_bytes_),
                         base::FormatBytes(limit_ / 3));
    }
    CountWindow(ns, static_cast<int64_t>(whole));
    window_bytes_ += whole;
  }
  std::vector<Range> window;
  for (uint64_t left = size, taken = 0; left > 0; taken += slab_size) {
    absl::StatusOr<SlabPtr> slab = Obtain({.use = SlabUse::kWindow, .ns = ns, .owner = owner, .size = slab_size});
    base::MutexLock lock(mutex_);
    if (!slab.ok()) {
      CountWindow(ns, -static_cast<int64_t>(whole - taken));  // what was taken is given back by its ranges
      window_bytes_ -= whole - taken;
      return slab.status();
    }
    const uint64_t part = std::min(left, slab_size);
    window.push_back(Cut(*slab, 0, part));
    left -= part;
  }
  return window;
}

// A tenant may have twice what it leaves to the others (a dynamic threshold: Choudhury and Hahne, 1998), so that nobody
// can keep all others from writing through shared memory.
bool Pool::MayTakeWindow(const std::string& ns, uint64_t bytes) const {
  const uint64_t limit = limit_ / 3;
  const auto it = windows_of_.find(ns);
  const uint64_t own = it == windows_of_.end() ? 0 : it->second;
  return kept_window_bytes_ + bytes <= limit && (own == 0 || own + bytes <= 2 * (limit - kept_window_bytes_ - bytes));
}

void Pool::CountWindow(const std::string& ns, int64_t bytes) {
  kept_window_bytes_ += static_cast<uint64_t>(bytes);
  const auto it = windows_of_.try_emplace(ns).first;
  it->second += static_cast<uint64_t>(bytes);
  if (it->second == 0) windows_of_.erase(it);
}

absl::StatusOr<PrivateCharge> Pool::ChargePrivate(uint64_t bytes) {
  base::MutexLock lock(mutex_);
  if (!MakeRoom(bytes)) return Full(bytes);
  budget_ -= bytes;
  private_bytes_ += bytes;
  PrivateCharge charge;
  charge.pool_ = shared_from_this();
  charge.bytes_ = bytes;
  return charge;
}

void Pool::FreePrivate(uint64_t bytes) {
  base::MutexLock lock(mutex_);
  budget_ += bytes;
  private_bytes_ -= bytes;
}

void Pool::Shrink(Slab& slab, uint64_t offset, uint64_t old_size, uint64_t new_size) {
  base::MutexLock lock(mutex_);
  if (slab.next == offset + old_size) slab.next = offset + new_size;
  slab.live -= old_size - new_size;
  live_bytes_ -= old_size - new_size;
  if (slab.use == SlabUse::kWindow) live_window_bytes_ -= old_size - new_size;
}

void Pool::Free(const SlabPtr& slab, uint64_t, uint64_t size) {
  base::MutexLock lock(mutex_);
  slab->live -= size;
  slab->ranges -= 1;
  live_bytes_ -= size;
  if (slab->use == SlabUse::kWindow) live_window_bytes_ -= size;
  if (slab->ranges != 0) return;
  if (slab->use == SlabUse::kWindow) window_bytes_ -= slab->size();
  auto open = open_.find(slab->ns);
  if (open != open_.end()) {
    std::erase(open->second, slab);
    if (open->second.empty()) open_.erase(open);
  }
  Retire(slab);
}

void Pool::Retire(SlabPtr slab) {
  in_use_ -= slab->size();
  if (!recycles_) {
    budget_ += slab->size();  // dropped: its pages go with its last mapping
    if (slab->use == SlabUse::kWindow) CountWindow(slab->ns, -static_cast<int64_t>(slab->size()));
    return;
  }
  if (slab->ProvenUnshared()) {
    Clean(std::move(slab));
  } else {
    Quarantine(std::move(slab));
  }
}

void Pool::Clean(SlabPtr slab) {
  if (slab->use == SlabUse::kWindow) CountWindow(slab->ns, -static_cast<int64_t>(slab->size()));
  dirty_.push_back(std::move(slab));
}

void Pool::Quarantine(SlabPtr slab) {
  quarantined_of_[slab->ns] += slab->size();
  quarantine_.push_back(std::move(slab));
}

void Pool::ReleaseProven() {
  std::deque<SlabPtr> tried;
  tried.swap(quarantine_);
  quarantined_of_.clear();
  for (SlabPtr& slab : tried) {
    if (slab->ProvenUnshared()) {
      Clean(std::move(slab));
    } else {
      Quarantine(std::move(slab));
    }
  }
}

void Pool::Maintain() {
  {
    base::MutexLock lock(mutex_);
    ReleaseProven();
  }
  ZeroDirty();
  KeepSpare();
}

void Pool::KeepSpare() {
  {
    base::MutexLock lock(mutex_);
    if (free_.contains({.size = slab_size_}) || budget_ < slab_size_) return;
    budget_ -= slab_size_;
    readying_ += slab_size_;
  }
  absl::StatusOr<SlabPtr> made = Slab::Make(slab_size_);
  base::MutexLock lock(mutex_);
  readying_ -= slab_size_;
  if (made.ok()) {
    free_[KeyOf(**made)].push_back(*std::move(made));
  } else {
    budget_ += slab_size_;  // tried again at the next round, and by whoever needs one
  }
}

void Pool::ZeroDirty() {
  while (true) {
    SlabPtr slab;
    {
      base::MutexLock lock(mutex_);
      if (dirty_.empty()) return;
      slab = std::move(dirty_.front());
      dirty_.pop_front();
      readying_ += slab->size();
    }
    slab->Zero();
    base::MutexLock lock(mutex_);
    readying_ -= slab->size();
    free_[KeyOf(*slab)].push_back(std::move(slab));
  }
}

Arena::Usage Pool::usage() const {
  base::MutexLock lock(mutex_);
  Arena::Usage usage{.limit = limit_,
                     .live = in_use_ + private_bytes_,
                     .allocated = live_bytes_ + private_bytes_,
                     .windows = window_bytes_,
                     .wasted = Wasted()};
  usage.quarantined = readying_;
  for (const auto& [ns, bytes] : quarantined_of_) usage.quarantined += bytes;
  usage.free = limit_ - usage.live - usage.quarantined;
  return usage;
}

uint64_t Pool::Wasted() const {
  uint64_t open = 0;  // not used yet
  for (const auto& [ns, slabs] : open_) {
    for (const SlabPtr& slab : slabs) open += slab->size() - slab->next;
  }
  const uint64_t sealed = in_use_ - std::min(in_use_, window_bytes_);
  return sealed - std::min(sealed, live_bytes_ - live_window_bytes_ + open);
}

uint64_t Pool::QuarantinedOf(const std::string& ns) const {
  base::MutexLock lock(mutex_);
  const auto it = quarantined_of_.find(ns);
  return it == quarantined_of_.end() ? 0 : it->second;
}

std::vector<uint64_t> Pool::Quarantined() const {
  std::vector<uint64_t> ids;
  base::MutexLock lock(mutex_);
  for (const SlabPtr& slab : quarantine_) {
    ids.push_back(slab->id());
  }
  return ids;
}

bool Pool::Sparse(const Slab& slab) const {
  base::MutexLock lock(mutex_);
  return slab.use == SlabUse::kSealed && IsSparse(slab);
}

bool Pool::IsSparse(const Slab& slab) const {
  const auto open = open_.find(slab.ns);
  const bool filling =
      open != open_.end() && std::ranges::any_of(open->second, [&](const SlabPtr& one) { return one.get() == &slab; });
  return (filling ? slab.next : slab.size()) - slab.live > slab.size() / kSparse;
}

}  // namespace larder::arena
