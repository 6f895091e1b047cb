#pragma once
#include <compare>
#include <cstdint>
#include <limits>
#include <string>

#include "larder/base/clock.h"
#include "larder/object/ids.h"

namespace larder::tracker {

using object::BlobId;
using object::Epoch;
using object::ObjectId;

// These, blobs and epochs come from one counter of the registry and never repeat, not even after a restore. 0: none.
using NodeEpoch = object::StrongId<struct NodeEpochTag>;              // one registration of a node
using LocationVersion = object::StrongId<struct LocationVersionTag>;  // one state of a location
using LeaseToken = object::StrongId<struct LeaseTokenTag>;            // one grant of a named lease
using UploadTicket = object::StrongId<struct UploadTicketTag>;        // leave for one upload
using ClientSession = object::StrongId<struct ClientSessionTag>;      // a client's row of numbered requests

// A point of log time, the only time the registry knows: nanoseconds for which the group had a leader, as the leaders
// counted them. Each entry brings its own; it never goes back, and stands while there is no leader.
struct LogTime {
  uint64_t ns = 0;
  auto operator<=>(const LogTime&) const = default;
};
inline constexpr LogTime kNever{std::numeric_limits<uint64_t>::max()};

// `wait` (not negative) after `time`; kNever if that is too far.
inline LogTime After(LogTime time, base::Duration wait) {
  const auto ns = static_cast<uint64_t>(wait.count());
  return ns > kNever.ns - time.ns ? kNever : LogTime{time.ns + ns};
}

}  // namespace larder::tracker
