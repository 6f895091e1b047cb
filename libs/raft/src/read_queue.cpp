#include "src/read_queue.h"

#include <utility>

namespace larder::raft {

bool ReadQueue::Due(uint64_t tick) const {
  return !fresh_.empty() || (!asked_.empty() && (again_ || asked_at_ + ask_again_ticks_ <= tick));
}

uint64_t ReadQueue::Ask(uint64_t tick) {
  const uint64_t question = ++questions_;
  asked_at_ = tick;
  again_ = false;
  for (; !fresh_.empty(); fresh_.pop_front()) {
    asked_.push_back(std::move(fresh_.front()));
    asked_.back().question = question;
  }
  return question;
}

void ReadQueue::Answered(uint64_t question, uint64_t index) {
  for (; !asked_.empty() && asked_.front().question <= question; asked_.pop_front()) {
    answered_.emplace(index, std::move(asked_.front()));
  }
}

std::vector<Node::ReadDone> ReadQueue::TakeReady(uint64_t applied) {
  std::vector<Node::ReadDone> ready;
  for (; !answered_.empty() && answered_.begin()->first <= applied; answered_.erase(answered_.begin())) {
    ready.push_back(std::move(answered_.begin()->second.done));
  }
  return ready;
}

std::vector<Node::ReadDone> ReadQueue::TakeLate(uint64_t tick) {
  std::vector<Node::ReadDone> late;
  const auto take = [&](std::deque<Reading>& reads) {  // the first are the oldest
    for (; !reads.empty() && reads.front().give_up <= tick; reads.pop_front()) {
      late.push_back(std::move(reads.front().done));
    }
  };
  take(asked_);
  take(fresh_);
  std::erase_if(answered_, [&](auto& item) {
    if (item.second.give_up > tick) return false;
    late.push_back(std::move(item.second.done));
    return true;
  });
  return late;
}

}  // namespace larder::raft
