#pragma once
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/mutex.h"

namespace larder::base {

// Runs tasks off the caller's thread. Thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;
  // Runs `task` later, or refuses (false) when it is stopping. Tasks of one executor may run at once, in any order.
  virtual bool Submit(std::function<void()> task) = 0;
};

// A fixed number of threads over one queue. The destructor runs what is queued, then joins.
class ThreadPool final : public Executor {
 public:
  // `name` shows in the threads' names (15 bytes at most).
  ThreadPool(std::string name, int threads);
  ~ThreadPool() override;
  bool Submit(std::function<void()> task) override LARDER_EXCLUDES(mutex_);
  // Refuses new tasks, runs the queued ones, joins. Idempotent; not from a task.
  void Stop() LARDER_EXCLUDES(mutex_);

 private:
  void Work();
  Mutex mutex_;
  CondVar wake_;
  std::deque<std::function<void()>> queue_ LARDER_GUARDED_BY(mutex_);
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

// Runs each task at once, on the caller's thread: for tests and simulations.
class InlineExecutor final : public Executor {
 public:
  bool Submit(std::function<void()> task) override {
    task();
    return true;
  }
};

}  // namespace larder::base
