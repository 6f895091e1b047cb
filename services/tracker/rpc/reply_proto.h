#pragma once
#include <absl/status/status.h>

#include <cstddef>
#include <vector>

#include "core/reply.h"
#include "larder/tracker/v1/tracker.pb.h"

namespace larder::tracker {

// What became of the commands of a request. Of refusals' messages there are at most kMaxMessageText bytes, then none,
// so that an answer to any request fits into what gRPC carries. Pure.
inline constexpr size_t kMaxMessageText = 1 << 20;
v1::ApplyResponse ToProto(const std::vector<Reply>& replies);
// An error, where it ends no call. Pure.
v1::Failure ToProto(const absl::Status& error);

}  // namespace larder::tracker
