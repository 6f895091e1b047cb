#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "larder/swarm/piece_set.h"

namespace larder::swarm {

// How far a parent is.
enum class Distance : uint8_t { kRack = 0, kZone = 1, kElsewhere = 2 };

// What a child knows when it chooses what to ask of whom. Pointers and spans are to what the caller keeps; all sets are
// of the object's size.
struct AssignView {
  struct Parent {
    const PieceSet* held = nullptr;      // null: all
    const PieceSet* arriving = nullptr;  // null: none. Asked only for what none of the parents holds
    uint32_t free = 0;                   // pieces that it may be asked for now
    Distance distance = Distance::kElsewhere;
  };
  // A piece that was asked of one parent, by its number, and may be asked of a second.
  struct InFlight {
    uint32_t piece = 0;
    uint32_t parent = 0;
  };
  const PieceSet* wanted = nullptr;     // neither held nor asked for, and within the range
  std::span<const Parent> parents;      // kMaxParents at most
  uint32_t run_length = 1;              // pieces of one request, at most
  uint32_t lead_end = 0;                // pieces before this one go first, in order: somebody reads while they arrive
  const PieceSet* urgent = nullptr;     // these go next, the rarest first; null: none
  std::span<const InFlight> in_flight;  // asked for again, once nothing is wanted
  uint64_t seed = 0;                    // of ties
};
inline constexpr size_t kMaxParents = 64;

// The parent of that number is to be asked for `run`.
struct Assignment {
  uint32_t parent = 0;
  PieceRun run;
  bool duplicate = false;
  bool operator==(const Assignment&) const = default;
};

// What to ask of whom now. Runs of which a piece is rarest among the parents come first, ties by chance; of those that
// hold a piece the nearest is asked, then the one with the most room. Nobody is asked for more than is free, nor for
// what it neither holds nor awaits; nothing is chosen twice. Pure: the same view gives the same answer.
std::vector<Assignment> Assign(const AssignView& view);

}  // namespace larder::swarm
