#include "larder/base/gate.h"

namespace larder::base {

std::optional<Gate::Pass> Gate::Enter() {
  MutexLock lock(mutex_);
  if (closed_) return std::nullopt;
  ++inside_;
  return Pass(this);
}

bool Gate::Close(Deadline deadline) {
  MutexLock lock(mutex_);
  closed_ = true;
  while (inside_ > 0) {
    if (!empty_.WaitUntil(mutex_, deadline)) return inside_ == 0;
  }
  return true;
}

void Gate::Leave() {
  // Notified under the lock: once the last one is out, Close may return and the gate be gone.
  MutexLock lock(mutex_);
  if (--inside_ == 0) empty_.NotifyAll();
}

}  // namespace larder::base
