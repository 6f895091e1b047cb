#pragma once
#include <functional>
#include <span>

#include "larder/raft/log_store.h"
#include "larder/raft/testing/memory_log_store.h"

namespace larder::raft {

// A log in memory: a base for what steps in while it is written.
class LogDecorator : public LogStore {
 public:
  LogExtent extent() const override { return log_.extent(); }
  absl::Status Write(std::span<const LogWrite> writes) override { return log_.Write(writes); }
  absl::Status Read(uint64_t first, uint64_t end, uint64_t max_bytes,
                    const std::function<void(LogEntry)>& take) const override {
    return log_.Read(first, end, max_bytes, take);
  }
  absl::StatusOr<uint64_t> TermAt(uint64_t index) const override { return log_.TermAt(index); }
  absl::Status Purge(uint64_t through) override { return log_.Purge(through); }
  uint64_t bytes() const override { return log_.bytes(); }

 private:
  MemoryLogStore log_;
};

}  // namespace larder::raft
