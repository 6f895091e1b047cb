#include "rpc/command_batches.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "larder/base/backoff.h"
#include "larder/base/status.h"
#include "rpc/cluster_proto.h"

namespace larder::cache_agent {

namespace v1 = larder::tracker::v1;

namespace {

constexpr base::Duration kFirstPause = std::chrono::milliseconds(20);
constexpr base::Duration kLongestPause = std::chrono::milliseconds(500);

base::MonotonicTime Later(base::MonotonicTime now, int failures) {
  return now + base::BackoffDelay(failures, kFirstPause, kLongestPause, base::BackoffRandom());
}

// The failures after which nothing was done, and a repeat, here or at another member, may succeed at once.
bool MayPass(const absl::Status& failure) {
  const std::string reason = base::Reason(failure);
  return reason == "STOPPING" || reason == "LEADER_CHANGED" || reason == "RAFT_BUSY";
}

bool SaysNothingWasDone(const absl::Status& failure) {
  return MayPass(failure) || base::Reason(failure) == "TRACKER_NO_QUORUM" || absl::IsInvalidArgument(failure);
}

// All commands of a request are refused so, and none was done.
bool RefusesSession(const v1::ApplyResponse& response) {
  const std::string& reason = response.results(0).refusal().reason();
  return reason == "SESSION_EXPIRED" || reason == "REQUEST_FORGOTTEN" || reason == "WINDOW_FULL";
}

void Tell(AskedCommand& asked, absl::StatusOr<v1::Result> result, Completions& completions) {
  if (!asked.done) return;
  completions.push_back([done = std::exchange(asked.done, nullptr), result = std::move(result)] { done(result); });
}

}  // namespace

absl::Status OutcomeUnknown() {
  return base::Error(absl::StatusCode::kDeadlineExceeded, "OUTCOME_UNKNOWN",
                     "no tracker said in time what became of it (it may be done; a repeat is safe)");
}

void CommandBatches::Add(AskedCommand asked) {
  asked.bytes = asked.command.ByteSizeLong();
  ++count_;
  bytes_ += asked.bytes;
  queue_.push_back(std::move(asked));
}

void CommandBatches::Forget(const AskedCommand& asked) {
  --count_;
  bytes_ -= asked.bytes;
}

size_t CommandBatches::in_flight() const {
  return static_cast<size_t>(std::ranges::count_if(batches_, [](const auto& item) { return item.second.sent; }));
}

// ---- sending

std::optional<CommandBatches::Request> CommandBatches::Next(const v1::NodeRef& actor, uint64_t session,
                                                            base::MonotonicTime now) {
  auto next = Resendable(now);
  if (next == batches_.end() && MayForm(now)) next = Form(actor, session);
  if (next == batches_.end()) return std::nullopt;
  auto& [sequence, batch] = *next;
  batch.sent = true;
  Request request{.sequence = sequence};
  v1::RequestId& id = *request.apply.mutable_request_id();
  id.set_session(batch.session);
  id.set_sequence(sequence);
  id.set_low_water(batches_.begin()->first);
  request.apply.mutable_commands()->Reserve(static_cast<int>(batch.commands.size()));
  for (const AskedCommand& asked : batch.commands) *request.apply.add_commands() = asked.command;
  return request;
}

CommandBatches::Batches::iterator CommandBatches::Resendable(base::MonotonicTime now) {
  return std::ranges::find_if(batches_,
                              [now](const auto& item) { return !item.second.sent && item.second.again <= now; });
}

bool CommandBatches::MayForm(base::MonotonicTime now) const {
  if (queue_.empty() || now < no_new_before_ || batches_.size() >= limits_.batches) return false;
  return batches_.empty() || next_sequence_ < batches_.begin()->first + limits_.sequences_ahead;
}

CommandBatches::Batches::iterator CommandBatches::Form(const v1::NodeRef& actor, uint64_t session) {
  Batch batch{.session = session};
  std::unordered_set<std::string> own;  // objects of this batch: more commands of theirs may follow in it
  size_t bytes = 0;
  while (!queue_.empty() && batch.commands.size() < limits_.batch_commands) {
    AskedCommand& asked = queue_.front();
    const bool fits = batch.commands.empty() || (bytes + asked.bytes <= limits_.batch_bytes && !asked.alone);
    const auto busy = asked.object.empty() ? busy_.end() : busy_.find(asked.object);
    if (busy != busy_.end() && !own.contains(asked.object)) {
      busy->second.push_back(std::move(asked));
      queue_.pop_front();
      continue;
    }
    if (!fits) break;
    if (!asked.object.empty() && own.insert(asked.object).second) busy_.try_emplace(asked.object);
    bytes += asked.bytes;
    SetActor(asked.command, actor);
    batch.commands.push_back(std::move(asked));
    queue_.pop_front();
    if (batch.commands.back().alone) break;
  }
  if (batch.commands.empty()) return batches_.end();
  return batches_.emplace(next_sequence_++, std::move(batch)).first;
}

void CommandBatches::End(Batches::iterator batch, std::vector<AskedCommand> again) {
  // What waited for them comes behind them.
  for (const AskedCommand& asked : batch->second.commands) AppendWaiting(asked.object, again);
  batches_.erase(batch);
  QueueFirst(std::move(again));
}

void CommandBatches::AppendWaiting(const std::string& object, std::vector<AskedCommand>& again) {
  auto busy = busy_.extract(object);
  if (busy) std::ranges::move(busy.mapped(), std::back_inserter(again));
}

void CommandBatches::QueueFirst(std::vector<AskedCommand> again) {
  queue_.insert(queue_.begin(), std::move_iterator(again.begin()), std::move_iterator(again.end()));
}

// ---- answers

void CommandBatches::OnApplied(uint64_t sequence, const v1::ApplyResponse& response, Completions& completions) {
  const auto it = batches_.find(sequence);
  if (it == batches_.end() || !it->second.sent) return;
  Batch& batch = it->second;
  if (static_cast<size_t>(response.results_size()) != batch.commands.size()) {
    for (AskedCommand& asked : batch.commands) {
      Tell(asked, OutcomeUnknown(), completions);
      Forget(asked);
    }
    return End(it, {});
  }
  if (RefusesSession(response)) return OnSessionRefused(it, completions);
  failures_ = 0;
  for (size_t i = 0; i < batch.commands.size(); ++i) {
    AskedCommand& asked = batch.commands[i];
    const v1::Result& result = response.results(static_cast<int>(i));
    observer_.OnResult(asked, result);
    Tell(asked, result, completions);
    Forget(asked);
  }
  End(it, {});
}

void CommandBatches::OnSessionRefused(Batches::iterator batch, Completions& completions) {
  observer_.OnSessionLost(batch->second.session);
  std::vector<AskedCommand> again;
  const bool unknown = batch->second.unknown;
  for (AskedCommand& asked : batch->second.commands) {
    if (unknown) Tell(asked, OutcomeUnknown(), completions);
    // What was granted to nobody is found by asking again, and given back.
    if (unknown && asked.command.has_acquire_create()) asked.stays = true;
    if (!unknown || asked.stays) {
      again.push_back(asked);
    } else {
      Forget(asked);
    }
  }
  End(batch, std::move(again));
}

void CommandBatches::OnFailure(uint64_t sequence, const absl::Status& failure, base::MonotonicTime now,
                               Completions& completions) {
  const auto it = batches_.find(sequence);
  if (it == batches_.end() || !it->second.sent) return;
  Batch& batch = it->second;
  batch.sent = false;
  if (SaysNothingWasDone(failure) && !batch.unknown) return OnNothingDone(it, failure, now, completions);
  batch.unknown = true;
  batch.again = Later(now, batch.failures++);
}

void CommandBatches::OnNothingDone(Batches::iterator batch, const absl::Status& failure, base::MonotonicTime now,
                                   Completions& completions) {
  std::vector<AskedCommand>& commands = batch->second.commands;
  const bool invalid = absl::IsInvalidArgument(failure);
  // One bad command must not take the others with it.
  const bool one_by_one = invalid && commands.size() > 1;
  std::vector<AskedCommand> again;
  for (AskedCommand& asked : commands) {
    asked.alone = one_by_one;
    asked.why = failure;
    const bool goes_on = one_by_one || MayPass(failure);
    if (!goes_on) Tell(asked, failure, completions);
    if (goes_on || (asked.stays && !invalid)) {
      again.push_back(asked);
    } else {
      Forget(asked);
    }
  }
  if (!invalid) no_new_before_ = Later(now, failures_++);
  End(batch, std::move(again));
}

void CommandBatches::OnLinkLost() {
  for (auto& [sequence, batch] : batches_) {
    if (batch.sent) batch.unknown = true;
    batch.sent = false;
    batch.again = {};
  }
}

// ---- time

base::Deadline CommandBatches::Expire(base::MonotonicTime now, const absl::Status& nobody, Completions& completions) {
  base::Deadline next = base::kNoDeadline;
  const bool all = now == base::kNoDeadline;
  for (auto& [sequence, batch] : batches_) {
    for (AskedCommand& asked : batch.commands) {
      if (asked.certain && !all) continue;
      if (asked.deadline <= now) Tell(asked, OutcomeUnknown(), completions);
      if (asked.done) next = std::min(next, asked.deadline);
    }
  }
  next = std::min(next, ExpireQueue(queue_, now, nobody, completions));
  for (auto& [object, waiting] : busy_) next = std::min(next, ExpireQueue(waiting, now, nobody, completions));
  return next;
}

base::Deadline CommandBatches::ExpireQueue(std::deque<AskedCommand>& queue, base::MonotonicTime now,
                                           const absl::Status& nobody, Completions& completions) {
  base::Deadline next = base::kNoDeadline;
  std::erase_if(queue, [&](AskedCommand& asked) {
    if (asked.deadline > now) {
      next = std::min(next, asked.deadline);
      return false;
    }
    Tell(asked, asked.why.ok() ? nobody : asked.why, completions);
    if (asked.stays) return false;
    Forget(asked);
    return true;
  });
  return next;
}

}  // namespace larder::cache_agent
