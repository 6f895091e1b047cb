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
#include "larder/base/units.h"
#include "larder/raft/log_store.h"
#include "larder/raft/state_machine.h"
#include "larder/raft/transport.h"

namespace larder::raft {

enum class Role : uint8_t { kFollower, kCandidate, kLeader };

// What a leader knows of a member.
struct MemberStatus {
  MemberId id;
  uint64_t matched = 0;  // the last index it is known to hold
  bool recently_active = false;
  bool learner = false;
};

struct NodeStatus {
  MemberId self;
  Role role = Role::kFollower;
  MemberId leader;  // {0}: unknown
  uint64_t term = 0;
  uint64_t last_index = 0;
  uint64_t durable = 0;
  uint64_t committed = 0;
  uint64_t applied = 0;
  bool voter = false;
  bool joint = false;
  uint64_t refused_messages = 0;
  uint64_t log_bytes = 0;             // of the entries that the log holds
  std::vector<MemberStatus> members;  // of a leader only
};

struct MemberChange {
  enum class What : uint8_t { kAddVoter, kRemove, kAddLearner };
  What what = What::kAddVoter;
  MemberId id;
};

// Where the time of a proposal goes on the leader, and of an entry elsewhere.
enum class Stage : uint8_t {
  kQueue,   // a proposal, until the loop takes it
  kAppend,  // entries, from there to this disk
  kCommit,  // entries, from the loop to being known to be on a quorum's
  kApply,   // a step of the state machine
  kReply    // from there to the replies
};

// A proposal that took long on the leader, and where the time went. Stages that it is not known of are absent: those of
// one that failed, and `append` where a quorum had it before this disk.
struct SlowProposal {
  absl::Status outcome;
  base::Duration took{};                 // in all
  base::Duration queue{};                // until the loop took it
  std::optional<base::Duration> append;  // from there to this disk; the longest of what was applied with it
  std::optional<base::Duration> commit;  // from the loop to being known to be on a quorum's
  std::optional<base::Duration> apply;   // from there to applied, with what was to be applied before
  std::optional<base::Duration> reply;   // from there to the answer
};

struct NodeOptions {
  MemberId self;
  uint64_t seed = 0;  // of election timeouts; differs between members
  uint64_t boot = 0;  // differs between starts of one member
  base::Duration tick = std::chrono::milliseconds(50);
  uint64_t election_ticks = 10;  // at least, and less than twice that
  uint64_t heartbeat_ticks = 2;
  // Called on a thread of the node when it cannot go on: the disk failed, the engine panicked, the log holds what
  // cannot be. It does nothing more then; the process should end, naming the cause.
  std::function<void(absl::Status)> on_fatal;
  // Told each time that this member's role, its term or the leader that it knows is another one than before, once
  // status() shows it; called on one thread of the node, must not block. May be empty.
  std::function<void(const NodeStatus&)> on_standing;
  // Told how long a stage took; called on threads of the node, must not block. Empty: nothing is measured.
  std::function<void(Stage, base::Duration)> on_stage;
  // Told of each proposal that took as long as `slow`, when it is answered; called on one thread of the node, must not
  // block. May be empty.
  std::function<void(const SlowProposal&)> on_slow;
  base::Duration slow = std::chrono::milliseconds(100);
};

// Bytes of a command: a frame of the transport has room for it, and Redis's longest value is shorter.
inline constexpr uint64_t kEntryLimit = 17 * base::kMiB;

// One member of a group: a loop thread that owns the engine, a log thread that writes and syncs, an apply thread.
// `log`, `machine` and `transport` must outlive it. Thread-safe; callbacks come on threads of the node and must not
// block.
class Node {
 public:
  using ProposeDone = std::function<void(absl::StatusOr<std::string>)>;
  using ReadDone = std::function<void(absl::Status)>;
  static constexpr uint64_t kAnyTerm = 0;

  static absl::StatusOr<std::unique_ptr<Node>> Start(const NodeOptions& options, LogStore& log, StateMachine& machine,
                                                     Transport& transport);
  virtual ~Node() = default;

  // Appends a command, not empty and of at most 17 MiB, else INVALID_ARGUMENT (RAFT_INVALID, ENTRY_TOO_LARGE); `done`
  // gets the state machine's reply once it is durable on a quorum and applied here. FAILED_PRECONDITION (NOT_LEADER),
  // RESOURCE_EXHAUSTED (RAFT_BUSY: 64 MiB or more wait already, or are not committed or applied yet), UNAVAILABLE
  // (NOT_READY): it was not appended. UNAVAILABLE (OUTCOME_UNKNOWN): it may
  // be applied yet, here or elsewhere. With a `term`, what no longer leads in that one is NOT_LEADER, too: for what was
  // decided as its leader.
  virtual void Propose(std::string command, ProposeDone done, uint64_t term) = 0;
  void Propose(std::string command, ProposeDone done) { Propose(std::move(command), std::move(done), kAnyTerm); }
  // `done` with OK: a read of the state machine from then on sees all that was acknowledged, on any member, before this
  // call. On any member. UNAVAILABLE (NO_QUORUM) within seconds if nobody can tell.
  virtual void Read(ReadDone done) = 0;
  // A change of members. OK once it is appended. Errors as Propose's, and UNAVAILABLE (NOT_READY) while another one is
  // not applied. Several at once are made by a joint configuration, which the leader leaves by itself.
  virtual void ChangeMembers(std::vector<MemberChange> changes, ReadDone done) = 0;
  // Tries to move leadership; see status().
  virtual void TransferLeader(MemberId to) = 0;
  // A message of the transport. Above 64 MiB that wait already it is dropped.
  virtual void Receive(std::string message) = 0;
  virtual void Unreachable(MemberId member) = 0;
  virtual NodeStatus status() const = 0;
  // Ends the threads. Who waits gets UNAVAILABLE: OUTCOME_UNKNOWN for what was appended, STOPPED for all else, and for
  // every call from then on. What was acknowledged is durable. Idempotent; from one thread, not from a callback.
  virtual void Stop() = 0;
};

}  // namespace larder::raft
