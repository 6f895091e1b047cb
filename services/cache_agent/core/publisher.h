#pragma once
#include <absl/status/status.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/cluster_registry.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/object/object.h"

namespace larder::cache_agent {

// Tells the cluster of what is sealed here, and tries again for as long as the tracker cannot be asked: what was
// acknowledged is published in the end, or found to have lost to another. Thread-safe; callbacks come under no lock.
class Publisher {
 public:
  struct Publication {
    object::ObjectInfo info;
    bool overwrite = false;
    bool acknowledged = false;  // nobody waits for it: `local`
    object::Epoch right;        // to create, from ClusterRegistry::Acquire; 0: none
    MetaChange settings;        // without a right: also of the same content that the cluster has already
  };
  // OK with the cluster's epoch; else an error of ClusterRegistry. UNAVAILABLE and DEADLINE_EXCEEDED: it is tried
  // again, and a later Await hears of that.
  using Told = std::function<void(absl::StatusOr<object::Epoch>)>;

  // Borrows both.
  Publisher(ClusterRegistry& registry, const base::Clock& clock) : registry_(registry), clock_(clock) {}

  // In place of what is still to be told of the same object.
  void Publish(Publication publication, Told told) LARDER_EXCLUDES(mutex_);
  // `told` hears what becomes of an earlier Publish of that epoch of this node's: at once, with OK and no epoch, if it
  // was told; ALREADY_EXISTS (EXISTS) if it lost to another node's.
  void Await(const object::ObjectId& id, object::Epoch own, Told told) LARDER_EXCLUDES(mutex_);
  // Whether that epoch of this node's is yet to be told of, and (IsBehind) was acknowledged before.
  bool IsPending(const object::ObjectId& id, object::Epoch own) const LARDER_EXCLUDES(mutex_);
  bool IsBehind(const object::ObjectId& id, object::Epoch own) const LARDER_EXCLUDES(mutex_);
  // The cluster does not know it: it is to be told of yet, or lost to another.
  bool IsOnlyHere(const object::ObjectId& id) const LARDER_EXCLUDES(mutex_);
  // Nothing more is told of that epoch of this node's.
  void ForgetIf(const object::ObjectId& id, object::Epoch own) LARDER_EXCLUDES(mutex_);
  // What is here of that name is no more in conflict with anything.
  void ForgetConflict(const object::ObjectId& id) LARDER_EXCLUDES(mutex_);
  // This node's epoch of what is to be told yet; 0: nothing is.
  object::Epoch PendingEpoch(const object::ObjectId& id) const LARDER_EXCLUDES(mutex_);
  // Objects that another node's were preferred to: they are only here.
  bool InConflict(const object::ObjectId& id) const LARDER_EXCLUDES(mutex_);
  // How many are to be told of yet.
  size_t pending() const LARDER_EXCLUDES(mutex_);
  // Tries again what is due; how long until the next is.
  base::Duration Tick() LARDER_EXCLUDES(mutex_);

 private:
  struct Pending {
    Publication publication;
    std::vector<Told> waiting;
    int failures = 0;
    std::optional<base::MonotonicTime> again;  // none: under way
  };

  void Tell(const Publication& publication);
  void Abandon(const Publication& publication);
  void OnTold(const Publication& publication, absl::StatusOr<object::Epoch> result) LARDER_EXCLUDES(mutex_);

  ClusterRegistry& registry_;
  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  std::map<object::ObjectId, Pending> pending_ LARDER_GUARDED_BY(mutex_);
  std::set<object::ObjectId> conflicts_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::cache_agent
