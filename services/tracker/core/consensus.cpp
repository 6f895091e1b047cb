#include "core/consensus.h"

#include <algorithm>
#include <utility>

#include "core/queries.h"
#include "larder/base/status.h"

namespace larder::tracker {
namespace {

absl::Status NoQuorum() {
  return base::Error(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM",
                     "the tracker has no leader that a quorum follows; nothing was done (try again; look which of "
                     "its members are down)");
}
absl::Status LeaderChanged() {
  return base::Error(absl::StatusCode::kUnavailable, "LEADER_CHANGED",
                     "the tracker's leader changes; nothing was done (try again)");
}
absl::Status OutcomeUnknown() {
  return base::Error(
      absl::StatusCode::kDeadlineExceeded, "OUTCOME_UNKNOWN",
      "outcome unknown: the change may be done, now or later, or never (repeat it under its request id)");
}
absl::Status Stopping() {
  return base::Error(absl::StatusCode::kUnavailable, "STOPPING", "this member is stopping (ask another)");
}

// What the node's errors are to whoever proposes.
absl::Status OfProposal(const absl::Status& status) {
  const std::string reason = base::Reason(status);
  if (reason == "OUTCOME_UNKNOWN") return OutcomeUnknown();
  if (reason == "NOT_LEADER" || reason == "NOT_READY") return LeaderChanged();
  if (reason == "STOPPED") return Stopping();
  return base::Detached(status);
}

std::vector<NodeRef> FencesIn(const std::vector<Command>& commands) {
  std::vector<NodeRef> nodes;
  for (const Command& command : commands) {
    if (const auto* fence = std::get_if<FenceNode>(&command)) nodes.push_back(fence->node);
  }
  return nodes;
}

}  // namespace

Consensus::Consensus(Parts parts) : parts_(std::move(parts)), alive_(parts_.node_session), last_forward_(parts_.boot) {}
Consensus::~Consensus() { Stop(); }

void Consensus::Propose(const Proposal& proposal, ProposeDone done) {
  if (proposal.commands.empty() || proposal.commands.size() > kMaxBatch) {
    return done(base::InvalidArgument("BAD_BATCH", "{} commands at once; 1 to {} are possible",
                                      proposal.commands.size(), kMaxBatch));
  }
  std::string entry =
      EncodeEntry({.request = proposal.request, .fence = proposal.fence, .commands = proposal.commands});
  // Before it is sent on: the leader would say so, too, but it does not get what no connection carries.
  if (entry.size() > raft::kEntryLimit) {
    return done(base::InvalidArgument("ENTRY_TOO_LARGE", "a command of {} bytes; {} at most (send it in parts)",
                                      entry.size(), raft::kEntryLimit));
  }
  EntryDone decoded = [done = std::move(done)](const absl::StatusOr<std::string>& replies) {
    if (!replies.ok()) return done(replies.status());
    done(DecodeReplies(base::AsBytes(*replies)));
  };
  absl::StatusOr<EntryDone> counted = Count(entry.size(), decoded);
  if (!counted.ok()) return decoded(std::move(counted).status());
  decoded = *std::move(counted);
  bool stopped = false;
  {
    base::MutexLock lock(mutex_);
    stopped = stopped_;
    if (!stopped) {
      waiting_.push_back({.entry = std::move(entry),
                          .fences = FencesIn(proposal.commands),
                          .until = base::DeadlineAfter(parts_.clock->Now(), kLeaderWait),
                          .done = std::move(decoded)});
    }
  }
  if (stopped) return decoded(Stopping());
  Drain();
}

absl::StatusOr<Consensus::EntryDone> Consensus::Count(uint64_t bytes, EntryDone done) {
  if (under_way_->fetch_add(bytes) + bytes > kMaxUnderWay) {
    under_way_->fetch_sub(bytes);
    return base::Error(absl::StatusCode::kResourceExhausted, "RAFT_BUSY",
                       "more than {} of changes are under way at this member; nothing was done (try again)",
                       base::FormatBytes(kMaxUnderWay));
  }
  return EntryDone([under_way = under_way_, bytes, done = std::move(done)](absl::StatusOr<std::string> replies) {
    under_way->fetch_sub(bytes);
    done(std::move(replies));
  });
}

void Consensus::Drain() {
  do {
    {
      base::MutexLock lock(mutex_);
      if (std::exchange(draining_, true)) return;
    }
    DrainWhileLed();
    // Who was woken for a leader since the last look left the rest to this thread.
  } while (HasWaiting() && parts_.node->status().leader != raft::MemberId{});
}

bool Consensus::HasWaiting() {
  base::MutexLock lock(mutex_);
  return !stopped_ && !waiting_.empty();
}

void Consensus::DrainWhileLed() {
  while (true) {
    const raft::NodeStatus now = parts_.node->status();
    std::optional<Waiting> next;
    {
      base::MutexLock lock(mutex_);
      // Whoever came while this thread held the drain left its entry here.
      if (stopped_ || waiting_.empty() || now.leader == raft::MemberId{}) {
        draining_ = false;
        return;
      }
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    if (now.role == raft::Role::kLeader) {
      ProposeHere(std::move(next->entry), next->fences, now.term, std::move(next->done));
    } else {
      Forward(now.leader, std::move(next->done),
              [&next](uint64_t id) { return ForwardedEntry{.id = id, .entry = std::move(next->entry)}; });
    }
  }
}

LogTime Consensus::Stamp(uint64_t term) {
  const ServedState::Mark mark = parts_.state->mark();
  // Entries of earlier terms are to be applied yet: this one counts as stamped like the last of them.
  if (mark.at.term != term) return {};
  base::MutexLock lock(mutex_);
  return log_clock_.Now(term, mark.now, parts_.clock->BootNow());
}

absl::StatusOr<Consensus::EntryDone> Consensus::BeginFences(const std::vector<NodeRef>& nodes, uint64_t term,
                                                            EntryDone done) {
  const base::MonotonicTime now = parts_.clock->BootNow();
  base::MutexLock lock(mutex_);
  if (!alive_.Lead(term, now)) return LeaderChanged();
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (absl::Status begun = alive_.BeginFence(nodes[i], now); !begun.ok()) {
      for (size_t begun_before = 0; begun_before < i; ++begun_before) alive_.EndFence(nodes[begun_before], term);
      return begun;
    }
  }
  return EntryDone([this, nodes, term, done = std::move(done)](absl::StatusOr<std::string> replies) {
    if (base::Reason(replies.status()) != "OUTCOME_UNKNOWN") {
      base::MutexLock ended(mutex_);
      for (const NodeRef& node : nodes) alive_.EndFence(node, term);
    }
    done(std::move(replies));
  });
}

void Consensus::ProposeHere(std::string entry, const std::vector<NodeRef>& fences, uint64_t term, EntryDone done) {
  // Here, and nowhere before, as here the leader is: whichever way the entry came, its commands meet its answers.
  if (!fences.empty()) {
    absl::StatusOr<EntryDone> fencing = BeginFences(fences, term, done);
    if (!fencing.ok()) return done(std::move(fencing).status());
    done = *std::move(fencing);
  }
  StampEntry(entry, Stamp(term));
  const base::MonotonicTime begun = parts_.clock->Now();
  parts_.node->Propose(
      std::move(entry),
      [this, begun, done = std::move(done)](absl::StatusOr<std::string> replies) {
        if (parts_.proposed) parts_.proposed(replies.status(), parts_.clock->Now() - begun);
        if (!replies.ok()) return done(OfProposal(replies.status()));
        done(std::move(replies));
      },
      term);
}

void Consensus::Forward(raft::MemberId leader, EntryDone done,
                        const std::function<MemberMessage(uint64_t id)>& encode) {
  uint64_t id = 0;
  {
    base::MutexLock lock(mutex_);
    id = ++last_forward_;
    forwarded_.emplace(id, Forwarded{.to = leader,
                                     .until = base::DeadlineAfter(parts_.clock->Now(), kOutcomeWait),
                                     .done = std::move(done)});
  }
  if (absl::Status sent = parts_.send(leader, EncodeMemberMessage(encode(id))); !sent.ok()) {
    OnReply(leader, id, std::move(sent));
  }
}

void Consensus::Receive(raft::MemberId from, std::string_view bytes) {
  absl::StatusOr<MemberMessage> message = DecodeMemberMessage(bytes);
  if (!message.ok()) return;  // of a version that knows more; its sender gives up by itself
  if (auto* forwarded = std::get_if<ForwardedEntry>(&*message)) {
    return OnForwarded(from, forwarded->id, std::move(forwarded->entry));
  }
  if (const auto* question = std::get_if<AliveQuestion>(&*message)) {
    return AnswerAlive(question->node, [answer = ReplyTo(from, question->id)](const absl::Status& status) {
      status.ok() ? answer(std::string()) : answer(status);
    });
  }
  ForwardedReply& reply = std::get<ForwardedReply>(*message);
  OnReply(from, reply.id, std::move(reply.replies));
}

Consensus::EntryDone Consensus::ReplyTo(raft::MemberId member, uint64_t id) const {
  return [send = parts_.send, member, id](absl::StatusOr<std::string> replies) {
    // Whoever waits for it does so no longer than kOutcomeWait.
    send(member, EncodeMemberMessage(ForwardedReply{.id = id, .replies = std::move(replies)})).IgnoreError();
  };
}

void Consensus::OnForwarded(raft::MemberId from, uint64_t id, std::string entry) {
  EntryDone answer = ReplyTo(from, id);
  {
    base::MutexLock lock(mutex_);
    if (stopped_) return;  // whoever sent it learns that this member is gone
  }
  // An entry that cannot be read ends every member, so none goes into the log that was not read before.
  const auto decoded = DecodeEntry(base::AsBytes(entry));
  if (!decoded.ok()) {
    return answer(base::InvalidArgument("BAD_BATCH", "{}", base::Message(decoded.status())));
  }
  // Never sent on: a second member that is behind must not make it a third one's.
  const raft::NodeStatus now = parts_.node->status();
  if (now.role != raft::Role::kLeader) return answer(LeaderChanged());
  absl::StatusOr<EntryDone> counted = Count(entry.size(), answer);
  if (!counted.ok()) return answer(std::move(counted).status());
  ProposeHere(std::move(entry), FencesIn(decoded->commands), now.term, *std::move(counted));
}

void Consensus::OnReply(raft::MemberId from, uint64_t id, absl::StatusOr<std::string> replies) {
  EntryDone done;
  {
    base::MutexLock lock(mutex_);
    const auto it = forwarded_.find(id);
    if (it == forwarded_.end() || it->second.to != from) return;  // it came too late
    done = std::move(it->second.done);
    forwarded_.erase(it);
  }
  done(std::move(replies));
}

void Consensus::Unreachable(raft::MemberId member) {
  std::vector<EntryDone> lost;
  {
    base::MutexLock lock(mutex_);
    std::erase_if(forwarded_, [&](auto& item) {
      if (item.second.to != member) return false;
      lost.push_back(std::move(item.second.done));
      return true;
    });
  }
  for (const EntryDone& done : lost) done(OutcomeUnknown());
}

base::Deadline Consensus::Tick() {
  if (const raft::NodeStatus now = parts_.node->status(); now.role == raft::Role::kLeader) {
    base::MutexLock lock(mutex_);
    alive_.Lead(now.term, parts_.clock->BootNow());
  }
  Drain();
  std::vector<std::pair<EntryDone, absl::Status>> ended;
  base::Deadline next = base::kNoDeadline;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = parts_.clock->Now();
    for (; !waiting_.empty() && waiting_.front().until <= now; waiting_.pop_front()) {
      ended.emplace_back(std::move(waiting_.front().done), NoQuorum());
    }
    if (!waiting_.empty()) next = waiting_.front().until;
    // Asked under the lock: nothing in there was sent to a later leader than this one.
    const raft::MemberId leader = parts_.node->status().leader;
    for (auto item = forwarded_.begin(); item != forwarded_.end();) {
      Forwarded& one = item->second;
      if (leader != raft::MemberId{} && leader != one.to) {
        one.until = std::min(one.until, base::DeadlineAfter(now, kLateAnswerWait));
      }
      if (one.until > now) {
        next = std::min(next, one.until);
        ++item;
      } else {
        ended.emplace_back(std::move(one.done), OutcomeUnknown());
        item = forwarded_.erase(item);
      }
    }
  }
  for (const auto& [done, why] : ended) done(why);
  return next;
}

void Consensus::Read(SnapshotReads::Run run) {
  parts_.node->Read([reads = parts_.reads, run = std::move(run)](const absl::Status& status) mutable {
    if (status.ok()) return reads->Submit(std::move(run));
    run(base::Reason(status) == "STOPPED" ? Stopping() : NoQuorum(), nullptr);
  });
}

void Consensus::ReadStale(SnapshotReads::Run run) { parts_.reads->Submit(std::move(run)); }

void Consensus::NodeAlive(const NodeRef& node, AliveDone done) {
  if (node.node.empty() || node.node.size() > kMaxNodeName) {
    return done(base::InvalidArgument("BAD_NODE", "a node's name has 1 to {} bytes", kMaxNodeName));
  }
  const raft::NodeStatus now = parts_.node->status();
  if (now.role == raft::Role::kLeader) return AnswerAlive(node, std::move(done));
  if (now.leader == raft::MemberId{}) return done(NoQuorum());
  EntryDone answered = [done](const absl::StatusOr<std::string>& answer) {
    // Nothing is lost with a question.
    done(base::Reason(answer.status()) == "OUTCOME_UNKNOWN" ? NoQuorum() : answer.status());
  };
  absl::StatusOr<EntryDone> counted = Count(sizeof(Forwarded) + node.node.size(), answered);
  if (!counted.ok()) return done(std::move(counted).status());
  Forward(now.leader, *std::move(counted), [&node](uint64_t id) { return AliveQuestion{.id = id, .node = node}; });
}

void Consensus::AnswerAlive(const NodeRef& node, AliveDone done) {
  const raft::NodeStatus now = parts_.node->status();
  if (now.role != raft::Role::kLeader) return done(LeaderChanged());
  const base::MonotonicTime at = parts_.clock->BootNow();
  absl::Status answered;
  {
    base::MutexLock lock(mutex_);
    answered = alive_.Lead(now.term, at) ? alive_.Answer(node, at) : LeaderChanged();
  }
  if (!answered.ok()) return done(std::move(answered));
  Read([this, node, at, term = now.term, done = std::move(done)](const absl::Status& status, Reader* snapshot) {
    if (!status.ok()) return done(status);
    // Either a quorum followed this member after the question, or it follows by now and asked another leader, who knows
    // nothing of the answer. It showed that it follows before it could ask.
    const raft::NodeStatus then = parts_.node->status();
    if (then.role != raft::Role::kLeader || then.term != term) return done(LeaderChanged());
    const absl::Status active = CheckActive(*snapshot, node);
    if (base::Reason(active) == "NODE_FENCED") {
      base::MutexLock lock(mutex_);
      alive_.Forget(node, at);
    }
    done(active);
  });
}

std::optional<LogTime> Consensus::LeaderTime() {
  const raft::NodeStatus now = parts_.node->status();
  if (now.role != raft::Role::kLeader || parts_.state->mark().at.term != now.term) return std::nullopt;
  return Stamp(now.term);
}

void Consensus::Stop() {
  std::deque<Waiting> waiting;
  std::map<uint64_t, Forwarded> forwarded;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    waiting.swap(waiting_);
    forwarded.swap(forwarded_);
  }
  for (const Waiting& one : waiting) one.done(Stopping());
  for (const auto& [id, one] : forwarded) one.done(OutcomeUnknown());
}

}  // namespace larder::tracker
