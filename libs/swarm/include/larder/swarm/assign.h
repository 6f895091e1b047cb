#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "larder/swarm/piece_set.h"

namespace larder::swarm {

// How far a parent is.
enum class Distance : uint8_t { kRack = 0, kZone = 1, kElsewhere = 2 };

// What a child knows when it chooses what to ask of whom. Spans point into what the caller keeps.
struct AssignView {
  struct Parent {
    const PieceSet* held = nullptr;      // null: all
    const PieceSet* arriving = nullptr;  // null: none. Asked only for what nobody holds
    uint32_t free = 0;                   // pieces that it may be asked for now
    Distance distance = Distance::kElsewhere;
    double rate = 0;  // bytes per second of late; 0: not known
  };
  const PieceSet* wanted = nullptr;     // pieces that are not verified, not asked for, and within the range
  std::span<const uint32_t> in_flight;  // pieces asked of one parent only, which another may be asked for at the end
  std::span<const uint8_t> whose;       // and of which parent, by its number
  std::span<const Parent> parents;
  uint32_t run_length = 1;    // pieces of one request at most
  uint32_t first_pieces = 0;  // the first wanted ones in order, before the others: for who reads while it arrives
  uint32_t endgame = 4;       // once nothing is wanted and so many or fewer are in flight, these are asked for twice
  uint64_t seed = 0;          // of ties
};

// `parent` is to be asked for `run`.
struct Assignment {
  uint8_t parent = 0;
  PieceRun run;
  bool duplicate = false;
  bool operator==(const Assignment&) const = default;
};

inline constexpr size_t kMaxParents = 64;

// What to ask of whom now: the rarest pieces first, counting what was chosen before as one more copy, ties by chance;
// of those that have a piece the nearest parent, then the one with the most room for its rate. Nobody is asked for more
// than is free, nor for what it neither holds nor awaits; nothing is chosen twice. Pure: the same view gives the same
// answer.
std::vector<Assignment> Assign(const AssignView& view);

}  // namespace larder::swarm
