#pragma once
#include <absl/status/statusor.h>

#include "larder/agent/v1/agent.pb.h"
#include "larder/object/object.h"

namespace larder::cli {

// What agents tell of objects. Pure. DATA_LOSS (BAD_ANSWER) for what no agent says.
absl::StatusOr<object::ObjectInfo> FromProto(const agent::v1::Object& proto);
object::Placement FromProto(const agent::v1::Placement& proto);

}  // namespace larder::cli
