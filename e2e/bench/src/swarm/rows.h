#pragma once
#include "src/report.h"

// Rows of the suite `swarm` beside those of bench_swarm.cpp.
namespace larder::bench {

// Small objects of other nodes, read by many at once.
void AddNodeRows(Report& report);
// One object, fetched by many nodes at once.
void AddJoinRows(Report& report);
// Agents' memory while much passes.
void AddMemoryRows(Report& report);

}  // namespace larder::bench
