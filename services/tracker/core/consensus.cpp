#include "core/consensus.h"

#include <utility>

#include "core/member_message.h"
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

}  // namespace

Consensus::Consensus(Parts parts) : parts_(std::move(parts)), last_forward_(parts_.boot) {}
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
  {
    base::MutexLock lock(mutex_);
    if (std::exchange(draining_, true)) return;
  }
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
      ProposeHere(std::move(next->entry), now.term, std::move(next->done));
    } else {
      Forward(now.leader, *std::move(next));
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

void Consensus::ProposeHere(std::string entry, uint64_t term, EntryDone done) {
  StampEntry(entry, Stamp(term));
  const base::MonotonicTime begun = parts_.clock->Now();
  parts_.node->Propose(std::move(entry), [this, begun, done = std::move(done)](absl::StatusOr<std::string> replies) {
    if (parts_.proposed) parts_.proposed(replies.status(), parts_.clock->Now() - begun);
    if (!replies.ok()) return done(OfProposal(replies.status()));
    done(std::move(replies));
  });
}

void Consensus::Forward(raft::MemberId leader, Waiting waiting) {
  ForwardedEntry forwarded{.entry = std::move(waiting.entry)};
  {
    base::MutexLock lock(mutex_);
    forwarded.id = ++last_forward_;
    forwarded_.emplace(forwarded.id, Forwarded{.to = leader,
                                               .until = base::DeadlineAfter(parts_.clock->Now(), kOutcomeWait),
                                               .done = std::move(waiting.done)});
  }
  parts_.send(leader, EncodeMemberMessage(std::move(forwarded)));
}

void Consensus::Receive(raft::MemberId from, std::string_view bytes) {
  absl::StatusOr<MemberMessage> message = DecodeMemberMessage(bytes);
  if (!message.ok()) return;  // of a version that knows more; its sender gives up by itself
  if (auto* forwarded = std::get_if<ForwardedEntry>(&*message)) {
    return OnForwarded(from, forwarded->id, std::move(forwarded->entry));
  }
  ForwardedReply& reply = std::get<ForwardedReply>(*message);
  OnReply(from, reply.id, std::move(reply.replies));
}

void Consensus::OnForwarded(raft::MemberId from, uint64_t id, std::string entry) {
  EntryDone answer = [send = parts_.send, from, id](absl::StatusOr<std::string> replies) {
    send(from, EncodeMemberMessage(ForwardedReply{.id = id, .replies = std::move(replies)}));
  };
  {
    base::MutexLock lock(mutex_);
    if (stopped_) return;  // whoever sent it learns that this member is gone
  }
  // An entry that cannot be read ends every member, so none goes into the log that was not read before.
  if (const auto decoded = DecodeEntry(base::AsBytes(entry)); !decoded.ok()) {
    return answer(base::InvalidArgument("BAD_BATCH", "{}", base::Message(decoded.status())));
  }
  // Never sent on: a second member that is behind must not make it a third one's.
  const raft::NodeStatus now = parts_.node->status();
  if (now.role != raft::Role::kLeader) return answer(LeaderChanged());
  absl::StatusOr<EntryDone> counted = Count(entry.size(), answer);
  if (!counted.ok()) return answer(std::move(counted).status());
  ProposeHere(std::move(entry), now.term, *std::move(counted));
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

void Consensus::Tick() {
  Drain();
  std::vector<std::pair<EntryDone, absl::Status>> ended;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = parts_.clock->Now();
    for (; !waiting_.empty() && waiting_.front().until <= now; waiting_.pop_front()) {
      ended.emplace_back(std::move(waiting_.front().done), NoQuorum());
    }
    std::erase_if(forwarded_, [&](auto& item) {
      if (item.second.until > now) return false;
      ended.emplace_back(std::move(item.second.done), OutcomeUnknown());
      return true;
    });
  }
  for (const auto& [done, why] : ended) done(why);
}

void Consensus::Read(SnapshotReads::Run run) {
  parts_.node->Read([reads = parts_.reads, run = std::move(run)](const absl::Status& status) mutable {
    if (status.ok()) return reads->Submit(std::move(run));
    run(base::Reason(status) == "STOPPED" ? Stopping() : NoQuorum(), nullptr);
  });
}

void Consensus::ReadStale(SnapshotReads::Run run) { parts_.reads->Submit(std::move(run)); }

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
