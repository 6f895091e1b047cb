#pragma once
#include "rpc/tracker_link.h"

namespace larder::cache_agent {

// Links over gRPC.
std::unique_ptr<TrackerLink> DialTrackerByGrpc(const std::string& address, TrackerLink::Events events);

}  // namespace larder::cache_agent
