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
constexpr size_t kOpenSlabs = 4;     // per namespace
constexpr uint64_t kSparse = 5;      // a slab of which more than one part in so many was freed
constexpr uint64_t kReserving = 16;  // slabs, from which on one of them is kept for what is moved

uint64_t RoundUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

}  // namespace

Pool::Pool(uint64_t limit, uint64_t slab_size)
    : limit_(limit), slab_size_(slab_size), reserve_(limit / slab_size < kReserving ? 0 : slab_size), budget_(limit) {}

absl::Status Pool::Start() {
  // Who opens a slab while the proof holds its lease makes the kernel send SIGIO, which would end the process.
  ::signal(SIGIO, SIG_IGN);
  // The proof must fail while another description or mapping exists, and succeed after; else never use memory again.
  LARDER_ASSIGN_OR_RETURN(SlabPtr probe, Slab::Make(kPage, ids_, watch_));
  LARDER_RETURN_IF_ERROR(probe->Assign(SlabUse::kSealed, "probe"));
  const auto unshared = [&] { return probe->TryProof() == Slab::Proof::kUnshared; };
  bool proof = unshared();
  {
    LARDER_ASSIGN_OR_RETURN(base::UniqueFd other, probe->OpenReadOnly());
    proof = proof && !unshared();
    void* at = ::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, other.get(), 0);
    if (at == MAP_FAILED) return base::ErrnoError(errno, "map a memfd");
    other.Reset();
    proof = proof && !unshared();
    ::munmap(at, kPage);
  }
  recycles_ = proof && unshared();

  std::vector<SlabPtr> slabs;
  for (uint64_t made = 0; made + slab_size_ <= limit_; made += slab_size_) {
    LARDER_ASSIGN_OR_RETURN(SlabPtr slab, Slab::Make(slab_size_, ids_, watch_));
    slabs.push_back(std::move(slab));
  }
  base::MutexLock lock(mutex_);
  budget_ -= slabs.size() * slab_size_;
  free_[{.size = slab_size_}] = std::move(slabs);
  return absl::OkStatus();
}

absl::Status Pool::Full(uint64_t asked) const {
  return base::Error(
      absl::StatusCode::kResourceExhausted, "ARENA_FULL",
      "the memory arena has no room for {} (limit {}, in use {}, kept to move objects {}, still mapped by "
      "readers of deleted objects {}): delete objects, end the clients that keep deleted ones, or raise "
      "'arena'",
      base::FormatBytes(asked), base::FormatBytes(limit_), base::FormatBytes(in_use_ + private_bytes_),
      base::FormatBytes(reserve_), base::FormatBytes(held_bytes_));
}

void Pool::Book(const std::string& ns, uint64_t Account::*what, int64_t bytes) {
  const auto it = accounts_.try_emplace(ns).first;
  it->second.*what += static_cast<uint64_t>(bytes);
  if (it->second == Account{}) accounts_.erase(it);
}

Pool::Account Pool::AccountOf(const std::string& ns) const {
  const auto it = accounts_.find(ns);
  return it == accounts_.end() ? Account() : it->second;
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

uint64_t Pool::Unused() const { return limit_ - in_use_ - private_bytes_ - held_bytes_ - readying_; }

absl::StatusOr<Pool::SlabPtr> Pool::Obtain(const Key& key, Purpose purpose) {
  const uint64_t size = key.size;
  const uint64_t asked = size + (purpose == Purpose::kMove ? 0 : reserve_);
  SlabPtr slab, dirty;
  std::vector<SlabPtr> dropped;
  {
    base::MutexLock lock(mutex_);
    // Readers may have let go since: the last chance is in quarantine.
    if (Unused() < asked) {
      CollectEnded();
      ReleaseProven();
    }
    if (Unused() < asked) return Full(size);
    slab = TakeFree(key);
    if (slab == nullptr) slab = TakeFree({.size = size});
    if (slab == nullptr) slab = dirty = TakeDirty(key);
    if (slab == nullptr && !MakeRoom(size)) return Full(size);
    if (slab == nullptr) {
      budget_ -= size;
      dropped.swap(dropped_);
    }
    in_use_ += size;
    if (key.use == SlabUse::kSealed) Book(key.ns, &Account::sealed, static_cast<int64_t>(size));
  }
  // Dropping, making, touching and zeroing take a while: not under the lock.
  dropped.clear();
  if (dirty != nullptr) dirty->Zero();
  absl::Status failed;
  if (slab == nullptr) {
    auto made = Slab::Make(size, ids_, watch_);
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
    if (key.use == SlabUse::kSealed) Book(key.ns, &Account::sealed, -static_cast<int64_t>(size));
    return failed;
  }
  return slab;
}

Range Pool::Cut(const SlabPtr& slab, uint64_t offset, uint64_t size) {
  slab->next = offset + size;
  slab->live += size;
  slab->ranges += 1;
  live_bytes_ += size;
  if (slab->use == SlabUse::kSealed) Book(slab->ns, &Account::live, static_cast<int64_t>(size));
  return Range(shared_from_this(), slab, offset, size);
}

std::optional<Range> Pool::CutOpen(const std::string& ns, const Want& want, bool also_sparse) {
  const auto open = open_.find(ns);
  if (open == open_.end()) return std::nullopt;
  for (SlabPtr& slab : open->second) {
    if (!also_sparse && IsSparse(*slab)) continue;  // what is moved away from it must not come back
    const uint64_t offset = RoundUp(slab->next, want.align);
    if (offset >= slab->size()) continue;
    const uint64_t room = slab->size() - offset;
    if (room >= std::min(want.aim, want.least)) return Cut(slab, offset, std::min(want.aim, room));
  }
  return std::nullopt;
}

absl::StatusOr<Range> Pool::AllocateSealed(const std::string& ns, uint64_t want, uint64_t least, Purpose purpose) {
  const bool packed = want <= kPacked;
  const uint64_t aim = std::min(want, slab_size_);
  const Want cut{.align = packed ? kPackedAlign : kPage, .aim = aim, .least = packed ? std::max(least, aim) : least};
  const bool whole = aim == slab_size_;  // worth more than its parts
  if (!whole) {
    base::MutexLock lock(mutex_);
    if (auto range = CutOpen(ns, cut, false)) return *std::move(range);
  }
  absl::StatusOr<SlabPtr> slab = Obtain({.use = SlabUse::kSealed, .ns = ns, .size = slab_size_}, purpose);
  base::MutexLock lock(mutex_);
  if (!slab.ok()) {
    // What is moved gains nothing in a slab that is to be left.
    auto range = whole || purpose == Purpose::kMove ? std::nullopt : CutOpen(ns, cut, true);
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

absl::StatusOr<std::vector<Range>> Pool::AllocateWindow(const std::string& ns, uint64_t owner, uint64_t size,
                                                        uint64_t most) {
  size = RoundUp(std::max<uint64_t>(size, 1), kPage);
  // Small windows get small slabs, so that many clients can write at once.
  const uint64_t slab_size = size <= kSmallSlab ? std::min(kSmallSlab, slab_size_) : slab_size_;
  const uint64_t whole = RoundUp(size, slab_size);
  {
    base::MutexLock lock(mutex_);
    if (!MayTakeWindow(ns, whole, most)) ReleaseProven();  // their clients may have let go since
    if (!MayTakeWindow(ns, whole, most)) {
      return base::Error(absl::StatusCode::kResourceExhausted, "NO_WINDOW",
                         "no write window of {} for namespace '{}': {} of {} are in use, {} by itself (write without "
                         "one)",
                         base::FormatBytes(size), ns, base::FormatBytes(kept_window_bytes_),
                         base::FormatBytes(limit_ / 3), base::FormatBytes(AccountOf(ns).windows));
    }
    BookWindow(ns, static_cast<int64_t>(whole));
    window_bytes_ += whole;
  }
  std::vector<Range> window;
  for (uint64_t left = size, taken = 0; left > 0; taken += slab_size) {
    absl::StatusOr<SlabPtr> slab =
        Obtain({.use = SlabUse::kWindow, .ns = ns, .owner = owner, .size = slab_size}, Purpose::kNew);
    base::MutexLock lock(mutex_);
    if (!slab.ok()) {
      BookWindow(ns, -static_cast<int64_t>(whole - taken));  // what was taken is given back by its ranges
      window_bytes_ -= whole - taken;
      return slab.status();
    }
    const uint64_t part = std::min(left, slab_size);
    window.push_back(Cut(*slab, 0, part));
    left -= part;
  }
  return window;
}

// A dynamic threshold: Choudhury and Hahne, 1998. Who has nothing may have what is there.
bool Pool::LeavesOthers(uint64_t own, uint64_t all, uint64_t more, uint64_t limit) {
  return all + more <= limit && (own == 0 || own + more <= 2 * (limit - all - more));
}

bool Pool::MayTakeWindow(const std::string& ns, uint64_t bytes, uint64_t most) const {
  const uint64_t own = AccountOf(ns).windows;
  return (most == 0 || own + bytes <= most) && LeavesOthers(own, kept_window_bytes_, bytes, limit_ / 3);
}

void Pool::BookWindow(const std::string& ns, int64_t bytes) {
  kept_window_bytes_ += static_cast<uint64_t>(bytes);
  Book(ns, &Account::windows, bytes);
}

absl::StatusOr<PrivateCharge> Pool::Charge(uint64_t bytes, const std::string& withheld_from) {
  if (Unused() < bytes + reserve_) {
    CollectEnded();
    ReleaseProven();
  }
  if (Unused() < bytes + reserve_ || !MakeRoom(bytes)) return Full(bytes);
  budget_ -= bytes;
  private_bytes_ += bytes;
  if (!withheld_from.empty()) {
    withheld_bytes_ += bytes;
    Book(withheld_from, &Account::withheld, static_cast<int64_t>(bytes));
  }
  return PrivateCharge(shared_from_this(), bytes, withheld_from);
}

absl::StatusOr<PrivateCharge> Pool::ChargePrivate(uint64_t bytes) {
  base::MutexLock lock(mutex_);
  return Charge(bytes, {});
}

absl::StatusOr<PrivateCharge> Pool::Withhold(const std::string& ns, uint64_t bytes) {
  base::MutexLock lock(mutex_);
  if (!LeavesOthers(AccountOf(ns).withheld, withheld_bytes_, bytes, limit_ / 2)) {
    return base::Error(absl::StatusCode::kResourceExhausted, "NOT_WITHHELD",
                       "{} of earlier agents are more than is believed ({} of at most {} are withheld)",
                       base::FormatBytes(bytes), base::FormatBytes(withheld_bytes_), base::FormatBytes(limit_ / 2));
  }
  return Charge(bytes, ns);
}

void Pool::FreePrivate(uint64_t bytes, const std::string& withheld_from) {
  base::MutexLock lock(mutex_);
  budget_ += bytes;
  private_bytes_ -= bytes;
  if (withheld_from.empty()) return;
  withheld_bytes_ -= bytes;
  Book(withheld_from, &Account::withheld, -static_cast<int64_t>(bytes));
}

void Pool::Shrink(Slab& slab, uint64_t offset, uint64_t old_size, uint64_t new_size) {
  base::MutexLock lock(mutex_);
  if (slab.next == offset + old_size) slab.next = offset + new_size;
  slab.live -= old_size - new_size;
  live_bytes_ -= old_size - new_size;
  if (slab.use == SlabUse::kSealed) Book(slab.ns, &Account::live, -static_cast<int64_t>(old_size - new_size));
}

void Pool::Free(const SlabPtr& slab, uint64_t, uint64_t size) {
  base::MutexLock lock(mutex_);
  slab->live -= size;
  slab->ranges -= 1;
  live_bytes_ -= size;
  if (slab->use == SlabUse::kSealed) Book(slab->ns, &Account::live, -static_cast<int64_t>(size));
  if (slab->ranges != 0) return;
  if (slab->use == SlabUse::kWindow) window_bytes_ -= slab->size();
  auto open = open_.find(slab->ns);
  if (open != open_.end()) {
    std::erase(open->second, slab);
    if (open->second.empty()) open_.erase(open);
  }
  Retire(slab);
}

Arena::Usage Pool::usage() const {
  base::MutexLock lock(mutex_);
  Arena::Usage usage{.limit = limit_,
                     .free = Unused(),
                     .live = in_use_ + private_bytes_,
                     .quarantined = held_bytes_ + readying_,
                     .allocated = live_bytes_ + private_bytes_,
                     .windows = window_bytes_,
                     .reserved = reserve_};
  for (const auto& [ns, account] : accounts_) {
    const uint64_t used = account.live + OpenRoom(ns);
    usage.wasted += account.sealed - std::min(account.sealed, used);
    usage.scattered += Scattered(ns, account);
  }
  return usage;
}

// What was never used of the slabs that are being filled.
uint64_t Pool::OpenRoom(const std::string& ns) const {
  uint64_t room = 0;
  if (const auto open = open_.find(ns); open != open_.end()) {
    for (const SlabPtr& slab : open->second) room += slab->size() - slab->next;
  }
  return room;
}

uint64_t Pool::Scattered(const std::string& ns, const Account& account) const {
  const uint64_t due = account.live + OpenRoom(ns) + account.live / 4 + slab_size_;
  return account.sealed - std::min(account.sealed, due);
}

uint64_t Pool::HeldBeside(const std::string& ns) const {
  base::MutexLock lock(mutex_);
  const Account account = AccountOf(ns);
  return account.quarantined + account.ending + account.withheld + Scattered(ns, account);
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
