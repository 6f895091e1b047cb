#pragma once
#include <functional>
#include <thread>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"

namespace larder::cache_agent {

// A thread that does a round of work now and then. Start and Stop from one thread.
class Maintenance {
 public:
  // `round` runs on the thread only, at once and then `pause` after its last end.
  Maintenance(std::function<void()> round, base::Duration pause);
  ~Maintenance();  // stops
  void Start();
  // Waits for the round that runs; begins no other. Idempotent.
  void Stop() LARDER_EXCLUDES(mutex_);

 private:
  void Run() LARDER_EXCLUDES(mutex_);

  const std::function<void()> round_;
  const base::Duration pause_;
  base::Mutex mutex_;
  base::CondVar stop_;
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace larder::cache_agent
