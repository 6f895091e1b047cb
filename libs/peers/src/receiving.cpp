#include <algorithm>
#include <utility>

#include "src/incoming.h"

// Copies of other nodes' objects, from Receive to Seal.
namespace larder::peers {
namespace {

// The bytes of a copy that one lease is on.
class LentView final : public object::BlobView {
 public:
  LentView(std::shared_ptr<const object::BlobView> copy, const object::ByteRun& lent)
      : copy_(std::move(copy)), lent_(lent) {}
  uint64_t size() const override { return copy_->size(); }
  absl::Status Read(uint64_t offset, base::MutableByteSpan out) const override {
    const bool within = offset >= lent_.offset && offset - lent_.offset <= lent_.length &&
                        out.size() <= lent_.length - (offset - lent_.offset);
    if (within) return copy_->Read(offset, out);
    return base::Error(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", "bytes {}+{}, where {}+{} were asked for", offset,
                       out.size(), lent_.offset, lent_.length);
  }
  std::span<const uint32_t> grains() const override { return {}; }

 private:
  const std::shared_ptr<const object::BlobView> copy_;
  const object::ByteRun lent_;
};

}  // namespace

absl::Status SinglePeer::State::Incoming::Keep(uint32_t number) {
  LARDER_RETURN_IF_ERROR(blob->Keep(number));
  base::MutexLock lock(state.mutex_);
  came[number] = true;
  return absl::OkStatus();
}

absl::StatusOr<ReadGrant> SinglePeer::State::Incoming::Lend(SessionId session, const object::ByteRun& bytes) {
  return state.Lend(session, *this, bytes);
}

absl::StatusOr<ReadGrant> SinglePeer::State::Lend(SessionId session, const Incoming& copy,
                                                  const object::ByteRun& bytes) {
  auto lent = std::make_shared<Sealed>();
  lent->info = copy.info;
  lent->view = std::make_shared<const LentView>(copy.view, bytes);
  lent->expires = copy.ends;
  lent->holding = copy.holding;
  lent->partial = true;
  base::MutexLock lock(mutex_);
  LARDER_RETURN_IF_ERROR(IdOf(session, copy.info.id.key).status());
  if (copy.ends && *copy.ends <= clock_.Now()) return NoObject(copy.info.id);  // TTL decides who may start
  const uint64_t part = copy.info.meta.piece_length;
  for (uint64_t number = bytes.offset / part; number <= (bytes.offset + bytes.length - 1) / part; ++number) {
    if (number < copy.came.size() && copy.came[number]) continue;
    return base::Error(absl::StatusCode::kFailedPrecondition, "NOT_KEPT", "part {} of '{}' is not here", number,
                       copy.info.id.key);
  }
  LARDER_RETURN_IF_ERROR(CheckLeases(session, copy.info.id.ns));
  lent->holding->readers += 1;
  ReadGrant grant{.lease = sessions_.Grant(session, clock_.Now()),
                  .lease_ttl = lease_ttl_,
                  .info = InfoOf(*lent),
                  .view = lent->view,
                  .brought = true,
                  .partial = true};
  reads_.emplace(grant.lease, std::move(lent));
  return grant;
}

SinglePeer::State::HoldingPtr SinglePeer::State::MakeHolding(const std::string& ns) {
  auto holding = std::make_shared<Holding>();
  holding->charge = bytes_.Open(ns);
  return holding;
}

void SinglePeer::State::Incoming::Seal(uint32_t crc32c, Done<absl::StatusOr<ObjectInfo>> done) {
  if (blob->crc32c() != crc32c) {
    return done(base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH",
                            "the bytes of '{}' that came are {}, not {}: nothing was published", info.id.key,
                            base::FormatDigest(base::Crc32cDigest(blob->crc32c())),
                            base::FormatDigest(base::Crc32cDigest(crc32c))));
  }
  bool damaged = false;
  {
    base::MutexLock lock(state.mutex_);
    damaged = holding->damaged;
  }
  if (damaged) {
    return done(base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH",
                            "the bytes of '{}' that came were damaged since, as a reader found: nothing was published",
                            info.id.key));
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
  copy->holding = MakeHolding(info.id.ns);
  IncomingPtr parked;
  bool known = false;  // which parts are there
  {
    base::MutexLock lock(mutex_);
    copy->info.epoch = Epoch{next_epoch_++};
    parked = TakeParked(info.id);
    if (parked != nullptr) known = !std::exchange(parked->holding->damaged, false) && !parked->came.empty();
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
  copy->holding = std::move(parked->holding);
  copy->view = std::move(parked->view);
  // What was kept before a restart, or by a disk that lies, is read to be believed.
  copy->came = copy->parts = known ? std::move(parked->came) : copy->blob->Kept();
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
  const auto oldest = std::ranges::find_if(parked_, [](const IncomingPtr& one) { return !one->is_read(); });
  if (oldest == parked_.end()) return;  // their leases are few enough
  gone.push_back(std::move(*oldest));
  parked_.erase(oldest);
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
  const base::MonotonicTime now = clock_.Now();
  std::erase_if(parked_, [&](IncomingPtr& copy) {
    // What expired is lent to nobody any more; who reads it has the bytes.
    const bool expired = copy->ends && *copy->ends <= now;
    if (!expired && (copy->parked_till > now || copy->is_read())) return false;
    gone.push_back(std::move(copy));
    return true;
  });
}

bool SinglePeer::State::HasParked(const std::string& ns) const {
  base::MutexLock lock(mutex_);
  return std::ranges::any_of(
      parked_, [&ns](const IncomingPtr& copy) { return !copy->is_read() && (ns.empty() || copy->info.id.ns == ns); });
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
    if (copy->is_read() || !TakeFor(need, copy->info.id.ns, copy->holding->charge.bytes())) return false;
    gone.push_back(std::move(copy));
    return true;
  });
}

void SinglePeer::State::RecoverParked() {
  std::vector<object::Backend::Unfinished> found = backend_.RecoverUnfinished();
  for (object::Backend::Unfinished& one : found) {
    auto copy = std::make_unique<Incoming>(*this);
    copy->holding = MakeHolding(one.info.id.ns);
    bytes_.Settle(copy->holding->charge, one.info.size + kObjectOverhead);
    copy->info = std::move(one.info);
    copy->blob = std::move(one.blob);
    copy->view = copy->blob->View();
    ParkCopy(std::move(copy));
  }
}

// ---- on its way

void SinglePeer::State::BeginCopy(std::unique_ptr<Incoming> copy, base::Deadline deadline, const Received& done) {
  const ObjectInfo& info = copy->info;
  const auto make_blob = [&]() -> absl::Status {
    LARDER_RETURN_IF_ERROR(ChargeObject(copy->holding->charge, info.id.ns, info.size));
    LARDER_ASSIGN_OR_RETURN(copy->blob, backend_.Receive(info));
    copy->view = copy->blob->View();
    copy->came.resize((info.size + info.meta.piece_length - 1) / info.meta.piece_length);
    return absl::OkStatus();
  };
  const absl::Status made = Closing() ? NoSession() : make_blob();
  if (made.ok()) return done(std::move(copy));
  // What waits holds nothing that others could use.
  copy->blob.reset();
  copy->view.reset();
  copy->holding = MakeHolding(info.id.ns);
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
  if (existing == nullptr && !over) made = MakeSealed(copy->info, std::move(copy->blob), copy->holding);
  absl::StatusOr<ObjectInfo> result = made.ok() ? absl::StatusOr<ObjectInfo>(InfoOf(**made)) : made.status();
  WakeIfShort();
  base::MutexLock lock(mutex_);
  if (made.ok()) Insert(*std::move(made), calls);
  calls.Add([copy, done, result = std::move(result)](Calls&) { done(result); });
  EndTurn(id, calls);
}

}  // namespace larder::peers
