#include <algorithm>

#include "src/single_peer_state.h"

// Making room: eviction, compaction, and those who wait for it.
namespace larder::peers {
namespace {

constexpr size_t kEvictionsAtOnce = 256;           // objects unpublished under one lock
constexpr size_t kStepsAtOnce = 4096;              // under one lock, of the search for what may go, or lies badly
constexpr size_t kStepsOfAll = 64 * kStepsAtOnce;  // of one eviction; the next goes on from there
constexpr uint64_t kWasteShare = 5;                // compacts when more than one part in so many is wasted
constexpr uint64_t kCompactBytes = 64ull << 20;    // copied in one Tick
constexpr base::Duration kCompactPause = std::chrono::seconds(1);  // after a look that found nothing
constexpr size_t kAskedAtOnce = 64;                                // objects of one namespace
constexpr base::Duration kAskAgain = std::chrono::seconds(30);     // about an object that had to stay
constexpr base::Duration kLately = std::chrono::seconds(1);        // clients that are asked let go within it

uint64_t FreeOf(const object::Backend::Usage& usage) {
  return usage.limit == 0 ? UINT64_MAX : usage.limit - std::min(usage.limit, usage.used + usage.quarantined);
}

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
           (rules.evict_last || backend_.HeldBeside(waiter.ns) > 0 || HasParked(waiter.ns));
  }
  const object::Backend::Usage usage = backend_.usage();
  return (usage.limit == 0 || waiter.bytes <= usage.limit) &&
         (evicts_ || rules.evict_last || usage.quarantined > 0 || HasParked("") ||
          (usage.wasted >= waiter.bytes && usage.wasted > usage.used / kWasteShare));
}

bool SinglePeer::State::WaitForRoom(RoomWaiter waiter, const absl::Status& why) {
  if (why.code() != absl::StatusCode::kResourceExhausted || waiter.deadline <= clock_.Now()) return false;
  waiter.quota = base::Reason(why) == kQuotaExceeded;
  if (!MayFindRoom(waiter)) return false;
  {
    base::MutexLock lock(mutex_);
    const bool gone = waiter.session != SessionId{} && sessions_.NamespaceOf(waiter.session) == nullptr;
    if (closing_ || gone) return false;
    room_waiters_.push_back(std::move(waiter));
  }
  if (wake_) wake_();
  return true;
}

void SinglePeer::State::WakeRoomWaiters() {
  const uint64_t free = FreeOf(backend_.usage());
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = clock_.Now();
    // Whoever cannot be served would take what there is, and give it back.
    std::erase_if(room_waiters_, [&](RoomWaiter& waiter) {
      if (!waiter.quota && waiter.bytes > free && waiter.deadline > now) return false;
      calls.Add(std::move(waiter.again));
      return true;
    });
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
  std::vector<std::string> names;
  {
    base::MutexLock lock(mutex_);
    for (const auto& [ns, queue] : queues_) names.push_back(ns);
  }
  std::vector<NamespaceUse> uses;
  uint64_t evictable = 0;
  for (std::string& ns : names) {
    const object::NamespaceRules rules = RulesOf(ns);
    if (!rules.evict_last && !may_go_) continue;
    NamespaceUse use{.bytes = bytes_.UseOf(ns),
                     .held = backend_.HeldBeside(ns),
                     .quota = rules.LimitOf(backend_.resource()),
                     .evictable = true};
    use.ns = std::move(ns);
    evictable += use.bytes;
    uses.push_back(std::move(use));
  }
  evicts_ = !uses.empty();
  const object::Backend::Usage usage = backend_.usage();
  Pressure pressure{.limit = usage.limit, .used = usage.used};
  base::MutexLock lock(mutex_);
  pressure.leaving = std::min(usage.quarantined, EvictedLately(""));
  for (NamespaceUse& use : uses) use.leaving = std::min(use.held, EvictedLately(use.ns));
  for (const RoomWaiter& waiter : room_waiters_) {
    const auto own = std::ranges::find(uses, waiter.ns, &NamespaceUse::ns);
    if (waiter.quota) {
      if (own != uses.end()) own->asked += waiter.bytes;
    } else if (usage.limit == 0 ||
               waiter.bytes - std::min(waiter.bytes, FreeOf(usage)) <= evictable + usage.quarantined) {
      pressure.asked += waiter.bytes;  // else nothing that goes could serve it
    }
  }
  return PlanEviction(pressure, uses);
}

uint64_t SinglePeer::State::EvictedLately(const std::string& ns) {
  while (!evicted_lately_.empty() && clock_.Now() - evicted_lately_.front().at > kLately) evicted_lately_.pop_front();
  uint64_t bytes = 0;
  for (const Evicted& one : evicted_lately_) {
    if (ns.empty() || one.ns == ns) bytes += one.bytes;
  }
  return bytes;
}

void SinglePeer::State::MakeRoom() {
  DropParkedForRoom();
  for (const Eviction& eviction : Plan()) {
    RulesOf(eviction.ns).evict_last ? Evict(eviction) : AskAndEvict(eviction);
  }
}

void SinglePeer::State::Evict(const Eviction& eviction) {
  uint64_t freed = 0;
  for (size_t steps = kStepsOfAll; steps > 0 && freed < eviction.bytes;) {
    // Unpublished before it is freed, so that nobody finds a name without bytes.
    const std::vector<SealedPtr> victims = TakeColdest(eviction.ns, eviction.bytes - freed, steps);
    for (const SealedPtr& victim : victims) freed += victim->info.size + kObjectOverhead;
    Lose(victims);
    base::MutexLock lock(mutex_);
    CountEvicted(eviction, victims.size(), 0);
  }
  base::MutexLock lock(mutex_);
  CountEvicted(eviction, 0, freed);
}

void SinglePeer::State::CountEvicted(const Eviction& eviction, size_t objects, uint64_t bytes) {
  (eviction.reason == EvictReason::kRoom ? evicted_room_ : evicted_quota_) += objects;
  if (bytes > 0) evicted_lately_.push_back({clock_.Now(), eviction.ns, bytes});
}

void SinglePeer::State::AskAndEvict(const Eviction& eviction) {
  const std::vector<SealedPtr> asked = ColdestToAsk(eviction.ns, eviction.bytes);
  if (asked.empty()) return;
  std::vector<ObjectInfo> infos;
  for (const SealedPtr& sealed : asked) infos.push_back(sealed->info);
  may_go_(infos, [this, eviction, asked](const std::vector<bool>& may_go) { EvictAllowed(eviction, asked, may_go); });
}

std::vector<SinglePeer::State::SealedPtr> SinglePeer::State::ColdestToAsk(const std::string& ns, uint64_t bytes) {
  std::vector<SealedPtr> asked;
  base::MutexLock lock(mutex_);
  const auto queue = queues_.find(ns);
  if (queue == queues_.end() || asking_.contains(ns)) return asked;
  const base::MonotonicTime now = clock_.Now();
  const auto keep = [&](const SealedPtr& sealed) {
    return sealed->info.pinned || sealed->holding->readers > 0 || sealed->holding->keep_until > now ||
           sealed->holding->ask_again > now || !sealed->info.tracked;
  };
  size_t steps = std::min(2 * queue->second.size(), kStepsAtOnce);
  for (uint64_t sum = 0; sum < bytes && asked.size() < kAskedAtOnce;) {
    const auto place = queue->second.Next(steps, keep);
    if (!place) break;
    asked.push_back((*place)->item);
    sum += asked.back()->info.size + kObjectOverhead;
    asked.back()->holding->ask_again = now + kAskAgain;
  }
  if (!asked.empty()) asking_.insert(ns);
  return asked;
}

void SinglePeer::State::EvictAllowed(const Eviction& eviction, const std::vector<SealedPtr>& asked,
                                     const std::vector<bool>& may_go) {
  std::vector<SealedPtr> victims;
  uint64_t freed = 0;
  {
    base::MutexLock lock(mutex_);
    asking_.erase(eviction.ns);
    for (size_t i = 0; i < asked.size(); ++i) {
      // Also if somebody reads it by now: the cluster does not count on it any more, and a reader keeps its view.
      const SealedPtr now = may_go.at(i) ? Find(asked[i]->info.id) : nullptr;
      if (now == nullptr || now->info.epoch != asked[i]->info.epoch) continue;
      victims.push_back(now);
      freed += now->info.size + kObjectOverhead;
      Erase(now);
    }
    CountEvicted(eviction, victims.size(), freed);
  }
  Lose(victims);
  if (!victims.empty() && wake_) wake_();
}

std::vector<SinglePeer::State::SealedPtr> SinglePeer::State::TakeColdest(const std::string& ns, uint64_t bytes,
                                                                         size_t& steps) {
  std::vector<SealedPtr> taken;
  base::MutexLock lock(mutex_);
  auto queue = queues_.find(ns);
  // Twice round is enough: the first time clears the marks.
  steps = queue == queues_.end() ? 0 : std::min(steps, 2 * queue->second.size());
  size_t left = std::min(steps, kStepsAtOnce);
  steps -= left;
  const base::MonotonicTime now = clock_.Now();
  const auto keep = [&](const SealedPtr& sealed) {
    return sealed->info.pinned || sealed->holding->readers > 0 || sealed->holding->keep_until > now;
  };
  for (uint64_t freed = 0; queue != queues_.end() && freed < bytes && taken.size() < kEvictionsAtOnce;) {
    const auto place = queue->second.Next(left, keep);
    if (!place) break;  // goes on from here
    taken.push_back((*place)->item);
    freed += taken.back()->info.size + kObjectOverhead;
    Erase(taken.back());
    queue = queues_.find(ns);  // it goes with its last object
  }
  steps += left;
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
  if (usage.wasted <= usage.used / kWasteShare && usage.scattered == 0) return;
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
