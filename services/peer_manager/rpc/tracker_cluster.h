#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "larder/base/mutex.h"
#include "larder/rpc/outgoing_calls.h"
#include "larder/tracker/v1/tracker.grpc.pb.h"

namespace larder::peer_manager {

struct TrackerOptions {
  std::vector<std::string> addresses;  // HOST:PORT of one or more trackers
  base::Duration lease_patience{};     // for what is about the lease: several fit into one
  base::Duration patience{};           // for the rest
};

// The trackers, over gRPC: one of them at a time, the next where that does not answer, or has no quorum. `done`s run on
// gRPC's threads, and must not block. Thread-safe.
class TrackerCluster final : public Cluster {
 public:
  explicit TrackerCluster(TrackerOptions options);
  // Its end cancels what is under way, and waits for that.

  void Look(Done<absl::StatusOr<std::optional<LeaderLease>>> done) override;
  void Grant(const std::string& holder, base::Duration ttl, Done<absl::StatusOr<Term>> done) override;
  void Renew(Term term, base::Duration ttl, Done<absl::Status> done) override;
  void Release(Term term, Done<absl::Status> done) override;
  void Fence(const NodeRef& node, Term term, Done<absl::Status> done) override;
  void Nodes(Done<absl::StatusOr<std::vector<TrackedNode>>> done) override;

 private:
  using Stub = tracker::v1::Tracker::Stub;
  struct Reading;

  // `begin` starts the call on the stub that it is given.
  template <typename Request, typename Response, typename Begin>
  void Call(Request request, base::Duration patience, Done<absl::StatusOr<Response>> done, const Begin& begin)
      LARDER_EXCLUDES(mutex_);
  void Apply(tracker::v1::ApplyRequest request, base::Duration patience,
             Done<absl::StatusOr<tracker::v1::Result>> done);
  void LookAt(tracker::v1::ListLeasesRequest page, Done<absl::StatusOr<std::optional<LeaderLease>>> done);
  void ReadOn(const std::shared_ptr<Reading>& reading);
  // The one that was asked cannot help: the next is asked from now on.
  void TurnFrom(size_t asked) LARDER_EXCLUDES(mutex_);

  const TrackerOptions options_;
  std::vector<std::unique_ptr<Stub>> stubs_;
  base::Mutex mutex_;
  size_t current_ LARDER_GUARDED_BY(mutex_) = 0;
  rpc::OutgoingCalls calls_;  // last: it waits for what uses the above
};

}  // namespace larder::peer_manager
