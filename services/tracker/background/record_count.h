#pragma once
#include <absl/status/status.h>

#include <cstddef>
#include <memory>
#include <string>

#include "core/record_counts.h"
#include "core/table.h"

namespace larder::tracker {

// Counts the objects of a snapshot, a part at a time, so that a stop need not wait for millions. One thread.
class RecordCount {
 public:
  // Looks at so many rows in a round.
  static constexpr size_t kRows = 20'000;

  // Borrows `counts`. `snapshot`: taken when the last entry whose changes `counts` is not told of was applied.
  RecordCount(std::unique_ptr<Reader> snapshot, RecordCounts& counts, size_t rows = kRows)
      : snapshot_(std::move(snapshot)), counts_(counts), rows_(rows) {}

  // True: there is no more to count, and the snapshot is given back. The table's errors.
  absl::StatusOr<bool> Round();

 private:
  std::unique_ptr<Reader> snapshot_;
  RecordCounts& counts_;
  const size_t rows_;
  std::string from_;
};

}  // namespace larder::tracker
