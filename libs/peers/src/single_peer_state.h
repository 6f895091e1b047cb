#pragma once
#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "larder/base/digest.h"
#include "larder/base/mutex.h"
#include "larder/base/status.h"
#include "larder/peers/single_peer.h"
#include "src/calls.h"
#include "src/eviction.h"
#include "src/quota.h"
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

absl::Status NoSession();
absl::Status NoObject(const ObjectId& id);
absl::Status Exists(const ObjectId& id);
// What an object counts against its namespace's quota beside its bytes.
inline constexpr uint64_t kObjectOverhead = 1024;

// The tables, and what is done with them: creations in creations.cpp, copies that come in receiving.cpp, room in
// room.cpp, all else in single_peer.cpp.
// Lock order: mutex_, then what rules_ locks or the lock of bytes_, which are the innermost. The backend's locks are
// never taken under it.
class SinglePeer::State {
 public:
  State(object::Backend& backend, const object::PeerSettings& settings);

  struct Sealed;
  using SealedPtr = std::shared_ptr<const Sealed>;
  // What does not change with an object's record; guarded by the lock, but for the charge.
  struct Holding {
    ByteQuota::Charge charge;
    uint64_t readers = 0;            // read leases, of it or of the copy that it was
    bool damaged = false;            // a reader found it so, while it was a copy that comes
    base::MonotonicTime keep_until;  // not evicted before: somebody looked it up, or had it before a restart
    base::MonotonicTime ask_again;   // whether it may go; not before
    ClockQueue<SealedPtr>::Place place;
  };
  using HoldingPtr = std::shared_ptr<Holding>;
  // Also what a lease on bytes of a copy is of, which is in no table.
  struct Sealed {
    ObjectInfo info;
    std::shared_ptr<const object::BlobView> view;
    std::optional<base::MonotonicTime> expires;
    uint64_t pin_changes = 0;
    HoldingPtr holding;
    bool partial = false;  // of a copy
  };
  struct Creation {
    SessionId session;
    LeaseId lease;
    Epoch epoch;
    ObjectId id;  // key empty: content-addressed
    CreateRequest request;
    std::unique_ptr<object::Blob> blob;
    ByteQuota::Charge charge;
    base::Deadline room_by;  // how long it may wait for room
    std::optional<base::Sha256> sha;
    bool torn = false;     // an Append failed half-way: nothing can be sealed any more
    bool busy = true;      // its blob is being made, or an Append or Seal runs outside the lock
    bool sealing = false;  // it is a Seal: it ends the creation itself, whatever becomes of the session
  };
  struct Waiter {
    SessionId session;
    CreateRequest request;
    base::Deadline deadline;
    Done<absl::StatusOr<CreateGrant>> done;
  };
  // Waits until it is worth trying again.
  struct RoomWaiter {
    SessionId session;  // none: it is not a client's
    std::string ns;
    bool quota = false;  // it is its namespace's quota that is used up
    uint64_t bytes = 0;
    base::Deadline deadline;
    std::function<void(Calls&)> again;
  };
  using CreationPtr = std::shared_ptr<Creation>;
  // A Seal under way.
  struct Sealing {
    CreationPtr creation;
    Done<absl::StatusOr<SealResult>> done;
    ObjectInfo info;
    std::optional<base::Sha256Digest> sha;
  };

  // ---- single_peer.cpp
  absl::Status Recover();
  absl::StatusOr<ReadGrant> Get(SessionId session, const std::string& key);
  absl::StatusOr<ObjectInfo> Stat(SessionId session, const std::string& key);
  absl::StatusOr<object::ListPage> List(SessionId session, const object::ListRequest& request);
  absl::Status Delete(SessionId session, const std::string& key);
  absl::Status SetPinned(SessionId session, const std::string& key, bool pinned);
  void ReportDamage(SessionId session, LeaseId lease);
  std::vector<ObjectInfo> ListSealed(const ObjectId& after, size_t limit);
  std::optional<ObjectInfo> FindSealed(const ObjectId& id);
  std::shared_ptr<const object::BlobView> SealedView(const ObjectId& id, Epoch epoch);
  absl::Status SetTracked(const ObjectId& id, Epoch epoch, const object::TrackedAs& tracked);
  absl::Status Drop(const ObjectId& id, Epoch epoch);
  // Frees what is in the tables no more, though nobody deleted it, and says so.
  void Lose(const std::vector<SealedPtr>& gone) LARDER_EXCLUDES(mutex_);
  absl::StatusOr<SessionId> OpenSession(const object::SessionOwner& owner, object::LapsedFn lapsed);
  void CloseSession(SessionId session);
  void CloseAll();
  bool Closing() const LARDER_EXCLUDES(mutex_);
  void Release(SessionId session, LeaseId lease);
  absl::StatusOr<std::shared_ptr<const object::BlobView>> ViewOf(SessionId session, LeaseId lease);
  base::Duration Tick();

  absl::StatusOr<ObjectId> IdOf(SessionId session, const std::string& key) LARDER_REQUIRES(mutex_);
  SealedPtr Find(const ObjectId& id) LARDER_REQUIRES(mutex_);
  ObjectInfo InfoOf(const Sealed& sealed) const;
  // What was there before is dropped by `calls`.
  void Insert(SealedPtr sealed, Calls& calls) LARDER_REQUIRES(mutex_);
  void Erase(const SealedPtr& sealed) LARDER_REQUIRES(mutex_);
  // Puts a changed record of the same object in the place of `sealed`.
  void Replace(const SealedPtr& sealed, SealedPtr changed, Calls& calls) LARDER_REQUIRES(mutex_);
  // It no longer expires: it is gone, or another stands for it.
  void ForgetExpiry(const SealedPtr& sealed) LARDER_REQUIRES(mutex_);
  // RESOURCE_EXHAUSTED (TOO_MANY_LEASES, QUOTA_EXCEEDED) if the session, or its namespace, holds as many as it may.
  absl::Status CheckLeases(SessionId session, const std::string& ns) const LARDER_REQUIRES(mutex_);
  // ABORTED (LEASE_LOST), naming what it was of where that is known.
  absl::Status LeaseLost(SessionId session, LeaseId lease) const LARDER_REQUIRES(mutex_);
  // Remembers what a lease that lapsed is of.
  void KeepSubject(SessionId session, LeaseId lease) LARDER_REQUIRES(mutex_);
  object::NamespaceRules RulesOf(const std::string& ns) const;
  // Ends what has lapsed, expired, or waited for too long.
  void EndOverdue() LARDER_EXCLUDES(mutex_);

  // ---- room.cpp
  bool AwaitRoom(SessionId session, const absl::Status& why, uint64_t bytes, base::Deadline deadline,
                 std::function<void()> done) LARDER_EXCLUDES(mutex_);
  // Queues the waiter if waiting may help after `why`.
  bool WaitForRoom(RoomWaiter waiter, const absl::Status& why) LARDER_EXCLUDES(mutex_);
  // Something is on its way out, or may be sent there, so that the waiter may find room.
  bool MayFindRoom(const RoomWaiter& waiter) const;
  // The charge of what holds `bytes`, grown or refused.
  absl::Status ChargeObject(ByteQuota::Charge& charge, const std::string& ns, uint64_t bytes) LARDER_EXCLUDES(mutex_);
  // Those that wait try again.
  void WakeRoomWaiters() LARDER_EXCLUDES(mutex_);
  void MakeRoom() LARDER_EXCLUDES(mutex_);
  std::vector<Eviction> Plan() LARDER_EXCLUDES(mutex_);
  // Bytes of `ns` (empty: of all) that were evicted a moment ago.
  uint64_t EvictedLately(const std::string& ns) LARDER_REQUIRES(mutex_);
  void Evict(const Eviction& eviction) LARDER_EXCLUDES(mutex_);
  void CountEvicted(const Eviction& eviction, size_t objects, uint64_t bytes) LARDER_REQUIRES(mutex_);
  // Evicts what the cluster has enough other copies of, once it says so.
  void AskAndEvict(const Eviction& eviction) LARDER_EXCLUDES(mutex_);
  // Up to `bytes` of the coldest that nobody needs here, and the cluster was not asked about lately.
  std::vector<SealedPtr> ColdestToAsk(const std::string& ns, uint64_t bytes) LARDER_EXCLUDES(mutex_);
  void EvictAllowed(const Eviction& eviction, const std::vector<SealedPtr>& asked, const std::vector<bool>& may_go)
      LARDER_EXCLUDES(mutex_);
  // Up to `bytes` of the coldest that nobody needs, unpublished; few enough that others get the lock in between. Takes
  // what it looked at from `steps`, all that would find nothing more.
  std::vector<SealedPtr> TakeColdest(const std::string& ns, uint64_t bytes, size_t& steps) LARDER_EXCLUDES(mutex_);
  void Compact() LARDER_EXCLUDES(mutex_);
  std::vector<SealedPtr> NextToCompact() LARDER_EXCLUDES(mutex_);
  // After a seal: asks for a Tick if room is short.
  void WakeIfShort() LARDER_EXCLUDES(mutex_);
  void EndLeases(const std::vector<LeaseId>& leases, Calls& calls) LARDER_REQUIRES(mutex_);

  // ---- creations.cpp
  void Create(SessionId session, CreateRequest request, base::Deadline deadline,
              Done<absl::StatusOr<CreateGrant>> done);
  absl::Status Append(SessionId session, LeaseId lease, Epoch epoch, base::ByteSpan bytes);
  void Seal(SessionId session, LeaseId lease, Epoch epoch, const SealRequest& request,
            Done<absl::StatusOr<SealResult>> done);
  absl::Status Discard(SessionId session, LeaseId lease, Epoch epoch);

  // Begins, refuses, or queues; `calls` gets the rest.
  void CreateOrWait(Waiter waiter, Calls& calls) LARDER_REQUIRES(mutex_);
  // Gets the blob and answers, now or once there is room.
  void Begin(const CreationPtr& creation, const Done<absl::StatusOr<CreateGrant>>& done, Calls& calls)
      LARDER_EXCLUDES(mutex_);
  absl::StatusOr<std::unique_ptr<object::Blob>> MakeBlob(Creation& creation) LARDER_EXCLUDES(mutex_);
  bool StillWanted(const Creation& creation) LARDER_EXCLUDES(mutex_);
  // BeginWork or EndWork of a session.
  void HoldLeases(SessionId session, bool hold) LARDER_EXCLUDES(mutex_);
  // Answers the waiters that `why` has an error for.
  void GiveUpWaiters(const std::function<absl::Status(const ObjectId&, const Waiter&)>& why, Calls& calls)
      LARDER_REQUIRES(mutex_);
  absl::Status StillCreating(const ObjectId& id) const;
  void EndCreation(const CreationPtr& creation, Calls& calls) LARDER_REQUIRES(mutex_);
  absl::StatusOr<CreationPtr> Enter(SessionId session, LeaseId lease, Epoch epoch, bool to_seal)
      LARDER_EXCLUDES(mutex_);
  static absl::Status AppendCopied(Creation& creation, base::ByteSpan bytes);
  // Fills in `sealing` if what was appended is what `request` says.
  absl::Status Describe(const SealRequest& request, Sealing& sealing) const;
  // Waits for its turn among those of the same name, publishes, answers.
  void Publish(Sealing sealing, Calls& calls) LARDER_EXCLUDES(mutex_);
  // `made` gets the new object, unless it existed.
  absl::StatusOr<SealResult> PublishNow(const Sealing& sealing, const SealedPtr& existing, SealedPtr& made);
  // The sealed object, once the backend has it.
  absl::StatusOr<SealedPtr> MakeSealed(const ObjectInfo& info, std::unique_ptr<object::Blob> blob, HoldingPtr holding);
  // Holds nothing yet.
  HoldingPtr MakeHolding(const std::string& ns);
  static bool SameContent(const Sealed& sealed, const Sealing& sealing);
  // What the creator asked for is what `sealed` has already.
  static bool SameSettings(const Sealed& sealed, const CreateRequest& request);
  void EndSeal(const Sealing& sealing, absl::StatusOr<SealResult> result, Calls& calls) LARDER_REQUIRES(mutex_);

  // ---- receiving.cpp
  struct Incoming;
  using IncomingPtr = std::unique_ptr<Incoming>;
  using Received = Done<absl::StatusOr<std::unique_ptr<object::IncomingCopy>>>;
  void Receive(const ObjectInfo& info, base::Deadline deadline, const Received& done);
  absl::StatusOr<ReadGrant> Lend(SessionId session, const Incoming& copy, const object::ByteRun& bytes)
      LARDER_EXCLUDES(mutex_);
  // Gets the room and answers, now or once there is some.
  void BeginCopy(std::unique_ptr<Incoming> copy, base::Deadline deadline, const Received& done);
  // Publishes, in its turn among those of the same name, unless there is one.
  void SealCopy(const std::shared_ptr<Incoming>& copy, const Done<absl::StatusOr<ObjectInfo>>& done, Calls& calls)
      LARDER_EXCLUDES(mutex_);

  // Keeps what came of it, in place of what was kept under that name before; of more than it may, the oldest that
  // nobody reads goes.
  void ParkCopy(IncomingPtr copy) LARDER_EXCLUDES(mutex_);
  // Null: none is parked. To be dropped, if at all, without the lock.
  IncomingPtr TakeParked(const ObjectId& id) LARDER_REQUIRES(mutex_);
  void DropParked(const ObjectId& id) LARDER_EXCLUDES(mutex_);
  // Those whose time is over, and what expired.
  void DropOldParked() LARDER_EXCLUDES(mutex_);
  // As much as is short, the oldest first.
  void DropParkedForRoom() LARDER_EXCLUDES(mutex_);
  // Of `ns`; empty: of any. Not what is read.
  bool HasParked(const std::string& ns) const LARDER_EXCLUDES(mutex_);
  void RecoverParked() LARDER_EXCLUDES(mutex_);

  // True: nobody publishes under that name, and the caller may, until EndTurn. Else `again` runs when its turn comes.
  bool BeginTurn(const ObjectId& id, Calls::Call again) LARDER_REQUIRES(mutex_);
  void EndTurn(const ObjectId& id, Calls& calls) LARDER_REQUIRES(mutex_);

  object::Backend& backend_;
  const base::Clock& clock_;
  const base::Duration lease_ttl_;
  const base::Duration late_tick_;
  const std::function<object::NamespaceRules(const std::string&)> rules_;
  const std::function<void()> wake_;
  object::DroppedFn dropped_;  // set before there are sessions, as is the next
  object::MayGoFn may_go_;
  ByteQuota bytes_;                   // before all that holds charges
  std::atomic<bool> evicts_ = false;  // there is something that may be evicted; as of the last Tick
  // Held for table look-ups only, never while bytes are copied, the backend is called or a `done` runs.
  mutable base::Mutex mutex_;
  SessionTable sessions_ LARDER_GUARDED_BY(mutex_);
  base::MonotonicTime ticked_ LARDER_GUARDED_BY(mutex_);  // when the last Tick ended
  uint64_t next_epoch_ LARDER_GUARDED_BY(mutex_);
  std::map<std::string, std::map<std::string, SealedPtr>> objects_ LARDER_GUARDED_BY(mutex_);  // namespace, key
  std::multimap<base::MonotonicTime, SealedPtr> expiry_ LARDER_GUARDED_BY(mutex_);
  std::unordered_map<LeaseId, CreationPtr> creations_ LARDER_GUARDED_BY(mutex_);
  std::map<ObjectId, CreationPtr> creating_ LARDER_GUARDED_BY(mutex_);  // those with a key
  std::map<ObjectId, std::deque<Waiter>> waiters_ LARDER_GUARDED_BY(mutex_);
  // Names under which something is being published, with those that follow: table and backend must see them in one
  // order, and creations without a key, or a copy that comes, may end up with the same name.
  std::map<ObjectId, std::deque<Calls::Call>> publishing_ LARDER_GUARDED_BY(mutex_);
  std::unordered_map<LeaseId, SealedPtr> reads_ LARDER_GUARDED_BY(mutex_);
  std::map<std::string, ClockQueue<SealedPtr>> queues_ LARDER_GUARDED_BY(mutex_);  // by namespace; none is empty
  std::vector<RoomWaiter> room_waiters_ LARDER_GUARDED_BY(mutex_);
  std::deque<IncomingPtr> parked_ LARDER_GUARDED_BY(mutex_);  // the oldest first; one a name
  struct Evicted {
    base::MonotonicTime at;
    std::string ns;
    uint64_t bytes = 0;
  };
  std::set<std::string> asking_ LARDER_GUARDED_BY(mutex_);        // namespaces, about some of their objects
  std::deque<Evicted> evicted_lately_ LARDER_GUARDED_BY(mutex_);  // oldest first
  bool closing_ LARDER_GUARDED_BY(mutex_) = false;
  ObjectId compacted_to_ LARDER_GUARDED_BY(mutex_);           // where the next look for what lies badly begins
  base::MonotonicTime compact_at_ LARDER_GUARDED_BY(mutex_);  // not before
  bool compacted_any_ LARDER_GUARDED_BY(mutex_) = false;      // since the look began anew
  uint64_t object_count_ LARDER_GUARDED_BY(mutex_) = 0;
  std::map<std::string, uint64_t> object_bytes_ LARDER_GUARDED_BY(mutex_);  // by namespace, as in objects_
  uint64_t reclaimed_closed_ LARDER_GUARDED_BY(mutex_) = 0;
  uint64_t reclaimed_lapsed_ LARDER_GUARDED_BY(mutex_) = 0;
  uint64_t evicted_room_ LARDER_GUARDED_BY(mutex_) = 0;
  uint64_t evicted_quota_ LARDER_GUARDED_BY(mutex_) = 0;
  uint64_t damaged_ LARDER_GUARDED_BY(mutex_) = 0;
  uint64_t compacted_ LARDER_GUARDED_BY(mutex_) = 0;
};

}  // namespace larder::peers
