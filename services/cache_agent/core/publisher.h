#pragma once
#include <absl/status/status.h>

#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/cluster_registry.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/object/object.h"

namespace larder::cache_agent {

// Tells the cluster of what is sealed here, and tries again for as long as the tracker cannot be asked: what was
// acknowledged is published in the end, or found to have lost to another. At most one attempt of an object is open at a
// time, so that none comes behind what others did after it. Thread-safe; callbacks come under no lock.
class Publisher {
 public:
  struct Publication {
    object::ObjectInfo info;
    bool overwrite = false;
    bool acknowledged = false;  // nobody waits for it: `local`
    object::Epoch right;        // to create, from ClusterRegistry::Acquire; 0: none
    MetaChange settings;        // without a right: also of the same content that the cluster has already
  };
  // OK with what the cluster knows it as; else an error of ClusterRegistry. If MayBeToldLater of that, it is tried
  // again, and a later Await hears of it.
  using Told = std::function<void(absl::StatusOr<object::TrackedAs>)>;
  // What was told of, also if nobody waits for that, or it was forgotten meanwhile.
  using Tracked = std::function<void(const object::ObjectInfo&, const object::TrackedAs&)>;

  // Who waits hears within about this time why the cluster was not told yet. Above the time after which the registry
  // itself says so, which knows more.
  static constexpr base::Duration kPatience = std::chrono::seconds(4);

  // Borrows both.
  Publisher(ClusterRegistry& registry, const base::Clock& clock) : registry_(registry), clock_(clock) {}
  // Hears of all that is told of from now on, before those who wait. Once, before anything is published.
  void OnTracked(Tracked tracked) { tracked_ = std::move(tracked); }

  // The cluster could not be asked, or another creates the key now, or nobody knows: it will be told.
  static bool MayBeToldLater(const absl::Status& status);

  // In place of what is still to be told of an earlier epoch of the same object, whose waiters hear ABORTED
  // (SUPERSEDED); together with what is to be told of the same epoch.
  void Publish(Publication publication, Told told) LARDER_EXCLUDES(mutex_);
  // `told` hears what becomes of an earlier Publish of that epoch of this node's: at once, with OK and no more, if it
  // was told; ALREADY_EXISTS (EXISTS) if it lost to another node's.
  void Await(const object::ObjectId& id, object::Epoch own, Told told) LARDER_EXCLUDES(mutex_);
  // Whether that epoch of this node's is yet to be told of, and (IsBehind) was acknowledged before.
  bool IsPending(const object::ObjectId& id, object::Epoch own) const LARDER_EXCLUDES(mutex_);
  bool IsBehind(const object::ObjectId& id, object::Epoch own) const LARDER_EXCLUDES(mutex_);
  // The cluster does not know it: it is to be told of yet, or lost to another.
  bool IsOnlyHere(const object::ObjectId& id) const LARDER_EXCLUDES(mutex_);
  // This node's epoch of what is to be told yet; 0: nothing is.
  object::Epoch PendingEpoch(const object::ObjectId& id) const LARDER_EXCLUDES(mutex_);
  // Between Hold and Release, or ForgetIf, no attempt for that epoch of this node's begins: its end is being told.
  void Hold(const object::ObjectId& id, object::Epoch own) LARDER_EXCLUDES(mutex_);
  void Release(const object::ObjectId& id, object::Epoch own) LARDER_EXCLUDES(mutex_);
  // Nothing more is told of that epoch of this node's: it is here no more.
  void ForgetIf(const object::ObjectId& id, object::Epoch own) LARDER_EXCLUDES(mutex_);
  // Objects that another node's were preferred to: they are only here.
  bool InConflict(const object::ObjectId& id) const LARDER_EXCLUDES(mutex_);
  // How many are to be told of yet.
  size_t pending() const LARDER_EXCLUDES(mutex_);
  // Tries again what is due; how long until the next is.
  base::Duration Tick() LARDER_EXCLUDES(mutex_);

 private:
  struct Waiting {
    Told told;
    base::Deadline until;
  };
  struct Pending {
    Publication publication;
    std::vector<Waiting> waiting;
    int failures = 0;
    std::optional<base::MonotonicTime> again;  // none: under way
    int holds = 0;
    bool unknown = false;  // an attempt may have been done
  };
  using Pendings = std::map<object::ObjectId, Pending>;

  Pendings::iterator Find(const object::ObjectId& id, object::Epoch own) LARDER_REQUIRES(mutex_);
  void AddWaiting(Pending& pending, Told told) LARDER_REQUIRES(mutex_);
  void TryAgain(Pending& pending, base::MonotonicTime at) LARDER_REQUIRES(mutex_);
  void Tell(const Publication& publication);
  // The right to create was over when it was to be used.
  void OnRightLost(const Publication& publication, const absl::Status& why) LARDER_EXCLUDES(mutex_);
  void Abandon(const object::ObjectId& id, object::Epoch right);
  void OnTold(const Publication& publication, absl::StatusOr<object::TrackedAs> result) LARDER_EXCLUDES(mutex_);

  ClusterRegistry& registry_;
  const base::Clock& clock_;
  Tracked tracked_;
  mutable base::Mutex mutex_;
  Pendings pending_ LARDER_GUARDED_BY(mutex_);
  // When to look at which; some for nothing.
  std::multimap<base::MonotonicTime, object::ObjectId> wake_ LARDER_GUARDED_BY(mutex_);
  std::map<object::ObjectId, object::Epoch> conflicts_ LARDER_GUARDED_BY(mutex_);  // with this node's epoch
};

}  // namespace larder::cache_agent
