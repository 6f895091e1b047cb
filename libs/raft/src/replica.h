#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "larder/raft/node.h"
#include "src/engine.h"
#include "src/read_queue.h"

namespace larder::raft {

// What an entry counts in queues, about what it takes.
inline uint64_t EntrySize(const LogEntry& entry) { return entry.payload.size() + sizeof entry; }

// To be written by the log thread, in the order they come.
struct LogJob {
  uint64_t number = 0;
  uint64_t bytes = 0;
  LogWrite write;
};

// To be applied by the apply thread, in the order they come; several may be joined, with the last one's `after`.
struct ApplyJob {
  std::vector<LogEntry> commands;  // none is empty
  uint64_t bytes = 0;
  AppliedState after;
};

// Who leads, as far as this member knows.
struct Standing {
  uint64_t role = LARDER_RAFT_FOLLOWER;
  uint64_t term = 0;
  uint64_t leader = 0;
  bool operator==(const Standing&) const = default;
};

// What a replica asks of the world. Nothing here may call back into the replica.
class ReplicaHost {
 public:
  virtual ~ReplicaHost() = default;
  virtual void Send(MemberId to, std::string message) = 0;
  virtual void Write(LogJob job) = 0;
  virtual void Apply(ApplyJob job) = 0;
};

struct ReplicaOptions {
  EngineOptions engine;
  uint64_t boot = 0;             // differs with every start of this member: read contexts are never used twice
  uint64_t give_up_ticks = 60;   // of a proposal or a read
  uint64_t ask_again_ticks = 4;  // beside a question that was not answered
  // Without an end of a write: a leader hands over, then whoever it is fails.
  uint64_t slow_disk_ticks = 40;
  uint64_t dead_disk_ticks = 600;
};

// Everything that the loop thread does with the engine, and nothing else: no thread, clock, disk or socket, so that the
// simulator runs what production runs. One thread at a time.
//
// Inputs change its state; Process then does all there is to do. An error of any of them is the end of the process:
// the engine panicked, or the log holds what cannot be.
class Replica {
 public:
  static absl::StatusOr<std::unique_ptr<Replica>> Create(const ReplicaOptions& options, const LogStore& log,
                                                         const AppliedState& applied, ReplicaHost& host);
  ~Replica();

  // DEADLINE_EXCEEDED (LOG_STALLED): the disk hangs.
  absl::Status Tick();
  // Unless something else comes, the tick of this number from now, 1 or more, is the first that does more than count.
  // 1 while somebody waits here, for a quorum or a disk.
  uint64_t QuietTicks() const;
  // Messages that are refused are counted and forgotten.
  absl::Status Step(base::ByteSpan message);
  void Propose(std::string payload, Node::ProposeDone done, uint64_t term = Node::kAnyTerm);
  void ProposeChange(std::vector<MemberChange> changes, Node::ReadDone done);
  void Read(Node::ReadDone done);
  void TransferLeader(MemberId to);
  absl::Status Campaign() { return Fatal(engine_->Campaign()); }
  void OnUnreachable(MemberId member);
  // Everything up to this job is durable.
  absl::Status OnWritten(uint64_t number);
  // `replies` belong to the commands of the jobs up to `at`, in order.
  absl::Status OnApplied(LogPosition at, std::vector<std::string> replies);
  // Sends, orders writes, hands on what is committed, answers.
  absl::Status Process();
  // Answers all who wait, with UNAVAILABLE: OUTCOME_UNKNOWN for what was appended, else STOPPED.
  void Stop();

  NodeStatus status() const;
  const Standing& standing() const { return standing_; }

 private:
  struct Proposal {
    std::string payload;
    Node::ProposeDone done;
    uint64_t term = Node::kAnyTerm;
  };
  struct Waiting {
    LogPosition at;
    uint64_t give_up = 0;
    Node::ProposeDone done;
  };
  struct Held {
    uint64_t number = 0;
    std::vector<std::pair<MemberId, std::string>> messages;
  };

  Replica(const ReplicaOptions& options, const AppliedState& applied, ReplicaHost& host)
      : options_(options), host_(host), reads_(options.ask_again_ticks), handed_(applied), applied_(applied.at) {}
  // What of `status` ends the process; a refusal does not.
  static absl::Status Fatal(const absl::Status& status);
  absl::Status SendProposals();
  absl::Status SendSome(std::span<Proposal> proposals);
  absl::Status AskReads();
  absl::Status TakeReady();
  // Sends what may go out beside the writes, keeps what waits for them.
  void HoldOrSend(const larder_raft_ready& ready);
  absl::Status HandOn();
  absl::Status LeaveJoint();
  void NoteRole();
  void AnswerReads();
  void GiveUp();
  void FailProposals(const absl::Status& why);
  // The last ready of which all is durable, and of those before.
  uint64_t Durable() const { return unwritten_.empty() ? last_ready_ : unwritten_.front() - 1; }
  // Gives the engine, and sends, what waited for writes that are durable now.
  absl::Status Release();
  void TakeReadIndex(const larder_raft_read& read);
  // Moves leadership to the member that is furthest.
  void HandOver();

  const ReplicaOptions options_;
  ReplicaHost& host_;
  std::unique_ptr<Engine> engine_;
  uint64_t ticks_ = 0;
  uint64_t refused_messages_ = 0;

  std::vector<Proposal> proposals_;  // not in the log yet
  std::deque<Waiting> waiting_;      // in the log, by index
  ReadQueue reads_;

  std::deque<Held> held_;           // messages that wait for a write
  std::deque<uint64_t> unwritten_;  // readies that are being written
  uint64_t written_at_ = 0;         // the tick at which the last write ended, or the first of these began
  uint64_t last_ready_ = 0;
  uint64_t term_ready_ = 0;  // the one that brought the term
  HardState hard_state_;
  std::deque<LogEntry> committed_;    // not handed on yet: a change of members waits for what is before it
  std::deque<LogPosition> applying_;  // of commands, whose replies are to come
  AppliedState handed_;
  LogPosition applied_;
  Standing standing_;
};

}  // namespace larder::raft
