#pragma once
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "larder/base/clock.h"
#include "larder/config/binder.h"

namespace larder::tracker {

// The tracker's own settings; those of every service are rpc::ProcessConfig.
struct Config {
  std::string data_dir;
  std::string grpc = "0.0.0.0:7410";
  std::string raft = "0.0.0.0:7411";
  std::string resp = "0.0.0.0:6379";
  std::string cluster = "larder";
  uint64_t raft_id = 1;
  std::string initial_cluster;  // empty: this member alone
  int reader_threads = 2;
  base::Duration node_session = std::chrono::seconds(10);  // T_s
};

// Binds every field to its setting (config::Loader).
void Declare(config::Binder& binder, Config& config);

// Voters by Raft id, with where each listens for Raft, HOST:PORT: "1=tracker-0.tracker:7411,2=…".
// INVALID_ARGUMENT (BAD_VALUE) for anything else.
absl::StatusOr<std::map<uint64_t, std::string>> ParseCluster(std::string_view text);

}  // namespace larder::tracker
