#include <utility>

#include "src/single_peer_state.h"

// Copies of other nodes' objects, from Receive to Seal.
namespace larder::peers {

struct SinglePeer::State::Incoming final : object::IncomingCopy {
  explicit Incoming(State& peer) : state(peer) {}
  base::MutableByteSpan At(uint64_t offset, uint64_t size) override { return blob->At(offset, size); }
  absl::Status Keep(uint32_t number) override { return blob->Keep(number); }
  void Seal(uint32_t crc32c, Done<absl::StatusOr<ObjectInfo>> done) override {
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

  State& state;
  ObjectInfo info;
  std::optional<base::MonotonicTime> ends;
  ByteQuota::Charge charge;
  std::unique_ptr<object::Blob> blob;
};

void SinglePeer::State::Receive(const ObjectInfo& info, base::Deadline deadline, const Received& done) {
  auto copy = std::make_unique<Incoming>(*this);
  copy->info = info;
  copy->info.state = object::ObjectState::kSealed;
  copy->info.tier = backend_.tier();
  if (info.ttl_left) copy->ends = clock_.Now() + *info.ttl_left;  // when the other copies do
  copy->info.pinned = false;                                      // which is for those who were asked to keep it
  copy->charge = bytes_.Open(info.id.ns);
  {
    base::MutexLock lock(mutex_);
    copy->info.epoch = Epoch{next_epoch_++};
  }
  BeginCopy(std::move(copy), deadline, done);
}

void SinglePeer::State::BeginCopy(std::unique_ptr<Incoming> copy, base::Deadline deadline, const Received& done) {
  const ObjectInfo& info = copy->info;
  const auto make_blob = [&]() -> absl::Status {
    LARDER_RETURN_IF_ERROR(ChargeObject(copy->charge, info.id.ns, info.size));
    LARDER_ASSIGN_OR_RETURN(copy->blob, backend_.Create(info.id, info.epoch, info.size));
    return copy->blob->Expect(info.size, info.meta.piece_length);
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
