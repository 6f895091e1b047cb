#include "src/piece_ledger.h"

#include <algorithm>
#include <utility>

#include "larder/base/digest.h"
#include "larder/base/status.h"

namespace larder::swarm {

PieceLedger::PieceLedger(std::shared_ptr<const Manifest> manifest, Destination& destination, PieceSet held)
    : manifest_(std::move(manifest)),
      destination_(destination),
      to_fetch_(manifest_->piece_count()),
      held_(std::move(held)),
      wanted_(manifest_->piece_count()),
      urgent_(manifest_->piece_count()),
      map_(std::make_shared<PieceMap>(held_)),
      flying_(manifest_->piece_count()) {}

void PieceLedger::Want(PieceRun pieces, bool urgent) {
  for (uint32_t piece = pieces.first; piece < to_fetch_.size() && pieces.Has(piece); ++piece) {
    if (urgent) urgent_.Add(piece);
    if (to_fetch_.Has(piece)) continue;
    to_fetch_.Add(piece);
    if (held_.Has(piece)) continue;
    wanted_.Add(piece);
    ++left_;
  }
}

uint32_t PieceLedger::FirstMissing() const {
  uint32_t piece = to_fetch_.NextFrom(0);
  while (piece < to_fetch_.size() && held_.Has(piece)) piece = to_fetch_.NextFrom(piece + 1);
  return piece;
}

Flight PieceLedger::Begin(PieceRun run, uint32_t giver, bool giver_has) {
  Flight flight{.giver = giver, .rest = {.first = run.first}};
  while (flight.rest.count < run.count) {
    const uint32_t piece = run.first + flight.rest.count;
    if (flight.rest.count > 0 && begun_.contains(piece)) break;
    ++flight.rest.count;
    ++flying_[piece];
    wanted_.Remove(piece);
    map_->Set(piece, giver_has ? PieceMap::State::kArriving : PieceMap::State::kAbsent);
  }
  if (const auto begun = begun_.find(run.first); begun != begun_.end()) {
    flight.received = begun->second.received;
    flight.crc = begun->second.crc;
    flight.alone = begun->second.alone && begun->second.giver == giver;
    begun_.erase(begun);
  }
  return flight;
}

Flight PieceLedger::BeginDuplicate(uint32_t piece, uint32_t giver, const Flight& first) {
  Flight flight{.giver = giver, .rest = {piece, 1}, .duplicate = true};
  // What a duplicate has brought lies beside the piece's place, not in it.
  if (!first.duplicate && first.rest.first == piece && first.received > 0) {
    flight.received = flight.copy_from = first.received;
    flight.crc = first.crc;
    flight.alone = false;
  }
  flight.copy.resize(manifest_->SizeOf(piece) - flight.copy_from);
  ++flying_[piece];
  return flight;
}

void PieceLedger::StopFlying(uint32_t piece) {
  if (--flying_[piece] > 0 || held_.Has(piece)) return;
  wanted_.Add(piece);
  map_->Set(piece, PieceMap::State::kAbsent);
}

void PieceLedger::End(const Flight& flight) {
  const uint32_t current = flight.rest.first;
  if (flight.rest.count > 0 && flight.received > 0 && !flight.duplicate && !held_.Has(current)) {
    begun_[current] = {.received = flight.received, .crc = flight.crc, .alone = flight.alone, .giver = flight.giver};
  }
  for (uint32_t i = 0; i < flight.rest.count; ++i) StopFlying(current + i);
}

std::optional<base::MutableByteSpan> PieceLedger::Room(Flight& flight, const PieceFrame& frame, uint32_t part,
                                                       uint32_t size) {
  const uint32_t piece = flight.rest.first;
  if (frame.piece != piece || frame.offset != flight.received) return std::nullopt;
  if (uint64_t{part} + size > manifest_->SizeOf(piece) - flight.received) return std::nullopt;
  const uint32_t from = flight.received + part;
  if (flight.duplicate) return std::span(flight.copy).subspan(from - flight.copy_from, size);
  return destination_.At(manifest_->OffsetOf(piece) + from, size);
}

void PieceLedger::CopyToPlace(const Flight& flight, uint32_t piece) {
  uint64_t to = manifest_->OffsetOf(piece) + flight.copy_from;
  for (base::ByteSpan rest(flight.copy); !rest.empty();) {
    const base::MutableByteSpan place = destination_.At(to, rest.size());
    std::ranges::copy(rest.first(place.size()), place.begin());
    rest = rest.subspan(place.size());
    to += place.size();
  }
}

absl::StatusOr<PieceLedger::Outcome> PieceLedger::Arrived(Flight& flight, uint32_t size, uint32_t crc) {
  const uint32_t piece = flight.rest.first;
  flight.crc = base::Crc32cCombine(flight.crc, crc, size);
  flight.received += size;
  if (flight.received < manifest_->SizeOf(piece)) return Outcome::kMore;
  const bool right = flight.crc == manifest_->pieces[piece];
  const bool alone = std::exchange(flight.alone, true);
  flight.rest = {piece + 1, flight.rest.count - 1};
  flight.received = flight.crc = 0;
  begun_.erase(piece);
  if (!right) {
    StopFlying(piece);
    return alone ? Outcome::kLie : Outcome::kMixed;
  }
  if (flight.duplicate) CopyToPlace(flight, piece);
  LARDER_RETURN_IF_ERROR(destination_.Verified(piece));
  held_.Add(piece);
  --left_;
  StopFlying(piece);
  map_->Set(piece, PieceMap::State::kHeld);
  return Outcome::kVerified;
}

}  // namespace larder::swarm
