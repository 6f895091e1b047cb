#pragma once
#include <string>

#include "core/agent_status.h"
#include "larder/agent/v1/agent.pb.h"

namespace larder::cache_agent {

// Agent.Status as its answer, for a caller of namespace `ns`.
larder::agent::v1::StatusResponse ToProto(const AgentStatus& status, const std::string& ns);

}  // namespace larder::cache_agent
