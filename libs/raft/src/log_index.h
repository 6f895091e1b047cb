#pragma once
#include <deque>
#include <map>
#include <span>

#include "larder/raft/log_store.h"

namespace larder::raft {

// What a log holds, without the payloads: how far it reaches, the entries' terms and sizes, so that bounds, terms and
// bytes are known without the disk. Not thread-safe.
class LogIndex {
 public:
  LogIndex() = default;
  explicit LogIndex(const LogPosition& truncated) : extent_{.truncated = truncated, .last = truncated} {}

  const LogExtent& extent() const { return extent_; }
  uint64_t bytes() const { return bytes_; }

  // INTERNAL (BAD_LOG_WRITE), a bug of the caller: entries that are not consecutive, leave a gap, replace truncated
  // ones or go back in term.
  absl::Status Check(std::span<const LogWrite> writes) const;
  // How far what is there stays as it is, whatever of `writes` is done.
  uint64_t UnchangedThrough(std::span<const LogWrite> writes) const;
  // Those of Read and TermAt: COMPACTED, UNAVAILABLE_INDEX.
  absl::Status CheckRange(uint64_t first, uint64_t end) const;
  absl::StatusOr<uint64_t> TermAt(uint64_t index) const;
  // OK or INTERNAL (BAD_LOG_WRITE).
  absl::Status CheckPurge(uint64_t through) const;

  // What passed the checks.
  void Apply(const LogWrite& write);
  void Append(const LogPosition& at, uint64_t payload_size);
  void Purge(uint64_t through);

 private:
  void Truncate(uint64_t last);  // forgets the entries after it

  LogExtent extent_;
  uint64_t bytes_ = 0;
  std::deque<uint32_t> sizes_;          // of truncated.index + 1 …
  std::map<uint64_t, uint64_t> terms_;  // first index -> term, where the term changes
};

}  // namespace larder::raft
