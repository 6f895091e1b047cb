#include "core/tracked_peer.h"

#include <algorithm>
#include <utility>

#include "larder/base/status.h"

namespace larder::cache_agent {

using object::AckPolicy;
using object::CreateGrant;
using object::CreateRequest;
using object::Done;
using object::Epoch;
using object::LeaseId;
using object::ObjectId;
using object::SealResult;
using object::SessionId;
using object::TrackedAs;

namespace {

// Between two questions whether another node still creates a key.
constexpr base::Duration kAskAgain = std::chrono::milliseconds(100);
constexpr uint32_t kMostListed = 1000;

absl::Status CheckAck(const CreateRequest& request) {
  const bool other_nodes = request.ack == AckPolicy::kReplicated && request.ack_replicas > 1;
  if (!other_nodes && request.ack != AckPolicy::kOrigin) return absl::OkStatus();
  return base::InvalidArgument("ACK_IMPOSSIBLE",
                               "this installation can acknowledge 'local' and 'tracked', not '{}': it sends nothing to "
                               "{} yet",
                               object::AckName(request.ack), other_nodes ? "other nodes" : "an origin");
}

// What a creator asked for that the same content, created before, may not have.
MetaChange AskedSettings(const object::ObjectMeta& meta) {
  MetaChange change{.ttl = meta.ttl};
  if (meta.wanted_replicas > 1) change.wanted_replicas = meta.wanted_replicas;
  if (!meta.tags.empty()) change.tags = meta.tags;
  return change;
}

absl::Status LeaseLost(const ObjectId& id) {
  return base::Error(absl::StatusCode::kAborted, "LEASE_LOST", "the session that was to create '{}' has ended", id.key);
}

}  // namespace

TrackedPeer::TrackedPeer(std::string node, std::unique_ptr<object::Peer> peer, ClusterRegistry& registry,
                         Publisher& publisher, base::Executor& executor, const base::Clock& clock,
                         std::function<absl::Status()> may_ask)
    : PeerDecorator(std::move(peer)),
      node_(std::move(node)),
      registry_(registry),
      publisher_(publisher),
      executor_(executor),
      clock_(clock),
      may_ask_(std::move(may_ask)),
      inventory_(registry, clock,
                 {.presence = [this](const ObjectId& id, const TrackedAs& copy) { return PresenceOf(id, copy); },
                  .copies = [this] { return Copies(); },
                  .over =
                      [this](const std::set<TrackedAs>& over) {
                        base::MutexLock lock(mutex_);
                        over_.insert(over.begin(), over.end());
                      }}) {
  publisher_.OnTracked([this](const object::ObjectInfo& info, const TrackedAs& tracked) { OnTracked(info, tracked); });
  inner().AskBeforeDropping([this](const std::vector<object::ObjectInfo>& objects, Done<std::vector<bool>> done) {
    AskWhetherTheyMayGo(objects, std::move(done));
  });
  inner().OnDropped([this](const std::vector<object::ObjectInfo>& gone) { OnGone(gone); });
}

TrackedPeer::~TrackedPeer() {
  EndInner();  // answers fetches that wait for room
}

bool TrackedPeer::Run(std::function<void()> work) {
  if (inner().blocks()) return executor_.Submit(std::move(work));
  work();
  return true;
}

absl::StatusOr<SessionId> TrackedPeer::OpenSession(const object::SessionOwner& owner, object::LapsedFn lapsed) {
  LARDER_ASSIGN_OR_RETURN(
      const SessionId session,
      inner().OpenSession(owner, [this, lapsed = std::move(lapsed)](const std::vector<LeaseId>& leases) {
        Lapsed(leases);
        if (lapsed) lapsed(leases);
      }));
  base::MutexLock lock(mutex_);
  namespaces_.emplace(session, owner.ns);
  return session;
}

void TrackedPeer::CloseSession(SessionId session) {
  inner().CloseSession(session);
  std::vector<CreationPtr> ended;
  std::vector<std::shared_ptr<Acquiring>> waiting;
  {
    base::MutexLock lock(mutex_);
    namespaces_.erase(session);
    std::erase_if(creations_, [&](auto& item) {
      if (item.second->session != session) return false;
      ended.push_back(std::move(item.second));
      return true;
    });
    std::erase_if(held_, [&](auto& acquiring) {
      if (acquiring->session != session) return false;
      waiting.push_back(std::move(acquiring));
      return true;
    });
  }
  if (fetches_ != nullptr) fetches_->Forget(session);
  for (const CreationPtr& creation : ended) Abandon(*creation);
  for (const auto& acquiring : waiting) acquiring->done(LeaseLost(acquiring->id));
}

void TrackedPeer::Lapsed(const std::vector<LeaseId>& leases) {
  for (const LeaseId lease : leases) End(lease);
}

void TrackedPeer::End(LeaseId lease) {
  CreationPtr ended;
  {
    base::MutexLock lock(mutex_);
    const auto it = creations_.find(lease);
    if (it == creations_.end()) return;
    ended = std::move(it->second);
    creations_.erase(it);
  }
  Abandon(*ended);
}

void TrackedPeer::Abandon(const Creation& creation) {
  if (creation.right == Epoch{}) return;
  // One that is not told ends with its time.
  registry_.Abandon(creation.id, creation.right, [](const absl::Status&) {});
}

// ---- creating

void TrackedPeer::Create(SessionId session, CreateRequest request, base::Deadline deadline, Granted done) {
  if (const absl::Status possible = CheckAck(request); !possible.ok()) return done(possible);
  if (request.ack != AckPolicy::kLocal) {
    if (absl::Status may = may_ask_(); !may.ok()) return done(std::move(may));
  }
  Creation creation{.session = session,
                    .ack = request.ack == AckPolicy::kLocal ? AckPolicy::kLocal : AckPolicy::kTracked,
                    .overwrite = request.overwrite};
  if (request.accept_same_content) creation.settings = AskedSettings(request.meta);
  {
    base::MutexLock lock(mutex_);
    if (const auto ns = namespaces_.find(session); ns != namespaces_.end()) creation.id = {ns->second, request.key};
  }
  const bool accept_same_content = request.accept_same_content;
  request.ack = AckPolicy::kLocal;
  inner().Create(session, std::move(request), deadline,
                 [this, creation = std::move(creation), accept_same_content, deadline,
                  done = std::move(done)](const absl::StatusOr<CreateGrant>& grant) {
                   if (!grant.ok()) return done(grant);
                   OnCreated(creation, accept_same_content, deadline, *grant, done);
                 });
}

void TrackedPeer::OnCreated(Creation creation, bool accept_same_content, base::Deadline deadline, CreateGrant grant,
                            Granted done) {
  const bool acquires = creation.ack == AckPolicy::kTracked && !creation.id.key.empty();
  auto acquiring = std::make_shared<Acquiring>(Acquiring{.lease = grant.lease,
                                                         .grant = grant,
                                                         .session = creation.session,
                                                         .id = creation.id,
                                                         .overwrite = creation.overwrite,
                                                         .accept_same_content = accept_same_content,
                                                         .deadline = deadline,
                                                         .done = std::move(done)});
  {
    base::MutexLock lock(mutex_);
    // One whose session is gone fails at the seal, as any.
    if (namespaces_.contains(creation.session)) {
      creations_.emplace(grant.lease, std::make_shared<Creation>(std::move(creation)));
    }
  }
  if (!acquires) return acquiring->done(grant);
  // The client does not know its lease yet, and so cannot renew it.
  inner().BeginWork(acquiring->session);
  Acquire(std::move(acquiring));
}

void TrackedPeer::Acquire(std::shared_ptr<Acquiring> acquiring) {
  registry_.Acquire(acquiring->id, acquiring->overwrite,
                    [this, acquiring](absl::StatusOr<Epoch> right) { OnAcquired(acquiring, std::move(right)); });
}

void TrackedPeer::OnAcquired(const std::shared_ptr<Acquiring>& acquiring, absl::StatusOr<Epoch> right) {
  const bool same_may_do = acquiring->accept_same_content && base::Reason(right.status()) == "EXISTS";
  if (base::Reason(right.status()) == "HELD") {
    if (acquiring->deadline > clock_.Now()) {
      base::MutexLock lock(mutex_);
      if (creations_.contains(acquiring->lease)) {
        acquiring->again = clock_.Now() + kAskAgain;
        held_.push_back(acquiring);
        return;
      }
    }
    right = base::Error(absl::StatusCode::kDeadlineExceeded, "CREATING", "{}", base::Message(right.status()));
  }
  // A right that nobody got to know of is given back: for the caller, nothing was done.
  if (base::Reason(right.status()) == "OUTCOME_UNKNOWN") {
    right = base::Error(absl::StatusCode::kUnavailable, "NO_TRACKER",
                        "no tracker gave the right to create '{}' in time; nothing was created (try again)",
                        acquiring->id.key);
  }
  bool lives = false;
  {
    base::MutexLock lock(mutex_);
    const auto creation = creations_.find(acquiring->lease);
    lives = creation != creations_.end();
    if (lives && right.ok()) creation->second->right = *right;
  }
  inner().EndWork(acquiring->session);
  if (!lives) {
    if (right.ok()) Abandon({.id = acquiring->id, .right = *right});
    return acquiring->done(LeaseLost(acquiring->id));
  }
  // Whoever was granted writes at once, maybe to a disk.
  const bool granted = right.ok() || same_may_do;
  const auto answer = [this, acquiring, granted, status = right.status()] {
    if (granted) return acquiring->done(acquiring->grant);
    Discard(acquiring->session, acquiring->lease, acquiring->grant.epoch).IgnoreError();
    acquiring->done(status);
  };
  if (!Run(answer)) acquiring->done(Stopping());
}

absl::Status TrackedPeer::Discard(SessionId session, LeaseId lease, Epoch epoch) {
  LARDER_RETURN_IF_ERROR(inner().Discard(session, lease, epoch));
  End(lease);
  return absl::OkStatus();
}

// ---- sealing

void TrackedPeer::Seal(SessionId session, LeaseId lease, Epoch epoch, const object::SealRequest& request, Sealed done) {
  CreationPtr creation;
  {
    base::MutexLock lock(mutex_);
    if (const auto it = creations_.find(lease); it != creations_.end()) creation = it->second;
  }
  inner().Seal(
      session, lease, epoch, request,
      [this, lease, creation = std::move(creation), done = std::move(done)](absl::StatusOr<SealResult> result) {
        if (!result.ok()) {
          // These leave the creation as it was.
          const std::string reason = base::Reason(result.status());
          if (reason != "SIZE_MISMATCH" && reason != "BUSY" && reason != "EPOCH_STALE") End(lease);
          return done(std::move(result));
        }
        if (creation == nullptr) return OnSealedBefore(*std::move(result), done);
        OnSealed(lease, creation, *std::move(result), done);
      });
}

void TrackedPeer::OnSealedBefore(SealResult result, const Sealed& done) {
  const ObjectId id = result.info.id;
  const Epoch own = result.info.epoch;
  if (publisher_.IsBehind(id, own)) return done(std::move(result));
  publisher_.Await(id, own, [this, result = std::move(result), done](const absl::StatusOr<TrackedAs>& told) {
    Answer(result, told, done);
  });
}

void TrackedPeer::OnSealed(LeaseId lease, const CreationPtr& creation, SealResult result, const Sealed& done) {
  bool repeated = false;
  bool session_lives = false;
  Epoch right;
  {
    base::MutexLock lock(mutex_);
    repeated = creation->sealed;
    session_lives = namespaces_.contains(creation->session);
    // Of a creation that ended while it was being sealed, the right was given back.
    if (creations_.contains(lease)) right = creation->right;
  }
  if (repeated) return OnSealedBefore(std::move(result), done);
  if (!session_lives && !result.existed) {
    // Nobody heard of it, and nobody would publish it.
    const ObjectId id = result.info.id;
    const auto drop = [this, id, own = result.info.epoch, done] {
      inner().Drop(id, own).IgnoreError();
      done(LeaseLost(id));
    };
    if (!Run(drop)) done(Stopping());
    return;
  }
  const bool local = creation->ack == AckPolicy::kLocal;
  const Publisher::Publication publication = {.info = WithManifest(result.info),
                                              .overwrite = creation->overwrite,
                                              .acknowledged = local,
                                              .right = right,
                                              .settings = creation->settings};
  const auto told = [this, result, done](const absl::StatusOr<TrackedAs>& tracked) { Answer(result, tracked, done); };
  publisher_.Publish(publication, local ? Publisher::Told() : told);
  {
    // Not before the publisher knows of it: whoever looks what is here finds it with one of both. Two seals at once
    // both publish, which is one.
    base::MutexLock lock(mutex_);
    creation->sealed = true;
    creations_.erase(lease);
  }
  if (local) done(std::move(result));
}

void TrackedPeer::Answer(SealResult result, const absl::StatusOr<TrackedAs>& told, const Sealed& done) {
  if (told.ok()) {
    result.ack = AckPolicy::kTracked;
    if (told->epoch != Epoch{}) result.info.epoch = told->epoch;
    return done(std::move(result));
  }
  if (Publisher::MayBeToldLater(told.status())) {
    const absl::Status may = may_ask_();
    const absl::Status& why = may.ok() ? told.status() : may;
    return done(base::Error(absl::StatusCode::kUnavailable, base::Reason(why),
                            "'{}' is sealed on this node, but the tracker could not be told yet (it will be; the same "
                            "seal again waits for it): {}",
                            result.info.id.key, base::Message(why)));
  }
  const std::string reason = base::Reason(told.status());
  const bool gone = reason == "SUPERSEDED" || reason == "NO_OBJECT";
  // What was there before, and acknowledged, stays.
  if (gone || result.existed) return done(told.status());
  // It lost to another node's object: whoever hears of that does not find it here.
  const auto drop = [this, id = result.info.id, own = result.info.epoch, status = told.status(), done] {
    inner().Drop(id, own).IgnoreError();
    publisher_.ForgetIf(id, own);
    done(status);
  };
  if (!Run(drop)) done(told.status());
}

// ---- names, which are the cluster's

std::optional<ObjectId> TrackedPeer::IdOf(SessionId session, const std::string& key) {
  base::MutexLock lock(mutex_);
  const auto ns = namespaces_.find(session);
  if (ns == namespaces_.end()) return std::nullopt;
  return ObjectId{ns->second, key};
}

void TrackedPeer::Stat(SessionId session, const std::string& key, Done<absl::StatusOr<object::ObjectStat>> done) {
  inner().Stat(
      session, key, [this, id = IdOf(session, key), done = std::move(done)](absl::StatusOr<object::ObjectStat> here) {
        if (!id || (!here.ok() && base::Reason(here.status()) != "NO_OBJECT")) return done(std::move(here));
        registry_.Locate(
            {*id}, [this, id = *id, here = std::move(here), done](absl::StatusOr<std::vector<ClusterObject>> found) {
              if (found.ok() && fetches_ != nullptr) fetches_->Remember(found->front());
              done(Joined(
                  id, here,
                  found.ok() ? absl::StatusOr<ClusterObject>(std::move(found->front())) : std::move(found).status()));
            });
      });
}

absl::StatusOr<object::ObjectStat> TrackedPeer::Joined(const ObjectId& id,
                                                       const absl::StatusOr<object::ObjectStat>& here,
                                                       const absl::StatusOr<ClusterObject>& found) {
  // What this node has it can tell of without the cluster.
  if (!found.ok()) return here.ok() ? here : found.status();
  object::Placement placement{.live_replicas = found->live_replicas,
                              .staged_age = found->staged_age,
                              .creator = found->creator,
                              .conflict = publisher_.InConflict(id)};
  for (const ClusterCopy& copy : found->copies) {
    placement.locations.push_back({.node = copy.node,
                                   .kind = copy.staged ? "staged" : "replica",
                                   .live = copy.live,
                                   .last_seen = copy.node == node_ ? base::Duration::zero() : copy.last_seen});
  }
  // A creation of this node that is no longer here has ended; only the cluster has not been told of that yet.
  const bool ended = found->info.state == object::ObjectState::kCreating && found->creator == node_ && !here.ok();
  if (ended || found->info.state == object::ObjectState::kDeleted) {
    // Being created here, or not told of yet; else it was deleted, and this node has not heard of that.
    const bool own = here.ok() && (here->info.state == object::ObjectState::kCreating ||
                                   publisher_.IsPending(id, here->info.epoch) || placement.conflict);
    if (own) return object::ObjectStat{.info = here->info, .placement = std::move(placement)};
    return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "there is no object '{}' in namespace '{}'", id.key,
                       id.ns);
  }
  object::ObjectStat stat{.info = found->info, .placement = std::move(placement)};
  if (here.ok() && here->info.digest == stat.info.digest) stat.info.tier = here->info.tier;
  return stat;
}

void TrackedPeer::List(SessionId session, const object::ListRequest& request,
                       Done<absl::StatusOr<object::ListPage>> done) {
  const std::optional<ObjectId> id = IdOf(session, "");
  // The inner peer knows what to say to a session that is none, and to a limit.
  if (request.local || !id || request.limit < 1 || request.limit > kMostListed) {
    return inner().List(session, request, std::move(done));
  }
  registry_.List(id->ns, request, [done = std::move(done)](absl::StatusOr<ClusterPage> page) {
    if (!page.ok()) return done(page.status());
    done(object::ListPage{.objects = std::move(page->objects), .more = page->more});
  });
}

void TrackedPeer::Follow(const absl::Status& told, bool only_here, const Here& here, const Done<absl::Status>& done) {
  if (!told.ok() && base::Reason(told) != "NO_OBJECT") return done(told);
  // One that only this node knows is what was meant; any other copy follows what the cluster says.
  const bool runs = Run([here, done, told, only_here] {
    here([done, told, only_here](const absl::Status& followed) {
      const bool counts = only_here && !told.ok();
      if (counts || (!followed.ok() && base::Reason(followed) != "NO_OBJECT")) return done(followed);
      done(told);
    });
  });
  if (!runs) done(Stopping());
}

void TrackedPeer::Delete(SessionId session, const std::string& key, Done<absl::Status> done) {
  const std::optional<ObjectId> id = IdOf(session, key);
  // The inner peer knows what to say to a session or key that is none.
  if (!id || !object::CheckKey(key).ok()) return inner().Delete(session, key, std::move(done));
  // What is created here from now on is not what was to be deleted.
  const std::optional<object::ObjectInfo> here = inner().FindSealed(*id);
  const Epoch own = here ? here->epoch : Epoch{};
  const Epoch pending = publisher_.PendingEpoch(*id);
  const bool only_here = publisher_.IsOnlyHere(*id);
  // Else an attempt could come behind the delete, and publish what has no bytes.
  publisher_.Hold(*id, pending);
  registry_.Delete(*id, [this, id = *id, own, pending, only_here, done = std::move(done)](const absl::Status& told) {
    publisher_.Release(id, pending);
    if (fetches_ != nullptr) fetches_->Outdate(id);
    if (told.ok() || (base::Reason(told) == "NO_OBJECT" && only_here)) {
      publisher_.ForgetIf(id, pending);
      publisher_.ForgetIf(id, own);
    }
    Follow(
        told, only_here, [this, id, own](const Done<absl::Status>& followed) { followed(inner().Drop(id, own)); },
        done);
  });
}

void TrackedPeer::SetPinned(SessionId session, const std::string& key, bool pinned, Done<absl::Status> done) {
  const std::optional<ObjectId> id = IdOf(session, key);
  const Here here = [this, session, key, pinned](Done<absl::Status> followed) {
    inner().SetPinned(session, key, pinned, std::move(followed));
  };
  if (!id || !object::CheckKey(key).ok()) return here(std::move(done));
  registry_.SetMeta(*id, {}, {.pinned = pinned},
                    [this, id = *id, here, done = std::move(done)](const absl::Status& told) {
                      Follow(told, publisher_.IsOnlyHere(id), here, done);
                    });
}

base::Duration TrackedPeer::Tick() {
  std::vector<std::shared_ptr<Acquiring>> due;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = clock_.Now();
    std::erase_if(held_, [&](auto& acquiring) {
      if (acquiring->again > now) return false;
      due.push_back(std::move(acquiring));
      return true;
    });
  }
  for (auto& acquiring : due) Acquire(std::move(acquiring));
  CheckCopies();
  inventory_.Tick();
  if (fetches_ != nullptr) fetches_->Tick();
  return std::min({inner().Tick(), publisher_.Tick(), kAskAgain});
}

}  // namespace larder::cache_agent
