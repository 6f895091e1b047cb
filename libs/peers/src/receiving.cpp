#include <algorithm>
#include <utility>

#include "src/incoming.h"

// Copies of other nodes' objects, from Receive to Seal.
namespace larder::peers {

void SinglePeer::State::Incoming::Seal(uint32_t crc32c, Done<absl::StatusOr<ObjectInfo>> done) {
  if (blob->crc32c() != crc32c) {
    return done(base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH",
                            "the bytes of '{}' that came are {}, not {}: nothing was published", info.id.key,
                            base::FormatDigest(base::Crc32cDigest(blob->crc32c())),
                            base::FormatDigest(base::Crc32cDigest(crc32c))));
  }
  Calls calls;
  state.SealCopy(std::make_shared<Incoming>(std::move(*this)), done, calls);
  calls.Run();
}

void SinglePeer::State::Receive(const ObjectInfo& info, base::Deadline deadline, const Received& done) {
  auto copy = std::make_unique<Incoming>(*this);
  copy->info = info;
  copy->info.state = object::ObjectState::kSealed;
  copy->info.tier = backend_.tier();
  if (info.ttl_left) copy->ends = clock_.Now() + *info.ttl_left;  // when the other copies do
  copy->info.pinned = false;                                      // which is for those who were asked to keep it
  copy->charge = bytes_.Open(info.id.ns);
  IncomingPtr parked;
  {
    base::MutexLock lock(mutex_);
    copy->info.epoch = Epoch{next_epoch_++};
    parked = TakeParked(info.id);
  }
  const auto same = [&info](const ObjectInfo& other) {
    return info.tracked && other.tracked == info.tracked && other.size == info.size &&
           other.meta.piece_length == info.meta.piece_length;
  };
  if (parked == nullptr || !same(parked->info)) {
    parked.reset();  // before there is to be room for what takes its place
    return BeginCopy(std::move(copy), deadline, done);
  }
  copy->blob = std::move(parked->blob);
  copy->charge = std::move(parked->charge);
  copy->parts = copy->blob->Kept();
  done(std::move(copy));
}

// ---- those that nobody goes on with

void SinglePeer::State::ParkCopy(IncomingPtr copy) {
  copy->blob->Pause();
  std::vector<IncomingPtr> gone;  // after the lock
  base::MutexLock lock(mutex_);
  copy->parked_till = clock_.Now() + object::kParkedFor;
  gone.push_back(TakeParked(copy->info.id));
  parked_.push_back(std::move(copy));
  if (parked_.size() <= object::kMostParked) return;
  gone.push_back(std::move(parked_.front()));
  parked_.pop_front();
}

SinglePeer::State::IncomingPtr SinglePeer::State::TakeParked(const ObjectId& id) {
  const auto found = std::ranges::find_if(parked_, [&id](const IncomingPtr& copy) { return copy->info.id == id; });
  if (found == parked_.end()) return nullptr;
  IncomingPtr copy = std::move(*found);
  parked_.erase(found);
  return copy;
}

void SinglePeer::State::DropParked(const ObjectId& id) {
  IncomingPtr gone;  // after the lock
  base::MutexLock lock(mutex_);
  gone = TakeParked(id);
}

void SinglePeer::State::DropOldParked() {
  std::vector<IncomingPtr> gone;  // after the lock
  base::MutexLock lock(mutex_);
  while (!parked_.empty() && parked_.front()->parked_till <= clock_.Now()) {
    gone.push_back(std::move(parked_.front()));
    parked_.pop_front();
  }
}

bool SinglePeer::State::HasParked(const std::string& ns) const {
  base::MutexLock lock(mutex_);
  return std::ranges::any_of(parked_, [&ns](const IncomingPtr& copy) { return ns.empty() || copy->info.id.ns == ns; });
}

void SinglePeer::State::DropParkedForRoom() {
  const object::Backend::Usage usage = backend_.usage();
  std::vector<IncomingPtr> gone;  // after the lock
  base::MutexLock lock(mutex_);
  if (parked_.empty()) return;
  Pressure pressure{.limit = usage.limit, .used = usage.used};
  for (const RoomWaiter& waiter : room_waiters_) pressure.asked += waiter.quota ? 0 : waiter.bytes;
  ParkedNeed need = NeedOfParked(pressure);
  for (const RoomWaiter& waiter : room_waiters_) need.by_quota[waiter.ns] += waiter.quota ? waiter.bytes : 0;
  std::erase_if(parked_, [&](IncomingPtr& copy) {
    if (!TakeFor(need, copy->info.id.ns, copy->charge.bytes())) return false;
    gone.push_back(std::move(copy));
    return true;
  });
}

void SinglePeer::State::RecoverParked() {
  std::vector<object::Backend::Unfinished> found = backend_.RecoverUnfinished();
  for (object::Backend::Unfinished& one : found) {
    auto copy = std::make_unique<Incoming>(*this);
    copy->charge = bytes_.Open(one.info.id.ns);
    bytes_.Settle(copy->charge, one.info.size + kObjectOverhead);
    copy->info = std::move(one.info);
    copy->blob = std::move(one.blob);
    ParkCopy(std::move(copy));
  }
}

// ---- on its way

void SinglePeer::State::BeginCopy(std::unique_ptr<Incoming> copy, base::Deadline deadline, const Received& done) {
  const ObjectInfo& info = copy->info;
  const auto make_blob = [&]() -> absl::Status {
    LARDER_RETURN_IF_ERROR(ChargeObject(copy->charge, info.id.ns, info.size));
    LARDER_ASSIGN_OR_RETURN(copy->blob, backend_.Receive(info));
    return absl::OkStatus();
  };
  const absl::Status made = Closing() ? NoSession() : make_blob();
  if (made.ok()) return done(std::move(copy));
  // What waits holds nothing that others could use.
  copy->blob.reset();
  copy->charge = bytes_.Open(info.id.ns);
  RoomWaiter waiter{.session = {},
                    .ns = info.id.ns,
                    .quota = false,
                    .bytes = info.size + kObjectOverhead,
                    .deadline = deadline,
                    .again = {}};
  const std::shared_ptr<Incoming> waiting = std::move(copy);
  waiter.again = [this, waiting, deadline, done](Calls&) {
    BeginCopy(std::make_unique<Incoming>(std::move(*waiting)), deadline, done);
  };
  if (!WaitForRoom(std::move(waiter), made)) done(made);
}

void SinglePeer::State::SealCopy(const std::shared_ptr<Incoming>& copy, const Done<absl::StatusOr<ObjectInfo>>& done,
                                 Calls& calls) {
  const ObjectId& id = copy->info.id;
  SealedPtr existing;
  {
    base::MutexLock lock(mutex_);
    if (!BeginTurn(id, [this, copy, done](Calls& more) { SealCopy(copy, done, more); })) return;
    existing = Find(id);
  }
  copy->info.meta.ttl.reset();
  if (copy->ends) copy->info.meta.ttl = *copy->ends - clock_.Now();
  absl::StatusOr<SealedPtr> made = existing == nullptr ? NoObject(id) : Exists(id);
  const bool over = copy->ends && *copy->info.meta.ttl <= base::Duration::zero();
  if (existing == nullptr && !over) made = MakeSealed(copy->info, std::move(copy->blob), copy->charge);
  absl::StatusOr<ObjectInfo> result = made.ok() ? absl::StatusOr<ObjectInfo>(InfoOf(**made)) : made.status();
  WakeIfShort();
  base::MutexLock lock(mutex_);
  if (made.ok()) Insert(*std::move(made), calls);
  calls.Add([copy, done, result = std::move(result)](Calls&) { done(result); });
  EndTurn(id, calls);
}

}  // namespace larder::peers
