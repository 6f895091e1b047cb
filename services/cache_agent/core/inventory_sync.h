#pragma once
#include <absl/status/status.h>

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "core/cluster_registry.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/object/object.h"

namespace larder::cache_agent {

// Makes the cluster's list of this node's copies agree with what is here, after the node has registered or missed
// something: in passes, each of which compares the sums of 256 buckets and goes through those that differ. Also tells
// the cluster of copies that go, until it is heard: a pass does not find those of which the cluster was told since the
// node registered. The registry's rule is kept that none is given up while a pass is under way
// (services/tracker/core/inventory_commands.h). Thread-safe; no callback comes under a lock.
class InventorySync {
 public:
  // Whether a copy is here (again).
  enum class Presence { kGone, kHere, kUndecided };
  struct Node {
    std::function<Presence(const object::ObjectId&, const object::TrackedAs&)> presence;
    // All copies here that the cluster was told of; in any order. May take long.
    std::function<std::vector<object::TrackedAs>()> copies;
    // What a pass found here that the cluster has no use for: deleted, or superseded. Must not block.
    std::function<void(const std::set<object::TrackedAs>&)> over;
  };

  // Borrows registry and clock.
  InventorySync(ClusterRegistry& registry, const base::Clock& clock, Node node);

  // A pass is needed; it begins with one of the next Ticks.
  void Request() LARDER_EXCLUDES(mutex_);
  // The copy is here no more. Above a million that wait, it is not told, and a reader finds it out.
  void GiveUp(const object::ObjectId& id, const object::TrackedAs& copy) LARDER_EXCLUDES(mutex_);
  // Asks the cluster which of these copies, all here still, may go. Those that may are on its list no more: `done`
  // takes them away before it returns. None may while a pass is needed, or under way.
  void Offer(std::vector<std::pair<object::ObjectId, object::TrackedAs>> copies, object::Done<std::vector<bool>> done)
      LARDER_EXCLUDES(mutex_);
  // Begins what is due.
  void Tick() LARDER_EXCLUDES(mutex_);

 private:
  struct Pass {
    std::array<std::vector<object::TrackedAs>, object::kInventoryBuckets> copies;  // in their order
    object::InventorySums sums{};
    std::vector<uint8_t> differing;  // to be gone through
    std::set<object::TrackedAs> over;
  };
  using PassPtr = std::shared_ptr<Pass>;
  using Gone = std::pair<object::ObjectId, object::TrackedAs>;

  PassPtr Begin();
  void OnSums(const PassPtr& pass, const absl::StatusOr<object::InventorySums>& there);
  void OnCompared(const PassPtr& pass, const absl::StatusOr<std::vector<uint8_t>>& differing);
  void SendPage(const PassPtr& pass, object::BlobId from);
  void OnPage(const PassPtr& pass, const absl::StatusOr<InventoryAnswer>& answer);
  void End(const PassPtr& pass, const absl::Status& status) LARDER_EXCLUDES(mutex_);
  // Tells what waits, as far as it may be told now.
  void TellGone() LARDER_EXCLUDES(mutex_);
  void OnGiven(Gone gone, const absl::Status& told) LARDER_EXCLUDES(mutex_);

  ClusterRegistry& registry_;
  const base::Clock& clock_;
  const Node node_;
  base::Mutex mutex_;
  bool wanted_ LARDER_GUARDED_BY(mutex_) = false;
  bool running_ LARDER_GUARDED_BY(mutex_) = false;
  base::MonotonicTime pass_at_ LARDER_GUARDED_BY(mutex_);  // not before
  int failures_ LARDER_GUARDED_BY(mutex_) = 0;             // of passes, in a row
  std::deque<Gone> gone_ LARDER_GUARDED_BY(mutex_);        // to be told
  size_t telling_ LARDER_GUARDED_BY(mutex_) = 0;           // told or offered, and not answered
  base::MonotonicTime tell_at_ LARDER_GUARDED_BY(mutex_);  // not before
  int refusals_ LARDER_GUARDED_BY(mutex_) = 0;             // of what was told, in a row
};

}  // namespace larder::cache_agent
