#include "src/replica.h"

#include <algorithm>
#include <span>
#include <utility>

#include "larder/base/codec.h"
#include "larder/base/status.h"

namespace larder::raft {
namespace {

// Of an ApplyJob, but for its last command, and of what is proposed at once.
constexpr uint64_t kJobBytes = base::kMiB;

absl::Status OutcomeUnknown(std::string_view why) {
  return base::Error(absl::StatusCode::kUnavailable, "OUTCOME_UNKNOWN",
                     "{}: the command may be applied, now or later, or never", why);
}
absl::Status NoQuorum() {
  return base::Error(absl::StatusCode::kUnavailable, "NO_QUORUM", "no leader that a quorum follows answered in time");
}
absl::Status Stopped() { return base::Error(absl::StatusCode::kUnavailable, "STOPPED", "this member is stopping"); }

LogEntry ToEntry(const larder_raft_entry& view) {
  return {.at = {.index = view.index, .term = view.term},
          .kind = static_cast<EntryKind>(view.kind),
          .payload = std::string(base::AsText(FromRaft(view.payload)))};
}

std::pair<MemberId, std::string> ToMessage(const larder_raft_message& view) {
  return {{view.to}, std::string(base::AsText(FromRaft(view.bytes)))};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Replica>> Replica::Create(const ReplicaOptions& options, const LogStore& log,
                                                         const AppliedState& applied, ReplicaHost& host) {
  std::unique_ptr<Replica> replica(new Replica(options, applied, host));
  LARDER_ASSIGN_OR_RETURN(replica->engine_, Engine::Create(options.engine, log, applied));
  replica->hard_state_ = log.extent().hard_state;
  replica->NoteRole();
  return replica;
}

Replica::~Replica() { Stop(); }

absl::Status Replica::Fatal(const absl::Status& status) {
  return base::Reason(status) == "RAFT_PANIC" ? status : absl::OkStatus();
}

absl::Status Replica::Tick() {
  ++ticks_;
  LARDER_RETURN_IF_ERROR(Fatal(engine_->Tick()));
  GiveUp();
  const uint64_t stalled = unwritten_.empty() ? 0 : ticks_ - written_at_;
  if (stalled >= options_.dead_disk_ticks) {
    return base::Error(absl::StatusCode::kDeadlineExceeded, "LOG_STALLED",
                       "a write to the log has not ended for {} ticks", stalled);
  }
  if (standing_.role == LARDER_RAFT_LEADER && stalled >= options_.slow_disk_ticks) HandOver();
  return absl::OkStatus();
}

uint64_t Replica::QuietTicks() const {
  const bool waits = !proposals_.empty() || !waiting_.empty() || !reads_.empty() || !unwritten_.empty();
  return waits ? 1 : engine_->status().quiet_ticks;
}

void Replica::HandOver() {
  const NodeStatus now = status();
  const MemberStatus* best = nullptr;
  for (const MemberStatus& member : now.members) {
    if (member.learner || !member.recently_active || member.id == now.self) continue;
    if (best == nullptr || member.matched > best->matched) best = &member;
  }
  if (best != nullptr) TransferLeader(best->id);
}

void Replica::GiveUp() {
  for (Waiting& waiting : waiting_) {
    if (waiting.give_up > ticks_) break;
    if (waiting.done) std::exchange(waiting.done, nullptr)(OutcomeUnknown("it was not committed in time"));
  }
  for (const Node::ReadDone& done : reads_.TakeLate(ticks_)) done(NoQuorum());
}

absl::Status Replica::Step(base::ByteSpan message) {
  const absl::Status stepped = engine_->Step(message);
  if (base::Reason(stepped) == "RAFT_INVALID") ++refused_messages_;
  return Fatal(stepped);
}

void Replica::Propose(std::string payload, Node::ProposeDone done, uint64_t term) {
  if (payload.empty()) return done(base::InvalidArgument("RAFT_INVALID", "a proposal of nothing"));
  if (payload.size() > kEntryLimit) {
    return done(
        base::InvalidArgument("ENTRY_TOO_LARGE", "a command of {} bytes; {} at most", payload.size(), kEntryLimit));
  }
  proposals_.push_back({.payload = std::move(payload), .done = std::move(done), .term = term});
}

void Replica::ProposeChange(std::vector<MemberChange> changes, Node::ReadDone done) {
  std::vector<larder_raft_change> views;
  for (const MemberChange& change : changes) {
    views.push_back({.what = static_cast<uint64_t>(change.what), .id = change.id.value});
  }
  if (views.empty()) return done(base::InvalidArgument("RAFT_INVALID", "a change of no members"));
  done(base::Detached(engine_->ProposeChange(views).status()));
}

void Replica::Read(Node::ReadDone done) { reads_.Add(ticks_ + options_.give_up_ticks, std::move(done)); }

void Replica::TransferLeader(MemberId to) { engine_->TransferLeader(to).IgnoreError(); }
void Replica::OnUnreachable(MemberId member) { engine_->ReportUnreachable(member).IgnoreError(); }

absl::Status Replica::OnWritten(uint64_t number) {
  while (!unwritten_.empty() && unwritten_.front() <= number) unwritten_.pop_front();
  written_at_ = ticks_;
  return Release();
}

absl::Status Replica::Release() {
  const uint64_t durable = Durable();
  LARDER_RETURN_IF_ERROR(engine_->OnPersistReady(durable));
  for (; !held_.empty() && held_.front().number <= durable; held_.pop_front()) {
    for (auto& [to, message] : held_.front().messages) host_.Send(to, std::move(message));
  }
  return absl::OkStatus();
}

absl::Status Replica::OnApplied(LogPosition at, std::vector<std::string> replies) {
  for (std::string& reply : replies) {
    const LogPosition command = applying_.front();
    applying_.pop_front();
    while (!waiting_.empty() && waiting_.front().at.index <= command.index) {
      Waiting waiting = std::move(waiting_.front());
      waiting_.pop_front();
      if (!waiting.done) continue;
      // The same index in another term is another leader's command.
      waiting.at == command ? waiting.done(std::move(reply)) : waiting.done(OutcomeUnknown("leadership has moved"));
    }
  }
  applied_ = at;
  return engine_->AppliedTo(at.index);
}

absl::Status Replica::Process() {
  do {
    NoteRole();
    LARDER_RETURN_IF_ERROR(SendProposals());
    LARDER_RETURN_IF_ERROR(AskReads());
    while (engine_->HasReady()) LARDER_RETURN_IF_ERROR(TakeReady());
    LARDER_RETURN_IF_ERROR(HandOn());
    LARDER_RETURN_IF_ERROR(LeaveJoint());
  } while (engine_->HasReady());
  NoteRole();
  AnswerReads();
  return absl::OkStatus();
}

absl::Status Replica::SendProposals() {
  std::vector<Proposal> proposals = std::exchange(proposals_, {});
  // Messages that came after them may have begun another term.
  std::erase_if(proposals, [term = standing_.term](Proposal& proposal) {
    const bool late = proposal.term != Node::kAnyTerm && proposal.term != term;
    if (late)
      proposal.done(base::Error(absl::StatusCode::kFailedPrecondition, "NOT_LEADER", "term {} is over", proposal.term));
    return late;
  });
  for (std::span<Proposal> rest(proposals); !rest.empty();) {
    size_t count = 0;
    for (uint64_t bytes = 0; count < rest.size() && bytes < kJobBytes; ++count) bytes += rest[count].payload.size();
    LARDER_RETURN_IF_ERROR(SendSome(rest.first(count)));
    rest = rest.subspan(count);
  }
  return absl::OkStatus();
}

absl::Status Replica::SendSome(std::span<Proposal> proposals) {
  std::vector<base::ByteSpan> payloads;
  payloads.reserve(proposals.size());
  for (const Proposal& proposal : proposals) payloads.push_back(base::AsBytes(proposal.payload));
  const absl::StatusOr<LogPosition> first = engine_->Propose(payloads);
  LARDER_RETURN_IF_ERROR(Fatal(first.status()));
  if (base::Reason(first.status()) == "RAFT_BUSY" && proposals.size() > 1) {
    // Some of them may fit.
    for (Proposal& proposal : proposals) LARDER_RETURN_IF_ERROR(SendSome({&proposal, 1}));
    return absl::OkStatus();
  }
  for (size_t i = 0; i < proposals.size(); ++i) {
    if (!first.ok()) {
      proposals[i].done(base::Detached(first.status()));
    } else {
      waiting_.push_back({.at = {.index = first->index + i, .term = first->term},
                          .give_up = ticks_ + options_.give_up_ticks,
                          .done = std::move(proposals[i].done)});
    }
  }
  // One write for each, so that none is long.
  while (engine_->HasReady()) LARDER_RETURN_IF_ERROR(TakeReady());
  return absl::OkStatus();
}

absl::Status Replica::AskReads() {
  if (!reads_.Due(ticks_)) return absl::OkStatus();
  const uint64_t question = reads_.Ask(ticks_);
  const base::ByteWriter context = base::ByteWriter().U64(options_.engine.self.value).U64(options_.boot).U64(question);
  return Fatal(engine_->ReadIndex(context.bytes()));
}

absl::Status Replica::TakeReady() {
  LARDER_ASSIGN_OR_RETURN(const larder_raft_ready ready, engine_->ReadyBegin());
  if (ready.has_snapshot != 0) {
    return base::Error(absl::StatusCode::kUnimplemented, "SNAPSHOT", "a snapshot came, which no member sends yet");
  }
  last_ready_ = ready.number;
  LogJob job{.number = ready.number};
  for (size_t i = 0; i < ready.entry_count; ++i) {
    job.write.entries.push_back(ToEntry(ready.entries[i]));
    job.bytes += EntrySize(job.write.entries.back());
  }
  bool must_write = !job.write.entries.empty();
  if (ready.has_hard_state != 0) {
    const larder_raft_hard_state& now = ready.hard_state;
    // A commit alone is not worth a sync. It goes with the next write, and must: who holds the entry that ends a change
    // of members has to know, also after a crash, that the one that began it is committed. Else it might campaign
    // among the members of before.
    must_write |= now.term != hard_state_.term || now.vote != hard_state_.vote;
    if (now.term != hard_state_.term) term_ready_ = ready.number;
    hard_state_ = {.term = now.term, .vote = now.vote, .commit = now.commit};
  }
  if (must_write) {
    job.write.hard_state = hard_state_;
    if (unwritten_.empty()) written_at_ = ticks_;
    unwritten_.push_back(job.number);
  }
  HoldOrSend(ready);
  for (size_t i = 0; i < ready.committed_count; ++i) committed_.push_back(ToEntry(ready.committed[i]));
  for (size_t i = 0; i < ready.read_count; ++i) TakeReadIndex(ready.reads[i]);
  LARDER_RETURN_IF_ERROR(engine_->ReadyEnd());
  if (must_write) {
    host_.Write(std::move(job));
    return absl::OkStatus();
  }
  return unwritten_.empty() ? Release() : absl::OkStatus();
}

void Replica::HoldOrSend(const larder_raft_ready& ready) {
  const auto hold = [&](uint64_t number, const larder_raft_message* messages, size_t count) {
    if (count == 0) return;
    Held held{.number = number};
    for (const larder_raft_message& message : std::span(messages, count)) held.messages.push_back(ToMessage(message));
    held_.push_back(std::move(held));
  };
  if (term_ready_ > Durable()) {
    // The leader is its own quorum, and has begun a term that it could begin once more after a crash.
    hold(term_ready_, ready.messages, ready.message_count);
  } else {
    for (const larder_raft_message& view : std::span(ready.messages, ready.message_count)) {
      auto [to, message] = ToMessage(view);
      host_.Send(to, std::move(message));
    }
  }
  hold(ready.number, ready.persisted_messages, ready.persisted_message_count);
}

void Replica::TakeReadIndex(const larder_raft_read& read) {
  base::ByteReader context(FromRaft(read.context));
  const uint64_t self = context.U64();
  const uint64_t boot = context.U64();
  const uint64_t question = context.U64();
  if (self != options_.engine.self.value || boot != options_.boot) return;
  reads_.Answered(question, read.index);
}

absl::Status Replica::HandOn() {
  while (!committed_.empty()) {
    ApplyJob job{.after = handed_};
    if (committed_.front().kind == EntryKind::kCommand) {
      for (; !committed_.empty() && committed_.front().kind == EntryKind::kCommand && job.bytes < kJobBytes;
           committed_.pop_front()) {
        job.after.at = committed_.front().at;
        job.bytes += EntrySize(committed_.front());
        if (committed_.front().payload.empty()) continue;  // a new leader's first
        applying_.push_back(job.after.at);
        job.commands.push_back(std::move(committed_.front()));
      }
    } else {
      // In force between what was before it and what comes after.
      if (handed_.at != applied_) break;
      const absl::StatusOr<std::string> configuration = engine_->ApplyChange(committed_.front());
      if (configuration.ok()) {
        job.after.configuration = *configuration;
      } else if (base::Reason(configuration.status()) != "CHANGE_REFUSED") {
        return base::Annotate(configuration.status(), fmt::format("the change at {}", committed_.front().at.index));
      }
      job.after.at = committed_.front().at;
      committed_.pop_front();
    }
    handed_ = job.after;
    host_.Apply(std::move(job));
  }
  return absl::OkStatus();
}

absl::Status Replica::LeaveJoint() {
  const larder_raft_status now = engine_->status();
  if (now.joint == 0 || now.role != LARDER_RAFT_LEADER || now.applied < now.pending_change_index) {
    return absl::OkStatus();
  }
  return Fatal(engine_->ProposeChange({}).status());
}

void Replica::NoteRole() {
  const larder_raft_status status = engine_->status();
  const Standing now{.role = status.role, .term = status.term, .leader = status.leader};
  if (standing_.role == LARDER_RAFT_LEADER && (now.role != LARDER_RAFT_LEADER || now.term != standing_.term)) {
    FailProposals(OutcomeUnknown("leadership was lost"));
  }
  if (now.leader != standing_.leader && now.leader != 0) reads_.AskAgain();
  standing_ = now;
}

void Replica::FailProposals(const absl::Status& why) {
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    if (waiting.done) waiting.done(base::Detached(why));
  }
}

void Replica::AnswerReads() {
  for (const Node::ReadDone& done : reads_.TakeReady(applied_.index)) done(absl::OkStatus());
}

void Replica::Stop() {
  FailProposals(OutcomeUnknown("this member is stopping"));
  for (const Proposal& proposal : std::exchange(proposals_, {})) proposal.done(Stopped());
  for (const Node::ReadDone& done : reads_.TakeLate(UINT64_MAX)) done(Stopped());
}

NodeStatus Replica::status() const {
  const larder_raft_status now = engine_->status();
  NodeStatus status{.self = options_.engine.self,
                    .role = now.role == LARDER_RAFT_LEADER     ? Role::kLeader
                            : now.role == LARDER_RAFT_FOLLOWER ? Role::kFollower
                                                               : Role::kCandidate,
                    .leader = {now.leader},
                    .term = now.term,
                    .last_index = now.last_index,
                    .durable = now.persisted,
                    .committed = now.committed,
                    .applied = now.applied,
                    .voter = now.voter != 0,
                    .joint = now.joint != 0,
                    .refused_messages = refused_messages_};
  if (status.role != Role::kLeader) return status;
  for (const larder_raft_progress& member : engine_->progress()) {
    status.members.push_back({.id = {member.id},
                              .matched = member.matched,
                              .recently_active = member.recently_active != 0,
                              .learner = member.learner != 0});
  }
  return status;
}

}  // namespace larder::raft
