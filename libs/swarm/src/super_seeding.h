#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "larder/base/clock.h"
#include "larder/swarm/piece_set.h"

namespace larder::swarm {

// Objects of fewer pieces are given as they are asked for: there is nothing to spread.
inline constexpr uint32_t kFewestSeeded = 16;

// Super-seeding: which pieces of its complete copy a parent tells which child of. Each piece is offered to one child
// first, and few at a time, so that each leaves whole, and soon; the others have it from there. Who takes nothing of
// what it was offered for as long as `patience` is offered everything, and keeps others from nothing. Pure; one thread.
class SuperSeeding {
 public:
  using Child = uint64_t;
  using Now = base::MonotonicTime;

  SuperSeeding(uint32_t pieces, uint64_t seed, Now now, base::Duration patience);

  void Join(Child child, Now now);
  // What it was offered and did not get goes to others.
  void Leave(Child child);
  // It asks for pieces, maybe for some that it was not told of.
  void Asked(Child child, PieceRun run, Now now);
  // Something was sent to it,
  void Moved(Child child, Now now);
  // and all of a piece.
  void Sent(Child child, uint32_t piece, Now now);
  // Offers what is to be offered now; those whose told() has grown. After each change, and a few times a second.
  std::vector<Child> Advance(Now now);

  const PieceSet& told(Child child) const { return children_.at(child).told; }
  // Each piece has left: whoever joins now may as well be told of everything.
  bool over() const { return over_since_.has_value(); }

 private:
  struct Due {
    uint32_t piece = 0;
    Now since;
    bool asked = false;
  };
  struct ChildState {
    PieceSet told;
    std::vector<Due> due;  // offered to it first, and not sent yet
    uint32_t offered = 0;  // first, in all
    Now moved;             // when something was sent to it, or it was first offered something again
  };
  // A piece takes far longer than others did: another may be offered meanwhile.
  bool IsLate(const Due& due, Now now) const;
  void Offer(ChildState& state, uint32_t piece, bool asked, Now now);
  void TakeBack(ChildState& state);
  // The next child to be offered a piece that it was not told of, and the piece's place in fresh_.
  ChildState* Next(Now now, size_t& place, Child& child);

  const uint32_t pieces_;
  std::mt19937_64 random_;
  std::vector<uint32_t> fresh_;  // offered to nobody; the last is the next
  std::map<Child, ChildState> children_;
  uint32_t most_due_;  // of all children together, as long as it suffices
  const base::Duration patience_;
  base::Duration pace_;  // of a piece, from offer to end, on average lately
  const Now begun_;
  std::optional<Now> over_since_;
};

}  // namespace larder::swarm
