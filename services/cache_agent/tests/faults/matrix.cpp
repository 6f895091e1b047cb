#include "tests/faults/matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <set>
#include <tuple>

namespace larder::cache_agent {
namespace {

std::string_view FaultName(Fault fault) {
  constexpr std::string_view kNames[] = {"KillNine", "Stop", "Cut", "NoSpace", "NoDescriptors", "BitFlip"};
  return kNames[static_cast<size_t>(fault)];
}
std::string_view PartyName(Party party) {
  constexpr std::string_view kNames[] = {"Writer", "Reader", "Agent"};
  return kNames[static_cast<size_t>(party)];
}
std::string_view StoreName(Store store) { return store == Store::kMemory ? "Memory" : "File"; }

bool Reads(Doing doing) {
  return doing == Doing::kInlineRead || doing == Doing::kReading || doing == Doing::kStreamRead ||
         doing == Doing::kReleasing;
}
bool SharesMemory(Doing doing) {
  return doing == Doing::kWindowWrite || doing == Doing::kRingWrite || doing == Doing::kReading;
}

std::string_view ReasonOfParty(const Cell& cell) {
  if (cell.party == Party::kWriter && Reads(cell.doing())) return "a writer does not read: see the reader";
  if (cell.party == Party::kReader && !Reads(cell.doing())) {
    return "a reader does not write, and before it reads it is no other than a writer: see the writer";
  }
  return "";
}

std::string_view ReasonOfStore(const Cell& cell) {
  if (cell.store == Store::kMemory) return "";
  if (cell.at().upkeep == Upkeep::kCompacting) return "a file of its own leaves nothing to move together";
  if (cell.at().upkeep == Upkeep::kEvicting) return "one plan evicts from both stores: see memory";
  if (cell.doing() == Doing::kReading) return "what lies in a file is streamed, not shared";
  return "";
}

std::string_view ReasonOfNoSpace(const Cell& cell) {
  if (cell.party != Party::kAgent) return "it is the agent that stores what clients write";
  if (cell.at().upkeep != Upkeep::kNone) return "room is short there without our doing";
  if (cell.doing() == Doing::kConnecting || cell.doing() == Doing::kIdle) return "that takes no room";
  if (cell.doing() == Doing::kSealing) return "the seal that was sent has its room: see Written";
  return "";
}

std::string_view ReasonOfNoDescriptors(const Cell& cell) {
  if (cell.at().upkeep != Upkeep::kNone) return "that takes no descriptors";
  if (cell.party == Party::kAgent) return "";
  if (!SharesMemory(cell.doing())) return "the client gets no descriptors there";
  return "";
}

std::string_view ReasonOfBitFlip(const Cell& cell) {
  if (cell.at().upkeep != Upkeep::kNone) return "moving and dropping look at no bytes";
  if (cell.party != Party::kAgent) return "";
  if (cell.doing() == Doing::kIdle && cell.store == Store::kFile) return "";  // found by the next start
  if (!Reads(cell.doing()) || cell.doing() == Doing::kReleasing) return "nobody looks at stored bytes but who reads";
  return "";
}

// The values of two of a cell's four parts: which two, and what they are.
using Pair = std::tuple<int, int, size_t, size_t>;
std::vector<Pair> PairsOf(const Cell& cell) {
  const std::array<size_t, 4> values = {static_cast<size_t>(cell.fault), static_cast<size_t>(cell.party), cell.state,
                                        static_cast<size_t>(cell.store)};
  std::vector<Pair> pairs;
  for (int one = 0; one < 4; ++one) {
    for (int other = one + 1; other < 4; ++other) {
      pairs.emplace_back(one, other, values.at(static_cast<size_t>(one)), values.at(static_cast<size_t>(other)));
    }
  }
  return pairs;
}

}  // namespace

std::string NameOf(const Cell& cell) {
  return fmt::format("{}_{}_{}_{}", FaultName(cell.fault), PartyName(cell.party), cell.at().name,
                     StoreName(cell.store));
}

void PrintTo(const Cell& cell, std::ostream* out) { *out << NameOf(cell); }

std::string_view ReasonNotToRun(const Cell& cell) {
  std::string_view reason = ReasonOfParty(cell);
  if (reason.empty()) reason = ReasonOfStore(cell);
  if (!reason.empty()) return reason;
  switch (cell.fault) {
    case Fault::kKillNine:
    case Fault::kStop:
      return "";
    case Fault::kCut:
      return cell.at().upkeep == Upkeep::kNone ? "" : "that has nothing to do with a connection: see ReadShared";
    case Fault::kNoSpace:
      return ReasonOfNoSpace(cell);
    case Fault::kNoDescriptors:
      return ReasonOfNoDescriptors(cell);
    case Fault::kBitFlip:
      return ReasonOfBitFlip(cell);
  }
  return "";
}

std::vector<Cell> Product() {
  std::vector<Cell> all;
  for (const Fault fault : kFaults) {
    for (const Party party : kParties) {
      for (size_t state = 0; state < kStates.size(); ++state) {
        for (const Store store : kStores) all.push_back({fault, party, state, store});
      }
    }
  }
  return all;
}

std::vector<Cell> CellsThatRun() {
  std::vector<Cell> cells = Product();
  std::erase_if(cells, [](const Cell& cell) { return !ReasonNotToRun(cell).empty(); });
  return cells;
}

std::vector<Cell> Representative(const std::vector<Cell>& cells) {
  std::set<Pair> missing;
  for (const Cell& cell : cells) {
    for (const Pair& pair : PairsOf(cell)) missing.insert(pair);
  }
  const auto adds = [&](const Cell& cell) {
    return std::ranges::count_if(PairsOf(cell), [&](const Pair& pair) { return missing.contains(pair); });
  };
  std::vector<Cell> chosen;
  while (!missing.empty()) {
    const Cell& best = *std::ranges::max_element(cells, {}, adds);
    for (const Pair& pair : PairsOf(best)) missing.erase(pair);
    chosen.push_back(best);
  }
  return chosen;
}

}  // namespace larder::cache_agent
