#pragma once
#include <absl/status/statusor.h>

#include "core/consensus.h"
#include "larder/tracker/v1/tracker.pb.h"

namespace larder::tracker {

// A request of Apply as a change of the registry. INVALID_ARGUMENT: BAD_BATCH for no commands, or too many; BAD_FIELD
// for a field that no command can hold, named. What a command may not be is refused when it is applied. Pure.
absl::StatusOr<Proposal> FromProto(const v1::ApplyRequest& request);

}  // namespace larder::tracker
