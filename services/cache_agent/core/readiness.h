#pragma once
#include <functional>
#include <utility>

#include "larder/base/mutex.h"

namespace larder::cache_agent {

// What /readyz says of an agent: ready once it serves, the cluster has registered it and the kubelet has its driver, as
// far as there is a cluster and a driver. A rollout waits for it, so an agent that its cluster or its kubelet does not
// take stops one at the first node. A cluster that is lost later does not count: every node would become unready, and
// none would be better for it. Thread-safe.
class Readiness {
 public:
  struct Waits {
    bool cluster = false;
    bool kubelet = false;
  };
  // `tell` is told whether it is ready, with each of what follows, under a lock: it must not call back.
  Readiness(Waits waits, std::function<void(bool)> tell) : waits_(waits), tell_(std::move(tell)) {}

  // The sockets are there.
  void OnServing() LARDER_EXCLUDES(mutex_);
  // Once suffices.
  void OnRegistered() LARDER_EXCLUDES(mutex_);
  // What the kubelet says of the driver, each time.
  void OnKubelet(bool has_driver) LARDER_EXCLUDES(mutex_);
  // Not ready from now on, whatever comes.
  void Stop() LARDER_EXCLUDES(mutex_);

 private:
  void Tell() LARDER_REQUIRES(mutex_);

  base::Mutex mutex_;
  Waits waits_ LARDER_GUARDED_BY(mutex_);
  bool serving_ LARDER_GUARDED_BY(mutex_) = false;
  bool stopped_ LARDER_GUARDED_BY(mutex_) = false;
  const std::function<void(bool)> tell_;
};

}  // namespace larder::cache_agent
