#include "larder/swarm/assign.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>

namespace larder::swarm {
namespace {

// A well mixed number (splitmix64).
uint64_t Mixed(uint64_t value) {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9;
  value = (value ^ value >> 27) * 0x94D049BB133111EB;
  return value ^ value >> 31;
}

class Chooser {
 public:
  explicit Chooser(const AssignView& view) : view_(view), left_(*view.wanted) {
    for (const AssignView::Parent& parent : view.parents) free_.push_back(parent.free);
  }

  std::vector<Assignment> Choose() {
    if (left_.empty()) return ChooseDuplicates();
    const std::vector<Block> blocks = Blocks();
    ChooseRuns(blocks, true);
    ChooseRuns(blocks, false);  // last: who waits for what arrives must not be kept from what it could have now
    return std::move(chosen_);
  }

 private:
  // Pieces that one request may be for, as far as they are wanted.
  struct Block {
    uint32_t first;
    uint32_t end;
    uint32_t lead;    // in the order of these,
    uint32_t copies;  // then of these
    uint64_t tie;
  };
  static constexpr uint32_t kLast = std::numeric_limits<uint32_t>::max();

  void ChooseRuns(const std::vector<Block>& blocks, bool held) {
    for (const Block& block : blocks) {
      for (uint32_t piece = left_.NextFrom(block.first); piece < block.end; piece = left_.NextFrom(piece + 1)) {
        if (const auto parent = ParentFor(piece, held)) Take(*parent, piece, block.end, held);
      }
    }
  }
  bool Holds(uint32_t parent, uint32_t piece) const {
    const PieceSet* held = view_.parents[parent].held;
    return held == nullptr || held->Has(piece);
  }
  bool Awaits(uint32_t parent, uint32_t piece) const {
    const PieceSet* arriving = view_.parents[parent].arriving;
    return arriving != nullptr && arriving->Has(piece);
  }
  uint32_t Copies(uint32_t piece) const {
    uint32_t copies = 0;
    for (uint32_t parent = 0; parent < free_.size(); ++parent) copies += Holds(parent, piece) ? 1 : 0;
    return copies;
  }

  // Urgent ones are as good as each other: nobody reads them in their order, and many may wait for the same.
  uint32_t LeadOf(uint32_t piece) const {
    if (piece < view_.lead_end) return piece;
    return view_.urgent != nullptr && view_.urgent->Has(piece) ? kLast - 1 : kLast;
  }
  uint32_t Coming(uint32_t piece) const {
    uint32_t coming = 0;
    for (uint32_t parent = 0; parent < free_.size(); ++parent) coming += Awaits(parent, piece) ? 1 : 0;
    return coming;
  }

  // All that hold something wanted, in the order they are to be asked for.
  std::vector<Block> Blocks() const {
    std::vector<Block> blocks;
    for (uint32_t piece = left_.NextFrom(0); piece < left_.size(); piece = left_.NextFrom(piece + 1)) {
      const uint32_t first = piece - piece % view_.run_length;
      const uint32_t end = std::min(first + view_.run_length, left_.size());
      const uint32_t copies = Copies(piece) + Coming(piece);
      const uint32_t lead = LeadOf(piece);
      const bool same = !blocks.empty() && blocks.back().end == end;
      if (same && blocks.back().lead <= lead) {
        blocks.back().copies = std::min(blocks.back().copies, copies);
        continue;
      }
      if (same) blocks.back().end = piece;  // what nobody waits for does not go before it
      blocks.push_back({.first = same ? piece : first,
                        .end = end,
                        .lead = lead,
                        .copies = copies,
                        .tie = Mixed(view_.seed ^ Mixed(piece))});
    }
    std::ranges::sort(blocks, {}, [](const Block& block) { return std::tie(block.lead, block.copies, block.tie); });
    return blocks;
  }

  // Who has the piece; or, if not `held`, awaits it, and nobody has it.
  std::optional<uint32_t> ParentFor(uint32_t piece, bool held, std::optional<uint32_t> other_than = {}) const {
    if (!held && Copies(piece) > 0) return std::nullopt;
    std::optional<uint32_t> best;
    const auto rank = [&](uint32_t parent) {
      const uint32_t room = std::numeric_limits<uint32_t>::max() - free_[parent];
      return std::tuple(view_.parents[parent].distance, room, Mixed(view_.seed + Mixed(piece) + parent));
    };
    for (uint32_t parent = 0; parent < free_.size(); ++parent) {
      if (free_[parent] == 0 || parent == other_than) continue;
      if (held ? !Holds(parent, piece) : !Awaits(parent, piece)) continue;
      if (!best || rank(parent) < rank(*best)) best = parent;
    }
    return best;
  }

  // Asks `parent` for `piece` and what follows it before `end`, as far as it goes.
  void Take(uint32_t parent, uint32_t piece, uint32_t end, bool held) {
    PieceRun run{.first = piece};
    const uint32_t most = held ? free_[parent] : 1;
    while (piece < end && run.count < most && left_.Has(piece) && (!held || Holds(parent, piece))) {
      left_.Remove(piece++);
      --free_[parent];
      ++run.count;
    }
    chosen_.push_back({.parent = parent, .run = run});
  }

  std::vector<Assignment> ChooseDuplicates() {
    for (const AssignView::InFlight& flight : view_.in_flight) {
      const auto parent = ParentFor(flight.piece, true, flight.parent);
      if (!parent) continue;
      --free_[*parent];
      chosen_.push_back({.parent = *parent, .run = {flight.piece, 1}, .duplicate = true});
    }
    return std::move(chosen_);
  }

  const AssignView& view_;
  PieceSet left_;
  std::vector<uint32_t> free_;
  std::vector<Assignment> chosen_;
};

}  // namespace

std::vector<Assignment> Assign(const AssignView& view) { return Chooser(view).Choose(); }

}  // namespace larder::swarm
