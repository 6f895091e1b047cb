#pragma once
#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "larder/base/clock.h"
#include "larder/cache_agent/app.h"
#include "larder/config/loader.h"
#include "larder/config/resolve.h"
#include "larder/rpc/process.h"
#include "larder/rpc/run_service.h"

namespace larder::cli_dev {

// The agent's settings with the defaults of `larder dev`. `section` as of config::Naming; empty: the file is the
// agent's.
using AgentConfig = rpc::ServiceConfig<cache_agent::Config>;
config::Loader<AgentConfig> AgentLoader(const std::string& section);

struct AgentPlace {
  std::string name;   // of the node
  std::string dir;    // data; the sockets are in a folder of it
  std::string admin;  // HOST:PORT
};

// One agent of several in this process. One thread calls it.
class Agent {
 public:
  // Starts nothing. Errors as of config::Resolve.
  static absl::StatusOr<std::unique_ptr<Agent>> Make(const AgentPlace& place, const std::string& config_file,
                                                     config::Environment env);
  absl::Status Start();
  void Stop(base::Deadline deadline);

  const std::string& name() const { return config_.service.node_name; }
  const std::string& socket_dir() const { return config_.service.socket_dir; }
  std::string admin() const;  // HOST:PORT, once started

 private:
  Agent(AgentConfig config, rpc::ProcessOptions options, std::string config_text);

  const AgentConfig config_;
  rpc::Process process_;
  cache_agent::App app_;
};

}  // namespace larder::cli_dev
