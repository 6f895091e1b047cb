#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "larder/swarm/fetch.h"
#include "src/piece_ledger.h"

namespace larder::swarm {

// What a fetch knows of one parent. Plain data.
struct FetchParent {
  enum class Phase : uint8_t {
    kWaiting,  // to be dialled at `dial_at`
    kDialling,
    kOpening,  // connected; its manifest is awaited
    kOpen,
    kOut,  // not asked again
  };
  uint32_t id = 0;
  Parent spec;
  Phase phase = Phase::kWaiting;
  base::MonotonicTime dial_at;
  int failures = 0;  // since it last gave a piece
  bool lied = false;
  absl::Status last_error;

  std::optional<PieceSet> held;  // none: all. Of who super-seeds: what it wants to be asked for
  bool super_seeds = false;      // it has all
  PieceSet arriving;
  std::vector<Flight> flights;    // in the order they were asked for
  base::MonotonicTime last_byte;  // or since when one is awaited
  base::MonotonicTime opened;     // when its manifest was asked for
  base::Duration round_trip{};

  std::optional<base::MonotonicTime> paused_since;  // by this node's rate limit, which keeps it from reading
  base::MonotonicTime resumed;                      // when that last ended

  base::MonotonicTime busy_since;  // without a pause in what it is asked for
  uint64_t bytes = 0;              // of pieces, since rates were last taken
  std::optional<double> rate;      // bytes per second, when it was last busy all the time
  int slow = 0;                    // times in a row that it was far slower than the others
  base::MonotonicTime slow_until;

  bool connected() const { return phase == Phase::kDialling || phase == Phase::kOpening || phase == Phase::kOpen; }
  bool Holds(uint32_t piece) const { return !held || held->Has(piece); }
  uint32_t asked() const {
    uint32_t pieces = 0;
    for (const Flight& flight : flights) pieces += flight.rest.count;
    return pieces;
  }
  // How fast it is cannot be seen: it was paused after `since`.
  bool limited(base::MonotonicTime since) const { return paused_since.has_value() || resumed > since; }
  // It waits, at the parent, for a piece that the parent does not have yet.
  bool awaits_arriving() const { return !flights.empty() && !Holds(flights.front().rest.first); }
  // When it was silent for too long; never while nothing is awaited.
  base::Deadline StallAt(base::Duration stall) const {
    const bool awaited = connected() && !paused_since && (phase != Phase::kOpen || !flights.empty());
    return awaited ? base::DeadlineAfter(last_byte, stall) : base::kNoDeadline;
  }
};

}  // namespace larder::swarm
