#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/alive_nodes.h"
#include "core/command.h"
#include "core/log_clock.h"
#include "core/member_message.h"
#include "core/reply.h"
#include "core/served_state.h"
#include "core/snapshot_reads.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/base/units.h"
#include "larder/raft/node.h"

namespace larder::tracker {

// What is done to the registry at once, as one entry of the log.
struct Proposal {
  std::optional<RequestId> request;
  std::optional<Fence> fence;
  std::vector<Command> commands;  // 1..kMaxBatch
};

// Carries bytes to other members; they may be lost. Thread-safe; queues and returns. RESOURCE_EXHAUSTED (RAFT_BUSY):
// too much is on its way there, they were not sent.
using SendToMember = std::function<absl::Status(raft::MemberId to, std::string bytes)>;

// How long a change waits for a leader, and then for its outcome, and a read for a quorum.
inline constexpr base::Duration kLeaderWait = std::chrono::milliseconds(2500);
inline constexpr base::Duration kOutcomeWait = std::chrono::seconds(3);
// And how much longer for the answer of a leader after whom another leads: it is on its way by then, or never comes.
inline constexpr base::Duration kLateAnswerWait = std::chrono::milliseconds(300);
// Of the entries that are under way through one member: those that wait for a leader, and those that have no outcome
// yet.
inline constexpr uint64_t kMaxUnderWay = 64 * base::kMiB;
// T_s: half of it is how long a node counts on having been told that it is alive.
inline constexpr base::Duration kNodeSession = std::chrono::seconds(10);

// The registry as every member serves it: changes are proposed where the leader is, reads see all that was acknowledged
// before they began. Thread-safe. Callbacks run on threads of the node, the transport, Tick or the reads, and must not
// block.
class Consensus {
 public:
  // One reply per command.
  using ProposeDone = std::function<void(absl::StatusOr<std::vector<Reply>>)>;
  using AliveDone = std::function<void(absl::Status)>;

  struct Parts {
    raft::MemberId self;
    uint64_t boot = 0;  // differs between starts: an answer to what was asked before is not taken for another's
    raft::Node* node = nullptr;
    const ServedState* state = nullptr;
    SnapshotReads* reads = nullptr;
    const base::Clock* clock = nullptr;
    SendToMember send;
    base::Duration node_session = kNodeSession;  // the same on all members
    // Told of each proposal that this member's own group took, as leader; may be empty.
    std::function<void(const absl::Status& outcome, base::Duration took)> proposed;
  };
  // Borrows all; they live until Stop has returned.
  explicit Consensus(Parts parts);
  ~Consensus();  // stops
  Consensus(const Consensus&) = delete;
  Consensus& operator=(const Consensus&) = delete;

  // Proposals of one thread are appended in the order of the calls, those that are appended at all. Errors:
  // INVALID_ARGUMENT (BAD_BATCH, ENTRY_TOO_LARGE), RESOURCE_EXHAUSTED (RAFT_BUSY), UNAVAILABLE (TRACKER_NO_QUORUM,
  // LEADER_CHANGED, STOPPING): nothing was done. DEADLINE_EXCEEDED (OUTCOME_UNKNOWN): it may be done, now or later;
  // only a repeat under the same request id is safe. FAILED_PRECONDITION (NODE_ALIVE): FenceNode of a node that counts
  // on being alive, or of any while the leader is new; nothing was done, also of the commands beside it.
  void Propose(const Proposal& proposal, ProposeDone done) LARDER_EXCLUDES(mutex_);
  // `run` gets a snapshot that holds all that was acknowledged, by any member, before this call, or UNAVAILABLE
  // (TRACKER_NO_QUORUM, STOPPING). The reader is for the time of the call; other reads may share it.
  void Read(SnapshotReads::Run run);
  // The same with whatever this member has applied.
  void ReadStale(SnapshotReads::Run run);
  // OK: the registration is in force, as a leader says that a quorum follows, and no leader fences it within a session
  // of this call. UNAVAILABLE (NODE_FENCED): it is over, or about to be; UNAVAILABLE (TRACKER_NO_QUORUM,
  // LEADER_CHANGED, STOPPING), RESOURCE_EXHAUSTED (RAFT_BUSY): nobody can tell; INVALID_ARGUMENT (BAD_NODE).
  void NodeAlive(const NodeRef& node, AliveDone done) LARDER_EXCLUDES(mutex_);
  base::Duration node_session() const { return parts_.node_session; }

  // Bytes of another member's Consensus.
  void Receive(raft::MemberId from, std::string_view bytes) LARDER_EXCLUDES(mutex_);
  // Bytes to this member were lost, or those from it may have been.
  void Unreachable(raft::MemberId member) LARDER_EXCLUDES(mutex_);
  // Sends on what waited for a leader, gives up what waited too long. To be called when the node's standing has
  // changed, by the time that it returned, when the next wait is over, and within kLeaderWait in any case.
  base::Deadline Tick() LARDER_EXCLUDES(mutex_);

  // Whether this member leads, and has applied all that was before; then the time of its log, now.
  std::optional<LogTime> LeaderTime() LARDER_EXCLUDES(mutex_);

  // Who waits gets STOPPING, or OUTCOME_UNKNOWN for what was sent. Idempotent.
  void Stop() LARDER_EXCLUDES(mutex_);

 private:
  // The encoded replies of an entry.
  using EntryDone = std::function<void(absl::StatusOr<std::string>)>;
  struct Waiting {
    std::string entry;            // without a stamp
    std::vector<NodeRef> fences;  // in it
    base::Deadline until;
    EntryDone done;
  };
  struct Forwarded {
    raft::MemberId to;
    base::Deadline until;
    EntryDone done;
  };

  // Sends what waits to where it can be appended, in order, while somebody leads. One thread at a time; others leave
  // theirs to it, so that nothing is called under the lock.
  void Drain() LARDER_EXCLUDES(mutex_);
  void DrainWhileLed() LARDER_EXCLUDES(mutex_);
  bool HasWaiting() LARDER_EXCLUDES(mutex_);
  void ProposeHere(std::string entry, const std::vector<NodeRef>& fences, uint64_t term, EntryDone done)
      LARDER_EXCLUDES(mutex_);
  // All of them, or none and why. Call the `done` that it returns instead of the given one.
  absl::StatusOr<EntryDone> BeginFences(const std::vector<NodeRef>& nodes, uint64_t term, EntryDone done)
      LARDER_EXCLUDES(mutex_);
  // `encode` is given the number under which the answer comes.
  void Forward(raft::MemberId leader, EntryDone done, const std::function<MemberMessage(uint64_t id)>& encode)
      LARDER_EXCLUDES(mutex_);
  // As the leader, if this member is one.
  void AnswerAlive(const NodeRef& node, AliveDone done) LARDER_EXCLUDES(mutex_);
  void OnForwarded(raft::MemberId from, uint64_t id, std::string entry) LARDER_EXCLUDES(mutex_);
  EntryDone ReplyTo(raft::MemberId member, uint64_t id) const;
  void OnReply(raft::MemberId from, uint64_t id, absl::StatusOr<std::string> replies) LARDER_EXCLUDES(mutex_);
  LogTime Stamp(uint64_t term) LARDER_EXCLUDES(mutex_);
  // Counts an entry as under way until its `done` was called; an error if there are too many.
  absl::StatusOr<EntryDone> Count(uint64_t bytes, EntryDone done);

  const Parts parts_;
  // Shared with what is under way, which may end after this object.
  const std::shared_ptr<std::atomic<uint64_t>> under_way_ = std::make_shared<std::atomic<uint64_t>>(0);
  base::Mutex mutex_;
  bool stopped_ LARDER_GUARDED_BY(mutex_) = false;
  LogClock log_clock_ LARDER_GUARDED_BY(mutex_);
  AliveNodes alive_ LARDER_GUARDED_BY(mutex_);
  std::deque<Waiting> waiting_ LARDER_GUARDED_BY(mutex_);  // for a leader, or for Drain
  bool draining_ LARDER_GUARDED_BY(mutex_) = false;
  std::map<uint64_t, Forwarded> forwarded_ LARDER_GUARDED_BY(mutex_);
  uint64_t last_forward_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::tracker
