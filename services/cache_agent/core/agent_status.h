#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/connection_metrics.h"
#include "core/machine.h"
#include "core/membership_metrics.h"
#include "core/metered_peer.h"
#include "core/namespace_table.h"
#include "larder/arena/arena.h"
#include "larder/base/clock.h"
#include "larder/cache_agent/config.h"
#include "larder/object/backend.h"

namespace larder::cache_agent {

// What an agent tells of itself, for `larder top` and `larder doctor`. Sizes in bytes.
struct AgentStatus {
  std::string node;
  std::string_view identity;  // as in the configuration
  std::string store;
  base::Duration uptime{};
  base::WallTime wall_time;
  arena::Arena::Usage arena;
  bool recycles = true;
  object::PeerUsage peer;  // without `stored`
  // Only those that whoever asks may know of.
  struct Namespace {
    uint64_t objects = 0;
    uint64_t bytes = 0;
    uint64_t limit = 0;  // 0: none
    bool evict_last = false;
  };
  std::map<std::string, Namespace> namespaces;
  uint64_t connections = 0;
  uint64_t denied = 0;
  RequestTotals requests;
  struct Disk {
    std::string data_dir;
    DiskSpace space;
    uint64_t used = 0;   // by objects
    uint64_t limit = 0;  // 0: as much as fits
  };
  std::optional<Disk> disk;
  OpenFiles open_files;
  std::optional<MembershipView> membership;  // none without a tracker
};

// None without a data directory, or before anything was kept in it. May wait for the disk.
std::optional<AgentStatus::Disk> ReadDisk(const Config& config, const object::Backend& backend);

// What each namespace holds, whatever tiers it lies in: `only` that one, or all if it is empty.
std::map<std::string, AgentStatus::Namespace> SumByNamespace(const std::vector<object::PeerUsage::Stored>& stored,
                                                             const std::string& only);

// Looks at an agent's parts. Thread-safe.
class StatusReader {
 public:
  struct Parts {
    std::string node;
    const Config* config;
    const base::Clock* clock;
    const arena::Arena* arena;
    const object::Backend* backend;
    const MeteredPeer* peer;
    const NamespaceTable* namespaces;
    const ConnectionMetrics* connections;
    std::function<MembershipView()> membership;  // empty without a tracker
  };
  // Borrows all of them. The agent's uptime begins now.
  explicit StatusReader(Parts parts);

  // As a caller of namespace `ns` may see it. May wait for the disk.
  AgentStatus ReadFor(const std::string& ns) const;

 private:
  const Parts parts_;
  const base::MonotonicTime begun_;
};

}  // namespace larder::cache_agent
