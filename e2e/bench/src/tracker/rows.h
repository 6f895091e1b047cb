#pragma once
#include <string>

#include "src/report.h"

// The rows of tracker.md's table that can be measured, by what they need. Each measures and adds to the report.
namespace larder::bench {

struct TrackerBench {
  std::string dir;  // for all data: logs of all servers, and the file that is synced beside them
  bool quick;       // one short round, to see that all of it works
  Report report;
};

// SETs and GETs beside etcd and redis, a bare quorum append and the disk.
void RateRows(TrackerBench& bench);
// Publishes and Locates over the streams of agents.
void CatalogueRows(TrackerBench& bench);
// Leaders that are killed under load.
void KillRows(TrackerBench& bench);

}  // namespace larder::bench
