#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/clock.h"
#include "larder/object/blob.h"
#include "larder/object/byte_range.h"
#include "larder/object/object.h"
#include "larder/object/rights.h"

namespace larder::object {

template <typename T>
using Done = std::function<void(T)>;

// Who a session belongs to, as the agent knows it (not as the client says, but for `open` identity).
struct SessionOwner {
  std::string ns;
  int32_t pid = 0;  // for people; 0 unknown
  Rights rights = Rights::All();
  std::string account = {};  // who was given the rights, for people
};

using LapsedFn = std::function<void(const std::vector<LeaseId>&)>;
using DroppedFn = std::function<void(const std::vector<ObjectInfo>&)>;
// Which of these may go; the answer comes once, in the same order, maybe before the call returns.
using MayGoFn = std::function<void(const std::vector<ObjectInfo>&, Done<std::vector<bool>>)>;

struct CreateRequest {
  std::string key;         // empty: content-addressed, named "sha256:<hex>" by the seal
  uint64_t size_hint = 0;  // bytes; 0 unknown
  bool overwrite = false;
  // The key exists: go on, and let the seal succeed if the bytes are the same (else it says ALREADY_EXISTS). If TTL,
  // tags or other settings that were asked for are not what it has, they take effect as a new epoch.
  bool accept_same_content = false;
  bool want_sha256 = false;  // digest "sha256:" though the key is the user's
  AckPolicy ack = AckPolicy::kDefault;
  uint32_t ack_replicas = 0;
  ObjectMeta meta;
};
struct CreateGrant {
  LeaseId lease;
  Epoch epoch;
  base::Duration lease_ttl{};
};

struct SealRequest {
  uint64_t size = 0;      // bytes that must have been appended; else INVALID_ARGUMENT (SIZE_MISMATCH)
  base::Digest expected;  // kNone: not checked; else DATA_LOSS (DIGEST_MISMATCH), nothing published
};
struct SealResult {
  ObjectInfo info;
  AckPolicy ack = AckPolicy::kLocal;
  Durability durability = Durability::kMemory;
  bool existed = false;  // the same content was there already; this creation was dropped
};

struct ReadGrant {
  LeaseId lease;
  base::Duration lease_ttl{};
  ObjectInfo info;
  std::shared_ptr<const BlobView> view;
  bool brought = false;  // from elsewhere, for this read
  bool partial = false;  // only the bytes that were asked for may be read: others may not be here
};

struct ListRequest {
  std::string prefix;
  std::string after;      // return keys greater than this
  uint32_t limit = 1000;  // 1..1000
  bool local = false;     // only what this node has
};
struct ListPage {
  std::vector<ObjectInfo> objects;  // sealed ones, by key
  bool more = false;                // go on after the last key
};

// What a peer holds now: nothing once no session and no object is left.
struct PeerUsage {
  uint64_t sessions = 0;
  uint64_t create_leases = 0;
  uint64_t read_leases = 0;
  uint64_t objects = 0;  // sealed
  uint64_t bytes = 0;    // of sealed objects
  // The same objects and bytes by where they lie and whose they are.
  struct Stored {
    std::string tier;
    std::string ns;
    uint64_t objects = 0;
    uint64_t bytes = 0;
  };
  std::vector<Stored> stored;
  std::string tier;  // that of the counts below
  // Leases taken back since the start: because their session ended, because they were not renewed.
  uint64_t reclaimed_closed = 0;
  uint64_t reclaimed_lapsed = 0;
  // Objects dropped since the start: because the node's room was short, their namespace's quota was; because a read
  // found them damaged.
  uint64_t evicted_room = 0;
  uint64_t evicted_quota = 0;
  uint64_t damaged = 0;
  // Objects whose bytes were moved since the start, for memory's sake.
  uint64_t compacted = 0;
};

// What was received of a copy is kept for so long while nobody goes on with it; and of so many copies.
inline constexpr base::Duration kParkedFor = std::chrono::minutes(10);
inline constexpr size_t kMostParked = 64;

// A copy of another node's object on its way to this one. Its owner calls it, one call at a time, and not beyond the
// peer's life; dropping it unsealed frees everything.
class IncomingCopy {
 public:
  virtual ~IncomingCopy() = default;
  // Where the bytes go, and that a part (of the object's piece length) has come: as Blob's.
  virtual base::MutableByteSpan At(uint64_t offset, uint64_t size) = 0;
  virtual absl::Status Keep(uint32_t number) = 0;
  // The parts that came before it was parked, by their numbers: they need not come again. Empty: none did.
  virtual const std::vector<bool>& kept() const = 0;
  // Nobody wants the rest now: the peer keeps the parts that came, for the next Receive of the same, for kParkedFor,
  // and unless room is short or somebody drops them. Nobody is shown them. Uses it up.
  virtual void Park() = 0;
  // As Blob's: also beside the owner's calls, but for Seal and Park.
  virtual absl::Status ReadKept(uint64_t offset, base::MutableByteSpan out) const = 0;
  // A read lease, as Peer::Get's, on those bytes (at least one), all of parts that were kept. It outlives the copy, and
  // keeps it, parked or sealed, from being dropped for room. Also beside the owner's calls, but Seal and Park; never
  // blocks. FAILED_PRECONDITION (NOT_KEPT): they were not; NOT_FOUND (NO_OBJECT): past its TTL; and Get's errors.
  virtual absl::StatusOr<ReadGrant> Lend(SessionId session, const ByteRun& bytes) = 0;
  // All parts were kept: makes it a sealed object, under an epoch of this node's. Uses it up, whatever becomes of it.
  // DATA_LOSS (DIGEST_MISMATCH) unless the bytes have that CRC-32C; ALREADY_EXISTS (EXISTS): an object of that name is
  // sealed here meanwhile, maybe the same; NOT_FOUND (NO_OBJECT): its TTL has passed.
  virtual void Seal(uint32_t crc32c, Done<absl::StatusOr<ObjectInfo>> done) = 0;
};

// How objects are managed: keys, states, epochs, leases over the bytes of a backend (or of other peers, to which a
// composed peer is an ordinary caller). Everything belongs to a session, which has one namespace; a session that closes
// gives everything back at once. Thread-safe. A `done` is called exactly once, maybe before the call returns, maybe on
// another thread, never under a lock of the peer's. Errors common to all: NOT_FOUND (NO_SESSION), INVALID_ARGUMENT
// (BAD_KEY).
class Peer {
 public:
  virtual ~Peer() = default;

  // INVALID_ARGUMENT (BAD_NAMESPACE), RESOURCE_EXHAUSTED (QUOTA_EXCEEDED). `lapsed` is told of leases that end because
  // they were not renewed; on Tick's thread, under no lock; maybe once more after CloseSession has returned.
  virtual absl::StatusOr<SessionId> OpenSession(const SessionOwner& owner, LapsedFn lapsed = nullptr) = 0;
  // Ends all of the session's leases: its CREATING objects and read leases are gone when this returns. Idempotent.
  virtual void CloseSession(SessionId session) = 0;

  // A create lease. Waits, until `deadline`, for another creator of the key to end (DEADLINE_EXCEEDED then), and up to
  // two seconds of that for room, where some can be made. ALREADY_EXISTS (EXISTS) when it is sealed and neither
  // overwrite nor accept_same_content is set; INVALID_ARGUMENT (ACK_IMPOSSIBLE) for a policy this installation can
  // never give; RESOURCE_EXHAUSTED (ARENA_FULL, DISK_FULL, QUOTA_EXCEEDED: naming quota, use and limit).
  virtual void Create(SessionId session, CreateRequest request, base::Deadline deadline,
                      Done<absl::StatusOr<CreateGrant>> done) = 0;
  // Appends to a CREATING object; the bytes are copied before it returns. One call at a time per lease. ABORTED
  // (EPOCH_STALE, LEASE_LOST) when the lease is not this session's or has ended. May take as long as a copy or a disk
  // write.
  virtual absl::Status Append(SessionId session, LeaseId lease, Epoch epoch, base::ByteSpan bytes) = 0;
  // Makes it SEALED and visible; ends the create lease, also by failure (but for SIZE_MISMATCH). A repeat
  // for the same lease answers as the first did. Errors as Append's, DATA_LOSS (DIGEST_MISMATCH), ALREADY_EXISTS
  // (EXISTS).
  virtual void Seal(SessionId session, LeaseId lease, Epoch epoch, const SealRequest& request,
                    Done<absl::StatusOr<SealResult>> done) = 0;
  // Ends a create lease, freeing its bytes. Idempotent; of a sealed one: FAILED_PRECONDITION (SEALED).
  virtual absl::Status Discard(SessionId session, LeaseId lease, Epoch epoch) = 0;

  // A read lease and the view. NOT_FOUND (NO_OBJECT) unless SEALED and within its TTL. A peer that knows others waits,
  // until `deadline`, for what is brought here from them; its errors say what came of that.
  virtual void Get(SessionId session, const std::string& key, base::Deadline deadline,
                   Done<absl::StatusOr<ReadGrant>> done) = 0;
  // Get, by who reads only these bytes: they are what is brought here, if not most of the object is. Here: Get. Beside
  // its errors, where the object is elsewhere: OUT_OF_RANGE (BAD_RANGE), INVALID_ARGUMENT (BAD_RANGE).
  virtual void GetRange(SessionId session, const std::string& key, const ByteRange& /*range*/, base::Deadline deadline,
                        Done<absl::StatusOr<ReadGrant>> done) {
    Get(session, key, deadline, std::move(done));
  }
  // The view of a read lease that the session still holds; ABORTED (LEASE_LOST) otherwise.
  virtual absl::StatusOr<std::shared_ptr<const BlobView>> ViewOf(SessionId session, LeaseId lease) = 0;
  // Ends a read lease. Idempotent.
  virtual void Release(SessionId session, LeaseId lease) = 0;
  // Renews all leases of the session; returns those that lapsed and were not returned yet, 8192 of them at most.
  virtual absl::StatusOr<std::vector<LeaseId>> Renew(SessionId session) = 0;
  // From BeginWork to its EndWork no lease of the session lapses: what the session asked for is queued in the agent.
  virtual void BeginWork(SessionId session) = 0;
  virtual void EndWork(SessionId session) = 0;
  // After a call failed with `why`: calls `done` once it is worth trying again, or at `deadline`; false, and no call,
  // where waiting cannot help. `bytes`: what is left to find, without that which has its room already.
  virtual bool AwaitRoom(SessionId session, const absl::Status& why, uint64_t bytes, base::Deadline deadline,
                         std::function<void()> done) = 0;
  // A read under this lease gave DATA_LOSS: the object is dropped, so that it is a miss from now on.
  virtual void ReportDamage(SessionId session, LeaseId lease) = 0;

  virtual void Stat(SessionId session, const std::string& key, Done<absl::StatusOr<ObjectStat>> done) = 0;
  virtual void List(SessionId session, const ListRequest& request, Done<absl::StatusOr<ListPage>> done) = 0;
  // Hides the object at once; frees it after its last read lease. NOT_FOUND (NO_OBJECT).
  virtual void Delete(SessionId session, const std::string& key, Done<absl::Status> done) = 0;
  // A pinned object is not evicted. NOT_FOUND (NO_OBJECT).
  virtual void SetPinned(SessionId session, const std::string& key, bool pinned, Done<absl::Status> done) = 0;

  // ---- of all namespaces, without a session: for whoever keeps a cluster's registry in step with what is here

  // What is sealed here behind `after`, by (namespace, key): `limit` of them at most.
  virtual std::vector<ObjectInfo> ListSealed(const ObjectId& after, size_t limit) const = 0;
  // None: no such object is sealed here.
  virtual std::optional<ObjectInfo> FindSealed(const ObjectId& id) const = 0;
  // The bytes of that epoch of this node's, as a reader gets them; null: it is not here any more.
  virtual std::shared_ptr<const BlobView> SealedView(const ObjectId& id, Epoch epoch) = 0;
  // Room for a copy of what `info` says (name, size, piece length, TTL left, what the cluster knows it as), on its
  // namespace's account. Waits for it, until `deadline`, where some can be made. RESOURCE_EXHAUSTED (ARENA_FULL,
  // DISK_FULL, QUOTA_EXCEEDED). A copy that was parked goes on if it is of what the cluster knows as the same; of
  // anything else under the name it goes.
  virtual void Receive(const ObjectInfo& info, base::Deadline deadline,
                       Done<absl::StatusOr<std::unique_ptr<IncomingCopy>>> done) = 0;
  // Frees what is parked under the name.
  virtual void DropParked(const ObjectId& id) = 0;
  // Keeps what the cluster knows that epoch of this node's as. NOT_FOUND (NO_OBJECT): it is not here any more. An error
  // of the backend: it is kept, but not over a restart.
  virtual absl::Status SetTracked(const ObjectId& id, Epoch epoch, const TrackedAs& tracked) = 0;
  // Delete of that epoch of this node's, and of no other. NOT_FOUND (NO_OBJECT).
  virtual absl::Status Drop(const ObjectId& id, Epoch epoch) = 0;
  // `dropped` hears of sealed objects that go though nobody deleted or replaced them: evicted, expired, damaged. On the
  // thread of Tick or ReportDamage, under no lock. Once, before there are sessions.
  virtual void OnDropped(DroppedFn dropped) = 0;
  // `may_go` says which objects the cluster has enough other copies of: they are dropped, too, when room is short,
  // though their namespaces do not allow to drop last copies. Those that may go are taken away before its answer
  // returns. On Tick's thread, under no lock. Once, before there are sessions.
  virtual void AskBeforeDropping(MayGoFn may_go) = 0;

  virtual PeerUsage usage() const = 0;
  // Its calls, besides OpenSession, CloseSession, Release, Renew, ViewOf, Stat, List, ListSealed, FindSealed and
  // SealedView, may wait for a disk or a network: not for event threads.
  virtual bool blocks() const = 0;
  // Ends leases and objects whose time has come, makes room. To be called a few times a second, and again after the
  // time it returns, if that is sooner. May take as long as some copies.
  virtual base::Duration Tick() = 0;
};

}  // namespace larder::object
