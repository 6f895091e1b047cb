#pragma once
#include <absl/status/status.h>

#include "core/ids.h"
#include "core/table.h"
#include "larder/raft/node.h"
#include "larder/tracker/v1/tracker.pb.h"

// How each question is answered from a snapshot: validate, translate, ask, translate; a source for each. Errors are as
// in tracker.proto, and the table's. What is left and what has passed is counted from `now`, not before the snapshot's
// own. Pure.
namespace larder::tracker {

absl::Status Answer(Reader& snapshot, LogTime now, const v1::LocateRequest& request, v1::LocateResponse& response);
absl::Status Answer(Reader& snapshot, LogTime now, const v1::StatRequest& request, v1::StatResponse& response);
absl::Status Answer(Reader& snapshot, LogTime now, const v1::ListRequest& request, v1::ListResponse& response);
absl::Status Answer(Reader& snapshot, LogTime now, const v1::ListStagedRequest& request,
                    v1::ListStagedResponse& response);
absl::Status Answer(Reader& snapshot, LogTime now, const v1::ListNodesRequest& request,
                    v1::ListNodesResponse& response);
absl::Status Answer(Reader& snapshot, LogTime now, const v1::ListLeasesRequest& request,
                    v1::ListLeasesResponse& response);
absl::Status Answer(Reader& snapshot, LogTime now, const v1::GetPlanRequest& request, v1::GetPlanResponse& response);
absl::Status Answer(Reader& snapshot, LogTime now, const v1::ListEndedTicketsRequest& request,
                    v1::ListEndedTicketsResponse& response);
absl::Status Answer(Reader& snapshot, LogTime now, const v1::GetInventoryRequest& request,
                    v1::GetInventoryResponse& response);

// Status needs no snapshot.
v1::StatusResponse ToProto(const raft::NodeStatus& status);

}  // namespace larder::tracker
