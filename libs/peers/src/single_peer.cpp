#include "larder/peers/single_peer.h"

#include <algorithm>

#include "src/incoming.h"
#include "src/single_peer_state.h"

namespace larder::peers {
namespace {

constexpr base::Duration kLookupPin = std::chrono::seconds(2);  // a lookup keeps its object for so long
constexpr base::Duration kRetryRoom = std::chrono::milliseconds(2);

}  // namespace

absl::Status NoSession() {
  return base::Error(absl::StatusCode::kNotFound, "NO_SESSION", "the session has ended: connect again");
}
absl::Status NoObject(const ObjectId& id) {
  return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "there is no object '{}' in namespace '{}'", id.key,
                     id.ns);
}

SinglePeer::State::State(object::Backend& backend, const object::PeerSettings& settings)
    : backend_(backend),
      clock_(*settings.clock),
      lease_ttl_(settings.lease_ttl),
      late_tick_(settings.late_tick),
      rules_(settings.rules),
      wake_(settings.wake),
      bytes_(backend.resource()),
      sessions_(settings.lease_ttl),
      ticked_(clock_.Now()) {
  // Epochs never repeat, over restarts too, even where nothing is kept: they begin with the wall clock's microseconds.
  next_epoch_ = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(clock_.WallNow().time_since_epoch()).count());
}

// ---- tables

absl::StatusOr<ObjectId> SinglePeer::State::IdOf(SessionId session, const std::string& key) {
  const std::string* ns = sessions_.NamespaceOf(session);
  if (ns == nullptr) return NoSession();
  LARDER_RETURN_IF_ERROR(object::CheckKey(key));
  return ObjectId{*ns, key};
}

SinglePeer::State::SealedPtr SinglePeer::State::Find(const ObjectId& id) {
  auto ns = objects_.find(id.ns);
  if (ns == objects_.end()) return nullptr;
  auto it = ns->second.find(id.key);
  if (it == ns->second.end()) return nullptr;
  if (it->second->expires && *it->second->expires <= clock_.Now()) return nullptr;  // TTL decides who may start
  return it->second;
}

ObjectInfo SinglePeer::State::InfoOf(const Sealed& sealed) const {
  ObjectInfo info = sealed.info;
  if (sealed.expires) info.ttl_left = std::max(base::Duration(0), *sealed.expires - clock_.Now());
  return info;
}

void SinglePeer::State::Insert(SealedPtr sealed, Calls& calls) {
  SealedPtr& slot = objects_[sealed->info.id.ns][sealed->info.id.key];
  uint64_t& bytes = object_bytes_[sealed->info.id.ns];
  ClockQueue<SealedPtr>& queue = queues_[sealed->info.id.ns];
  if (slot != nullptr) {
    object_count_ -= 1;
    bytes -= slot->info.size;
    ForgetExpiry(slot);
    queue.Erase(slot->holding->place);
    calls.Drop(std::move(slot));
  }
  // Nobody needs the rest of what came before.
  if (IncomingPtr parked = TakeParked(sealed->info.id)) calls.Drop(std::shared_ptr<Incoming>(std::move(parked)));
  object_count_ += 1;
  bytes += sealed->info.size;
  if (sealed->expires) expiry_.emplace(*sealed->expires, sealed);
  sealed->holding->place = queue.Insert(sealed);
  slot = std::move(sealed);
}

void SinglePeer::State::Replace(const SealedPtr& sealed, SealedPtr changed, Calls& calls) {
  ForgetExpiry(sealed);
  if (changed->expires) expiry_.emplace(*changed->expires, changed);
  ClockQueue<SealedPtr>::Replace(changed->holding->place, changed);
  SealedPtr& slot = objects_[changed->info.id.ns][changed->info.id.key];
  calls.Drop(std::exchange(slot, std::move(changed)));
}

void SinglePeer::State::ForgetExpiry(const SealedPtr& sealed) {
  if (!sealed->expires) return;
  const auto [begin, end] = expiry_.equal_range(*sealed->expires);
  const auto it = std::find_if(begin, end, [&](const auto& entry) { return entry.second == sealed; });
  if (it != end) expiry_.erase(it);
}

void SinglePeer::State::Erase(const SealedPtr& sealed) {
  ForgetExpiry(sealed);
  const auto queue = queues_.find(sealed->info.id.ns);
  queue->second.Erase(sealed->holding->place);
  if (queue->second.empty()) queues_.erase(queue);
  auto ns = objects_.find(sealed->info.id.ns);
  ns->second.erase(sealed->info.id.key);
  object_count_ -= 1;
  object_bytes_[sealed->info.id.ns] -= sealed->info.size;
  if (!ns->second.empty()) return;
  objects_.erase(ns);
  object_bytes_.erase(sealed->info.id.ns);
}

absl::Status SinglePeer::State::Recover() {
  LARDER_ASSIGN_OR_RETURN(std::vector<object::Backend::Recovered> found, backend_.Recover());
  Calls none;  // nothing is there to be replaced
  base::MutexLock lock(mutex_);
  for (object::Backend::Recovered& one : found) {
    auto sealed = std::make_shared<Sealed>();
    if (one.info.ttl_left) sealed->expires = clock_.Now() + *one.info.ttl_left;
    next_epoch_ = std::max(next_epoch_, one.info.epoch.value + 1);
    sealed->info = std::move(one.info);
    sealed->view = std::move(one.view);
    sealed->holding = MakeHolding(sealed->info.id.ns);
    bytes_.Settle(sealed->holding->charge, sealed->info.size + kObjectOverhead);
    // Who read it before the restart has a lease TTL to come back.
    sealed->holding->keep_until = clock_.Now() + lease_ttl_;
    Insert(std::move(sealed), none);
  }
  return absl::OkStatus();
}

absl::Status SinglePeer::State::CheckLeases(SessionId session, const std::string& ns) const {
  const size_t held = sessions_.LeasesOf(session);
  if (held >= kMaxLeases) {
    return base::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_LEASES",
                       "this connection holds {} leases, as many as it may (limit {}): release some", held, kMaxLeases);
  }
  return CheckQuota(ns, object::Resource::kLeases, sessions_.UseOf(ns).leases, 0, 1, RulesOf(ns).leases);
}

absl::Status SinglePeer::State::LeaseLost(SessionId session, LeaseId lease) const {
  const SessionTable::Subject* subject = sessions_.SubjectOf(session, lease);
  if (subject == nullptr) {
    return base::Error(absl::StatusCode::kAborted, "LEASE_LOST", "lease {} has ended: begin again", lease.value);
  }
  return base::Error(absl::StatusCode::kAborted, "LEASE_LOST",
                     "lease {} of '{}', epoch {}, was not renewed in time: begin again", lease.value, subject->key,
                     subject->epoch.value);
}

void SinglePeer::State::KeepSubject(SessionId session, LeaseId lease) {
  if (const auto creation = creations_.find(lease); creation != creations_.end()) {
    sessions_.KeepSubject(session, lease, {creation->second->id.key, creation->second->epoch});
  } else if (const auto read = reads_.find(lease); read != reads_.end()) {
    sessions_.KeepSubject(session, lease, {read->second->info.id.key, read->second->info.epoch});
  }
}

object::NamespaceRules SinglePeer::State::RulesOf(const std::string& ns) const {
  return rules_ ? rules_(ns) : object::NamespaceRules();
}

// ---- reading

absl::StatusOr<ReadGrant> SinglePeer::State::Get(SessionId session, const std::string& key) {
  base::MutexLock lock(mutex_);
  LARDER_ASSIGN_OR_RETURN(const ObjectId id, IdOf(session, key));
  SealedPtr sealed = Find(id);
  if (sealed == nullptr) return NoObject(id);
  LARDER_RETURN_IF_ERROR(CheckLeases(session, id.ns));
  ClockQueue<SealedPtr>::Use(sealed->holding->place);
  sealed->holding->readers += 1;
  ReadGrant grant{.lease = sessions_.Grant(session, clock_.Now()),
                  .lease_ttl = lease_ttl_,
                  .info = InfoOf(*sealed),
                  .view = sealed->view};
  reads_.emplace(grant.lease, std::move(sealed));
  return grant;
}

absl::StatusOr<ObjectInfo> SinglePeer::State::Stat(SessionId session, const std::string& key) {
  base::MutexLock lock(mutex_);
  LARDER_ASSIGN_OR_RETURN(const ObjectId id, IdOf(session, key));
  if (SealedPtr sealed = Find(id); sealed != nullptr) {
    // Who looked it up may open it.
    sealed->holding->keep_until = std::max(sealed->holding->keep_until, clock_.Now() + kLookupPin);
    return InfoOf(*sealed);
  }
  auto it = creating_.find(id);
  if (it == creating_.end()) return NoObject(id);
  const Creation& creation = *it->second;
  return ObjectInfo{
      .id = id, .state = object::ObjectState::kCreating, .epoch = creation.epoch, .meta = creation.request.meta};
}

absl::StatusOr<object::ListPage> SinglePeer::State::List(SessionId session, const object::ListRequest& request) {
  if (request.limit < 1 || request.limit > 1000) {
    return base::InvalidArgument("BAD_LIMIT", "a page has 1 to 1000 objects, not {}", request.limit);
  }
  base::MutexLock lock(mutex_);
  const std::string* name = sessions_.NamespaceOf(session);
  if (name == nullptr) return NoSession();
  object::ListPage page;
  auto ns = objects_.find(*name);
  if (ns == objects_.end()) return page;
  auto it =
      request.after >= request.prefix ? ns->second.upper_bound(request.after) : ns->second.lower_bound(request.prefix);
  const base::MonotonicTime now = clock_.Now();
  for (; it != ns->second.end() && it->first.starts_with(request.prefix); ++it) {
    if (it->second->expires && *it->second->expires <= now) continue;
    if (page.objects.size() == request.limit) {
      page.more = true;
      break;
    }
    page.objects.push_back(InfoOf(*it->second));
  }
  return page;
}

absl::Status SinglePeer::State::Delete(SessionId session, const std::string& key) {
  SealedPtr sealed;
  {
    base::MutexLock lock(mutex_);
    LARDER_ASSIGN_OR_RETURN(const ObjectId id, IdOf(session, key));
    sealed = Find(id);
    if (sealed == nullptr) return NoObject(id);
    Erase(sealed);
  }
  return backend_.Remove(sealed->info.id, sealed->info.epoch);
}

absl::Status SinglePeer::State::SetPinned(SessionId session, const std::string& key, bool pinned) {
  Calls calls;
  while (true) {
    SealedPtr sealed;
    {
      base::MutexLock lock(mutex_);
      LARDER_ASSIGN_OR_RETURN(const ObjectId id, IdOf(session, key));
      sealed = Find(id);
      if (sealed == nullptr) return NoObject(id);
    }
    LARDER_RETURN_IF_ERROR(backend_.SetPinned(sealed->info.id, sealed->info.epoch, pinned));
    base::MutexLock lock(mutex_);
    const SealedPtr now = Find(sealed->info.id);
    if (now == nullptr || now->info.epoch != sealed->info.epoch) return NoObject(sealed->info.id);
    // Another call got in between, and the backend may have taken the two in any order: once more.
    if (now->pin_changes != sealed->pin_changes) continue;
    auto changed = std::make_shared<Sealed>(*now);
    changed->info.pinned = pinned;
    changed->pin_changes += 1;
    Replace(now, std::move(changed), calls);
    return absl::OkStatus();
  }
}

// ---- for whoever keeps a registry in step

std::vector<ObjectInfo> SinglePeer::State::ListSealed(const ObjectId& after, size_t limit) {
  std::vector<ObjectInfo> found;
  base::MutexLock lock(mutex_);
  const base::MonotonicTime now = clock_.Now();
  for (auto ns = objects_.lower_bound(after.ns); ns != objects_.end(); ++ns) {
    auto it = ns->first == after.ns ? ns->second.upper_bound(after.key) : ns->second.begin();
    for (; it != ns->second.end(); ++it) {
      if (found.size() == limit) return found;
      if (!it->second->expires || *it->second->expires > now) found.push_back(InfoOf(*it->second));
    }
  }
  return found;
}

std::optional<ObjectInfo> SinglePeer::State::FindSealed(const ObjectId& id) {
  base::MutexLock lock(mutex_);
  const SealedPtr sealed = Find(id);
  if (sealed == nullptr) return std::nullopt;
  return InfoOf(*sealed);
}

std::shared_ptr<const object::BlobView> SinglePeer::State::SealedView(const ObjectId& id, Epoch epoch) {
  base::MutexLock lock(mutex_);
  const SealedPtr sealed = Find(id);
  if (sealed == nullptr || sealed->info.epoch != epoch) return nullptr;
  ClockQueue<SealedPtr>::Use(sealed->holding->place);
  return sealed->view;
}

absl::Status SinglePeer::State::SetTracked(const ObjectId& id, Epoch epoch, const object::TrackedAs& tracked) {
  {
    base::MutexLock lock(mutex_);
    const SealedPtr sealed = Find(id);
    if (sealed == nullptr || sealed->info.epoch != epoch) return NoObject(id);
  }
  // If a disk fails here, it is known for as long as this peer lives.
  const absl::Status kept = backend_.SetTracked(id, epoch, tracked);
  Calls calls;
  base::MutexLock lock(mutex_);
  const SealedPtr now = Find(id);
  if (now == nullptr || now->info.epoch != epoch) return NoObject(id);
  auto changed = std::make_shared<Sealed>(*now);
  changed->info.tracked = tracked;
  Replace(now, std::move(changed), calls);
  return kept;
}

absl::Status SinglePeer::State::Drop(const ObjectId& id, Epoch epoch) {
  SealedPtr sealed;
  {
    base::MutexLock lock(mutex_);
    sealed = Find(id);
    if (sealed == nullptr || sealed->info.epoch != epoch) return NoObject(id);
    Erase(sealed);
  }
  return backend_.Remove(id, epoch);
}

// ---- the end of leases and objects

void SinglePeer::State::EndLeases(const std::vector<LeaseId>& leases, Calls& calls) {
  for (const LeaseId lease : leases) {
    if (auto it = creations_.find(lease); it != creations_.end()) {
      if (!it->second->sealing) EndCreation(CreationPtr(it->second), calls);
    } else if (auto read = reads_.extract(lease); !read.empty()) {
      read.mapped()->holding->readers -= 1;
      calls.Drop(std::move(read.mapped()));
    }
  }
}

absl::StatusOr<SessionId> SinglePeer::State::OpenSession(const object::SessionOwner& owner, object::LapsedFn lapsed) {
  LARDER_RETURN_IF_ERROR(object::CheckNamespace(owner.ns));
  base::MutexLock lock(mutex_);
  LARDER_RETURN_IF_ERROR(CheckQuota(owner.ns, object::Resource::kConnections, sessions_.UseOf(owner.ns).sessions, 0, 1,
                                    RulesOf(owner.ns).connections));
  return sessions_.Open(owner.ns, std::move(lapsed), clock_.Now());
}

void SinglePeer::State::CloseSession(SessionId session) {
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    const std::vector<LeaseId> leases = sessions_.Close(session);
    reclaimed_closed_ += leases.size();
    GiveUpWaiters([&](const ObjectId&,
                      const Waiter& waiter) { return waiter.session == session ? NoSession() : absl::OkStatus(); },
                  calls);
    std::erase_if(room_waiters_, [&](RoomWaiter& waiter) {
      if (waiter.session == session) calls.Add(std::move(waiter.again));
      return waiter.session == session;
    });
    EndLeases(leases, calls);
  }
  calls.Run();
}

void SinglePeer::State::CloseAll() {
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    closing_ = true;
    GiveUpWaiters([](const ObjectId&, const Waiter&) { return NoSession(); }, calls);
    for (RoomWaiter& waiter : std::exchange(room_waiters_, {})) calls.Add(std::move(waiter.again));
  }
  calls.Run();
}

bool SinglePeer::State::Closing() const {
  base::MutexLock lock(mutex_);
  return closing_;
}

void SinglePeer::State::Release(SessionId session, LeaseId lease) {
  SealedPtr ended;  // freed after the lock, if this was the last reader of a deleted object
  base::MutexLock lock(mutex_);
  if (!sessions_.Holds(session, lease)) return;
  auto read = reads_.extract(lease);
  if (read.empty()) return;  // a create lease ends by Seal or Discard
  ended = std::move(read.mapped());
  ended->holding->readers -= 1;
  sessions_.End(session, lease);
}

absl::StatusOr<std::shared_ptr<const object::BlobView>> SinglePeer::State::ViewOf(SessionId session, LeaseId lease) {
  base::MutexLock lock(mutex_);
  if (sessions_.NamespaceOf(session) == nullptr) return NoSession();
  auto read = reads_.find(lease);
  if (read == reads_.end() || !sessions_.Holds(session, lease)) return LeaseLost(session, lease);
  return read->second->view;
}

void SinglePeer::State::HoldLeases(SessionId session, bool hold) {
  base::MutexLock lock(mutex_);
  hold ? sessions_.BeginWork(session) : sessions_.EndWork(session, clock_.Now());
}

void SinglePeer::State::ReportDamage(SessionId session, LeaseId lease) {
  SealedPtr damaged;
  IncomingPtr gone;  // after the lock
  {
    base::MutexLock lock(mutex_);
    const auto read = reads_.find(lease);
    if (read == reads_.end() || !sessions_.Holds(session, lease)) return;
    // A copy that comes is not to be sealed, and looked at again when it goes on; a parked one is asked for anew.
    if (read->second->partial) {
      read->second->holding->damaged = true;
      gone = TakeParked(read->second->info.id);
    }
    damaged = Find(read->second->info.id);
    // What took its place meanwhile is another matter.
    if (damaged == nullptr || damaged->info.epoch != read->second->info.epoch) return;
    damaged_ += 1;
    Erase(damaged);
  }
  Lose({damaged});
}

void SinglePeer::State::Lose(const std::vector<SealedPtr>& gone) {
  std::vector<ObjectInfo> lost;
  for (const SealedPtr& sealed : gone) {
    // A disk that fails here keeps the file, which the next start finds, and checks.
    backend_.Remove(sealed->info.id, sealed->info.epoch).IgnoreError();
    if (dropped_) lost.push_back(sealed->info);
  }
  if (!lost.empty()) dropped_(lost);
}

void SinglePeer::State::EndOverdue() {
  Calls calls;
  std::vector<SealedPtr> gone;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = clock_.Now();
    if (now - ticked_ > late_tick_) sessions_.RenewAll(now);
    for (SessionTable::Lapsed& lapsed : sessions_.Expire(now)) {
      reclaimed_lapsed_ += lapsed.leases.size();
      for (const LeaseId lease : lapsed.leases) KeepSubject(lapsed.session, lease);
      EndLeases(lapsed.leases, calls);
      if (!lapsed.tell) continue;
      calls.Add([tell = std::move(lapsed.tell), leases = std::move(lapsed.leases)](Calls&) { tell(leases); });
    }
    GiveUpWaiters([&](const ObjectId& id,
                      const Waiter& waiter) { return waiter.deadline <= now ? StillCreating(id) : absl::OkStatus(); },
                  calls);
    while (!expiry_.empty() && expiry_.begin()->first <= now) {
      SealedPtr sealed = expiry_.begin()->second;
      Erase(sealed);
      gone.push_back(std::move(sealed));
    }
  }
  calls.Run();
  Lose(gone);
  DropOldParked();
}

base::Duration SinglePeer::State::Tick() {
  EndOverdue();
  // Before they try again: those who wait elsewhere between two tries are not in the queue after that.
  MakeRoom();
  WakeRoomWaiters();
  Compact();
  base::MutexLock lock(mutex_);
  ticked_ = clock_.Now();  // the time that this took is not time that the process stood still
  return room_waiters_.empty() ? base::Duration::max() : kRetryRoom;
}

// ---- the public face

SinglePeer::SinglePeer(object::Backend& backend, const object::PeerSettings& settings)
    : state_(std::make_unique<State>(backend, settings)) {}
SinglePeer::~SinglePeer() { state_->CloseAll(); }

absl::Status SinglePeer::Recover() {
  LARDER_RETURN_IF_ERROR(state_->Recover());
  state_->RecoverParked();
  return absl::OkStatus();
}

absl::StatusOr<SessionId> SinglePeer::OpenSession(const object::SessionOwner& owner, object::LapsedFn lapsed) {
  return state_->OpenSession(owner, std::move(lapsed));
}

void SinglePeer::CloseSession(SessionId session) { state_->CloseSession(session); }

void SinglePeer::Create(SessionId session, CreateRequest request, base::Deadline deadline,
                        Done<absl::StatusOr<CreateGrant>> done) {
  state_->Create(session, std::move(request), deadline, std::move(done));
}
absl::Status SinglePeer::Append(SessionId session, LeaseId lease, Epoch epoch, base::ByteSpan bytes) {
  return state_->Append(session, lease, epoch, bytes);
}
void SinglePeer::Seal(SessionId session, LeaseId lease, Epoch epoch, const SealRequest& request,
                      Done<absl::StatusOr<SealResult>> done) {
  state_->Seal(session, lease, epoch, request, std::move(done));
}
absl::Status SinglePeer::Discard(SessionId session, LeaseId lease, Epoch epoch) {
  return state_->Discard(session, lease, epoch);
}
void SinglePeer::Get(SessionId session, const std::string& key, base::Deadline, Done<absl::StatusOr<ReadGrant>> done) {
  done(state_->Get(session, key));
}

void SinglePeer::Release(SessionId session, LeaseId lease) { state_->Release(session, lease); }
absl::StatusOr<std::shared_ptr<const object::BlobView>> SinglePeer::ViewOf(SessionId session, LeaseId lease) {
  return state_->ViewOf(session, lease);
}

absl::StatusOr<std::vector<LeaseId>> SinglePeer::Renew(SessionId session) {
  base::MutexLock lock(state_->mutex_);
  auto lapsed = state_->sessions_.Renew(session, state_->clock_.Now());
  if (!lapsed) return NoSession();
  return *std::move(lapsed);
}

void SinglePeer::BeginWork(SessionId session) { state_->HoldLeases(session, true); }
void SinglePeer::EndWork(SessionId session) { state_->HoldLeases(session, false); }

bool SinglePeer::AwaitRoom(SessionId session, const absl::Status& why, uint64_t bytes, base::Deadline deadline,
                           std::function<void()> done) {
  return state_->AwaitRoom(session, why, bytes, deadline, std::move(done));
}
void SinglePeer::ReportDamage(SessionId session, LeaseId lease) { state_->ReportDamage(session, lease); }

void SinglePeer::Stat(SessionId session, const std::string& key, Done<absl::StatusOr<object::ObjectStat>> done) {
  absl::StatusOr<ObjectInfo> info = state_->Stat(session, key);
  if (!info.ok()) return done(info.status());
  done(object::ObjectStat{.info = *std::move(info)});
}
void SinglePeer::List(SessionId session, const object::ListRequest& request,
                      Done<absl::StatusOr<object::ListPage>> done) {
  done(state_->List(session, request));
}
void SinglePeer::Delete(SessionId session, const std::string& key, Done<absl::Status> done) {
  done(state_->Delete(session, key));
}
void SinglePeer::SetPinned(SessionId session, const std::string& key, bool pinned, Done<absl::Status> done) {
  done(state_->SetPinned(session, key, pinned));
}

std::vector<ObjectInfo> SinglePeer::ListSealed(const ObjectId& after, size_t limit) const {
  return state_->ListSealed(after, limit);
}
std::optional<ObjectInfo> SinglePeer::FindSealed(const ObjectId& id) const { return state_->FindSealed(id); }
std::shared_ptr<const object::BlobView> SinglePeer::SealedView(const ObjectId& id, Epoch epoch) {
  return state_->SealedView(id, epoch);
}
void SinglePeer::Receive(const ObjectInfo& info, base::Deadline deadline,
                         Done<absl::StatusOr<std::unique_ptr<object::IncomingCopy>>> done) {
  state_->Receive(info, deadline, std::move(done));
}
void SinglePeer::DropParked(const ObjectId& id) { state_->DropParked(id); }
absl::Status SinglePeer::SetTracked(const ObjectId& id, Epoch epoch, const object::TrackedAs& tracked) {
  return state_->SetTracked(id, epoch, tracked);
}
absl::Status SinglePeer::Drop(const ObjectId& id, Epoch epoch) { return state_->Drop(id, epoch); }
void SinglePeer::OnDropped(object::DroppedFn dropped) { state_->dropped_ = std::move(dropped); }

void SinglePeer::AskBeforeDropping(object::MayGoFn may_go) { state_->may_go_ = std::move(may_go); }

object::PeerUsage SinglePeer::usage() const {
  base::MutexLock lock(state_->mutex_);
  object::PeerUsage usage{.sessions = state_->sessions_.size(),
                          .create_leases = state_->creations_.size(),
                          .read_leases = state_->reads_.size(),
                          .objects = state_->object_count_,
                          .tier = std::string(state_->backend_.tier()),
                          .reclaimed_closed = state_->reclaimed_closed_,
                          .reclaimed_lapsed = state_->reclaimed_lapsed_,
                          .evicted_room = state_->evicted_room_,
                          .evicted_quota = state_->evicted_quota_,
                          .damaged = state_->damaged_,
                          .compacted = state_->compacted_};
  for (const auto& [ns, objects] : state_->objects_) {
    const uint64_t bytes = state_->object_bytes_.at(ns);
    usage.bytes += bytes;
    usage.stored.push_back(
        {.tier = std::string(state_->backend_.tier()), .ns = ns, .objects = objects.size(), .bytes = bytes});
  }
  return usage;
}

bool SinglePeer::blocks() const { return state_->backend_.blocks(); }
base::Duration SinglePeer::Tick() { return state_->Tick(); }

}  // namespace larder::peers
