#include "core/readiness.h"

namespace larder::cache_agent {

void Readiness::OnServing() {
  base::MutexLock lock(mutex_);
  serving_ = true;
  Tell();
}

void Readiness::OnRegistered() {
  base::MutexLock lock(mutex_);
  waits_.cluster = false;
  Tell();
}

void Readiness::OnKubelet(bool has_driver) {
  base::MutexLock lock(mutex_);
  waits_.kubelet = !has_driver;
  Tell();
}

void Readiness::Stop() {
  base::MutexLock lock(mutex_);
  stopped_ = true;
  Tell();
}

void Readiness::Tell() { tell_(serving_ && !stopped_ && !waits_.cluster && !waits_.kubelet); }

}  // namespace larder::cache_agent
