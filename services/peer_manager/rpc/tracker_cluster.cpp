#include "rpc/tracker_cluster.h"

#include <grpcpp/channel.h>
#include <grpcpp/support/client_callback.h>

#include <utility>

#include "larder/base/status.h"
#include "larder/rpc/channel.h"
#include "rpc/tracker_proto.h"

namespace larder::peer_manager {

namespace tv1 = larder::tracker::v1;

namespace {

// Another tracker may do better. One with a reason of its own has answered.
bool IsDeaf(const absl::Status& status) {
  const std::string reason = base::Reason(status);
  if (reason == "STOPPING" || reason == "TRACKER_NO_QUORUM") return true;
  return reason.empty() && (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status));
}

}  // namespace

// The nodes of the pages so far.
struct TrackerCluster::Reading {
  tv1::ListNodesRequest next;
  std::vector<TrackedNode> nodes;
  Done<absl::StatusOr<std::vector<TrackedNode>>> done;
};

TrackerCluster::TrackerCluster(TrackerOptions options) : options_(std::move(options)) {
  for (const std::string& address : options_.addresses) stubs_.push_back(tv1::Tracker::NewStub(rpc::Dial(address)));
}

void TrackerCluster::TurnFrom(size_t asked) {
  base::MutexLock lock(mutex_);
  if (asked == current_) current_ = (current_ + 1) % stubs_.size();
}

template <typename Request, typename Response, typename Begin>
void TrackerCluster::Call(Request request, base::Duration patience, Done<absl::StatusOr<Response>> done,
                          const Begin& begin) {
  size_t at = 0;
  {
    base::MutexLock lock(mutex_);
    at = current_;
  }
  calls_.Ask<Request, Response>(
      std::move(request), patience,
      [this, at, done = std::move(done)](absl::StatusOr<Response> response) {
        if (IsDeaf(response.status())) TurnFrom(at);
        done(std::move(response));
      },
      [&](auto* context, auto* sent, auto* received, auto then) {
        begin(*stubs_[at], context, sent, received, std::move(then));
      });
}

void TrackerCluster::Apply(tv1::ApplyRequest request, base::Duration patience, Done<absl::StatusOr<tv1::Result>> done) {
  Call<tv1::ApplyRequest, tv1::ApplyResponse>(
      std::move(request), patience,
      [done = std::move(done)](const absl::StatusOr<tv1::ApplyResponse>& response) {
        done(response.ok() ? ResultOf(*response) : response.status());
      },
      [](Stub& stub, auto* context, auto* sent, auto* received, auto then) {
        stub.async()->Apply(context, sent, received, std::move(then));
      });
}

void TrackerCluster::Grant(const std::string& holder, base::Duration ttl, Done<absl::StatusOr<Term>> done) {
  Apply(GrantRequest(holder, ttl), options_.lease_patience,
        [done = std::move(done)](const absl::StatusOr<tv1::Result>& result) {
          done(result.ok() ? TermOf(*result) : result.status());
        });
}

void TrackerCluster::Renew(Term term, base::Duration ttl, Done<absl::Status> done) {
  Apply(RenewRequest(term, ttl), options_.lease_patience,
        [done = std::move(done)](const absl::StatusOr<tv1::Result>& result) { done(result.status()); });
}

void TrackerCluster::Release(Term term, Done<absl::Status> done) {
  Apply(ReleaseRequest(term), options_.lease_patience,
        [done = std::move(done)](const absl::StatusOr<tv1::Result>& result) { done(result.status()); });
}

void TrackerCluster::Fence(const NodeRef& node, Term term, Done<absl::Status> done) {
  Apply(FenceRequest(node, term), options_.patience,
        [done = std::move(done)](const absl::StatusOr<tv1::Result>& result) { done(result.status()); });
}

void TrackerCluster::Look(Done<absl::StatusOr<std::optional<LeaderLease>>> done) { LookAt({}, std::move(done)); }

void TrackerCluster::LookAt(tv1::ListLeasesRequest page, Done<absl::StatusOr<std::optional<LeaderLease>>> done) {
  Call<tv1::ListLeasesRequest, tv1::ListLeasesResponse>(
      std::move(page), options_.lease_patience,
      [this, done = std::move(done)](const absl::StatusOr<tv1::ListLeasesResponse>& response) {
        if (!response.ok()) return done(response.status());
        const std::optional<LeaderLease> found = FindLease(*response);
        if (found || response->next_page_token().empty()) return done(found);
        tv1::ListLeasesRequest next;
        next.set_page_token(response->next_page_token());
        LookAt(std::move(next), done);
      },
      [](Stub& stub, auto* context, auto* sent, auto* received, auto then) {
        stub.async()->ListLeases(context, sent, received, std::move(then));
      });
}

void TrackerCluster::Nodes(Done<absl::StatusOr<std::vector<TrackedNode>>> done) {
  const auto reading = std::make_shared<Reading>();
  reading->done = std::move(done);
  ReadOn(reading);
}

void TrackerCluster::ReadOn(const std::shared_ptr<Reading>& reading) {
  Call<tv1::ListNodesRequest, tv1::ListNodesResponse>(
      reading->next, options_.patience,
      [this, reading](const absl::StatusOr<tv1::ListNodesResponse>& response) {
        if (!response.ok()) return reading->done(response.status());
        for (const tv1::Node& node : response->nodes()) reading->nodes.push_back(FromProto(node));
        if (response->next_page_token().empty()) return reading->done(std::move(reading->nodes));
        reading->next.set_page_token(response->next_page_token());
        ReadOn(reading);
      },
      [](Stub& stub, auto* context, auto* sent, auto* received, auto then) {
        stub.async()->ListNodes(context, sent, received, std::move(then));
      });
}

}  // namespace larder::peer_manager
