#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/leadership.h"
#include "core/node.h"
#include "larder/base/clock.h"

namespace larder::peer_manager {

// What a manager asks of the tracker. Nothing blocks; `done` comes in any case, once, on a thread of the cluster's or
// on the caller's. Errors have the tracker's reasons; DEADLINE_EXCEEDED and UNAVAILABLE mean that it may have been
// done. Thread-safe.
class Cluster {
 public:
  template <typename T>
  using Done = std::function<void(T)>;

  virtual ~Cluster() = default;

  // Who has the lease of the managers.
  virtual void Look(Done<absl::StatusOr<std::optional<LeaderLease>>> done) = 0;
  // HELD: another has it.
  virtual void Grant(const std::string& holder, base::Duration ttl, Done<absl::StatusOr<Term>> done) = 0;
  // TOKEN_STALE: the term is over. So with the next two.
  virtual void Renew(Term term, base::Duration ttl, Done<absl::Status> done) = 0;
  virtual void Release(Term term, Done<absl::Status> done) = 0;
  // FAILED_PRECONDITION (NODE_ALIVE), ABORTED (EPOCH_STALE), NOT_FOUND.
  virtual void Fence(const NodeRef& node, Term term, Done<absl::Status> done) = 0;
  // All nodes that ever registered.
  virtual void Nodes(Done<absl::StatusOr<std::vector<TrackedNode>>> done) = 0;
};

}  // namespace larder::peer_manager
