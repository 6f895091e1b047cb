#pragma once
#include <cstdint>
#include <string>

#include "src/agent.h"
#include "src/measure.h"
#include "src/report.h"
#include "src/rivals.h"

// The rows of data-plane.md's table, by what they need. Each measures and adds to the report.
namespace larder::bench {

inline constexpr uint64_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;

struct Bench {
  std::string dir;    // for sockets
  std::string tmpfs;  // for files
  Stopwatch watch;
  Report report;
};

// Each starts an agent and rivals of its own, so that none finds what another has left.
// Objects of 1 KiB, 1 MiB and 64 MiB into room that is free, beside rivals.
void ObjectRows(Bench& bench);
// 1 GiB, beside this process's own memory.
void HugeRows(Bench& bench);
// 1000 objects of 4 KiB in one call, beside redis and one by one.
void BatchRows(Bench& bench);
// Puts into an agent that is full, ten times its arena, beside rivals of the same room.
void SteadyRows(Bench& bench);
// The program `larder` beside cp.
void CliRows(Bench& bench);
// Creators that are killed.
void ReclaimRows(Bench& bench);
// Processor time of a call, all on one processor, beside gRPC's.
void CpuRows(Bench& bench);

}  // namespace larder::bench
