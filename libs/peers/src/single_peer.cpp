#include "larder/peers/single_peer.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>

#include "larder/base/digest.h"
#include "larder/base/mutex.h"
#include "larder/base/status.h"
#include "src/session_table.h"

namespace larder::peers {

using object::AckPolicy;
using object::CreateGrant;
using object::CreateRequest;
using object::Done;
using object::Epoch;
using object::LeaseId;
using object::ObjectId;
using object::ObjectInfo;
using object::ReadGrant;
using object::SealRequest;
using object::SealResult;
using object::SessionId;

namespace {

constexpr size_t kMaxTags = 16;
constexpr size_t kMaxTagBytes = 128;
constexpr uint32_t kMaxReplicas = 64;
constexpr std::string_view kContentPrefix = "sha256:";

absl::Status NoSession() {
  return base::Error(absl::StatusCode::kNotFound, "NO_SESSION", "the session has ended: connect again");
}
absl::Status NoObject(const ObjectId& id) {
  return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "there is no object '{}' in namespace '{}'", id.key, id.ns);
}
absl::Status Exists(const ObjectId& id) {
  return base::Error(absl::StatusCode::kAlreadyExists, "EXISTS", "'{}' exists in namespace '{}' (overwrite it, or choose another key)",
                     id.key, id.ns);
}
absl::Status LeaseLost(Epoch epoch) {
  return base::Error(absl::StatusCode::kAborted, "LEASE_LOST", "the create lease of epoch {} has ended: create it again",
                     epoch.value);
}

absl::Status CheckRequest(const CreateRequest& request) {
  if (!request.key.empty()) LARDER_RETURN_IF_ERROR(object::CheckKey(request.key));
  if (request.ack != AckPolicy::kDefault && request.ack != AckPolicy::kLocal) {
    return base::InvalidArgument("ACK_IMPOSSIBLE",
                                 "this installation has no tracker and no origin, it can only acknowledge 'local', not '{}'",
                                 object::AckName(request.ack));
  }
  const object::ObjectMeta& meta = request.meta;
  if (meta.tags.size() > kMaxTags || meta.application.size() > kMaxTagBytes ||
      std::any_of(meta.tags.begin(), meta.tags.end(), [](const std::string& tag) { return tag.size() > kMaxTagBytes; })) {
    return base::InvalidArgument("BAD_META", "at most {} tags, and tags and application of at most {} bytes", kMaxTags,
                                 kMaxTagBytes);
  }
  if (meta.ttl && *meta.ttl <= base::Duration(0)) return base::InvalidArgument("BAD_META", "the TTL must be above zero");
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

class SinglePeer::State {
 public:
  State(object::Backend& backend, const object::PeerSettings& settings)
      : backend_(backend), clock_(*settings.clock), lease_ttl_(settings.lease_ttl), sessions_(settings.lease_ttl) {
    // Epochs never repeat, over restarts too, even where nothing is kept: they begin with the wall clock's microseconds.
    next_epoch_ = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(clock_.WallNow().time_since_epoch()).count());
  }

  struct Sealed {
    ObjectInfo info;
    uint32_t crc32c = 0;
    std::shared_ptr<const object::BlobView> view;
    std::optional<base::MonotonicTime> expires;
  };
  struct Creation {
    SessionId session;
    LeaseId lease;
    Epoch epoch;
    ObjectId id;  // key empty: content-addressed
    CreateRequest request;
    std::unique_ptr<object::Blob> blob;
    std::optional<base::Sha256> sha;
    bool busy = false;     // an Append or Seal runs outside the lock
    bool sealing = false;  // it is a Seal: it ends the creation itself, whatever becomes of the session
  };
  struct Waiter {
    SessionId session;
    CreateRequest request;
    base::Deadline deadline;
    Done<absl::StatusOr<CreateGrant>> done;
  };
  using CreationPtr = std::shared_ptr<Creation>;
  using SealedPtr = std::shared_ptr<const Sealed>;
  // What is to be called once the lock is released.
  using Calls = std::vector<std::function<void()>>;

  absl::Status Recover();
  void Create(SessionId session, CreateRequest request, base::Deadline deadline,
              Done<absl::StatusOr<CreateGrant>> done);
  absl::StatusOr<CreationPtr> Enter(SessionId session, LeaseId lease, Epoch epoch, bool to_seal) LARDER_EXCLUDES(mutex_);
  absl::Status Append(SessionId session, LeaseId lease, Epoch epoch, base::ByteSpan bytes);
  void Seal(SessionId session, LeaseId lease, Epoch epoch, const SealRequest& request,
            Done<absl::StatusOr<SealResult>> done);
  absl::StatusOr<SealResult> SealEntered(Creation& creation, const SealRequest& request);
  absl::Status Discard(SessionId session, LeaseId lease, Epoch epoch);
  absl::StatusOr<ReadGrant> Get(SessionId session, const std::string& key);
  void EndLeases(const std::vector<LeaseId>& leases, Calls& calls) LARDER_REQUIRES(mutex_);
  absl::StatusOr<ObjectInfo> Stat(SessionId session, const std::string& key);
  absl::StatusOr<object::ListPage> List(SessionId session, const object::ListRequest& request);
  absl::Status Delete(SessionId session, const std::string& key);
  absl::Status SetPinned(SessionId session, const std::string& key, bool pinned);
  void Tick();

  absl::StatusOr<ObjectId> IdOf(SessionId session, const std::string& key) LARDER_REQUIRES(mutex_);
  SealedPtr Find(const ObjectId& id) LARDER_REQUIRES(mutex_);
  ObjectInfo InfoOf(const Sealed& sealed) const;
  // Grants, refuses, or queues; `calls` gets the answer.
  void CreateOrWait(Waiter waiter, Calls& calls) LARDER_REQUIRES(mutex_);
  void EndCreation(const CreationPtr& creation, Calls& calls) LARDER_REQUIRES(mutex_);
  void Insert(SealedPtr sealed) LARDER_REQUIRES(mutex_);
  void Erase(const SealedPtr& sealed) LARDER_REQUIRES(mutex_);
  static bool SameContent(const Sealed& sealed, const Creation& creation, const base::Sha256Digest& sha);
  static void Run(Calls& calls) {
    for (auto& call : calls) call();
  }

  object::Backend& backend_;
  const base::Clock& clock_;
  const base::Duration lease_ttl_;
  // Held for table look-ups only, never while bytes are copied or a backend's Seal, Remove or a `done` runs.
  mutable base::Mutex mutex_;
  SessionTable sessions_ LARDER_GUARDED_BY(mutex_);
  uint64_t next_epoch_ LARDER_GUARDED_BY(mutex_);
  std::map<std::string, std::map<std::string, SealedPtr>> objects_ LARDER_GUARDED_BY(mutex_);  // namespace, key
  std::multimap<base::MonotonicTime, std::weak_ptr<const Sealed>> expiry_ LARDER_GUARDED_BY(mutex_);
  std::unordered_map<LeaseId, CreationPtr> creations_ LARDER_GUARDED_BY(mutex_);
  std::map<ObjectId, CreationPtr> creating_ LARDER_GUARDED_BY(mutex_);  // those with a key
  std::map<ObjectId, std::deque<Waiter>> waiters_ LARDER_GUARDED_BY(mutex_);
  std::unordered_map<LeaseId, SealedPtr> reads_ LARDER_GUARDED_BY(mutex_);
  uint64_t object_count_ LARDER_GUARDED_BY(mutex_) = 0;
  std::map<std::string, uint64_t> object_bytes_ LARDER_GUARDED_BY(mutex_);  // by namespace, as in objects_
  uint64_t reclaimed_closed_ LARDER_GUARDED_BY(mutex_) = 0;
  uint64_t reclaimed_lapsed_ LARDER_GUARDED_BY(mutex_) = 0;
};

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

void SinglePeer::State::Insert(SealedPtr sealed) {
  SealedPtr& slot = objects_[sealed->info.id.ns][sealed->info.id.key];
  if (slot != nullptr) {
    object_count_ -= 1;
    object_bytes_[sealed->info.id.ns] -= slot->info.size;
  }
  object_count_ += 1;
  object_bytes_[sealed->info.id.ns] += sealed->info.size;
  if (sealed->expires) expiry_.emplace(*sealed->expires, sealed);
  slot = std::move(sealed);
}

void SinglePeer::State::Erase(const SealedPtr& sealed) {
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
  base::MutexLock lock(mutex_);
  for (object::Backend::Recovered& one : found) {
    auto sealed = std::make_shared<Sealed>();
    if (one.info.ttl_left) sealed->expires = clock_.Now() + *one.info.ttl_left;
    next_epoch_ = std::max(next_epoch_, one.info.epoch.value + 1);
    sealed->info = std::move(one.info);
    sealed->crc32c = sealed->info.digest.crc32c;
    sealed->view = std::move(one.view);
    Insert(std::move(sealed));
  }
  return absl::OkStatus();
}

// ---- creating

void SinglePeer::State::CreateOrWait(Waiter waiter, Calls& calls) {
  auto answer = [&](absl::StatusOr<CreateGrant> result) {
    calls.push_back([done = std::move(waiter.done), result = std::move(result)]() mutable { done(std::move(result)); });
  };
  const std::string* ns = sessions_.NamespaceOf(waiter.session);
  if (ns == nullptr) return answer(NoSession());
  CreateRequest& request = waiter.request;
  const ObjectId id{*ns, request.key};
  SealedPtr existing;
  if (!id.key.empty()) {
    existing = Find(id);
    if (existing != nullptr && !request.overwrite && !request.accept_same_content) return answer(Exists(id));
    if (creating_.contains(id)) {
      waiters_[id].push_back(std::move(waiter));
      return;
    }
  }
  const Epoch epoch{next_epoch_++};
  auto blob = backend_.Create(id, epoch, request.size_hint);
  if (!blob.ok()) return answer(blob.status());
  auto creation = std::make_shared<Creation>();
  creation->session = waiter.session;
  creation->lease = sessions_.Grant(waiter.session, clock_.Now());
  creation->epoch = epoch;
  creation->id = id;
  creation->blob = *std::move(blob);
  // Equal content is decided by SHA-256, which is only worth its time when there is something to be equal to.
  if (id.key.empty() || id.key.starts_with(kContentPrefix) || request.want_sha256 ||
      (existing != nullptr && request.accept_same_content && !request.overwrite)) {
    creation->sha.emplace();
  }
  creation->request = std::move(request);
  creations_.emplace(creation->lease, creation);
  if (!id.key.empty()) creating_.emplace(id, creation);
  answer(CreateGrant{.lease = creation->lease, .epoch = epoch, .lease_ttl = lease_ttl_});
}

void SinglePeer::State::Create(SessionId session, CreateRequest request, base::Deadline deadline,
                               Done<absl::StatusOr<CreateGrant>> done) {
  if (absl::Status bad = CheckRequest(request); !bad.ok()) return done(bad);
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    CreateOrWait({session, std::move(request), deadline, std::move(done)}, calls);
  }
  Run(calls);
}

void SinglePeer::State::EndCreation(const CreationPtr& creation, Calls& calls) {
  sessions_.End(creation->session, creation->lease);
  creations_.erase(creation->lease);
  calls.push_back([creation] {});  // its bytes are freed after the lock
  if (creation->id.key.empty() || creating_.erase(creation->id) == 0) return;
  auto waiting = waiters_.extract(creation->id);
  if (waiting.empty()) return;
  // In their order: the first takes over, the others wait for it, or all learn that it exists.
  for (Waiter& waiter : waiting.mapped()) CreateOrWait(std::move(waiter), calls);
}

absl::StatusOr<SinglePeer::State::CreationPtr> SinglePeer::State::Enter(SessionId session, LeaseId lease, Epoch epoch,
                                                                                   bool to_seal) {
  base::MutexLock lock(mutex_);
  if (sessions_.NamespaceOf(session) == nullptr) return NoSession();
  auto it = creations_.find(lease);
  if (it == creations_.end() || it->second->session != session) return LeaseLost(epoch);
  if (it->second->epoch != epoch) {
    return base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "epoch {} of '{}' is over, {} is current", epoch.value,
                       it->second->id.key, it->second->epoch.value);
  }
  if (it->second->busy) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "BUSY", "another call for this creation is running");
  }
  it->second->busy = true;
  it->second->sealing = to_seal;
  return it->second;
}

absl::Status SinglePeer::State::Append(SessionId session, LeaseId lease, Epoch epoch, base::ByteSpan bytes) {
  LARDER_ASSIGN_OR_RETURN(const CreationPtr creation, Enter(session, lease, epoch, false));
  absl::Status status = creation->blob->Append(bytes);
  if (status.ok() && creation->sha) creation->sha->Update(bytes);
  base::MutexLock lock(mutex_);
  creation->busy = false;
  if (!creations_.contains(lease)) return LeaseLost(epoch);
  return status;
}

bool SinglePeer::State::SameContent(const Sealed& sealed, const Creation& creation, const base::Sha256Digest& sha) {
  if (sealed.info.size != creation.blob->size()) return false;
  if (sealed.info.digest.kind == base::Digest::Kind::kSha256) return sealed.info.digest.sha256 == sha;
  base::Sha256 existing;
  std::vector<std::byte> part(1 << 20);
  for (uint64_t at = 0; at < sealed.info.size; at += part.size()) {
    part.resize(std::min<uint64_t>(part.size(), sealed.info.size - at));
    if (!sealed.view->Read(at, part).ok()) return false;
    existing.Update(part);
  }
  return existing.Finish() == sha;
}

absl::StatusOr<SealResult> SinglePeer::State::SealEntered(Creation& creation, const SealRequest& request) {
  object::Blob& blob = *creation.blob;
  if (request.size != blob.size()) {
    return base::InvalidArgument("SIZE_MISMATCH", "{} bytes were to be sealed, {} were written", request.size, blob.size());
  }
  ObjectInfo info;
  info.state = object::ObjectState::kSealed;
  info.epoch = creation.epoch;
  info.size = blob.size();
  info.meta = creation.request.meta;
  if (info.meta.piece_length == 0) info.meta.piece_length = object::PieceLengthFor(info.size);
  info.tier = backend_.tier();
  info.id = creation.id;
  info.digest = base::Crc32cDigest(blob.crc32c());
  base::Sha256Digest sha{};
  if (creation.sha) {
    sha = creation.sha->Finish();
    const base::Digest digest = base::Sha256DigestOf(sha);
    const std::string text = base::FormatDigest(digest);
    if (info.id.key.empty()) info.id.key = text;
    if (info.id.key.starts_with(kContentPrefix) && info.id.key != text) {
      return base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH", "the key says {}, the bytes are {}", info.id.key,
                         text);
    }
    if (info.id.key == text || creation.request.want_sha256) info.digest = digest;
  }
  const base::Digest& expected = request.expected;
  if (expected.kind == base::Digest::Kind::kSha256 && !creation.sha) {
    return base::InvalidArgument("NO_SHA256", "a SHA-256 can be checked only if it was asked for when creating");
  }
  const bool wrong_crc = expected.kind == base::Digest::Kind::kCrc32c && expected.crc32c != blob.crc32c();
  const bool wrong_sha = expected.kind == base::Digest::Kind::kSha256 && expected.sha256 != sha;
  if (wrong_crc || wrong_sha) {
    return base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH", "the bytes are {}, not {}: nothing was published",
                       base::FormatDigest(wrong_sha ? base::Sha256DigestOf(sha) : info.digest), base::FormatDigest(expected));
  }

  SealedPtr existing;
  {
    base::MutexLock lock(mutex_);
    existing = Find(info.id);
  }
  SealResult result{.ack = AckPolicy::kLocal, .durability = backend_.durability()};
  if (existing != nullptr && !creation.request.overwrite) {
    if (!creation.sha || !SameContent(*existing, creation, sha)) return Exists(info.id);
    result.info = InfoOf(*existing);
    result.existed = true;
    return result;
  }
  auto sealed = std::make_shared<Sealed>();
  sealed->crc32c = blob.crc32c();
  LARDER_ASSIGN_OR_RETURN(sealed->view, backend_.Seal(std::move(creation.blob), info));
  sealed->info = std::move(info);
  if (sealed->info.meta.ttl) sealed->expires = clock_.Now() + *sealed->info.meta.ttl;
  result.info = InfoOf(*sealed);
  base::MutexLock lock(mutex_);
  Insert(std::move(sealed));
  return result;
}

void SinglePeer::State::Seal(SessionId session, LeaseId lease, Epoch epoch, const SealRequest& request,
                             Done<absl::StatusOr<SealResult>> done) {
  absl::StatusOr<CreationPtr> creation = Enter(session, lease, epoch, true);
  if (!creation.ok()) {
    absl::StatusOr<SealResult> answer = creation.status();
    {
      base::MutexLock lock(mutex_);
      const SealResult* kept = sessions_.AnswerOf(session, lease);
      if (kept != nullptr && (kept->existed || kept->info.epoch == epoch)) answer = *kept;
    }
    return done(std::move(answer));
  }
  absl::StatusOr<SealResult> result = SealEntered(**creation, request);
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    (*creation)->busy = (*creation)->sealing = false;
    if (result.ok()) sessions_.KeepAnswer(session, lease, *result);
    // A wrong size leaves the creation as it was, if its lease still lives: the caller may write on, or discard.
    if (base::Reason(result.status()) != "SIZE_MISMATCH" || !sessions_.Holds(session, lease)) EndCreation(*creation, calls);
  }
  calls.insert(calls.begin(), [&] { done(std::move(result)); });
  Run(calls);
}

absl::Status SinglePeer::State::Discard(SessionId session, LeaseId lease, Epoch epoch) {
  Calls calls;
  {
    base::MutexLock lock(mutex_);
    if (sessions_.NamespaceOf(session) == nullptr) return NoSession();
    auto it = creations_.find(lease);
    if (it == creations_.end() || it->second->session != session) {
      if (sessions_.AnswerOf(session, lease) == nullptr) return absl::OkStatus();
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
  Run(calls);
  return absl::OkStatus();
}

// ---- reading

absl::StatusOr<ReadGrant> SinglePeer::State::Get(SessionId session, const std::string& key) {
  base::MutexLock lock(mutex_);
  LARDER_ASSIGN_OR_RETURN(const ObjectId id, IdOf(session, key));
  SealedPtr sealed = Find(id);
  if (sealed == nullptr) return NoObject(id);
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
  if (SealedPtr sealed = Find(id); sealed != nullptr) return InfoOf(*sealed);
  auto it = creating_.find(id);
  if (it == creating_.end()) return NoObject(id);
  const Creation& creation = *it->second;
  return ObjectInfo{.id = id, .state = object::ObjectState::kCreating, .epoch = creation.epoch, .meta = creation.request.meta};
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
  auto it = request.after >= request.prefix ? ns->second.upper_bound(request.after) : ns->second.lower_bound(request.prefix);
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
  SealedPtr sealed;
  {
    base::MutexLock lock(mutex_);
    LARDER_ASSIGN_OR_RETURN(const ObjectId id, IdOf(session, key));
    sealed = Find(id);
    if (sealed == nullptr) return NoObject(id);
  }
  LARDER_RETURN_IF_ERROR(backend_.SetPinned(sealed->info.id, sealed->info.epoch, pinned));
  base::MutexLock lock(mutex_);
  if (Find(sealed->info.id) != sealed) return NoObject(sealed->info.id);
  auto changed = std::make_shared<Sealed>(*sealed);
  changed->info.pinned = pinned;
  Insert(std::move(changed));
  return absl::OkStatus();
}

// ---- the end of leases and objects

void SinglePeer::State::EndLeases(const std::vector<LeaseId>& leases, Calls& calls) {
  for (const LeaseId lease : leases) {
    if (auto it = creations_.find(lease); it != creations_.end()) {
      if (!it->second->sealing) EndCreation(CreationPtr(it->second), calls);
    } else if (auto read = reads_.extract(lease); !read.empty()) {
      // The last reference may free much memory: after the lock.
      calls.push_back([sealed = std::move(read.mapped())] {});
    }
  }
}

void SinglePeer::State::Tick() {
  Calls calls;
  std::vector<SealedPtr> gone;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = clock_.Now();
    std::vector<LeaseId> lapsed;
    for (const SessionTable::Lapsed& one : sessions_.Expire(now)) lapsed.push_back(one.lease);
    reclaimed_lapsed_ += lapsed.size();
    EndLeases(lapsed, calls);
    for (auto queue = waiters_.begin(); queue != waiters_.end();) {
      std::erase_if(queue->second, [&](Waiter& waiter) {
        const bool orphan = sessions_.NamespaceOf(waiter.session) == nullptr;
        if (!orphan && waiter.deadline > now) return false;
        absl::Status why = orphan ? NoSession()
                                  : base::Error(absl::StatusCode::kDeadlineExceeded, "CREATING",
                                                "another client is still creating '{}'", queue->first.key);
        calls.push_back([done = std::move(waiter.done), why = std::move(why)] { done(why); });
        return true;
      });
      queue = queue->second.empty() ? waiters_.erase(queue) : std::next(queue);
    }
    while (!expiry_.empty() && expiry_.begin()->first <= now) {
      SealedPtr sealed = expiry_.begin()->second.lock();
      expiry_.erase(expiry_.begin());
      if (sealed == nullptr) continue;
      auto ns = objects_.find(sealed->info.id.ns);
      if (ns == objects_.end()) continue;
      auto it = ns->second.find(sealed->info.id.key);
      if (it == ns->second.end() || it->second != sealed) continue;
      Erase(sealed);
      gone.push_back(std::move(sealed));
    }
  }
  Run(calls);
  // A disk that fails here keeps the file; the next start removes what has expired.
  for (const SealedPtr& sealed : gone) backend_.Remove(sealed->info.id, sealed->info.epoch).IgnoreError();
}

// ---- the public face

SinglePeer::SinglePeer(object::Backend& backend, const object::PeerSettings& settings)
    : state_(std::make_unique<State>(backend, settings)) {}
SinglePeer::~SinglePeer() = default;

absl::Status SinglePeer::Recover() { return state_->Recover(); }

absl::StatusOr<SessionId> SinglePeer::OpenSession(const object::SessionOwner& owner) {
  LARDER_RETURN_IF_ERROR(object::CheckNamespace(owner.ns));
  base::MutexLock lock(state_->mutex_);
  return state_->sessions_.Open(owner.ns, state_->clock_.Now());
}

void SinglePeer::CloseSession(SessionId session) {
  State::Calls calls;
  {
    base::MutexLock lock(state_->mutex_);
    const std::vector<LeaseId> leases = state_->sessions_.Close(session);
    state_->reclaimed_closed_ += leases.size();
    state_->EndLeases(leases, calls);
  }
  State::Run(calls);
}

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
void SinglePeer::Get(SessionId session, const std::string& key, base::Deadline,
                     Done<absl::StatusOr<ReadGrant>> done) {
  done(state_->Get(session, key));
}

void SinglePeer::Release(SessionId session, LeaseId lease) {
  State::SealedPtr ended;  // freed after the lock, if this was the last reader of a deleted object
  base::MutexLock lock(state_->mutex_);
  if (!state_->sessions_.Holds(session, lease)) return;
  auto read = state_->reads_.extract(lease);
  if (read.empty()) return;  // a create lease ends by Seal or Discard
  ended = std::move(read.mapped());
  state_->sessions_.End(session, lease);
}

absl::StatusOr<std::shared_ptr<const object::BlobView>> SinglePeer::ViewOf(SessionId session, LeaseId lease) {
  base::MutexLock lock(state_->mutex_);
  auto read = state_->reads_.find(lease);
  if (read == state_->reads_.end() || !state_->sessions_.Holds(session, lease)) {
    return base::Error(absl::StatusCode::kAborted, "LEASE_LOST", "the read lease has ended: get the object again");
  }
  return read->second->view;
}

absl::StatusOr<std::vector<LeaseId>> SinglePeer::Renew(SessionId session) {
  base::MutexLock lock(state_->mutex_);
  auto lapsed = state_->sessions_.Renew(session, state_->clock_.Now());
  if (!lapsed) return NoSession();
  return *std::move(lapsed);
}

absl::StatusOr<ObjectInfo> SinglePeer::Stat(SessionId session, const std::string& key) {
  return state_->Stat(session, key);
}
absl::StatusOr<object::ListPage> SinglePeer::List(SessionId session, const object::ListRequest& request) {
  return state_->List(session, request);
}
absl::Status SinglePeer::Delete(SessionId session, const std::string& key) { return state_->Delete(session, key); }
absl::Status SinglePeer::SetPinned(SessionId session, const std::string& key, bool pinned) {
  return state_->SetPinned(session, key, pinned);
}

object::PeerUsage SinglePeer::usage() const {
  base::MutexLock lock(state_->mutex_);
  object::PeerUsage usage{.sessions = state_->sessions_.size(),
                          .create_leases = state_->creations_.size(),
                          .read_leases = state_->reads_.size(),
                          .objects = state_->object_count_,
                          .reclaimed_closed = state_->reclaimed_closed_,
                          .reclaimed_lapsed = state_->reclaimed_lapsed_};
  for (const auto& [ns, bytes] : state_->object_bytes_) {
    usage.bytes += bytes;
    usage.stored.push_back({.tier = std::string(state_->backend_.tier()), .ns = ns, .bytes = bytes});
  }
  return usage;
}

bool SinglePeer::blocks() const { return state_->backend_.blocks(); }
void SinglePeer::Tick() { state_->Tick(); }

}  // namespace larder::peers
