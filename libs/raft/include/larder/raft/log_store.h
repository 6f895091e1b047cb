#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "larder/raft/types.h"

namespace larder::raft {

// One step of the log, as the engine orders it. Empty fields leave what is there as it is.
struct LogWrite {
  // The log begins anew after this position (a snapshot was installed): all entries go.
  std::optional<LogPosition> restart;
  // Consecutive. They replace whatever stands at the first one's index and after it.
  std::vector<LogEntry> entries;
  std::optional<HardState> hard_state;
};

// What a log holds: entries truncated.index+1 … last.index, none if the two are equal.
struct LogExtent {
  LogPosition truncated;  // the last position that was purged, or that the log was restarted at
  LogPosition last;
  HardState hard_state;
  bool operator==(const LogExtent&) const = default;
};

// The durable log of one member, and its hard state. Write, Purge: one thread. Read, TermAt, bytes: any thread, also
// while another writes.
//
// An error of Write or Purge leaves the disk in doubt: it is never tried again, and the process ends. DATA_LOSS
// (LOG_DAMAGED) means that bytes were damaged, INTERNAL (BAD_LOG_WRITE) a bug of the caller (a gap, a purge beyond the
// end); then nothing was done.
class LogStore {
 public:
  virtual ~LogStore() = default;
  virtual LogExtent extent() const = 0;
  // Does all of `writes`, in order, in one atomic step: all of it survives the loss of power when this returns OK.
  // Until then, what it replaces cannot be read (UNAVAILABLE_INDEX).
  virtual absl::Status Write(std::span<const LogWrite> writes) = 0;
  // Entries [first, end) to `take`, in order, as many as have at most `max_bytes` of payload together, but at least
  // one. OUT_OF_RANGE (COMPACTED) if `first` is truncated, or (UNAVAILABLE_INDEX) if end - 1 is after the last.
  virtual absl::Status Read(uint64_t first, uint64_t end, uint64_t max_bytes,
                            const std::function<void(LogEntry)>& take) const = 0;
  // The term at `index`, of the truncated position too. Errors as Read's.
  virtual absl::StatusOr<uint64_t> TermAt(uint64_t index) const = 0;
  // Forgets the entries up to and including `through`, which must exist or be truncated already.
  virtual absl::Status Purge(uint64_t through) = 0;
  // Of the payloads held.
  virtual uint64_t bytes() const = 0;
};

}  // namespace larder::raft
