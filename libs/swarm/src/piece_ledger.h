#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "larder/swarm/fetch.h"
#include "src/frames.h"

namespace larder::swarm {

// A run of pieces that one parent was asked for, and how far it has come. Its first piece is the one that arrives.
struct Flight {
  uint32_t request = 0;
  uint32_t giver = 0;  // the parent's number
  PieceRun rest;       // pieces that are not whole
  // Of the first of them: bytes that are there, their CRC-32C, and whether this parent gave them all.
  uint32_t received = 0;
  uint32_t crc = 0;
  bool alone = true;
  // Another flight writes to the piece's place: these bytes, from `copy_from` on, are kept beside it.
  bool duplicate = false;
  uint32_t copy_from = 0;
  std::vector<std::byte> copy;
};

// Which pieces of an object are verified, under way, begun, or still wanted. What a piece has when its flight ends is
// kept, and the next one goes on from there. One thread.
class PieceLedger {
 public:
  // `held` are verified already; none is to be fetched yet.
  PieceLedger(std::shared_ptr<const Manifest> manifest, Destination& destination, PieceSet held);
  // These are to be fetched, too, as far as there are such; `urgent`: before all others.
  void Want(PieceRun pieces, bool urgent = false);

  const Manifest& manifest() const { return *manifest_; }
  const std::shared_ptr<PieceMap>& map() const { return map_; }
  // Of those to fetch, what is neither verified nor under way.
  const PieceSet& wanted() const { return wanted_; }
  // Of those that are wanted or were, the urgent ones.
  const PieceSet& urgent() const { return urgent_; }
  const PieceSet& held() const { return held_; }
  bool complete() const { return held_.full(); }  // the object is
  bool satisfied() const { return left_ == 0; }   // what is to be fetched
  // The first that is not verified, of those to fetch; as many as there are, if all are.
  uint32_t FirstMissing() const;

  // The pieces are under way from now on: the run, or less of it, where a later piece has begun already. Others are
  // told that they arrive if their giver has them, and not where it awaits them, too: so nobody waits for itself.
  Flight Begin(PieceRun run, uint32_t giver, bool giver_has = true);
  // The same piece a second time, from the byte that `first` has come to in the piece's place.
  Flight BeginDuplicate(uint32_t piece, uint32_t giver, const Flight& first);
  bool FliesOnce(uint32_t piece) const { return flying_[piece] == 1; }
  // The flight is over: what it did not bring is wanted again.
  void End(const Flight& flight);

  // Where the bytes go that the flight's parent says it sends now: of the `size` after the first `part`, as many as lie
  // together. None if they are not the next ones.
  std::optional<base::MutableByteSpan> Room(Flight& flight, const PieceFrame& frame, uint32_t part, uint32_t size);
  enum class Outcome : uint8_t {
    kMore,      // the piece is not whole
    kVerified,  // it is
    kLie,       // it is wrong, and this parent gave all of it
    kMixed,     // it is wrong, and it is not known by whose bytes
  };
  // The next `size` bytes, with this CRC-32C, lie where Room said. A piece that is wrong is wanted again, from its
  // start. An error is the destination's.
  absl::StatusOr<Outcome> Arrived(Flight& flight, uint32_t size, uint32_t crc);

 private:
  struct Begun {
    uint32_t received = 0;
    uint32_t crc = 0;
    bool alone = true;
    uint32_t giver = 0;
  };
  void StopFlying(uint32_t piece);
  // Puts what a duplicate has brought to the piece's place.
  void CopyToPlace(const Flight& flight, uint32_t piece);

  const std::shared_ptr<const Manifest> manifest_;
  Destination& destination_;
  PieceSet to_fetch_;
  PieceSet held_;
  PieceSet wanted_;
  PieceSet urgent_;
  uint32_t left_ = 0;  // to fetch, not verified
  const std::shared_ptr<PieceMap> map_;
  std::vector<uint8_t> flying_;  // flights per piece
  std::unordered_map<uint32_t, Begun> begun_;
};

}  // namespace larder::swarm
