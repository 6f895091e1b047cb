#include "src/stage_times.h"

#include <algorithm>
#include <utility>

namespace larder::raft {

Node::ProposeDone StageTimes::Take(base::MonotonicTime asked, Node::ProposeDone done) {
  Took(Stage::kQueue, asked);
  if (!options_.on_slow) return done;
  return [this, asked, taken = Now(), done = std::move(done)](absl::StatusOr<std::string> reply) {
    if (Now() - asked >= options_.slow) Tell(asked, taken, reply.status());
    done(std::move(reply));
  };
}

void StageTimes::Tell(base::MonotonicTime asked, base::MonotonicTime taken, const absl::Status& outcome) const {
  const base::MonotonicTime now = Now();
  SlowProposal slow{.outcome = outcome, .took = now - asked, .queue = taken - asked};
  if (answered_) {
    // It may have come after the first of its batch was committed.
    const base::MonotonicTime committed = std::max(answered_->committed, taken);
    slow.append = answered_->append;
    slow.commit = committed - taken;
    slow.apply = std::max(answered_->applied, committed) - committed;
    slow.reply = now - answered_->applied;
  }
  options_.on_slow(slow);
}

void StageTimes::OnWrite(const LogJob& job) {
  if (job.write.entries.empty()) return;
  // Those that are replaced were never committed.
  while (!committing_.empty() && committing_.back().last_index >= job.write.entries.front().at.index) {
    committing_.pop_back();
  }
  const Write write{.job = job.number, .last_index = job.write.entries.back().at.index, .begun = Now()};
  appending_.push_back(write);
  committing_.push_back(write);
}

void StageTimes::OnWritten(uint64_t job) {
  const base::MonotonicTime now = Now();
  for (; !appending_.empty() && appending_.front().job <= job; appending_.pop_front()) {
    Took(Stage::kAppend, appending_.front().begun);
  }
  auto write = std::ranges::upper_bound(committing_, job, {}, &Write::job);
  while (write != committing_.begin() && !(--write)->took) write->took = now - write->begun;
}

StageTimes::Batch StageTimes::OnCommitted(uint64_t index) {
  Batch batch{.committed = Now()};
  const auto add = [&batch](const Write& write) { batch.append = std::max(batch.append, write.took); };
  if (!committing_.empty()) add(committing_.front());  // also where only a part of it is committed
  for (; !committing_.empty() && committing_.front().last_index <= index; committing_.pop_front()) {
    add(committing_.front());
    Took(Stage::kCommit, committing_.front().begun);
  }
  return batch;
}

void StageTimes::Join(Batch& batch, const Batch& later) { batch.append = std::max(batch.append, later.append); }

}  // namespace larder::raft
