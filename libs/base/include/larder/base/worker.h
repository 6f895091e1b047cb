#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"

namespace larder::base {

// A thread that does a round of work now and then. Start and Stop from one thread.
class Worker {
 public:
  // Between two rounds, however often it is woken: those who find no room ask again at once.
  static constexpr Duration kShortestPause = std::chrono::milliseconds(1);

  // `round` runs on the thread only, at once, and again so long after its end as it returns. `name` is the thread's (15
  // bytes at most). `shortest`: how long it pauses though it was woken.
  Worker(std::string name, std::function<Duration()> round, Duration shortest = kShortestPause);
  ~Worker();  // stops
  void Start();
  // The next round begins `shortest` after the last one, or at once. Cheap until it has begun. Any thread.
  void Wake() LARDER_EXCLUDES(mutex_);
  // Waits for the round that runs; begins no other. Idempotent.
  void Stop() LARDER_EXCLUDES(mutex_);

 private:
  void Run() LARDER_EXCLUDES(mutex_);

  const std::string name_;
  const std::function<Duration()> round_;
  const Duration shortest_;
  Mutex mutex_;
  CondVar changed_;
  bool woken_ LARDER_GUARDED_BY(mutex_) = false;
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace larder::base
