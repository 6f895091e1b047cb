#pragma once
#include <optional>

#include "larder/agent/v1/agent.pb.h"

namespace larder::cli {

// What an agent did between two looks at it, per second.
struct Rates {
  double seconds = 0;               // between the two
  double gets = 0;                  // hits and misses
  std::optional<double> hit_ratio;  // 0 to 1; none without a get
  double puts = 0;                  // objects sealed
  double deletes = 0;
  double bytes_in = 0;
  double bytes_out = 0;
  double evicted = 0;    // objects
  double reclaimed = 0;  // leases
  double denied = 0;     // connections
  double failed = 0;     // requests, of whatever kind
};

// None if the agent was started anew between the two, or no time has passed by its clock. Pure.
std::optional<Rates> RatesBetween(const agent::v1::StatusResponse& before, const agent::v1::StatusResponse& after);

}  // namespace larder::cli
