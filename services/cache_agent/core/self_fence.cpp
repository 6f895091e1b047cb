#include "core/self_fence.h"

#include <algorithm>

#include "larder/base/status.h"

namespace larder::cache_agent {
namespace {

double Seconds(base::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

bool SelfFence::IsCurrent(uint64_t node_epoch) {
  if (node_epoch < node_epoch_) return false;
  if (node_epoch == node_epoch_) return true;
  node_epoch_ = node_epoch;
  until_.reset();
  answered_ = {};
  over_since_.reset();
  asked_.reset();
  return true;
}

void SelfFence::OnRegistered(uint64_t node_epoch) {
  base::MutexLock lock(mutex_);
  IsCurrent(node_epoch);
}

void SelfFence::OnAnswered(uint64_t node_epoch, base::MonotonicTime sent, base::Duration session) {
  base::MutexLock lock(mutex_);
  if (node_epoch == 0 || !IsCurrent(node_epoch)) return;
  session_ = session;
  answered_ = std::max(answered_, sent);
  until_ = std::max(until_.value_or(sent), sent + session / 2);
}

void SelfFence::OnFenced(uint64_t node_epoch, base::MonotonicTime now) {
  base::MutexLock lock(mutex_);
  if (!IsCurrent(node_epoch) || over_since_) return;
  over_since_ = now;
}

SelfFence::State SelfFence::StateNow(base::MonotonicTime now) const {
  if (over_since_) return State::kFenced;
  if (!until_) return State::kJoining;
  return now < *until_ ? State::kMember : State::kFenced;
}

SelfFence::State SelfFence::StateAt(base::MonotonicTime now) const {
  base::MutexLock lock(mutex_);
  return StateNow(now);
}

absl::Status SelfFence::WhyFenced(base::MonotonicTime now) const {
  if (over_since_) {
    return base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED",
                       "the tracker ended this node's registration {:.1f} s ago, and it is not registered anew yet "
                       "(does another agent run under its name? else it goes on by itself)",
                       Seconds(now - *over_since_));
  }
  return base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED",
                     "this node has been no member of the cluster for {:.1f} s: neither a tracker nor a peer manager "
                     "answered it in time (look at them, and at the network; it goes on by itself)",
                     Seconds(now - *until_));
}

absl::Status SelfFence::MayAct(base::MonotonicTime now) const {
  base::MutexLock lock(mutex_);
  switch (StateNow(now)) {
    case State::kMember:
      return absl::OkStatus();
    case State::kJoining:
      return base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED",
                         "this node is no member of the cluster yet: {} (it goes on by itself)",
                         node_epoch_ == 0 ? "no tracker has registered it"
                                          : "neither a tracker nor a peer manager has said that it is alive");
    case State::kFenced:
      break;
  }
  return WhyFenced(now);
}

absl::Status SelfFence::MayAsk(base::MonotonicTime now) const {
  base::MutexLock lock(mutex_);
  return StateNow(now) == State::kFenced ? WhyFenced(now) : absl::OkStatus();
}

uint64_t SelfFence::node_epoch() const {
  base::MutexLock lock(mutex_);
  return over_since_ ? 0 : node_epoch_;
}

base::Duration SelfFence::session() const {
  base::MutexLock lock(mutex_);
  return session_;
}

void SelfFence::OnTrackerAsked(base::MonotonicTime now) {
  base::MutexLock lock(mutex_);
  asked_ = now;
}

base::MonotonicTime SelfFence::AskTrackerAt(base::MonotonicTime now, bool managers) const {
  base::MutexLock lock(mutex_);
  if (!asked_) return now;
  if (StateNow(now) != State::kMember) return *asked_ + session_ / 20;
  const base::MonotonicTime again = *asked_ + (answered_ < *asked_ ? session_ / 20 : session_ / 5);
  return managers ? std::max(again, answered_ + session_ / 4) : again;
}

}  // namespace larder::cache_agent
