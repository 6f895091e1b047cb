#include "larder/swarm/metrics.h"

namespace larder::swarm {
namespace {

enum class Source : uint8_t { kPeer };
std::string_view LabelText(Source) { return "peer"; }

constexpr observe::CounterDecl<Direction, Source> kBytes = {
    .name = "larder_transfer_bytes_total",
    .help = "Bytes of objects received (in) and sent (out), by what the other side is.",
    .labels = {"direction", "source"}};
constexpr observe::CounterDecl<PieceResult> kPieces = {
    .name = "larder_transfer_pieces_total",
    .help = "Pieces received whole. ok: kept; mismatch: not what the manifest says; duplicate: another was first.",
    .labels = {"result"}};
constexpr observe::CounterDecl<> kMismatches = {
    .name = "larder_transfer_digest_mismatch_total",
    .help = "Pieces, or parts of some, whose checksum was wrong; they were dropped and fetched elsewhere."};
constexpr observe::CounterDecl<> kStragglers = {
    .name = "larder_swarm_stragglers_total",
    .help = "Parents whose requests went to others because they were far slower than those."};
constexpr observe::CounterDecl<> kDuplicateBytes = {.name = "larder_swarm_duplicate_bytes_total",
                                                    .help = "Bytes received that another parent's had made needless."};

}  // namespace

std::string_view LabelText(Direction direction) { return direction == Direction::kIn ? "in" : "out"; }

std::string_view LabelText(PieceResult result) {
  switch (result) {
    case PieceResult::kOk:
      return "ok";
    case PieceResult::kMismatch:
      return "mismatch";
    case PieceResult::kDuplicate:
      return "duplicate";
  }
  return "ok";
}

Metrics::Metrics(observe::Registry& registry)
    : mismatches_(registry.Add(kMismatches)),
      stragglers_(registry.Add(kStragglers)),
      duplicate_bytes_(registry.Add(kDuplicateBytes)) {
  const observe::Counters<Direction, Source> bytes = registry.Add(kBytes);
  for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = &bytes.With(static_cast<Direction>(i), Source::kPeer);
  const observe::Counters<PieceResult> pieces = registry.Add(kPieces);
  for (size_t i = 0; i < pieces_.size(); ++i) pieces_[i] = &pieces.With(static_cast<PieceResult>(i));
}

}  // namespace larder::swarm
