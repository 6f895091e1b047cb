#pragma once
#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <string>

#include "larder/base/clock.h"
#include "larder/config/resolve.h"

namespace larder::cli_dev {

// How long stopping may take.
inline constexpr base::Duration kStopTime = std::chrono::seconds(10);

struct Options {
  int agents = 3;
  std::string dir;          // sockets and data; empty: a fresh one, removed at the end
  int port_base = 0;        // ports of agent i: those of the services moved from 7400 to here + 100 i; 0: free ones
  std::string config_file;  // a section for each service; empty: defaults
  std::string ready_file;   // empty: none
  config::Environment env;
};

// Runs all services in this process: starts them, writes the ready file, tells `say` where they are, calls `wait`,
// stops them. `wait` blocks until it is time to stop. A failed start stops what had started. Errors: INVALID_ARGUMENT
// for options that cannot be, config::Resolve's, and what the services' starts say.
absl::Status Run(const Options& options, const std::function<absl::Status(const std::string&)>& say,
                 const std::function<void()>& wait);

}  // namespace larder::cli_dev
