#pragma once
#include <absl/status/status.h>

#include "larder/observe/registry.h"
#include "larder/resp/command.h"

namespace larder::resp {

// What the Redis listener counts. Thread-safe.
class Metrics {
 public:
  explicit Metrics(observe::Registry& registry);
  void Connected() { connections_.Add(1); }
  void Disconnected() { connections_.Add(-1); }
  void Answered(Op op, absl::StatusCode code) { commands_.With(op, code).Increment(); }

 private:
  observe::Gauge& connections_;
  observe::Labelled<observe::Counter, Op, absl::StatusCode> commands_;
};

}  // namespace larder::resp
