#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>
#include <string>

#include "core/cluster.h"
#include "core/node.h"
#include "larder/tracker/v1/tracker.pb.h"

// What the manager asks of the tracker, in the tracker's messages. Pure.
namespace larder::peer_manager {

// The name of the lease by which managers lead.
inline constexpr char kLeaderLease[] = "peer_manager";

tracker::v1::ApplyRequest GrantRequest(const std::string& holder, base::Duration ttl);
tracker::v1::ApplyRequest RenewRequest(Term term, base::Duration ttl);
tracker::v1::ApplyRequest ReleaseRequest(Term term);
// Done only while the lease is that of the term.
tracker::v1::ApplyRequest FenceRequest(const NodeRef& node, Term term);

// The result of a request's one command: a refusal as an error with its reason. INTERNAL (BAD_ANSWER) if there is none.
absl::StatusOr<tracker::v1::Result> ResultOf(const tracker::v1::ApplyResponse& response);
absl::StatusOr<Term> TermOf(const tracker::v1::Result& result);
// The managers' lease, if it is in the page.
std::optional<LeaderLease> FindLease(const tracker::v1::ListLeasesResponse& page);
TrackedNode FromProto(const tracker::v1::Node& node);

}  // namespace larder::peer_manager
