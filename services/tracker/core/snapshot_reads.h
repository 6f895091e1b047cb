#pragma once
#include <absl/status/status.h>

#include <cstddef>
#include <deque>
#include <functional>

#include "core/table.h"
#include "larder/base/executor.h"
#include "larder/base/mutex.h"

namespace larder::tracker {

// Runs reads of the table on reader threads; those that wait at the same time share a snapshot. Thread-safe.
class SnapshotReads {
 public:
  // Called once: with OK and a reader for the time of the call, or with an error and null.
  using Run = std::function<void(const absl::Status&, Reader*)>;

  // Borrows both. `at_once`: tasks that may be with the executor. `damaged` is told of reads that failed (disk,
  // damage), on the reader's thread.
  SnapshotReads(Table& table, base::Executor& readers, size_t at_once, std::function<void(absl::Status)> damaged);

  // A snapshot that is taken after this call. UNAVAILABLE (STOPPING) if the executor refuses.
  void Submit(Run run) LARDER_EXCLUDES(mutex_);

 private:
  void Work() LARDER_EXCLUDES(mutex_);

  Table& table_;
  base::Executor& readers_;
  const size_t at_once_;
  const std::function<void(absl::Status)> damaged_;
  base::Mutex mutex_;
  std::deque<Run> queue_ LARDER_GUARDED_BY(mutex_);
  size_t working_ LARDER_GUARDED_BY(mutex_) = 0;
};

}  // namespace larder::tracker
