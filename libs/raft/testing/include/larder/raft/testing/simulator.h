#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace larder::raft {

// A group of members in one thread, with the production engine and replica, on twins of log, network and clock. Each
// step is one event, drawn by the seed: a tick, a message delivered, dropped, repeated or late, a write done, commands
// applied, a client's call, a crash that loses what was not synced, a start, a cut of the network, a pause, a disk that
// hangs, leadership that is moved. After each, what must always hold is checked; at the end all faults are mended, and
// all members must come to the same state.
struct SimulationOptions {
  uint64_t seed = 1;
  int members = 3;
  int steps = 6000;
  bool faults = true;
  bool membership = false;  // members come and go, one and several at a time
};

struct SimulationResult {
  // What was broken, in words, first first; empty: nothing.
  std::vector<std::string> violations;
  uint64_t digest = 0;  // of all that happened: the same for the same options
  uint64_t acknowledged = 0;
  uint64_t reads = 0;
  uint64_t crashes = 0;
  uint64_t elections = 0;
};

SimulationResult Simulate(const SimulationOptions& options);

}  // namespace larder::raft
