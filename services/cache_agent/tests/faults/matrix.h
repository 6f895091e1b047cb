#pragma once
#include <array>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "tests/faults/busy_client.h"

// What can go wrong, with whom, in the middle of what, over which store: the product, and which of it says something.
namespace larder::cache_agent {

enum class Fault : uint8_t { kKillNine, kStop, kCut, kNoSpace, kNoDescriptors, kBitFlip };
enum class Party : uint8_t { kWriter, kReader, kAgent };
enum class Store : uint8_t { kMemory, kFile };
// What the agent does of its own meanwhile.
enum class Upkeep : uint8_t { kNone, kEvicting, kCompacting };

inline constexpr std::array kFaults = {Fault::kKillNine, Fault::kStop,          Fault::kCut,
                                       Fault::kNoSpace,  Fault::kNoDescriptors, Fault::kBitFlip};
inline constexpr std::array kParties = {Party::kWriter, Party::kReader, Party::kAgent};
inline constexpr std::array kStores = {Store::kMemory, Store::kFile};

// What a client is in the middle of, and the record that is cut off or changed there: the `nth` of its operation.
struct State {
  std::string_view name;
  Doing doing;
  Op op;
  int nth = 1;
  Upkeep upkeep = Upkeep::kNone;
};
inline constexpr std::array kStates = {
    State{"Connecting", Doing::kConnecting, Op::kHello},
    State{"Idle", Doing::kIdle, Op::kPing},
    State{"Creating", Doing::kCreating, Op::kCreate},
    State{"WritingInline", Doing::kInlineWrite, Op::kWrite, 2},
    State{"WritingThroughAWindow", Doing::kWindowWrite, Op::kWrite, 2},
    State{"WritingThroughTheRing", Doing::kRingWrite, Op::kWrite, 2},
    State{"Written", Doing::kWritten, Op::kSeal},
    State{"Sealing", Doing::kSealing, Op::kSeal},
    State{"ReadInline", Doing::kInlineRead, Op::kGet},
    State{"ReadShared", Doing::kReading, Op::kRelease},
    State{"ReadStreamed", Doing::kStreamRead, Op::kRead, 2},
    State{"InABatch", Doing::kBatch, Op::kBatch},
    State{"Releasing", Doing::kReleasing, Op::kRelease},
    State{"Deleting", Doing::kDeleting, Op::kDelete},
    State{"Evicting", Doing::kReading, Op::kRelease, 1, Upkeep::kEvicting},
    State{"Compacting", Doing::kReading, Op::kRelease, 1, Upkeep::kCompacting},
};

struct Cell {
  Fault fault;
  Party party;
  size_t state;  // of kStates
  Store store;

  const State& at() const { return kStates.at(state); }
  Doing doing() const { return at().doing; }
  bool operator==(const Cell&) const = default;
};

// As in KillNine_Writer_Sealing_Memory.
std::string NameOf(const Cell& cell);
// For messages of a test that fails.
void PrintTo(const Cell& cell, std::ostream* out);
// Why the cell is not run; empty: it is.
std::string_view ReasonNotToRun(const Cell& cell);
// All there are, and those that are run.
std::vector<Cell> Product();
std::vector<Cell> CellsThatRun();
// Of `cells`, few in which each two values that meet in any of them meet.
std::vector<Cell> Representative(const std::vector<Cell>& cells);

}  // namespace larder::cache_agent
