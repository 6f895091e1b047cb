#include <algorithm>

#include "src/single_peer_state.h"

// Making room: eviction, compaction, and those who wait for it.
namespace larder::peers {
namespace {

constexpr size_t kEvictionsAtOnce = 256;         // objects unpublished under one lock
constexpr size_t kStepsAtOnce = 4096;            // of the search for what may go, and for what lies badly
constexpr uint64_t kWasteShare = 5;              // compacts when more than one part in so many is wasted
constexpr uint64_t kCompactBytes = 64ull << 20;  // copied in one Tick
constexpr base::Duration kCompactPause = std::chrono::seconds(1);  // after a look that found nothing

}  // namespace

// ---- waiting for room

absl::Status SinglePeer::State::ChargeObject(ByteQuota::Charge& charge, const std::string& ns, uint64_t bytes) {
  if (bytes + kObjectOverhead <= charge.bytes()) return absl::OkStatus();
  const uint64_t limit = RulesOf(ns).LimitOf(backend_.resource());
  return bytes_.GrowTo(charge, bytes + kObjectOverhead,
                       {.limit = limit, .held = limit == 0 ? 0 : backend_.HeldBeside(ns)});
}

bool SinglePeer::State::AwaitRoom(SessionId session, const absl::Status& why, uint64_t bytes, base::Deadline deadline,
                                  std::function<void()> done) {
  RoomWaiter waiter{.session = session, .bytes = bytes, .deadline = deadline};
  {
    base::MutexLock lock(mutex_);
    const std::string* ns = sessions_.NamespaceOf(session);
    if (ns == nullptr) return false;
    waiter.ns = *ns;
  }
  waiter.again = [done = std::move(done)](Calls&) { done(); };
  return WaitForRoom(std::move(waiter), why);
}

bool SinglePeer::State::MayFindRoom(const RoomWaiter& waiter) const {
  const object::NamespaceRules rules = RulesOf(waiter.ns);
  if (waiter.quota) {
    return waiter.bytes <= rules.LimitOf(backend_.resource()) &&
           (rules.evict_last || backend_.HeldBeside(waiter.ns) > 0);
  }
  const object::Backend::Usage usage = backend_.usage();
  return (usage.limit == 0 || waiter.bytes <= usage.limit) &&
         (evicts_ || rules.evict_last || usage.quarantined > 0 || usage.wasted > 0);
}

bool SinglePeer::State::WaitForRoom(RoomWaiter waiter, const absl::Status& why) {
  if (why.code() != absl::StatusCode::kResourceExhausted || waiter.deadline <= clock_.Now()) return false;
  waiter.quota = base::Reason(why) == kQuotaExceeded;
  if (!MayFindRoom(waiter)) return false;
  {
    base::MutexLock lock(mutex_);
    if (closing_ || sessions_.NamespaceOf(waiter.session) == nullptr) return false;
    room_waiters_.push_back(std::move(waiter));
  }
  if (wake_) wake_();
  return true;
}

void SinglePeer::State::WakeRoomWaiters() {
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    for (RoomWaiter& waiter : std::exchange(room_waiters_, {})) calls.Add(std::move(waiter.again));
  }
  calls.Run();
}

void SinglePeer::State::WakeIfShort() {
  if (!wake_ || !evicts_) return;
  const object::Backend::Usage usage = backend_.usage();
  if (usage.limit != 0 && usage.used > usage.limit / 100 * kHighPercent) wake_();
}

// ---- eviction

std::vector<Eviction> SinglePeer::State::Plan() {
  const object::Backend::Usage usage = backend_.usage();
  Pressure pressure{.limit = usage.limit, .used = usage.used};
  std::map<std::string, NamespaceUse> namespaces;
  {
    base::MutexLock lock(mutex_);
    for (const auto& [ns, queue] : queues_) namespaces[ns].ns = ns;
    for (const RoomWaiter& waiter : room_waiters_) {
      const auto ns = namespaces.find(waiter.ns);
      if (!waiter.quota) {
        pressure.asked += waiter.bytes;
      } else if (ns != namespaces.end()) {
        ns->second.asked += waiter.bytes;
      }
    }
  }
  std::vector<NamespaceUse> uses;
  for (auto& [ns, use] : namespaces) {
    const object::NamespaceRules rules = RulesOf(ns);
    use.evictable = rules.evict_last;
    if (!use.evictable) continue;
    use.bytes = bytes_.UseOf(ns) + backend_.HeldBeside(ns);
    use.quota = rules.LimitOf(backend_.resource());
    uses.push_back(std::move(use));
  }
  evicts_ = !uses.empty();
  return PlanEviction(pressure, uses);
}

void SinglePeer::State::MakeRoom() {
  for (const Eviction& eviction : Plan()) Evict(eviction);
}

void SinglePeer::State::Evict(const Eviction& eviction) {
  uint64_t freed = 0;
  for (bool more = true; more && freed < eviction.bytes;) {
    // Unpublished before it is freed, so that nobody finds a name without bytes.
    const std::vector<SealedPtr> victims = TakeColdest(eviction.ns, eviction.bytes - freed, more);
    for (const SealedPtr& victim : victims) {
      freed += victim->info.size + kObjectOverhead;
      // A disk that fails here keeps the file, and finds it again at the next start.
      backend_.Remove(victim->info.id, victim->info.epoch).IgnoreError();
    }
    base::MutexLock lock(mutex_);
    (eviction.reason == EvictReason::kRoom ? evicted_room_ : evicted_quota_) += victims.size();
  }
}

std::vector<SinglePeer::State::SealedPtr> SinglePeer::State::TakeColdest(const std::string& ns, uint64_t bytes,
                                                                         bool& more) {
  std::vector<SealedPtr> taken;
  base::MutexLock lock(mutex_);
  const base::MonotonicTime now = clock_.Now();
  const auto keep = [&](const SealedPtr& sealed) {
    return sealed->info.pinned || sealed->holding->readers > 0 || sealed->holding->keep_until > now;
  };
  more = false;
  for (uint64_t freed = 0; freed < bytes;) {
    if (taken.size() == kEvictionsAtOnce) {
      more = true;
      break;
    }
    const auto queue = queues_.find(ns);
    if (queue == queues_.end()) break;
    const auto place = queue->second.Next(kStepsAtOnce, keep);
    if (!place) break;  // goes on from here at the next round
    taken.push_back((*place)->item);
    freed += taken.back()->info.size + kObjectOverhead;
    Erase(taken.back());
  }
  return taken;
}

// ---- compaction

std::vector<SinglePeer::State::SealedPtr> SinglePeer::State::NextToCompact() {
  std::vector<SealedPtr> found;
  base::MutexLock lock(mutex_);
  size_t steps = 0;
  for (auto ns = objects_.lower_bound(compacted_to_.ns); ns != objects_.end(); ++ns) {
    auto it = ns->first == compacted_to_.ns ? ns->second.upper_bound(compacted_to_.key) : ns->second.begin();
    for (; it != ns->second.end(); ++it) {
      if (++steps > kStepsAtOnce) return found;
      compacted_to_ = {ns->first, it->first};
      // What somebody reads would lie twice.
      if (it->second->holding->readers == 0) found.push_back(it->second);
    }
  }
  compacted_to_ = {};
  if (!std::exchange(compacted_any_, false)) compact_at_ = clock_.Now() + kCompactPause;
  return found;
}

void SinglePeer::State::Compact() {
  const object::Backend::Usage usage = backend_.usage();
  if (usage.wasted <= usage.used / kWasteShare) return;
  {
    base::MutexLock lock(mutex_);
    if (clock_.Now() < compact_at_) return;
  }
  Calls calls;
  uint64_t copied = 0;
  for (const SealedPtr& sealed : NextToCompact()) {
    if (copied >= kCompactBytes) break;  // those left come when the look comes round again
    std::shared_ptr<const object::BlobView> moved = backend_.Compact(sealed->info.id, *sealed->view);
    if (moved == nullptr) continue;
    copied += sealed->info.size;
    base::MutexLock lock(mutex_);
    const SealedPtr now = Find(sealed->info.id);
    if (now != sealed) continue;  // gone, or changed, meanwhile
    auto changed = std::make_shared<Sealed>(*now);
    changed->view = std::move(moved);
    Replace(now, std::move(changed), calls);
    compacted_ += 1;
    compacted_any_ = true;
  }
  calls.Run();
}

}  // namespace larder::peers
