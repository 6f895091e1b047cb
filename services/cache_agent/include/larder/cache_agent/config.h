#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "larder/base/clock.h"
#include "larder/base/units.h"
#include "larder/config/binder.h"

namespace larder::cache_agent {

// How the agent knows which namespace a caller belongs to.
enum class Identity : uint8_t {
  kOpen,  // by the caller's word
};

// The agent's own settings; those of every service are rpc::ProcessConfig.
struct Config {
  std::string node_name;  // empty: the host's name
  std::string socket_dir = "/run/larder";
  std::string data_dir;  // empty: nothing is kept on disk
  Identity identity = Identity::kOpen;
  uint64_t arena = base::kGiB;   // bytes
  std::string store = "memory";  // a registered backend
  uint64_t disk_max_bytes = 0;   // 0: as much as fits
  base::Duration lease_ttl = std::chrono::seconds(30);
  int executor_threads = 4;
};

// Binds every field to its setting (config::Loader).
void Declare(config::Binder& binder, Config& config);

}  // namespace larder::cache_agent
