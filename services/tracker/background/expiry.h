#pragma once
#include <atomic>
#include <memory>

#include "core/consensus.h"

namespace larder::tracker {

// Proposes, where it leads, that what is due ends: within a round or two of when it is. Round from one thread.
class Expiry {
 public:
  explicit Expiry(Consensus& consensus) : consensus_(consensus) {}
  // Looks whether something is due, unless the last look, or what it led to, is still under way. Does not block.
  void Round();

 private:
  Consensus& consensus_;
  // Shared with what is under way, which may end after this object.
  const std::shared_ptr<std::atomic<bool>> busy_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace larder::tracker
