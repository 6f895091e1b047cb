#include <algorithm>
#include <cstring>

#include "src/single_peer_state.h"

// From Create to Seal or Discard.
namespace larder::peers {
namespace {

constexpr size_t kMaxTags = 16;
constexpr size_t kMaxTagBytes = 128;
constexpr uint32_t kMaxReplicas = 64;
constexpr base::Duration kMaxTtl = std::chrono::hours(24) * 365 * 100;
constexpr size_t kCopyStep = 1 << 20;
constexpr base::Duration kRoomWait = std::chrono::seconds(2);
constexpr std::string_view kContentPrefix = "sha256:";

absl::Status CheckRequest(const CreateRequest& request) {
  if (!request.key.empty()) LARDER_RETURN_IF_ERROR(object::CheckKey(request.key));
  if (request.ack != AckPolicy::kDefault && request.ack != AckPolicy::kLocal) {
    return base::InvalidArgument(
        "ACK_IMPOSSIBLE", "this installation has no tracker and no origin, it can only acknowledge 'local', not '{}'",
        object::AckName(request.ack));
  }
  const object::ObjectMeta& meta = request.meta;
  const auto too_long = [](const std::string& text) { return text.size() > kMaxTagBytes; };
  if (meta.tags.size() > kMaxTags || too_long(meta.application) || std::ranges::any_of(meta.tags, too_long)) {
    return base::InvalidArgument("BAD_META", "at most {} tags, and tags and application of at most {} bytes", kMaxTags,
                                 kMaxTagBytes);
  }
  if (!object::IsUtf8(meta.application) || !std::ranges::all_of(meta.tags, object::IsUtf8)) {
    return base::InvalidArgument("BAD_META", "tags and application must be UTF-8");
  }
  if (meta.ttl && (*meta.ttl <= base::Duration(0) || *meta.ttl > kMaxTtl)) {
    return base::InvalidArgument("BAD_META", "the TTL must be above zero and at most 100 years");
  }
  if (meta.wanted_replicas < 1 || meta.wanted_replicas > kMaxReplicas) {
    return base::InvalidArgument("BAD_META", "between 1 and {} replicas can be wanted", kMaxReplicas);
  }
  const uint32_t piece = meta.piece_length;
  if (piece != 0 && (piece < (256u << 10) || piece > (16u << 20) || (piece & (piece - 1)) != 0)) {
    return base::InvalidArgument("BAD_META", "a piece length is a power of two from 256KiB to 16MiB");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Exists(const ObjectId& id) {
  return base::Error(absl::StatusCode::kAlreadyExists, "EXISTS",
                     "'{}' exists in namespace '{}' (overwrite it, or choose another key)", id.key, id.ns);
}

// ---- create leases

void SinglePeer::State::Create(SessionId session, CreateRequest request, base::Deadline deadline,
                               Done<absl::StatusOr<CreateGrant>> done) {
  if (absl::Status bad = CheckRequest(request); !bad.ok()) return done(bad);
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    CreateOrWait({session, std::move(request), deadline, std::move(done)}, calls);
  }
  calls.Run();
}

void SinglePeer::State::CreateOrWait(Waiter waiter, Calls& calls) {
  const auto refuse = [&](absl::Status why) {
    calls.Add([done = std::move(waiter.done), why = std::move(why)](Calls&) { done(why); });
  };
  const std::string* ns = sessions_.NamespaceOf(waiter.session);
  if (ns == nullptr) return refuse(NoSession());
  if (absl::Status full = CheckLeases(waiter.session, *ns); !full.ok()) return refuse(full);
  CreateRequest& request = waiter.request;
  const ObjectId id{*ns, request.key};
  SealedPtr existing;
  if (!id.key.empty()) {
    existing = Find(id);
    if (existing != nullptr && !request.overwrite && !request.accept_same_content) return refuse(Exists(id));
    if (creating_.contains(id)) {
      if (waiter.deadline <= clock_.Now()) return refuse(StillCreating(id));
      waiters_[id].push_back(std::move(waiter));
      return;
    }
  }
  auto creation = std::make_shared<Creation>();
  creation->session = waiter.session;
  creation->lease = sessions_.Grant(waiter.session, clock_.Now());
  creation->epoch = Epoch{next_epoch_++};
  creation->id = id;
  creation->charge = bytes_.Open(id.ns);
  creation->room_by = std::min(waiter.deadline, base::DeadlineAfter(clock_.Now(), kRoomWait));
  // Equal content is decided by SHA-256, which is only worth its time when there is something to be equal to.
  if (id.key.empty() || id.key.starts_with(kContentPrefix) || request.want_sha256 ||
      (existing != nullptr && request.accept_same_content && !request.overwrite)) {
    creation->sha.emplace();
  }
  creation->request = std::move(request);
  creations_.emplace(creation->lease, creation);
  if (!id.key.empty()) creating_.emplace(id, creation);
  calls.Add([this, creation, done = std::move(waiter.done)](Calls& more) { Begin(creation, done, more); });
}

absl::StatusOr<std::unique_ptr<object::Blob>> SinglePeer::State::MakeBlob(Creation& creation) {
  LARDER_RETURN_IF_ERROR(ChargeObject(creation.charge, creation.id.ns, creation.request.size_hint));
  return backend_.Create(creation.id, creation.epoch, creation.request.size_hint);
}

bool SinglePeer::State::StillWanted(const Creation& creation) {
  base::MutexLock lock(mutex_);
  return creations_.contains(creation.lease);
}

void SinglePeer::State::Begin(const CreationPtr& creation, const Done<absl::StatusOr<CreateGrant>>& done,
                              Calls& calls) {
  absl::StatusOr<std::unique_ptr<object::Blob>> blob = absl::CancelledError();
  if (StillWanted(*creation)) blob = MakeBlob(*creation);  // after a wait it may not be
  if (!blob.ok() && StillWanted(*creation)) {
    // Nobody can renew what was not granted yet.
    HoldLeases(creation->session, true);
    RoomWaiter waiter{.session = creation->session,
                      .ns = creation->id.ns,
                      .bytes = creation->request.size_hint + kObjectOverhead,
                      .deadline = creation->room_by,
                      .again = [this, creation, done](Calls& more) {
                        HoldLeases(creation->session, false);
                        Begin(creation, done, more);
                      }};
    if (WaitForRoom(std::move(waiter), blob.status())) return;
    HoldLeases(creation->session, false);
  }
  absl::StatusOr<CreateGrant> answer =
      CreateGrant{.lease = creation->lease, .epoch = creation->epoch, .lease_ttl = lease_ttl_};
  {
    base::MutexLock lock(mutex_);
    if (!creations_.contains(creation->lease)) {
      answer = sessions_.NamespaceOf(creation->session) == nullptr ? NoSession()
                                                                   : LeaseLost(creation->session, creation->lease);
    } else if (!blob.ok()) {
      answer = blob.status();
      EndCreation(creation, calls);
    } else {
      creation->blob = *std::move(blob);
      creation->busy = false;
    }
  }
  if (!answer.ok()) blob = answer.status();
  done(std::move(answer));
}

absl::Status SinglePeer::State::StillCreating(const ObjectId& id) const {
  return base::Error(absl::StatusCode::kDeadlineExceeded, "CREATING", "another client is still creating '{}'", id.key);
}

void SinglePeer::State::GiveUpWaiters(const std::function<absl::Status(const ObjectId&, const Waiter&)>& why,
                                      Calls& calls) {
  for (auto queue = waiters_.begin(); queue != waiters_.end();) {
    std::erase_if(queue->second, [&](Waiter& waiter) {
      absl::Status error = why(queue->first, waiter);
      if (error.ok()) return false;
      calls.Add([done = std::move(waiter.done), error = std::move(error)](Calls&) { done(error); });
      return true;
    });
    queue = queue->second.empty() ? waiters_.erase(queue) : std::next(queue);
  }
}

void SinglePeer::State::EndCreation(const CreationPtr& creation, Calls& calls) {
  sessions_.End(creation->session, creation->lease);
  creations_.erase(creation->lease);
  calls.Drop(creation);
  if (creation->id.key.empty() || creating_.erase(creation->id) == 0) return;
  auto waiting = waiters_.extract(creation->id);
  if (waiting.empty()) return;
  // In their order: the first takes over, the others wait for it, or all learn that it exists.
  for (Waiter& waiter : waiting.mapped()) {
    if (waiter.deadline > clock_.Now()) {
      CreateOrWait(std::move(waiter), calls);
    } else {
      calls.Add([done = std::move(waiter.done), why = StillCreating(creation->id)](Calls&) { done(why); });
    }
  }
}

// ---- writing

absl::StatusOr<SinglePeer::State::CreationPtr> SinglePeer::State::Enter(SessionId session, LeaseId lease, Epoch epoch,
                                                                        bool to_seal) {
  base::MutexLock lock(mutex_);
  if (sessions_.NamespaceOf(session) == nullptr) return NoSession();
  auto it = creations_.find(lease);
  if (it == creations_.end() || it->second->session != session) return LeaseLost(session, lease);
  if (it->second->epoch != epoch) {
    return base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "epoch {} of '{}' is over, {} is current",
                       epoch.value, it->second->id.key, it->second->epoch.value);
  }
  if (it->second->busy) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "BUSY", "another call for this creation is running");
  }
  it->second->busy = true;
  it->second->sealing = to_seal;
  return it->second;
}

absl::Status SinglePeer::State::AppendCopied(Creation& creation, base::ByteSpan bytes) {
  if (!creation.sha) return creation.blob->Append(bytes);
  if (bytes.size() > kCopyStep) LARDER_RETURN_IF_ERROR(creation.blob->Reserve(creation.blob->size() + bytes.size()));
  // The bytes may lie in memory that the client still writes; name and content must be of the same ones.
  const auto copy = std::make_unique_for_overwrite<std::byte[]>(std::min(bytes.size(), kCopyStep));
  for (size_t at = 0; at < bytes.size();) {
    const base::ByteSpan part(copy.get(), std::min(bytes.size() - at, kCopyStep));
    std::memcpy(copy.get(), bytes.data() + at, part.size());
    if (absl::Status status = creation.blob->Append(part); !status.ok()) {
      creation.torn = at > 0;
      return status;
    }
    creation.sha->Update(part);
    at += part.size();
  }
  return absl::OkStatus();
}

absl::Status SinglePeer::State::Append(SessionId session, LeaseId lease, Epoch epoch, base::ByteSpan bytes) {
  LARDER_ASSIGN_OR_RETURN(const CreationPtr creation, Enter(session, lease, epoch, false));
  absl::Status status = ChargeObject(creation->charge, creation->id.ns, creation->blob->size() + bytes.size());
  if (status.ok()) status = AppendCopied(*creation, bytes);
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    creation->busy = false;
    if (!creations_.contains(lease)) {
      status = LeaseLost(session, lease);
    } else if (creation->torn) {
      EndCreation(creation, calls);
    }
  }
  calls.Run();
  return status;
}

// ---- sealing

bool SinglePeer::State::SameContent(const Sealed& sealed, const Sealing& sealing) {
  if (!sealing.sha || sealed.info.size != sealing.info.size) return false;
  if (sealed.info.digest.kind == base::Digest::Kind::kSha256) return sealed.info.digest.sha256 == *sealing.sha;
  base::Sha256 existing;
  std::vector<std::byte> part(kCopyStep);
  for (uint64_t at = 0; at < sealed.info.size; at += part.size()) {
    part.resize(std::min<uint64_t>(part.size(), sealed.info.size - at));
    if (!sealed.view->Read(at, part).ok()) return false;
    existing.Update(part);
  }
  return existing.Finish() == *sealing.sha;
}

bool SinglePeer::State::SameSettings(const Sealed& sealed, const CreateRequest& request) {
  const object::ObjectMeta& has = sealed.info.meta;
  const object::ObjectMeta& asked = request.meta;
  // A TTL counts from now, whatever it was. What was not asked for may be as it is.
  return !has.ttl && !asked.ttl && (asked.tags.empty() || asked.tags == has.tags) &&
         (asked.application.empty() || asked.application == has.application) &&
         (asked.wanted_replicas == 1 || asked.wanted_replicas == has.wanted_replicas) &&
         (asked.piece_length == 0 || asked.piece_length == has.piece_length);
}

absl::Status SinglePeer::State::Describe(const SealRequest& request, Sealing& sealing) const {
  Creation& creation = *sealing.creation;
  const object::Blob& blob = *creation.blob;
  if (request.size != blob.size()) {
    return base::InvalidArgument("SIZE_MISMATCH", "{} bytes were to be sealed, {} were written", request.size,
                                 blob.size());
  }
  ObjectInfo& info = sealing.info;
  info.state = object::ObjectState::kSealed;
  info.epoch = creation.epoch;
  info.size = blob.size();
  info.meta = creation.request.meta;
  if (info.meta.piece_length == 0) info.meta.piece_length = object::PieceLengthFor(info.size);
  info.tier = backend_.tier();
  info.id = creation.id;
  const base::Digest crc = base::Crc32cDigest(blob.crc32c());
  base::Digest sha;
  if (creation.sha) {
    sealing.sha = creation.sha->Finish();
    sha = base::Sha256DigestOf(*sealing.sha);
    const std::string text = base::FormatDigest(sha);
    if (info.id.key.empty()) info.id.key = text;
    if (info.id.key.starts_with(kContentPrefix) && info.id.key != text) {
      return base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH", "the key says {}, the bytes are {}",
                         info.id.key, text);
    }
  }
  info.digest = info.id.key.starts_with(kContentPrefix) || creation.request.want_sha256 ? sha : crc;
  const base::Digest& expected = request.expected;
  if (expected.kind == base::Digest::Kind::kNone) return absl::OkStatus();
  if (expected.kind == base::Digest::Kind::kSha256 && !creation.sha) {
    return base::InvalidArgument("NO_SHA256", "a SHA-256 can be checked only if it was asked for when creating");
  }
  const base::Digest& found = expected.kind == base::Digest::Kind::kSha256 ? sha : crc;
  if (found == expected) return absl::OkStatus();
  return base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH", "the bytes are {}, not {}: nothing was published",
                     base::FormatDigest(found), base::FormatDigest(expected));
}

absl::StatusOr<SealResult> SinglePeer::State::PublishNow(const Sealing& sealing, const SealedPtr& existing,
                                                         SealedPtr& made) {
  SealResult result{.ack = AckPolicy::kLocal, .durability = backend_.durability()};
  const CreateRequest& request = sealing.creation->request;
  if (existing != nullptr && !request.overwrite) {
    if (!SameContent(*existing, sealing)) return Exists(sealing.info.id);
  }
  if (existing != nullptr && !request.overwrite && SameSettings(*existing, request)) {
    result.info = InfoOf(*existing);
    result.existed = true;
    return result;
  }
  auto holding = std::make_shared<Holding>();
  holding->charge = std::move(sealing.creation->charge);
  LARDER_ASSIGN_OR_RETURN(made, MakeSealed(sealing.info, std::move(sealing.creation->blob), std::move(holding)));
  result.info = InfoOf(*made);
  return result;
}

absl::StatusOr<SinglePeer::State::SealedPtr> SinglePeer::State::MakeSealed(const ObjectInfo& info,
                                                                           std::unique_ptr<object::Blob> blob,
                                                                           HoldingPtr holding) {
  auto sealed = std::make_shared<Sealed>();
  sealed->info = info;
  LARDER_ASSIGN_OR_RETURN(sealed->view, backend_.Seal(std::move(blob), info));
  sealed->holding = std::move(holding);
  bytes_.Settle(sealed->holding->charge, info.size + kObjectOverhead);
  if (info.meta.ttl) sealed->expires = clock_.Now() + *info.meta.ttl;
  return sealed;
}

bool SinglePeer::State::BeginTurn(const ObjectId& id, Calls::Call again) {
  const auto [turn, first] = publishing_.try_emplace(id);
  if (!first) turn->second.push_back(std::move(again));
  return first;
}

void SinglePeer::State::EndTurn(const ObjectId& id, Calls& calls) {
  auto following = publishing_.extract(id);
  for (Calls::Call& next : following.mapped()) calls.Add(std::move(next));
}

void SinglePeer::State::Publish(Sealing sealing, Calls& calls) {
  SealedPtr existing;
  {
    base::MutexLock lock(mutex_);
    if (!BeginTurn(sealing.info.id, [this, sealing](Calls& more) { Publish(sealing, more); })) return;
    existing = Find(sealing.info.id);
  }
  SealedPtr made;
  absl::StatusOr<SealResult> result = PublishNow(sealing, existing, made);
  WakeIfShort();
  base::MutexLock lock(mutex_);
  if (made != nullptr) Insert(std::move(made), calls);
  EndSeal(sealing, std::move(result), calls);
  EndTurn(sealing.info.id, calls);
}

void SinglePeer::State::EndSeal(const Sealing& sealing, absl::StatusOr<SealResult> result, Calls& calls) {
  const CreationPtr& creation = sealing.creation;
  creation->busy = creation->sealing = false;
  // A wrong size leaves the creation as it was, if its lease still lives: the caller may write on, or discard.
  const bool goes_on =
      base::Reason(result.status()) == "SIZE_MISMATCH" && sessions_.Holds(creation->session, creation->lease);
  if (!goes_on) sessions_.KeepAnswer(creation->session, creation->lease, {creation->epoch, result});
  calls.Add([done = sealing.done, result = std::move(result)](Calls&) { done(result); });
  if (!goes_on) EndCreation(creation, calls);
}

void SinglePeer::State::Seal(SessionId session, LeaseId lease, Epoch epoch, const SealRequest& request,
                             Done<absl::StatusOr<SealResult>> done) {
  absl::StatusOr<CreationPtr> creation = Enter(session, lease, epoch, true);
  if (!creation.ok()) {
    absl::StatusOr<SealResult> answer = creation.status();
    {
      base::MutexLock lock(mutex_);
      const SessionTable::Answer* kept = sessions_.AnswerOf(session, lease);
      if (kept != nullptr && kept->epoch == epoch) answer = kept->result;
    }
    return done(std::move(answer));
  }
  Calls calls;
  Sealing sealing{.creation = *std::move(creation), .done = std::move(done)};
  if (absl::Status bad = Describe(request, sealing); bad.ok()) {
    Publish(std::move(sealing), calls);
  } else {
    base::MutexLock lock(mutex_);
    EndSeal(sealing, bad, calls);
  }
  calls.Run();
}

absl::Status SinglePeer::State::Discard(SessionId session, LeaseId lease, Epoch epoch) {
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    if (sessions_.NamespaceOf(session) == nullptr) return NoSession();
    auto it = creations_.find(lease);
    if (it == creations_.end() || it->second->session != session) {
      const SessionTable::Answer* kept = sessions_.AnswerOf(session, lease);
      if (kept == nullptr || !kept->result.ok()) return absl::OkStatus();
      return base::Error(absl::StatusCode::kFailedPrecondition, "SEALED", "it is sealed: delete it instead");
    }
    if (it->second->epoch != epoch) {
      return base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "epoch {} is over", epoch.value);
    }
    if (it->second->sealing) {
      return base::Error(absl::StatusCode::kFailedPrecondition, "BUSY", "it is being sealed");
    }
    EndCreation(CreationPtr(it->second), calls);
  }
  calls.Run();
  return absl::OkStatus();
}

}  // namespace larder::peers
