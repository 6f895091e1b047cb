#pragma once
#include "larder/arena/arena.h"
#include "larder/observe/registry.h"

namespace larder::cache_agent {

// Shows an arena on /metrics as long as it lives.
class ArenaMetrics {
 public:
  // Borrows both.
  ArenaMetrics(const arena::Arena& arena, observe::Registry& registry);

 private:
  observe::Registry::Watch pool_bytes_;
};

}  // namespace larder::cache_agent
