#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "larder/object/registries.h"

namespace outside {

struct Counts {
  std::atomic<uint64_t> creates = 0;
  std::atomic<uint64_t> gets = 0;
};

// Adds "counting": the single peer, counting in `counts` what it is asked.
void RegisterCountingPeer(larder::object::PeerRegistry& registry, std::shared_ptr<Counts> counts);

}  // namespace outside
