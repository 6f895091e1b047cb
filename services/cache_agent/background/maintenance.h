#pragma once
#include <functional>
#include <thread>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"

namespace larder::cache_agent {

// A thread that does a round of work now and then. Start and Stop from one thread.
class Maintenance {
 public:
  // `round` runs on the thread only, at once, and again so long after its end as it returns.
  explicit Maintenance(std::function<base::Duration()> round);
  ~Maintenance();  // stops
  void Start();
  // The next round begins a millisecond after the last one, or at once. Any thread.
  void Wake() LARDER_EXCLUDES(mutex_);
  // Waits for the round that runs; begins no other. Idempotent.
  void Stop() LARDER_EXCLUDES(mutex_);

 private:
  void Run() LARDER_EXCLUDES(mutex_);

  const std::function<base::Duration()> round_;
  base::Mutex mutex_;
  base::CondVar changed_;
  bool woken_ LARDER_GUARDED_BY(mutex_) = false;
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace larder::cache_agent
