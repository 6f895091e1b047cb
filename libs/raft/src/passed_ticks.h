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
// After a stall that one is yet to come: what the others said meanwhile is heard first.
inline PassedTicks TicksIn(base::Duration slept, base::Duration tick, uint64_t quiet) {
  const auto passed = static_cast<uint64_t>(slept / tick);
  const bool stalled = passed > quiet && quiet > 1;
  return {.before = std::min(passed, quiet - 1), .after = passed >= quiet && !stalled};
}

}  // namespace larder::raft
