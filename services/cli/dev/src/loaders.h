#pragma once
#include <string>

#include "larder/cache_agent/app.h"
#include "larder/config/loader.h"
#include "larder/peer_manager/app.h"
#include "larder/rpc/run_service.h"
#include "larder/tracker/app.h"

namespace larder::cli_dev {

// A service's settings with the defaults of `larder dev`. `section` as of config::Naming; empty: the file is the
// service's, and its own defaults hold.
config::Loader<rpc::ServiceConfig<cache_agent::Config>> AgentLoader(const std::string& section);
config::Loader<rpc::ServiceConfig<tracker::Config>> TrackerLoader(const std::string& section);
config::Loader<rpc::ServiceConfig<peer_manager::Config>> PeerManagerLoader(const std::string& section);

}  // namespace larder::cli_dev
