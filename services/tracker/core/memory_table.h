#pragma once
#include <map>
#include <memory>
#include <string>

#include "core/table.h"
#include "larder/base/mutex.h"

namespace larder::tracker {

// The twin of RocksTable for tests and the simulator: nothing of it survives the process. The first snapshot after a
// commit copies all rows.
class MemoryTable final : public Table {
 public:
  std::unique_ptr<Batch> NewBatch() override;
  std::unique_ptr<Reader> NewSnapshot() override;
  absl::Status Flush() override { return absl::OkStatus(); }

 private:
  class MemoryBatch;
  class MemorySnapshot;
  using Rows = std::map<std::string, std::string, std::less<>>;

  base::Mutex mutex_;
  // Written under the mutex by the thread that commits, which therefore reads without it.
  Rows rows_;
  std::shared_ptr<const Rows> copy_ LARDER_GUARDED_BY(mutex_);  // of rows_, until they change
};

}  // namespace larder::tracker
