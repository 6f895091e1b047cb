#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "larder/observe/registry.h"

namespace larder::swarm {

enum class Direction : uint8_t { kIn, kOut };
enum class PieceResult : uint8_t { kOk, kMismatch, kDuplicate };
std::string_view LabelText(Direction direction);
std::string_view LabelText(PieceResult result);

// larder_transfer_*, larder_swarm_*, where the other side is a node. Thread-safe.
class Metrics {
 public:
  explicit Metrics(observe::Registry& registry);
  void Moved(Direction direction, uint64_t bytes) { bytes_[static_cast<size_t>(direction)]->Increment(bytes); }
  // A piece that was received whole.
  void Received(PieceResult result) { pieces_[static_cast<size_t>(result)]->Increment(); }
  // A piece, or part of one, with a wrong checksum.
  void Mismatch() { mismatches_.Increment(); }
  void Straggler() { stragglers_.Increment(); }
  void DuplicateBytes(uint64_t bytes) { duplicate_bytes_.Increment(bytes); }

 private:
  std::array<observe::Counter*, 2> bytes_;   // by Direction
  std::array<observe::Counter*, 3> pieces_;  // by PieceResult
  observe::Counter& mismatches_;
  observe::Counter& stragglers_;
  observe::Counter& duplicate_bytes_;
};

}  // namespace larder::swarm
