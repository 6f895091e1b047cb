#pragma once
#include <string>

#include "larder/base/mutex.h"
#include "larder/cache_agent/config.h"
#include "larder/object/object.h"

namespace larder::cache_agent {

// What holds for each namespace, as configured now. Thread-safe.
class NamespaceTable {
 public:
  explicit NamespaceTable(const Config& config) { Replace(config); }
  // A limit that the namespace's own quota leaves out is that of `default`.
  object::NamespaceRules RulesOf(const std::string& ns) const LARDER_EXCLUDES(mutex_);
  // Takes over the quotas and namespaces of `config`.
  void Replace(const Config& config) LARDER_EXCLUDES(mutex_);

 private:
  mutable base::Mutex mutex_;
  std::map<std::string, Quota> quotas_ LARDER_GUARDED_BY(mutex_);
  std::map<std::string, NamespaceSettings> namespaces_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::cache_agent
