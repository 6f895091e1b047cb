#pragma once
#include <deque>
#include <utility>

#include "larder/base/mutex.h"

namespace larder::raft {

// Work of one thread for another, in order. Thread-safe.
template <typename Job>
class JobQueue {
 public:
  void Push(Job job) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    jobs_.push_back(std::move(job));
    if (jobs_.size() == 1) wake_.NotifyOne();
  }
  // All there is, waiting for some; empty: it was closed.
  std::deque<Job> Take() LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    while (jobs_.empty() && !closed_) wake_.Wait(mutex_);
    return closed_ ? std::deque<Job>() : std::exchange(jobs_, {});
  }
  // What is queued is dropped.
  void Close() LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    closed_ = true;
    wake_.NotifyAll();
  }

 private:
  base::Mutex mutex_;
  base::CondVar wake_;
  std::deque<Job> jobs_ LARDER_GUARDED_BY(mutex_);
  bool closed_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace larder::raft
