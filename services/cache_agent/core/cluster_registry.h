#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/clock.h"
#include "larder/object/inventory.h"
#include "larder/object/object.h"
#include "larder/object/peer.h"

namespace larder::cache_agent {

// This node, registered in the cluster. The key is a secret: in no log, status or error.
struct Registration {
  uint64_t node_epoch = 0;
  std::string piece_key;      // what all nodes sign piece tickets with, and verify; empty: there is none
  uint32_t piece_key_id = 0;  // its number in tickets
  bool operator==(const Registration&) const = default;
};

// A node that has a complete copy, as the cluster knows it; or, of those that are asked for pieces, one that will.
struct ClusterCopy {
  std::string node;
  std::string address;      // HOST:PORT where it gives pieces; may be empty
  uint64_t node_epoch = 0;  // with which it told of the copy
  uint64_t version = 0;     // for ReportBad
  bool staged = false;
  bool confirmed = false;  // since its node's last registration, which is not over; else it may be gone
  bool live = false;       // counts as a copy: confirmed, and its node neither drains nor is quarantined
  bool arriving = false;   // no copy yet: a peer manager says that the node fetches it now
  base::Duration last_seen{};
  bool operator==(const ClusterCopy&) const = default;
};

// An object as the cluster knows it.
struct ClusterObject {
  // State kDeleted: there is none; kCreating: only id, state and epoch are meant. `tracked` is what is sealed.
  object::ObjectInfo info;
  std::vector<ClusterCopy> copies;
  uint32_t live_replicas = 0;
  bool at_origin = false;
  std::optional<base::Duration> staged_age;
  std::string creator;  // of what is being created: the node
};

// What is not named stays as it is.
struct MetaChange {
  std::optional<base::Duration> ttl;  // from now on
  std::optional<bool> pinned;
  std::optional<uint32_t> wanted_replicas;
  std::optional<std::vector<std::string>> tags;
  bool empty() const { return !ttl && !pinned && !wanted_replicas && !tags; }
};

struct ClusterPage {
  std::vector<object::ObjectInfo> objects;  // by key
  bool more = false;
};

// All copies of this node in one bucket, of blobs from `from` to before `to`.
struct InventoryPage {
  static constexpr size_t kMaxCopies = 1000;
  static constexpr object::BlobId kEnd{UINT64_MAX};  // behind every blob
  uint8_t bucket = 0;
  object::BlobId from;
  object::BlobId to;
  std::vector<object::TrackedAs> copies;  // in their order
};
struct InventoryAnswer {
  object::BlobId next;                  // where the next page begins: `to`, or before it if the page spans too much
  std::vector<object::TrackedAs> over;  // of the page: the cluster has no use for these copies
};

// The cluster's truth, as an agent asks and tells it: the tracker. What the agent does is done in its node epoch, which
// the implementation looks after. Thread-safe; a `done` comes once, on a thread of the implementation, and must not
// block. Errors common to all: UNAVAILABLE (TRACKER_NO_QUORUM, LEADER_CHANGED, NO_TRACKER: nobody answers): nothing was
// done, nor was it with RESOURCE_EXHAUSTED (TRACKER_BUSY: too much waits already); DEADLINE_EXCEEDED (OUTCOME_UNKNOWN):
// it may be done, also later, and a repeat is safe, unless somebody else did something in between; UNAVAILABLE
// (NODE_FENCED): this node's registration was over, another is under
// way.
class ClusterRegistry {
 public:
  virtual ~ClusterRegistry() = default;

  // The right to create, in the whole cluster, until Seal or Abandon; the implementation renews it. ABORTED (HELD)
  // naming the node that has it, ALREADY_EXISTS (EXISTS) if it is sealed and not to be overwritten.
  virtual void Acquire(const object::ObjectId& id, bool overwrite,
                       object::Done<absl::StatusOr<object::Epoch>> done) = 0;
  // Ends a right to create: what `info` describes is sealed, under that epoch, and here. ABORTED (EPOCH_STALE): the
  // right was lost before. Hears of the outcome however late, once it was sent: OUTCOME_UNKNOWN is final.
  virtual void Seal(object::Epoch epoch, const object::ObjectInfo& info,
                    object::Done<absl::StatusOr<object::TrackedAs>> done) = 0;
  // Acquire and Seal at once, of what is sealed here under an epoch of this node's own. The same content: one copy
  // more. ABORTED (HELD), ALREADY_EXISTS (EXISTS). Hears of the outcome as Seal does.
  virtual void Publish(const object::ObjectInfo& info, bool overwrite,
                       object::Done<absl::StatusOr<object::TrackedAs>> done) = 0;
  // Ends a right to create without an object.
  virtual void Abandon(const object::ObjectId& id, object::Epoch epoch, object::Done<absl::Status> done) = 0;
  // This node has that copy, of the object of that name, no more. OK also where the cluster knows of none.
  virtual void GiveUp(const object::ObjectId& id, const object::TrackedAs& copy, object::Done<absl::Status> done) = 0;
  // This node would drop its copy, which it has still: OK, and the cluster does not count on it any more, or
  // FAILED_PRECONDITION (LAST_COPIES, LAST_STAGED): it has to stay. OK also where the cluster knows of none.
  virtual void Offer(const object::ObjectId& id, const object::TrackedAs& copy, object::Done<absl::Status> done) = 0;
  // This node has a complete copy of that, which Locate or Seal told of. NOT_FOUND (DELETED), FAILED_PRECONDITION
  // (SUPERSEDED): free it; ABORTED (EPOCH_STALE): that was never sealed, or is not yet. Hears of the outcome as Seal
  // does: a GiveUp of the copy must come after it.
  virtual void AddCopy(const object::TrackedAs& copy, object::Done<absl::Status> done) = 0;
  // The copy that `node` told of in that node epoch, as it was at that location version, is not there, or not what it
  // should be: the cluster forgets it. OK also where it knows better by now.
  virtual void ReportBad(const object::TrackedAs& copy, const std::string& node, uint64_t node_epoch, uint64_t version,
                         object::Done<absl::Status> done) = 0;
  // NOT_FOUND (NO_OBJECT).
  virtual void Delete(const object::ObjectId& id, object::Done<absl::Status> done) = 0;
  // Of that epoch of the cluster's, 0: of whichever is sealed. ABORTED (EPOCH_STALE).
  virtual void SetMeta(const object::ObjectId& id, object::Epoch epoch, const MetaChange& change,
                       object::Done<absl::Status> done) = 0;

  // The sums of what the cluster believes this node has.
  virtual void GetInventory(object::Done<absl::StatusOr<object::InventorySums>> done) = 0;
  // Those sums are this node's own: what is in these buckets is here. The buckets whose sums are others there.
  virtual void ConfirmBuckets(const std::vector<std::pair<uint8_t, uint64_t>>& sums,
                              object::Done<absl::StatusOr<std::vector<uint8_t>>> done) = 0;
  // Makes the cluster's copies of this node those of the page, but for what it was told of since this node registered.
  // FAILED_PRECONDITION (INVENTORY_GAP): no page of the bucket has come as far yet.
  virtual void SyncBucket(InventoryPage page, object::Done<absl::StatusOr<InventoryAnswer>> done) = 0;

  // In the order asked; at most 1000.
  virtual void Locate(std::vector<object::ObjectId> ids,
                      object::Done<absl::StatusOr<std::vector<ClusterObject>>> done) = 0;
  // Sealed objects.
  virtual void List(const std::string& ns, const object::ListRequest& request,
                    object::Done<absl::StatusOr<ClusterPage>> done) = 0;
};

}  // namespace larder::cache_agent
