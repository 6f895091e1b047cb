#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/cluster_registry.h"
#include "core/fetches.h"
#include "core/inventory_sync.h"
#include "core/publisher.h"
#include "larder/base/clock.h"
#include "larder/base/executor.h"
#include "larder/base/mutex.h"
#include "larder/object/peer_decorator.h"

namespace larder::cache_agent {

// A node's objects as part of a cluster's: whoever creates a key has the right to it in the whole cluster, and what is
// sealed is published, before the acknowledgement (`tracked`) or after it (`local`). Reads of what is here are the
// inner peer's, and wait for nobody.
class TrackedPeer final : public object::PeerDecorator {
 public:
  // Borrows all but the peer; they outlive it. `node` is this node's name; `executor` runs what may wait for a disk;
  // `may_ask` says whether the node may promise what the cluster has to keep (SelfFence::MayAsk).
  TrackedPeer(std::string node, std::unique_ptr<object::Peer> peer, ClusterRegistry& registry, Publisher& publisher,
              base::Executor& executor, const base::Clock& clock, std::function<absl::Status()> may_ask);
  ~TrackedPeer() override;

  // Publishes what a backend found again at start and the cluster may not know. Once, before others call.
  void PublishUntracked();
  // The cluster's object of that name has changed: a copy here of what was deleted or replaced goes with one of the
  // next Ticks. Any thread.
  void Recheck(const object::ObjectId& id) LARDER_EXCLUDES(mutex_);
  // Anything may have changed, or the cluster has to be told anew what is here: both are compared, beginning with one
  // of the next Ticks. Any thread.
  void Compare() { inventory_.Request(); }

  // Which of these tracked objects the cluster has enough other copies of (object::MayGoFn).
  void AskWhetherTheyMayGo(const std::vector<object::ObjectInfo>& objects, object::Done<std::vector<bool>> done);
  // By what the cluster's other objects come here, for those who read them, and are given on meanwhile. Borrows all.
  // Once, before others call. `board`: what peer managers are told; null: there are none.
  void FetchBy(swarm::Fetcher& fetcher, const swarm::TicketSigner& tickets, ArrivingCopies& arriving, FetchBoard* board,
               observe::Logger& log);
  // Others fetch that object, too (Fetches::Meet). Any thread.
  void Meet(const object::ObjectId& id, std::vector<SwarmMember> members) { fetches_->Meet(id, std::move(members)); }
  // No fetch begins any more, and those who wait for one are answered. Idempotent.
  void StopFetching();

  // What this node has of an object, under that epoch of the cluster's. NOT_FOUND (NO_OBJECT), ABORTED (EPOCH_STALE);
  // UNAVAILABLE (NOT_YET): the cluster is being told of it. Never blocks.
  struct Served {
    object::ObjectInfo info;
    std::shared_ptr<const object::BlobView> view;
  };
  absl::StatusOr<Served> Serve(const object::ObjectId& id, object::Epoch epoch) LARDER_EXCLUDES(mutex_);

  absl::StatusOr<object::SessionId> OpenSession(const object::SessionOwner& owner,
                                                object::LapsedFn lapsed = nullptr) override;
  void CloseSession(object::SessionId session) override LARDER_EXCLUDES(mutex_);
  // Beside the inner peer's errors: INVALID_ARGUMENT (ACK_IMPOSSIBLE) for what needs other nodes or an origin,
  // DEADLINE_ EXCEEDED (CREATING) naming the node that creates the key, ALREADY_EXISTS (EXISTS) also if it is
  // elsewhere, and with `tracked` the cluster's UNAVAILABLE, and UNAVAILABLE (NODE_FENCED).
  void Create(object::SessionId session, object::CreateRequest request, base::Deadline deadline,
              object::Done<absl::StatusOr<object::CreateGrant>> done) override;
  // With `tracked`, UNAVAILABLE while the cluster cannot be told: it is sealed here, and told later; a repeat waits for
  // that. NODE_FENCED where that is why; what the tracker confirms is acknowledged however late, for it knew the node.
  void Seal(object::SessionId session, object::LeaseId lease, object::Epoch epoch, const object::SealRequest& request,
            object::Done<absl::StatusOr<object::SealResult>> done) override;
  absl::Status Discard(object::SessionId session, object::LeaseId lease, object::Epoch epoch) override;
  // What is not here, and other nodes have, is brought here first.
  void Get(object::SessionId session, const std::string& key, base::Deadline deadline,
           object::Done<absl::StatusOr<object::ReadGrant>> done) override;
  // The same, of these bytes.
  void GetRange(object::SessionId session, const std::string& key, const object::ByteRange& range,
                base::Deadline deadline, object::Done<absl::StatusOr<object::ReadGrant>> done) override;
  // The cluster's; without it, what this node has, and without a placement.
  void Stat(object::SessionId session, const std::string& key,
            object::Done<absl::StatusOr<object::ObjectStat>> done) override;
  // The cluster's, or (`local`) the inner peer's.
  void List(object::SessionId session, const object::ListRequest& request,
            object::Done<absl::StatusOr<object::ListPage>> done) override;
  // In the cluster first, then here.
  void Delete(object::SessionId session, const std::string& key, object::Done<absl::Status> done) override;
  void SetPinned(object::SessionId session, const std::string& key, bool pinned,
                 object::Done<absl::Status> done) override;
  base::Duration Tick() override;

 private:
  using Granted = object::Done<absl::StatusOr<object::CreateGrant>>;
  struct Creation {
    object::SessionId session;
    object::ObjectId id;  // key empty: content-addressed
    object::AckPolicy ack = object::AckPolicy::kTracked;
    bool overwrite = false;
    object::Epoch right;  // 0: none, it is published at the seal
    MetaChange settings;  // to be had also by the same content, if that is there already
    bool sealed = false;  // the publisher knows of it: another seal is a repeat
  };
  using CreationPtr = std::shared_ptr<Creation>;  // what changes in it is guarded by mutex_
  // One that waits for the right to its key.
  struct Acquiring {
    object::LeaseId lease;
    object::CreateGrant grant;
    object::SessionId session;
    object::ObjectId id;
    bool overwrite = false;
    bool accept_same_content = false;
    base::Deadline deadline;
    base::MonotonicTime again;
    Granted done;
  };

  void Lapsed(const std::vector<object::LeaseId>& leases) LARDER_EXCLUDES(mutex_);
  void OnCreated(Creation creation, bool accept_same_content, base::Deadline deadline, object::CreateGrant grant,
                 Granted done) LARDER_EXCLUDES(mutex_);
  void Acquire(std::shared_ptr<Acquiring> acquiring);
  void OnAcquired(const std::shared_ptr<Acquiring>& acquiring, absl::StatusOr<object::Epoch> right)
      LARDER_EXCLUDES(mutex_);
  using Sealed = object::Done<absl::StatusOr<object::SealResult>>;
  void OnSealed(object::LeaseId lease, const CreationPtr& creation, object::SealResult result, const Sealed& done)
      LARDER_EXCLUDES(mutex_);
  // A repeat.
  void OnSealedBefore(object::SealResult result, const Sealed& done);
  // Answers a `tracked` seal, once the cluster was told, or could not be.
  void Answer(object::SealResult result, const absl::StatusOr<object::TrackedAs>& told, const Sealed& done);
  // What was told of: kept with the object.
  void OnTracked(const object::ObjectInfo& info, const object::TrackedAs& tracked) LARDER_EXCLUDES(mutex_);
  // A copy came here.
  void OnReceived(const object::ObjectInfo& info) LARDER_EXCLUDES(mutex_);
  void EndMarking(const object::ObjectId& id, const object::TrackedAs& tracked) LARDER_EXCLUDES(mutex_);
  void OnCopyTold(const object::ObjectInfo& info, const absl::Status& told);
  // With the name of its list of pieces, by which others know that they are given the right one.
  object::ObjectInfo WithManifest(object::ObjectInfo info);
  // No range: all of it.
  void GetOrBring(object::SessionId session, const std::string& key, const std::optional<object::ByteRange>& range,
                  base::Deadline deadline, int tries, const object::Done<absl::StatusOr<object::ReadGrant>>& done);
  void Mark(const object::ObjectInfo& info, const object::TrackedAs& tracked) LARDER_EXCLUDES(mutex_);
  // What went by itself.
  void OnGone(const std::vector<object::ObjectInfo>& gone);
  // The creation is over without an object.
  void End(object::LeaseId lease) LARDER_EXCLUDES(mutex_);
  void Abandon(const Creation& creation);
  // None: the session has ended.
  std::optional<object::ObjectId> IdOf(object::SessionId session, const std::string& key) LARDER_EXCLUDES(mutex_);
  // What the cluster and this node know together.
  absl::StatusOr<object::ObjectStat> Joined(const object::ObjectId& id, const absl::StatusOr<object::ObjectStat>& here,
                                            const absl::StatusOr<ClusterObject>& found);
  using Here = std::function<void(object::Done<absl::Status>)>;
  // Does here what the cluster was told, and answers.
  void Follow(const absl::Status& told, bool only_here, const Here& here, const object::Done<absl::Status>& done);
  // Runs what may wait for a disk; false, and nothing was run: the agent is stopping.
  bool Run(std::function<void()> work);
  // Calls `visit` with each sealed object that is here.
  void VisitAll(const std::function<void(const object::ObjectInfo&)>& visit);
  bool IsBeingCreated(const object::ObjectId& id) LARDER_EXCLUDES(mutex_);
  // What is created, told of, or only here is no copy of what the cluster says.
  bool IsOwn(const object::ObjectId& id) LARDER_EXCLUDES(mutex_);
  // The cluster was told of it since it was like this.
  bool WasToldOf(const object::ObjectInfo& before) LARDER_EXCLUDES(mutex_);
  void CheckLater(const object::ObjectId& id, base::MonotonicTime not_before) LARDER_EXCLUDES(mutex_);
  void CheckCopies() LARDER_EXCLUDES(mutex_);
  void CheckHere(const object::ObjectId& id) LARDER_EXCLUDES(mutex_);
  void DropIfGone(const object::ObjectInfo& here, const absl::StatusOr<std::vector<ClusterObject>>& found);
  std::vector<object::TrackedAs> Copies() LARDER_EXCLUDES(mutex_);
  InventorySync::Presence PresenceOf(const object::ObjectId& id, const object::TrackedAs& copy) LARDER_EXCLUDES(mutex_);
  // Looks at what the cluster has no use for.
  void CheckOver() LARDER_EXCLUDES(mutex_);

  const std::string node_;
  ClusterRegistry& registry_;
  Publisher& publisher_;
  base::Executor& executor_;
  const base::Clock& clock_;
  const std::function<absl::Status()> may_ask_;
  base::Mutex mutex_;
  std::unordered_map<object::SessionId, std::string> namespaces_ LARDER_GUARDED_BY(mutex_);
  std::unordered_map<object::LeaseId, CreationPtr> creations_ LARDER_GUARDED_BY(mutex_);
  struct RecheckEntry {
    object::ObjectId id;
    base::MonotonicTime not_before;
  };
  std::deque<RecheckEntry> recheck_ LARDER_GUARDED_BY(mutex_);
  std::set<object::ObjectId> rechecking_ LARDER_GUARDED_BY(mutex_);  // those in recheck_
  std::set<object::TrackedAs> over_ LARDER_GUARDED_BY(mutex_);       // to be looked for
  // Told of, and not marked so yet; or a copy that is being told of.
  std::multimap<object::ObjectId, object::TrackedAs> marking_ LARDER_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Acquiring>> held_ LARDER_GUARDED_BY(mutex_);  // by another node: asked again
  InventorySync inventory_;
  std::unique_ptr<Fetches> fetches_;  // none: what is elsewhere stays there
};

}  // namespace larder::cache_agent
