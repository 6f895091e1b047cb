#pragma once
#include <absl/status/status.h>

#include <string_view>

#include "larder/base/clock.h"
#include "larder/observe/registry.h"

namespace larder::cache_agent::csi {

enum class CsiOp : uint8_t { kPublish, kUnpublish };
std::string_view LabelText(CsiOp op);

// What the kubelet asks of the driver. Thread-safe.
class CsiMetrics {
 public:
  explicit CsiMetrics(observe::Registry& registry);
  void Done(CsiOp op, absl::StatusCode code, base::Duration took);
  void Volumes(size_t volumes) { volumes_.Set(static_cast<double>(volumes)); }
  void OrphansRemoved(int orphans) { orphans_.Increment(static_cast<uint64_t>(orphans)); }

 private:
  observe::Gauge& volumes_;
  observe::Counters<CsiOp, absl::StatusCode> requests_;
  observe::Histograms<CsiOp> seconds_;
  observe::Counter& orphans_;
};

}  // namespace larder::cache_agent::csi
