#include "core/agent_status.h"

#include <utility>

namespace larder::cache_agent {
namespace {

std::string_view NameOf(Identity identity) {
  switch (identity) {
    case Identity::kOpen:
      return "open";
    case Identity::kCgroup:
      return "cgroup";
    case Identity::kCsi:
      return "csi";
  }
  return "";
}

}  // namespace

std::map<std::string, AgentStatus::Namespace> SumByNamespace(const std::vector<object::PeerUsage::Stored>& stored,
                                                             const std::string& only) {
  std::map<std::string, AgentStatus::Namespace> sums;
  for (const object::PeerUsage::Stored& part : stored) {
    if (!only.empty() && part.ns != only) continue;
    sums[part.ns].objects += part.objects;
    sums[part.ns].bytes += part.bytes;
  }
  return sums;
}

StatusReader::StatusReader(Parts parts) : parts_(std::move(parts)), begun_(parts_.clock->Now()) {}

AgentStatus StatusReader::ReadFor(const std::string& ns) const {
  AgentStatus status{.node = parts_.node,
                     .identity = NameOf(parts_.config->identity),
                     .store = parts_.config->store,
                     .uptime = parts_.clock->Now() - begun_,
                     .wall_time = parts_.clock->WallNow(),
                     .arena = parts_.arena->usage(),
                     .recycles = parts_.arena->recycles(),
                     .peer = parts_.peer->usage(),
                     .connections = parts_.connections->connections(),
                     .denied = parts_.connections->denied(),
                     .requests = parts_.peer->totals(),
                     .disk = ReadDisk(*parts_.config, *parts_.backend),
                     .open_files = ReadOpenFiles()};
  if (parts_.membership) status.membership = parts_.membership();
  // Where identity is open, anybody may say to be of any namespace.
  const bool all = parts_.config->identity == Identity::kOpen;
  status.namespaces = SumByNamespace(std::exchange(status.peer.stored, {}), all ? "" : ns);
  status.namespaces.try_emplace(ns);
  for (auto& [name, use] : status.namespaces) {
    const object::NamespaceRules rules = parts_.namespaces->RulesOf(name);
    use.limit = rules.LimitOf(parts_.backend->resource());
    use.evict_last = rules.evict_last;
  }
  return status;
}

std::optional<AgentStatus::Disk> ReadDisk(const Config& config, const object::Backend& backend) {
  if (config.data_dir.empty()) return std::nullopt;
  const absl::StatusOr<DiskSpace> space = ReadDiskSpace(config.data_dir);
  if (!space.ok()) return std::nullopt;  // nothing was ever kept there
  AgentStatus::Disk disk{.data_dir = config.data_dir, .space = *space};
  if (backend.durability() != object::Durability::kMemory) {
    disk.used = backend.usage().used;
    disk.limit = backend.usage().limit;
  }
  return disk;
}

}  // namespace larder::cache_agent
