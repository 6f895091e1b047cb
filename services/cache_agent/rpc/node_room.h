#pragma once
#include <cstdint>
#include <optional>

#include "core/agent_status.h"
#include "larder/arena/arena.h"
#include "larder/base/clock.h"
#include "rpc/peer_manager_conversation.h"

namespace larder::cache_agent {

// Bytes per second, of looks at a counter that come at any time. The caller's lock, if any.
class ByteRate {
 public:
  // That between the last look and one at least a second before it; 0 at first.
  uint64_t Next(uint64_t total, base::MonotonicTime now);

 private:
  std::optional<base::MonotonicTime> since_;
  uint64_t total_ = 0;  // then
  uint64_t rate_ = 0;
};

// What peer managers are told of a node's memory and, if objects lie there, its disk. Pure.
NodeRoom RoomOf(const arena::Arena::Usage& memory, const std::optional<AgentStatus::Disk>& disk);

}  // namespace larder::cache_agent
