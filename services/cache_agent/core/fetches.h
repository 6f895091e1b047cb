#pragma once
#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/arriving_copies.h"
#include "core/cluster_registry.h"
#include "core/fetch_board.h"
#include "core/holders.h"
#include "core/location_cache.h"
#include "larder/base/clock.h"
#include "larder/base/executor.h"
#include "larder/base/mutex.h"
#include "larder/object/peer.h"
#include "larder/observe/logger.h"
#include "larder/swarm/fetch.h"
#include "larder/swarm/ticket.h"

namespace larder::cache_agent {

// What those hear who wait when the agent stops: UNAVAILABLE (STOPPING).
absl::Status Stopping();

// Brings objects of other nodes here, for those who read them: one fetch an object, whoever waits for it. It is asked
// for where the cluster says that it is; who turns out not to have it is reported. What came when a fetch ends is
// parked with the peer, and the next one goes on from there. Thread-safe; answers come under no lock.
class Fetches {
 public:
  // What it works with; all must outlive it.
  struct Parts {
    std::string node;  // this one
    object::Peer& peer;
    ClusterRegistry& registry;
    swarm::Fetcher& fetcher;
    const swarm::TicketSigner& tickets;
    ArrivingCopies& arriving;
    FetchBoard* board = nullptr;  // what the peer managers are told; null: there are none
    base::Executor& executor;     // for what may wait for a disk
    const base::Clock& clock;
    observe::Logger& log;
    std::function<void(const object::ObjectInfo&)> received;  // a copy that is here now, and the cluster does not know
  };
  // OK: it was sealed here. NOT_FOUND (NO_OBJECT): the cluster knows none. UNAVAILABLE (NO_HOLDER, NO_PROGRESS), naming
  // each node that should have it; DEADLINE_EXCEEDED (FETCHING); RESOURCE_EXHAUSTED: no room here, or (FETCHES_BUSY)
  // too many wait; FAILED_PRECONDITION (NO_MANIFEST): what comes could not be verified. What the registry and the peer
  // say.
  using Brought = object::Done<absl::Status>;
  // The same for some of its bytes: a lease on them; none: all of it was sealed here. Also OUT_OF_RANGE (BAD_RANGE),
  // INVALID_ARGUMENT (BAD_RANGE), as the object is now; errors of IncomingCopy::Lend.
  using Lent = object::Done<absl::StatusOr<std::optional<object::ReadGrant>>>;

  // Fetched at once; others wait for their turn.
  static constexpr size_t kAtOnce = 64;
  // Objects that are asked for, and reads of one session that wait.
  static constexpr size_t kMostFlights = 4096;
  static constexpr size_t kMostWaiting = 4096;
  // Others that fetch the same object, and are remembered.
  static constexpr size_t kMostMembers = 2 * swarm::kMaxParents;
  // A fetch that nobody waits for any more goes on for so long.
  static constexpr base::Duration kLinger = std::chrono::seconds(5);
  // The same, of parts that are all here; no longer at all where others wait for their turn.
  static constexpr base::Duration kIdle = std::chrono::seconds(1);
  // Pieces that come behind those of a session that reads on where it left off.
  static constexpr uint32_t kReadAhead = 8;
  // Between two questions where an object is, while its parents give nothing.
  static constexpr base::Duration kAskAgain = std::chrono::milliseconds(500);
  // When none of them gave anything for so long, the reads fail; kMayComeBack, where one was seen since.
  static constexpr base::Duration kGivenUp = std::chrono::seconds(3);

  explicit Fetches(Parts parts) : parts_(std::move(parts)), locations_(parts_.clock) {}
  ~Fetches();  // stops

  void Bring(object::SessionId session, const object::ObjectId& id, base::Deadline deadline, Brought done)
      LARDER_EXCLUDES(mutex_);
  // Brings only what is missing of the pieces that hold these bytes, unless they are most of the object's.
  void BringRange(object::SessionId session, const object::ObjectId& id, const object::ByteRange& range,
                  base::Deadline deadline, Lent done) LARDER_EXCLUDES(mutex_);
  // Those of the session are not answered any more.
  void Forget(object::SessionId session) LARDER_EXCLUDES(mutex_);
  // Ends waits that are over, and asks again. To be called a few times a second.
  void Tick() LARDER_EXCLUDES(mutex_);
  // Ends all with UNAVAILABLE (STOPPING); no fetch begins any more.
  void Stop() LARDER_EXCLUDES(mutex_);
  // What the cluster said of an object when somebody else asked.
  void Remember(const ClusterObject& object) { locations_.Put(object); }
  // The object has changed, or was deleted: where it was, and what came of it, is of no use.
  void Outdate(const object::ObjectId& id) LARDER_EXCLUDES(mutex_);
  // Others fetch it, too: they are asked for what they have of it already, if it is still fetched here.
  void Meet(const object::ObjectId& id, std::vector<SwarmMember> members) LARDER_EXCLUDES(mutex_);

 private:
  struct Waiter {
    object::SessionId session;
    base::Deadline deadline;
    std::optional<object::ByteRange> range;  // none: all bytes
    Lent done;
    // What it waits for, as the object is known: nothing before Judge; then these bytes, or all.
    bool judged = false;
    std::optional<object::ByteRun> bytes;
  };
  // Somebody's answer, to be given under no lock.
  struct Answer {
    Lent done;
    absl::StatusOr<std::optional<object::ReadGrant>> lent;
  };
  enum class Phase : uint8_t { kAsking, kQueued, kMakingRoom, kFetching, kSealing, kOver };
  // A parent, as the cluster knew its copy when it was asked.
  struct Asked {
    uint64_t node_epoch = 0;
    uint64_t version = 0;
    bool arriving = false;
  };
  // What changes in it is guarded by mutex_.
  struct Flight {
    object::ObjectId id;
    std::vector<Waiter> waiters;
    Phase phase = Phase::kAsking;
    bool has_turn = false;  // one of under_way_
    base::MonotonicTime begun;
    base::MonotonicTime needed;                  // when it last had waiters
    object::ObjectInfo info;                     // of what is fetched; `tracked` none: not known yet
    std::vector<ClusterCopy> copies;             // as the cluster last said, then those that arrive
    std::map<std::string, SwarmMember> members;  // by node; kMostMembers at most
    std::map<std::string, Asked> asked;
    RefusedBy refused;  // for good
    RefusedBy failing;  // tried again; since the last piece came
    std::optional<base::MonotonicTime> stuck_since;
    std::shared_ptr<swarm::Fetch> fetch;
    std::shared_ptr<object::IncomingCopy> copy;  // that may lend; null: none, or it is about to be sealed or parked
    swarm::PieceSet here;                        // pieces of it
    bool wants_all = false;
    swarm::PieceSet wished;  // by those who want parts
    // Who wanted some last, and the piece behind them.
    object::SessionId last_reader;
    uint32_t last_end = 0;
    std::shared_ptr<std::atomic<uint64_t>> verified;  // pieces of it, with those that were kept
    uint64_t verified_before = 0;                     // at the last Tick
    uint64_t attempt = 0;                             // counts fetches: what comes of an earlier one means nothing
    bool outdated = false;  // what comes of it may be of what is no more; until the cluster says otherwise
    uint64_t changes = 0;   // of the object, since: an answer to a question from before one says nothing of it
    bool locating = false;
    base::Deadline ask_at = base::kNoDeadline;  // where it is, again
  };
  using FlightPtr = std::shared_ptr<Flight>;

  void Locate(const FlightPtr& flight) LARDER_EXCLUDES(mutex_);
  // `changes`: as many as when it was asked.
  void OnLocated(const FlightPtr& flight, uint64_t changes, const absl::StatusOr<std::vector<ClusterObject>>& found)
      LARDER_EXCLUDES(mutex_);
  // What the cluster says, and whom to ask. An error: it is over.
  absl::StatusOr<HolderChoice> Update(Flight& flight, const ClusterObject& found) LARDER_REQUIRES(mutex_);

  // ---- fetch_ranges.cpp: what readers wait for
  void Add(const object::ObjectId& id, Waiter waiter) LARDER_EXCLUDES(mutex_);
  // Looks what it is that those wait for who came since the last time, and wishes for it.
  void Judge(Flight& flight, std::vector<Answer>& answers) LARDER_REQUIRES(mutex_);
  // False: it waits no more.
  bool JudgeOne(Flight& flight, Waiter& waiter, std::vector<Answer>& answers) LARDER_REQUIRES(mutex_);
  void Wish(Flight& flight, swarm::PieceRun pieces) LARDER_REQUIRES(mutex_);
  // Another object than it was: all are judged anew.
  void JudgeAnew(Flight& flight) LARDER_REQUIRES(mutex_);
  // Serves those whose pieces are here.
  void LendReady(Flight& flight, std::vector<Answer>& answers) LARDER_REQUIRES(mutex_);
  // Nobody can say whether it is still the same: those who wait for parts end with `why`.
  void RefuseParts(Flight& flight, const absl::Status& why, std::vector<Answer>& answers) LARDER_REQUIRES(mutex_);
  void OnPiece(const FlightPtr& flight, uint64_t attempt, uint32_t piece) LARDER_EXCLUDES(mutex_);
  // All that anybody wished for is here, and not all.
  bool IsIdle(const Flight& flight) const LARDER_REQUIRES(mutex_);
  // How long it goes on without anybody.
  base::Duration LingerOf(const Flight& flight) const LARDER_REQUIRES(mutex_);
  static bool WaitsForParts(const Flight& flight);
  static void Give(const std::vector<Answer>& answers);

  // What the peer managers are told of it.
  void Tell(const Flight& flight) const LARDER_REQUIRES(mutex_);
  // Puts what arrives at others behind the `copies` that are known.
  void AddArriving(Flight& flight) const LARDER_REQUIRES(mutex_);
  // Those of `copies` that are not asked yet, as parents.
  std::vector<swarm::Parent> NewParents(Flight& flight, const std::vector<ClusterCopy>& copies) LARDER_REQUIRES(mutex_);
  // Gives a fetch under way those of them that are not asked yet.
  void AskNew(Flight& flight, const HolderChoice& choice) LARDER_REQUIRES(mutex_);
  HolderView ViewOf(const Flight& flight) const LARDER_REQUIRES(mutex_);
  // Why nobody has it.
  absl::Status Nobody(const Flight& flight) const LARDER_REQUIRES(mutex_);
  // Those whose turn it is.
  void BeginQueued() LARDER_EXCLUDES(mutex_);
  void MakeRoom(const FlightPtr& flight) LARDER_EXCLUDES(mutex_);
  // False: that attempt is over.
  bool Prepare(const FlightPtr& shared, uint64_t attempt, const std::shared_ptr<object::IncomingCopy>& copy,
               std::shared_ptr<ArrivingCopies::Offer>& offer, swarm::FetchRequest& request) LARDER_REQUIRES(mutex_);
  void Begin(const FlightPtr& flight, uint64_t attempt, const std::shared_ptr<object::IncomingCopy>& copy)
      LARDER_EXCLUDES(mutex_);
  void OnParentFailed(const FlightPtr& flight, uint64_t attempt, const swarm::ParentFailure& failure)
      LARDER_EXCLUDES(mutex_);
  // None of those that have it gives anything. What others may get is no reason to wait for them.
  bool IsStuck(const Flight& flight) const LARDER_REQUIRES(mutex_);
  // By a Tick. True: nothing has come for so long that it is over.
  bool Watch(Flight& flight, base::MonotonicTime now) LARDER_REQUIRES(mutex_);
  void OnFetched(const FlightPtr& flight, uint64_t attempt, const std::shared_ptr<object::IncomingCopy>& copy,
                 const std::shared_ptr<ArrivingCopies::Offer>& offer, const swarm::FetchResult& result)
      LARDER_EXCLUDES(mutex_);
  // Has the peer keep what came in an attempt that ended, if it may be of use to another; `came`: something did.
  void Keep(const FlightPtr& flight, uint64_t attempt, object::IncomingCopy& copy, bool came) LARDER_EXCLUDES(mutex_);
  // Ends it with its attempt of that number, if that is the current one.
  void Finish(const FlightPtr& flight, uint64_t attempt, const absl::Status& status) LARDER_EXCLUDES(mutex_);
  // Ends it, unless somebody waits for it by now.
  void EndUnwanted(const FlightPtr& flight) LARDER_EXCLUDES(mutex_);
  std::vector<Waiter> End(Flight& flight) LARDER_REQUIRES(mutex_);
  void Leave(const Waiter& waiter) LARDER_REQUIRES(mutex_);

  const Parts parts_;
  LocationCache locations_;
  mutable base::Mutex mutex_;
  std::map<object::ObjectId, FlightPtr> flights_ LARDER_GUARDED_BY(mutex_);
  // Those that ended, whose copy may still be parked; some are gone.
  std::multimap<object::ObjectId, std::weak_ptr<Flight>> ended_ LARDER_GUARDED_BY(mutex_);
  std::deque<FlightPtr> queue_ LARDER_GUARDED_BY(mutex_);                  // for their turn; some are over
  size_t under_way_ LARDER_GUARDED_BY(mutex_) = 0;                         // those that have it
  std::map<object::SessionId, size_t> waiting_ LARDER_GUARDED_BY(mutex_);  // reads, by session; none is 0
  bool stopped_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace larder::cache_agent
