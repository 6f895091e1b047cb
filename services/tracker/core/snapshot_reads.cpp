#include "core/snapshot_reads.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "larder/base/status.h"

namespace larder::tracker {
namespace {

// Of one task, so that a long queue is shared among the readers.
constexpr size_t kReadsAtOnce = 128;

absl::Status Stopping() {
  return base::Error(absl::StatusCode::kUnavailable, "STOPPING", "this member is stopping (ask another)");
}

}  // namespace

SnapshotReads::SnapshotReads(Table& table, base::Executor& readers, size_t at_once,
                             std::function<void(absl::Status)> damaged)
    : table_(table), readers_(readers), at_once_(at_once), damaged_(std::move(damaged)) {}

void SnapshotReads::Submit(Run run) {
  {
    base::MutexLock lock(mutex_);
    queue_.push_back(std::move(run));
    if (working_ == at_once_) return;
    ++working_;
  }
  if (readers_.Submit([this] { Work(); })) return;
  std::deque<Run> refused;
  {
    base::MutexLock lock(mutex_);
    --working_;
    refused = std::exchange(queue_, {});
  }
  for (const Run& one : refused) one(Stopping(), nullptr);
}

void SnapshotReads::Work() {
  while (true) {
    std::vector<Run> taken;
    {
      base::MutexLock lock(mutex_);
      const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), kReadsAtOnce));
      std::move(queue_.begin(), end, std::back_inserter(taken));
      queue_.erase(queue_.begin(), end);
      if (taken.empty()) {
        --working_;
        return;
      }
    }
    // After they were submitted: it holds what they have to see.
    const std::unique_ptr<Reader> snapshot = table_.NewSnapshot();
    for (const Run& run : taken) run(absl::OkStatus(), snapshot.get());
    if (!snapshot->status().ok()) damaged_(base::Detached(snapshot->status()));
  }
}

}  // namespace larder::tracker
