#pragma once
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "larder/base/clock.h"
#include "larder/base/units.h"
#include "larder/config/binder.h"

namespace larder::cache_agent {

// How the agent knows which namespace a caller belongs to.
enum class Identity : uint8_t {
  kOpen,    // by the caller's word
  kCgroup,  // by the pod whose cgroup its process is in
  kCsi,     // by the pod whose volume has the socket that it came by
};

// What one namespace may use at most. 0: as `default` says; there: no limit but the node's.
struct Quota {
  uint64_t memory = 0;  // bytes
  uint64_t disk = 0;    // bytes
  uint64_t leases = 0;
  uint64_t connections = 0;
};
inline constexpr char kDefaultQuota[] = "default";  // that of every namespace without one of its own

struct NamespaceSettings {
  bool evict_last = false;
};

// What pods may do in namespaces besides their own.
struct Grant {
  std::string ns;                     // the pods'
  std::string service_account = "*";  // theirs; *: any
  std::vector<std::string> verbs;     // object::VerbName
  std::vector<std::string> on;        // namespaces
  bool operator==(const Grant&) const = default;
};

// The agent's own settings; those of every service are rpc::ProcessConfig.
struct Config {
  std::string node_name;  // empty: the host's name
  std::string zone;
  std::string rack;
  std::string tracker;       // HOST:PORT, parted by commas; empty: none
  std::string peer_manager;  // likewise
  std::string socket_dir = "/run/larder";
  std::string data_dir;  // empty: nothing is kept on disk
  Identity identity = Identity::kOpen;
  std::string pods_file;  // who the node's pods are; needed by kCgroup
  std::string csi_driver_name = "csi.larder.io";
  std::string csi_kubelet_dir = "/var/lib/kubelet";
  std::string csi_run_dir = "/run/larder-agent";
  std::deque<Grant> grants;
  uint64_t arena = base::kGiB;   // bytes
  std::string store = "memory";  // a registered backend
  uint64_t disk_max_bytes = 0;   // 0: as much as fits
  base::Duration lease_ttl = std::chrono::seconds(30);
  int executor_threads = 4;
  std::string pieces = "0.0.0.0:7461";  // listened on if there is a tracker
  std::string pieces_advertise;         // HOST:PORT; empty: that of `pieces`
  uint64_t pieces_rate_in = 0;          // bytes per second; 0: no limit
  uint64_t pieces_rate_out = 0;
  std::map<std::string, Quota> quotas = {{kDefaultQuota, {}}};
  std::map<std::string, NamespaceSettings> namespaces;
};

// The addresses of the settings `tracker` and `peer_manager`. INVALID_ARGUMENT (BAD_ADDRESS, BAD_VALUE).
absl::StatusOr<std::vector<std::string>> ParseAddresses(std::string_view text);

// Binds every field to its setting (config::Loader).
void Declare(config::Binder& binder, Config& config);

}  // namespace larder::cache_agent
