#include "core/history_feed.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace larder::tracker {
namespace {

// In one task.
constexpr size_t kServedAtOnce = 32;

}  // namespace

HistoryFeed::HistoryFeed(Consensus& consensus, ServedState& state) : consensus_(consensus) {
  state.OnApplied([this] { Wake(); });
}

void HistoryFeed::Add(std::shared_ptr<Follower> follower) {
  {
    base::MutexLock lock(mutex_);
    due_.push_back(std::move(follower));
    if (std::exchange(serving_, true)) return;
  }
  Submit();
}

void HistoryFeed::Wake() {
  {
    base::MutexLock lock(mutex_);
    if (serving_) woken_ = true;
    if (serving_ || waiting_.empty()) return;
    due_.swap(waiting_);  // nobody is due while no task is submitted
    serving_ = true;
  }
  Submit();
}

void HistoryFeed::Submit() {
  consensus_.ReadStale([this](const absl::Status& status, Reader* snapshot) { Serve(status, snapshot); });
}

void HistoryFeed::Serve(const absl::Status& status, Reader* snapshot) {
  if (!status.ok()) return EndAll(status);
  std::vector<std::shared_ptr<Follower>> served;
  {
    base::MutexLock lock(mutex_);
    const auto end = due_.begin() + static_cast<std::ptrdiff_t>(std::min(due_.size(), kServedAtOnce));
    std::move(due_.begin(), end, std::back_inserter(served));
    due_.erase(due_.begin(), end);
  }
  std::vector<Follower::Then> then;
  then.reserve(served.size());
  for (const auto& follower : served) then.push_back(follower->ReadOn(*snapshot));
  {
    base::MutexLock lock(mutex_);
    for (size_t i = 0; i < served.size(); ++i) {
      if (then[i] == Follower::Then::kGoOn) due_.push_back(std::move(served[i]));
      if (then[i] == Follower::Then::kWait) waiting_.push_back(std::move(served[i]));
    }
    if (std::exchange(woken_, false)) {
      std::ranges::move(waiting_, std::back_inserter(due_));
      waiting_.clear();
    }
    serving_ = !due_.empty();
    if (!serving_) return;
  }
  Submit();
}

void HistoryFeed::EndAll(const absl::Status& why) {
  std::deque<std::shared_ptr<Follower>> due;
  std::deque<std::shared_ptr<Follower>> waiting;
  {
    base::MutexLock lock(mutex_);
    due.swap(due_);
    waiting.swap(waiting_);
    serving_ = woken_ = false;
  }
  for (const auto& follower : due) follower->Ended(why);
  for (const auto& follower : waiting) follower->Ended(why);
}

}  // namespace larder::tracker
