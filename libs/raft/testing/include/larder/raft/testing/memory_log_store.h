#pragma once
#include <map>
#include <memory>

#include "larder/base/mutex.h"
#include "larder/raft/log_store.h"

namespace larder::raft {

class LogIndex;

// The twin of a log on disk: what is written is durable as long as the object lives. Thread rules as LogStore's.
class MemoryLogStore final : public LogStore {
 public:
  MemoryLogStore();
  ~MemoryLogStore() override;

  // The next Write does nothing but return `error`.
  void FailNextWrite(absl::Status error) LARDER_EXCLUDES(mutex_);

  LogExtent extent() const override LARDER_EXCLUDES(mutex_);
  absl::Status Write(std::span<const LogWrite> writes) override LARDER_EXCLUDES(mutex_);
  absl::Status Read(uint64_t first, uint64_t end, uint64_t max_bytes,
                    const std::function<void(LogEntry)>& take) const override LARDER_EXCLUDES(mutex_);
  absl::StatusOr<uint64_t> TermAt(uint64_t index) const override LARDER_EXCLUDES(mutex_);
  absl::Status Purge(uint64_t through) override LARDER_EXCLUDES(mutex_);
  uint64_t bytes() const override LARDER_EXCLUDES(mutex_);

 private:
  mutable base::Mutex mutex_;
  std::unique_ptr<LogIndex> index_ LARDER_GUARDED_BY(mutex_);
  std::map<uint64_t, LogEntry> entries_ LARDER_GUARDED_BY(mutex_);
  absl::Status next_write_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::raft
