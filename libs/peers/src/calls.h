#pragma once
#include <deque>
#include <functional>
#include <utility>

namespace larder::peers {

// What is to be done once a lock is released, in order: answers, and the end of what may take long to free. A call may
// add more. Not thread-safe: a local variable, declared before the lock is taken.
class Calls {
 public:
  using Call = std::function<void(Calls&)>;
  void Add(Call call) { calls_.push_back(std::move(call)); }
  // Keeps a reference until then.
  template <typename T>
  void Drop(T reference) {
    Add([reference = std::move(reference)](Calls&) {});
  }
  void Run() {
    while (!calls_.empty()) {
      const Call call = std::move(calls_.front());
      calls_.pop_front();
      call(*this);
    }
  }

 private:
  std::deque<Call> calls_;
};

}  // namespace larder::peers
