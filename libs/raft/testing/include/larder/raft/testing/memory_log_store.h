#pragma once
#include <deque>

#include "larder/raft/log_store.h"

namespace larder::raft {

class MemoryLogStore final : public LogStore {
 public:
  LogExtent extent() const override { return extent_; }
  absl::Status Write(std::span<const LogWrite> writes) override {
    for (const LogWrite& write : writes) {
      if (write.restart) {
        entries_.clear();
        extent_.truncated = extent_.last = *write.restart;
      }
      if (!write.entries.empty()) {
        const uint64_t first = write.entries.front().at.index;
        while (!entries_.empty() && entries_.back().at.index >= first) entries_.pop_back();
        entries_.insert(entries_.end(), write.entries.begin(), write.entries.end());
        extent_.last = entries_.back().at;
      }
      if (write.hard_state) extent_.hard_state = *write.hard_state;
    }
    return absl::OkStatus();
  }
  absl::Status Read(uint64_t first, uint64_t end, uint64_t max_bytes,
                    const std::function<void(LogEntry)>& take) const override {
    uint64_t size = 0;
    for (uint64_t i = first; i < end; ++i) {
      const LogEntry& entry = entries_[i - extent_.truncated.index - 1];
      size += entry.payload.size();
      if (size > max_bytes && i != first) break;
      take(entry);
    }
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> TermAt(uint64_t index) const override {
    if (index == extent_.truncated.index) return extent_.truncated.term;
    return entries_[index - extent_.truncated.index - 1].at.term;
  }
  absl::Status Purge(uint64_t) override { return absl::OkStatus(); }
  uint64_t bytes() const override { return 0; }

 private:
  LogExtent extent_;
  std::deque<LogEntry> entries_;
};

}  // namespace larder::raft
