#include "core/namespace_table.h"

namespace larder::cache_agent {
namespace {

uint64_t OwnOr(uint64_t own, uint64_t otherwise) { return own != 0 ? own : otherwise; }

template <typename T>
T Find(const std::map<std::string, T>& map, const std::string& key) {
  const auto it = map.find(key);
  return it == map.end() ? T() : it->second;
}

}  // namespace

object::NamespaceRules NamespaceTable::RulesOf(const std::string& ns) const {
  base::MutexLock lock(mutex_);
  const Quota own = Find(quotas_, ns);
  const Quota all = Find(quotas_, kDefaultQuota);
  return {.memory = OwnOr(own.memory, all.memory),
          .disk = OwnOr(own.disk, all.disk),
          .leases = OwnOr(own.leases, all.leases),
          .connections = OwnOr(own.connections, all.connections),
          .evict_last = Find(namespaces_, ns).evict_last};
}

void NamespaceTable::Replace(const Config& config) {
  base::MutexLock lock(mutex_);
  quotas_ = config.quotas;
  namespaces_ = config.namespaces;
}

}  // namespace larder::cache_agent
