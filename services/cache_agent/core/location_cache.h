#pragma once
#include <list>
#include <map>
#include <optional>

#include "core/cluster_registry.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"

namespace larder::cache_agent {

// What the cluster said a moment ago of objects that other nodes have: for reads while it cannot be asked. What is here
// is never given out in place of an answer. Thread-safe.
class LocationCache {
 public:
  // Longer than an election, and than a tracker needs to start; short, since copies go.
  static constexpr base::Duration kFresh = std::chrono::seconds(60);

  explicit LocationCache(const base::Clock& clock, size_t most = 10'000) : clock_(clock), most_(most) {}

  // In place of what was said before. What is not sealed is forgotten.
  void Put(const ClusterObject& object) LARDER_EXCLUDES(mutex_);
  // A node did not have it, or could not be reached.
  void Forget(const object::ObjectId& id) LARDER_EXCLUDES(mutex_);
  // None: nothing was said lately.
  std::optional<ClusterObject> Find(const object::ObjectId& id) const LARDER_EXCLUDES(mutex_);

 private:
  struct Entry {
    ClusterObject object;
    base::MonotonicTime at;
    std::list<object::ObjectId>::iterator place;
  };
  void Erase(const object::ObjectId& id) LARDER_REQUIRES(mutex_);

  const base::Clock& clock_;
  const size_t most_;
  mutable base::Mutex mutex_;
  std::map<object::ObjectId, Entry> entries_ LARDER_GUARDED_BY(mutex_);
  std::list<object::ObjectId> order_ LARDER_GUARDED_BY(mutex_);  // the oldest first
};

}  // namespace larder::cache_agent
