#include "rpc/tracker_proto.h"

#include <chrono>

#include "larder/base/status.h"

namespace larder::peer_manager {

namespace tv1 = larder::tracker::v1;

namespace {

int64_t Milliseconds(base::Duration time) { return time / std::chrono::milliseconds(1); }

absl::Status BadAnswer() {
  return base::Error(absl::StatusCode::kInternal, "BAD_ANSWER",
                     "the tracker answered something else than it was asked");
}

}  // namespace

tv1::ApplyRequest GrantRequest(const std::string& holder, base::Duration ttl) {
  tv1::ApplyRequest request;
  tv1::GrantLease& lease = *request.add_commands()->mutable_grant_lease();
  lease.set_name(kLeaderLease);
  lease.set_holder(holder);
  lease.set_ttl_ms(Milliseconds(ttl));
  return request;
}

tv1::ApplyRequest RenewRequest(Term term, base::Duration ttl) {
  tv1::ApplyRequest request;
  tv1::RenewLease& lease = *request.add_commands()->mutable_renew_lease();
  lease.set_name(kLeaderLease);
  lease.set_token(term.value);
  lease.set_ttl_ms(Milliseconds(ttl));
  return request;
}

tv1::ApplyRequest ReleaseRequest(Term term) {
  tv1::ApplyRequest request;
  tv1::ReleaseLease& lease = *request.add_commands()->mutable_release_lease();
  lease.set_name(kLeaderLease);
  lease.set_token(term.value);
  return request;
}

tv1::ApplyRequest FenceRequest(const NodeRef& node, Term term) {
  tv1::ApplyRequest request;
  request.mutable_fence()->set_lease(kLeaderLease);
  request.mutable_fence()->set_token(term.value);
  tv1::NodeRef& fenced = *request.add_commands()->mutable_fence_node()->mutable_node();
  fenced.set_node(node.node);
  fenced.set_epoch(node.epoch.value);
  return request;
}

absl::StatusOr<tv1::Result> ResultOf(const tv1::ApplyResponse& response) {
  if (response.results_size() != 1) return BadAnswer();
  const tv1::Result& result = response.results(0);
  if (!result.has_refusal()) return result;
  const tv1::Refusal& refusal = result.refusal();
  return base::MakeError(static_cast<absl::StatusCode>(refusal.code()), refusal.reason(), refusal.message());
}

absl::StatusOr<Term> TermOf(const tv1::Result& result) {
  if (!result.has_lease_granted()) return BadAnswer();
  return Term{result.lease_granted().token()};
}

std::optional<LeaderLease> FindLease(const tv1::ListLeasesResponse& page) {
  for (const tv1::Lease& lease : page.leases()) {
    if (lease.name() != kLeaderLease) continue;
    return LeaderLease{
        .holder = lease.holder(), .term = {lease.token()}, .left = std::chrono::milliseconds(lease.left_ms())};
  }
  return std::nullopt;
}

TrackedNode FromProto(const tv1::Node& node) {
  return {.name = node.name(),
          .epoch = {node.epoch()},
          .incarnation = node.incarnation(),
          .fenced = node.fenced(),
          .draining = node.draining(),
          .quarantined = node.quarantined(),
          .place = {.address = node.address(), .zone = node.zone(), .rack = node.rack()},
          .since_seen = std::chrono::milliseconds(node.last_seen_ms())};
}

}  // namespace larder::peer_manager
