#pragma once
#include <optional>

#include "core/agent_status.h"
#include "larder/arena/arena.h"
#include "rpc/peer_manager_conversation.h"

namespace larder::cache_agent {

// What peer managers are told of a node's memory and, if objects lie there, its disk. Pure.
NodeRoom RoomOf(const arena::Arena::Usage& memory, const std::optional<AgentStatus::Disk>& disk);

}  // namespace larder::cache_agent
