#pragma once
#include <chrono>
#include <cstdint>

#include "larder/base/clock.h"
#include "larder/observe/logger.h"
#include "larder/raft/node.h"

namespace larder::tracker {

// Logs proposals that took long, with where their time went: one in ten seconds, and how many there were since the last
// line. One thread.
class SlowProposals {
 public:
  static constexpr base::Duration kBetweenLines = std::chrono::seconds(10);

  // Borrows both.
  SlowProposals(observe::Logger& log, const base::Clock& clock) : log_(log), clock_(clock) {}
  void Note(const raft::SlowProposal& slow);

 private:
  observe::Logger& log_;
  const base::Clock& clock_;
  base::MonotonicTime next_line_ = base::MonotonicTime::min();
  uint64_t not_logged_ = 0;
};

}  // namespace larder::tracker
