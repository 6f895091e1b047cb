#pragma once
#include <algorithm>
#include <cstdint>

#include "larder/base/clock.h"

namespace larder::raft {

// What a loop that slept has to count: ticks before the messages that it finds then, and one after them.
struct PassedTicks {
  uint64_t before = 0;
  bool after = false;
  bool operator==(const PassedTicks&) const = default;
};

// It slept so long, and meant to wake with the tick `quiet`, the first that does more than count (Replica::QuietTicks).
// After a stall that one is yet to come, unless this member leads: what a leader said meanwhile is heard first, and a
// leader's heartbeat is late already.
inline PassedTicks TicksIn(base::Duration slept, base::Duration tick, uint64_t quiet, bool leads) {
  const auto passed = static_cast<uint64_t>(slept / tick);
  const bool stalled = passed > quiet && quiet > 1 && !leads;
  return {.before = std::min(passed, quiet - 1), .after = passed >= quiet && !stalled};
}

}  // namespace larder::raft
