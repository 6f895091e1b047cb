#pragma once
#include <absl/status/status.h>

#include "core/watch.h"
#include "larder/tracker/v1/tracker.pb.h"

// A watch as messages and as values. Pure.
namespace larder::tracker {

WatchPosition FromProto(const v1::WatchPosition& position);
// INVALID_ARGUMENT (BAD_FIELD): a kind that is none, or a name that is too long for one.
absl::Status FromProto(const v1::WatchRequest& request, WatchFilter& filter);

v1::WatchPosition ToProto(const WatchPosition& position);
v1::WatchResponse ToProto(const WatchPage& page);

}  // namespace larder::tracker
