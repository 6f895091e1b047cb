#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "larder/base/clock.h"
#include "larder/tracker/v1/tracker.pb.h"

namespace larder::cli {

// How a tracker says that it is, or why it says nothing: UNAVAILABLE (NO_TRACKER, NO_ANSWER), UNIMPLEMENTED
// (OLD_TRACKER).
struct TrackerAnswer {
  std::string address;
  absl::StatusOr<tracker::v1::StatusResponse> status;
};

// Asks all at once, by gRPC, each for `patience`; needs no quorum. In the order of `addresses` (HOST:PORT).
std::vector<TrackerAnswer> AskTrackers(const std::vector<std::string>& addresses, base::Duration patience);

}  // namespace larder::cli
