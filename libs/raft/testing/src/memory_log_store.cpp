#include "larder/raft/testing/memory_log_store.h"

#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "src/log_index.h"

namespace larder::raft {

MemoryLogStore::MemoryLogStore() : index_(std::make_unique<LogIndex>()) {}
MemoryLogStore::~MemoryLogStore() = default;

void MemoryLogStore::FailNextWrite(absl::Status error) {
  base::MutexLock lock(mutex_);
  next_write_ = std::move(error);
}

LogExtent MemoryLogStore::extent() const {
  base::MutexLock lock(mutex_);
  return index_->extent();
}

absl::Status MemoryLogStore::Write(std::span<const LogWrite> writes) {
  base::MutexLock lock(mutex_);
  LARDER_RETURN_IF_ERROR(std::exchange(next_write_, absl::OkStatus()));
  LARDER_RETURN_IF_ERROR(index_->Check(writes));
  for (const LogWrite& write : writes) {
    index_->Apply(write);
    if (write.restart) entries_.clear();
    if (write.entries.empty()) continue;
    entries_.erase(entries_.lower_bound(write.entries.front().at.index), entries_.end());
    for (const LogEntry& entry : write.entries) entries_.emplace_hint(entries_.end(), entry.at.index, entry);
  }
  return absl::OkStatus();
}

absl::Status MemoryLogStore::Read(uint64_t first, uint64_t end, uint64_t max_bytes,
                                  const std::function<void(LogEntry)>& take) const {
  std::vector<LogEntry> found;  // taken without the lock: `take` may call back
  {
    base::MutexLock lock(mutex_);
    LARDER_RETURN_IF_ERROR(index_->CheckRange(first, end));
    uint64_t bytes = 0;
    for (auto it = entries_.find(first); it != entries_.end() && it->first < end; ++it) {
      bytes += it->second.payload.size();
      if (bytes > max_bytes && !found.empty()) break;
      found.push_back(it->second);
    }
  }
  for (LogEntry& entry : found) take(std::move(entry));
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> MemoryLogStore::TermAt(uint64_t index) const {
  base::MutexLock lock(mutex_);
  return index_->TermAt(index);
}

absl::Status MemoryLogStore::Purge(uint64_t through) {
  base::MutexLock lock(mutex_);
  LARDER_RETURN_IF_ERROR(index_->CheckPurge(through));
  index_->Purge(through);
  entries_.erase(entries_.begin(), entries_.upper_bound(through));
  return absl::OkStatus();
}

uint64_t MemoryLogStore::bytes() const {
  base::MutexLock lock(mutex_);
  return index_->bytes();
}

}  // namespace larder::raft
