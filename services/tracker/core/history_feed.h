#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <deque>
#include <memory>

#include "core/consensus.h"
#include "core/served_state.h"
#include "core/table.h"
#include "larder/base/mutex.h"

namespace larder::tracker {

// One who reads the history on (core/watch.h). Called on reader threads, by one at a time; must not block.
class Follower {
 public:
  enum class Then : uint8_t { kWait, kGoOn, kLeave };

  virtual ~Follower() = default;
  // Reads a page, and says whether to be called when something was applied, at once, or not any more.
  virtual Then ReadOn(Reader& snapshot) = 0;
  // There will be no more snapshots.
  virtual void Ended(const absl::Status& why) = 0;
};

// Wakes followers when this member has applied something; who waits costs nothing. One snapshot serves many, and few
// are served in one task, so that other reads get their turn. Thread-safe.
class HistoryFeed {
 public:
  // Borrows both; it lives as long as anything is applied, or read.
  HistoryFeed(Consensus& consensus, ServedState& state);

  // It is called soon, and then as it says. One that left may be added again.
  void Add(std::shared_ptr<Follower> follower) LARDER_EXCLUDES(mutex_);
  // All who wait are called, though nothing may have been applied. Cheap.
  void Wake() LARDER_EXCLUDES(mutex_);

 private:
  void Submit();
  void Serve(const absl::Status& status, Reader* snapshot) LARDER_EXCLUDES(mutex_);
  void EndAll(const absl::Status& why) LARDER_EXCLUDES(mutex_);

  Consensus& consensus_;
  base::Mutex mutex_;
  std::deque<std::shared_ptr<Follower>> due_ LARDER_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Follower>> waiting_ LARDER_GUARDED_BY(mutex_);
  bool serving_ LARDER_GUARDED_BY(mutex_) = false;  // a task is submitted
  bool woken_ LARDER_GUARDED_BY(mutex_) = false;    // since then; its snapshot may be older
};

}  // namespace larder::tracker
