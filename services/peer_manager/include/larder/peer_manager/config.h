#pragma once
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "larder/base/clock.h"
#include "larder/config/binder.h"

namespace larder::peer_manager {

// The manager's own settings; those of every service are rpc::ProcessConfig.
struct Config {
  std::string grpc = "0.0.0.0:7420";
  std::vector<std::string> trackers;                       // HOST:PORT; at least one
  base::Duration node_session = std::chrono::seconds(10);  // T_s
  base::Duration leader_ttl = std::chrono::seconds(5);
  size_t most_sessions = 20'000;
};

// Binds every field to its setting (config::Loader).
void Declare(config::Binder& binder, Config& config);

}  // namespace larder::peer_manager
