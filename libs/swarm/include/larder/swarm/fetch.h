#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/base/clock.h"
#include "larder/base/digest.h"
#include "larder/object/byte_range.h"
#include "larder/object/ids.h"
#include "larder/swarm/assign.h"
#include "larder/swarm/manifest.h"
#include "larder/swarm/metrics.h"
#include "larder/swarm/piece_set.h"
#include "larder/swarm/rate_limiter.h"
#include "larder/swarm/ticket.h"

namespace larder::swarm {

// Where a fetch puts an object's bytes. Called on one thread of the fetch at a time, never after `done`; it must not
// block for long.
class Destination {
 public:
  virtual ~Destination() = default;
  // Once, when the size is known, before anything else. `pieces` is kept up to date by the fetch: what a PieceServer
  // may offer of this object. An error ends the fetch with it.
  virtual absl::Status Prepare(const std::shared_ptr<const Manifest>& manifest,
                               const std::shared_ptr<PieceMap>& pieces) = 0;
  // The memory of the bytes from `offset` on, `size` of them or fewer, at least one: an object's memory may lie in
  // several ranges. All `size` are of one piece, and stay at the same memory until it is verified. What is written
  // there counts for nothing until then.
  virtual base::MutableByteSpan At(uint64_t offset, uint64_t size) = 0;
  // The piece's bytes are the right ones, and are not written again. An error ends the fetch with it.
  virtual absl::Status Verified(uint32_t piece) = 0;
};

// One piece of memory, e.g. a mapped file or arena. RESOURCE_EXHAUSTED (TOO_SMALL) if the object does not fit.
class MemoryDestination final : public Destination {
 public:
  explicit MemoryDestination(base::MutableByteSpan memory) : memory_(memory) {}
  absl::Status Prepare(const std::shared_ptr<const Manifest>& manifest,
                       const std::shared_ptr<PieceMap>& pieces) override;
  base::MutableByteSpan At(uint64_t offset, uint64_t size) override;
  absl::Status Verified(uint32_t) override { return absl::OkStatus(); }

 private:
  base::MutableByteSpan memory_;
};

// A node to fetch from.
struct Parent {
  std::string node;  // its name; one parent a node
  NodeEpoch node_epoch;
  std::string address;  // HOST:PORT, HOST a number
  std::string ticket;   // signed for this object and this registration
  Distance distance = Distance::kElsewhere;
};

// The pieces that hold these bytes, of which there is one at least.
PieceRun PiecesOf(const object::ByteRun& bytes, uint32_t piece_length);

struct FetchRequest {
  object::ObjectId id;
  object::Epoch epoch;
  TransferClass transfer_class = TransferClass::kForeground;
  std::vector<Parent> parents;
  std::optional<base::Sha256Digest> manifest;  // its digest as the tracker knows it; none: the first parent's is taken
  uint32_t piece_length = 0;  // that of this manifest: parents with copies in other pieces make it; 0: not known
  std::shared_ptr<Destination> destination;
  std::optional<PieceSet> held;  // pieces verified before, which lie in the destination; another size: taken for none
  // Only these pieces, and what Fetch::Want adds; none: all.
  std::optional<std::vector<PieceRun>> wanted;
  bool streaming = false;  // the first pieces first
  // While nobody is left to be asked: wait for AddParent, up to the time without progress, instead of failing at once.
  bool more_parents_may_come = false;
};

// What became of a fetch.
struct FetchResult {
  // OK: all pieces of the object are verified; a fetch that has all that is wanted, and not all, goes on, and asks for
  // nothing. UNAVAILABLE (NO_PROGRESS, NO_PARENTS) naming each parent and why, while anything is wanted; CANCELLED
  // (CANCELLED); the destination's errors.
  absl::Status status;
  std::shared_ptr<const Manifest> manifest;  // null if none was learned
  PieceSet held;                             // verified: what a later fetch may begin with
};

// Why a parent is asked no more: UNAVAILABLE (STALLED, DISCONNECTED, CANNOT_DIAL: tried again later, after longer and
// longer pauses; NOT_YET: after the first of these each time), DATA_LOSS (DIGEST_MISMATCH: it gave wrong bytes), and
// what it said itself (EPOCH_STALE, NODE_EPOCH_STALE, NO_OBJECT, BAD_TICKET, …).
struct ParentFailure {
  std::string node;
  NodeEpoch node_epoch;  // the registration that was asked
  absl::Status why;
  bool final = false;  // this fetch will not ask it again
};

// One object on its way to this node, from several parents at once. Thread-safe.
class Fetch {
 public:
  virtual ~Fetch() = default;
  // A node that is known already takes the new address, ticket and epoch, and is tried again.
  virtual void AddParent(Parent parent) = 0;
  virtual void RemoveParent(std::string node) = 0;
  // These pieces, too, as far as there are such, and, unless they are all, before the others: somebody waits for them.
  // Also of who super-seeds and has not offered them. Who had nothing to give is asked again at once.
  virtual void Want(PieceRun pieces) = 0;
  // Ends it with CANCELLED; what is verified stays.
  virtual void Cancel() = 0;
};

struct FetcherOptions {
  int threads = 1;                                        // each fetch is one's
  uint64_t rate = 0;                                      // bytes per second in; 0: no limit
  base::Duration stall = std::chrono::seconds(2);         // without a byte: a parent is left
  base::Duration no_progress = std::chrono::seconds(30);  // without a piece: the fetch fails
  base::Duration first_redial = std::chrono::seconds(1);
  base::Duration longest_redial = std::chrono::seconds(60);
};

// The children's side: event threads that carry fetches. Thread-safe.
class Fetcher {
 public:
  // Both on a thread of the fetcher's, under no lock; neither may block. `failed` may be empty.
  struct Callbacks {
    std::function<void(FetchResult)> done;  // exactly once, the last
    std::function<void(const ParentFailure&)> failed;
  };
  // `metrics` and `clock` must outlive it. RESOURCE_EXHAUSTED where descriptors are short.
  static absl::StatusOr<std::unique_ptr<Fetcher>> Start(FetcherOptions options, Metrics& metrics,
                                                        const base::Clock& clock);
  virtual ~Fetcher() = default;
  // Once stopped, `done` is called at once, on this thread.
  virtual std::shared_ptr<Fetch> Begin(FetchRequest request, Callbacks callbacks) = 0;
  // Ends all fetches with CANCELLED (STOPPING); nothing is called back after it returns. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace larder::swarm
