#pragma once
#include <absl/status/status.h>

#include <vector>

#include "core/reply.h"
#include "larder/tracker/v1/tracker.pb.h"

namespace larder::tracker {

// What became of the commands of a request. Replies are those of commands that a request can hold. Pure.
v1::ApplyResponse ToProto(const std::vector<Reply>& replies);
// An error, where it ends no call. Pure.
v1::Failure ToProto(const absl::Status& error);

}  // namespace larder::tracker
