#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <functional>

#include "core/self_fence.h"
#include "larder/observe/registry.h"

namespace larder::cache_agent {

// How a node stands in its cluster.
struct MembershipView {
  SelfFence::State state = SelfFence::State::kJoining;
  absl::Status why;            // not OK: why it may not act as a member
  uint64_t node_epoch = 0;     // of its registration; 0: none, or it is over
  uint64_t peer_managers = 0;  // as configured
  uint64_t answering = 0;      // of them
};

// Shows it on /metrics as long as it lives.
class MembershipMetrics {
 public:
  // `view` may be called on any thread, while this lives.
  MembershipMetrics(std::function<MembershipView()> view, observe::Registry& registry);

 private:
  observe::Registry::Watch fenced_;
  observe::Registry::Watch peer_managers_;
};

}  // namespace larder::cache_agent
