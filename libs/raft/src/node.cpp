#include "larder/raft/node.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <optional>
#include <thread>
#include <utility>

#include "larder/base/mutex.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "src/job_queue.h"
#include "src/passed_ticks.h"
#include "src/replica.h"
#include "src/stage_times.h"

namespace larder::raft {
namespace {

// Jobs are joined into one step of the state machine, or of the log, until it has so much.
constexpr size_t kApplyAtOnce = 4096;
constexpr uint64_t kJoinedBytes = 4 * base::kMiB;
// Of what waits for the loop, for proposals and for messages each.
constexpr uint64_t kQueuedBytes = 64 * base::kMiB;

class ThreadedNode final : public Node, private ReplicaHost {
 public:
  ThreadedNode(const NodeOptions& options, LogStore& log, StateMachine& machine, Transport& transport)
      : options_(options), log_(log), machine_(machine), transport_(transport) {}
  ~ThreadedNode() override { Stop(); }

  absl::Status Begin() {
    const ReplicaOptions replica{.engine = {.self = options_.self,
                                            .seed = options_.seed,
                                            .election_ticks = options_.election_ticks,
                                            .heartbeat_ticks = options_.heartbeat_ticks},
                                 .boot = options_.boot};
    LARDER_ASSIGN_OR_RETURN(replica_, Replica::Create(replica, log_, machine_.applied(), *this));
    standing_ = replica_->standing();
    ShowStatus(true);
    // A member that is alone has nobody to wait for.
    alone_ = status().voter && machine_.applied().configuration == EncodeVoters({&options_.self, 1});
    loop_ = std::thread([this] { Loop(); });
    writer_ = std::thread([this] { WriteJobs(); });
    applier_ = std::thread([this] { ApplyJobs(); });
    return absl::OkStatus();
  }

  using Node::Propose;
  void Propose(std::string command, ProposeDone done, uint64_t term) override {
    const base::MonotonicTime asked = StageTimes::Now();
    const uint64_t bytes = command.size();
    if (!Enter(queued_proposals_, bytes)) return done(Busy());
    Post([this, asked, bytes, command = std::move(command), done = std::move(done), term](Replica* replica) mutable {
      queued_proposals_ -= bytes;
      if (replica == nullptr) return done(Stopped());
      replica->Propose(std::move(command), times_.Take(asked, std::move(done)), term);
    });
  }
  void Read(ReadDone done) override {
    Post([done = std::move(done)](Replica* replica) mutable {
      if (replica == nullptr) return done(Stopped());
      replica->Read(std::move(done));
    });
  }
  void ChangeMembers(std::vector<MemberChange> changes, ReadDone done) override {
    Post([changes = std::move(changes), done = std::move(done)](Replica* replica) mutable {
      if (replica == nullptr) return done(Stopped());
      replica->ProposeChange(std::move(changes), std::move(done));
    });
  }
  void TransferLeader(MemberId to) override {
    Post([to](Replica* replica) {
      if (replica != nullptr) replica->TransferLeader(to);
    });
  }
  void Receive(std::string message) override {
    // Dropped as the network might have: the engine sends it again, or something newer.
    if (!Enter(queued_messages_, message.size())) return;
    Post([this, message = std::move(message)](Replica* replica) {
      queued_messages_ -= message.size();
      if (replica != nullptr) Check(replica->Step(base::AsBytes(message)));
    });
  }
  void Unreachable(MemberId member) override {
    Post([member](Replica* replica) {
      if (replica != nullptr) replica->OnUnreachable(member);
    });
  }

  NodeStatus status() const override LARDER_EXCLUDES(mutex_) {
    const uint64_t log_bytes = log_.bytes();
    base::MutexLock lock(mutex_);
    NodeStatus status = status_;
    status.log_bytes = log_bytes;
    return status;
  }

  void Stop() override LARDER_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      stopping_ = true;
      wake_.NotifyOne();
    }
    if (loop_.joinable()) loop_.join();
    writes_.Close();
    applies_.Close();
    if (writer_.joinable()) writer_.join();
    if (applier_.joinable()) applier_.join();
    replica_.reset();
  }

 private:
  using Call = std::function<void(Replica*)>;  // null: it has stopped
  struct TimedApply {
    ApplyJob job;
    StageTimes::Batch times;
  };

  static absl::Status Stopped() {
    return base::Error(absl::StatusCode::kUnavailable, "STOPPED", "this member is stopping");
  }

  static absl::Status Busy() {
    return base::Error(absl::StatusCode::kResourceExhausted, "RAFT_BUSY",
                       "more than {} of proposals wait at this member (try again)", base::FormatBytes(kQueuedBytes));
  }
  // Takes room for bytes that wait for the loop; false if there is none.
  static bool Enter(std::atomic<uint64_t>& queued, uint64_t bytes) {
    if (queued.fetch_add(bytes) + bytes <= kQueuedBytes) return true;
    queued -= bytes;
    return false;
  }

  void Post(Call call) LARDER_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      if (!stopped_) {
        calls_.push_back(std::move(call));
        if (calls_.size() == 1) wake_.NotifyOne();
        return;
      }
    }
    call(nullptr);
  }
  // What is posted from now on is answered at once.
  std::vector<Call> Rest() LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    return std::exchange(calls_, {});
  }

  // What an error means: the end. The first one is told.
  void Check(const absl::Status& status) LARDER_EXCLUDES(mutex_) {
    if (status.ok()) return;
    {
      base::MutexLock lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
      wake_.NotifyOne();
    }
    if (options_.on_fatal) options_.on_fatal(base::Detached(status));
  }

  void Loop() LARDER_EXCLUDES(mutex_) {
    Check(replica_->Process());  // what is committed and not applied comes before a campaign
    if (alone_) {
      Check(replica_->Campaign());
      Check(replica_->Process());
      ShowStatus(true);
    }
    base::MonotonicTime ticked = std::chrono::steady_clock::now();
    while (true) {
      // At rest it sleeps through the ticks that only count.
      const uint64_t quiet = replica_->QuietTicks();
      const base::Deadline until = ticked + quiet * options_.tick;
      const std::optional<std::vector<Call>> calls = AwaitCalls(until);
      if (!calls) break;
      const base::MonotonicTime now = std::chrono::steady_clock::now();
      const PassedTicks passed = TicksIn(now - ticked, options_.tick, quiet, standing_.role == LARDER_RAFT_LEADER);
      for (uint64_t i = 0; i < passed.before; ++i) Check(replica_->Tick());
      for (const Call& call : *calls) call(replica_.get());
      if (passed.after) Check(replica_->Tick());
      ticked += passed.before * options_.tick;
      if (now >= until) ticked = now;  // after a stall there are not as many as there should have been
      Check(replica_->Process());
      ShowStatus(passed != PassedTicks{} || quiet > 1);
    }
    replica_->Stop();
    for (const Call& call : Rest()) call(nullptr);
  }

  // What was posted, as soon as there is something, or nothing at `until`. nullopt: it is stopping.
  std::optional<std::vector<Call>> AwaitCalls(base::Deadline until) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    while (calls_.empty() && !stopping_ && wake_.WaitUntil(mutex_, until)) {
    }
    if (stopping_) return std::nullopt;
    return std::exchange(calls_, {});
  }

  // Unless `all` is asked for, which takes longer, only if its standing is another one.
  void ShowStatus(bool all) LARDER_EXCLUDES(mutex_) {
    const Standing now = replica_->standing();
    if (!all && now == standing_) return;
    const bool changed = now != standing_;
    standing_ = now;
    const NodeStatus status = replica_->status();
    {
      base::MutexLock lock(mutex_);
      status_ = status;
    }
    if (changed && options_.on_standing) options_.on_standing(status);
  }

  void WriteJobs() {
    for (auto jobs = writes_.Take(); !jobs.empty(); jobs = writes_.Take()) {
      while (!jobs.empty()) {
        if (const absl::Status written = WriteSome(jobs); !written.ok()) {
          return Check(base::Annotate(written, "the log"));
        }
      }
    }
  }

  absl::Status WriteSome(std::deque<LogJob>& jobs) {
    std::vector<LogWrite> writes;
    uint64_t bytes = 0;
    uint64_t number = 0;
    for (; !jobs.empty() && bytes < kJoinedBytes; jobs.pop_front()) {
      number = jobs.front().number;
      bytes += jobs.front().bytes;
      writes.push_back(std::move(jobs.front().write));
    }
    LARDER_RETURN_IF_ERROR(log_.Write(writes));
    Post([this, number](Replica* replica) {
      if (replica == nullptr) return;  // the loop's thread is done with what follows, and maybe not alone
      times_.OnWritten(number);
      Check(replica->OnWritten(number));
    });
    return absl::OkStatus();
  }

  void ApplyJobs() {
    for (auto jobs = applies_.Take(); !jobs.empty(); jobs = applies_.Take()) {
      while (!jobs.empty()) {
        if (const absl::Status applied = ApplySome(jobs); !applied.ok()) {
          return Check(base::Annotate(applied, "the state machine"));
        }
      }
    }
    // What is not flushed is applied again from the log, which takes longer.
    if (const absl::Status flushed = machine_.Flush(); !flushed.ok()) Check(flushed);
  }

  absl::Status ApplySome(std::deque<TimedApply>& jobs) {
    std::vector<LogEntry> entries;
    AppliedState after;
    StageTimes::Batch times = jobs.front().times;
    uint64_t bytes = 0;
    for (; !jobs.empty() && entries.size() < kApplyAtOnce && bytes < kJoinedBytes; jobs.pop_front()) {
      ApplyJob& job = jobs.front().job;
      bytes += job.bytes;
      std::ranges::move(job.commands, std::back_inserter(entries));
      after = std::move(job.after);
      StageTimes::Join(times, jobs.front().times);
    }
    std::vector<Command> commands;
    commands.reserve(entries.size());
    for (const LogEntry& entry : entries) {
      commands.push_back({.at = entry.at, .payload = base::AsBytes(entry.payload)});
    }
    std::vector<std::string> replies;
    replies.reserve(commands.size());
    const base::MonotonicTime begun = StageTimes::Now();
    LARDER_RETURN_IF_ERROR(machine_.Apply(commands, after, replies));
    times_.Took(Stage::kApply, begun);
    times.applied = StageTimes::Now();
    if (replies.size() != commands.size()) {
      return base::Error(absl::StatusCode::kInternal, "WRONG_REPLIES", "{} replies to {} commands up to {}",
                         replies.size(), commands.size(), after.at.index);
    }
    Post([this, times, at = after.at, replies = std::move(replies)](Replica* replica) mutable {
      if (replica == nullptr) return;
      times_.Took(Stage::kReply, times.applied);
      times_.Answer(times);
      Check(replica->OnApplied(at, std::move(replies)));
      times_.Answer(std::nullopt);
    });
    return absl::OkStatus();
  }

  void Send(MemberId to, std::string message) override { transport_.Send(to, std::move(message)); }
  void Write(LogJob job) override {
    times_.OnWrite(job);
    writes_.Push(std::move(job));
  }
  void Apply(ApplyJob job) override {
    const StageTimes::Batch times = times_.OnCommitted(job.after.at.index);
    applies_.Push({.job = std::move(job), .times = times});
  }

  const NodeOptions options_;
  LogStore& log_;
  StateMachine& machine_;
  Transport& transport_;
  bool alone_ = false;

  std::unique_ptr<Replica> replica_;  // of the loop thread, while it runs, and so are the next two
  StageTimes times_{options_};
  Standing standing_;
  JobQueue<LogJob> writes_;
  JobQueue<TimedApply> applies_;

  std::atomic<uint64_t> queued_proposals_ = 0;  // bytes in calls_
  std::atomic<uint64_t> queued_messages_ = 0;   // likewise
  mutable base::Mutex mutex_;
  base::CondVar wake_;
  std::vector<Call> calls_ LARDER_GUARDED_BY(mutex_);
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
  bool stopped_ LARDER_GUARDED_BY(mutex_) = false;
  NodeStatus status_ LARDER_GUARDED_BY(mutex_);

  std::thread loop_;
  std::thread writer_;
  std::thread applier_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Node>> Node::Start(const NodeOptions& options, LogStore& log, StateMachine& machine,
                                                  Transport& transport) {
  auto node = std::make_unique<ThreadedNode>(options, log, machine, transport);
  LARDER_RETURN_IF_ERROR(node->Begin());
  return node;
}

}  // namespace larder::raft
