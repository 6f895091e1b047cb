#pragma once
#include <cstdint>
#include <optional>
#include <utility>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"

namespace larder::base {

// Work in flight enters or is refused; Close waits for what is inside. Thread-safe; must outlive its passes.
class Gate {
 public:
  // Being inside. Leaves at the end of its life.
  class Pass {
   public:
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->Leave();
    }

   private:
    friend class Gate;
    explicit Pass(Gate* gate) : gate_(gate) {}
    Gate* gate_;
  };

  // Empty once Close was called.
  std::optional<Pass> Enter() LARDER_EXCLUDES(mutex_);
  // Refuses newcomers, then waits until all have left; false if `deadline` came first. May be called again.
  bool Close(Deadline deadline) LARDER_EXCLUDES(mutex_);

 private:
  void Leave() LARDER_EXCLUDES(mutex_);
  Mutex mutex_;
  CondVar empty_;
  int64_t inside_ LARDER_GUARDED_BY(mutex_) = 0;
  bool closed_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace larder::base
