#include "src/log_index.h"

#include <algorithm>
#include <iterator>

#include "larder/base/status.h"

namespace larder::raft {
namespace {

constexpr std::string_view kBug = "BAD_LOG_WRITE";

}  // namespace

absl::Status LogIndex::Check(std::span<const LogWrite> writes) const {
  LogPosition truncated = extent_.truncated;
  uint64_t last = extent_.last.index;
  for (const LogWrite& write : writes) {
    if (write.restart) {
      truncated = *write.restart;
      last = truncated.index;
    }
    if (write.entries.empty()) continue;
    const uint64_t first = write.entries.front().at.index;
    if (first <= truncated.index || first > last + 1) {
      return base::Error(absl::StatusCode::kInternal, kBug, "entry {} does not continue the log, which holds {} to {}",
                         first, truncated.index + 1, last);
    }
    LogPosition before{.index = first - 1, .term = truncated.term};
    for (const LogEntry& entry : write.entries) {
      if (entry.at.index != before.index + 1 || entry.at.term < before.term) {
        return base::Error(absl::StatusCode::kInternal, kBug, "entry {} of term {} follows entry {} of term {}",
                           entry.at.index, entry.at.term, before.index, before.term);
      }
      before = entry.at;
    }
    last = before.index;
  }
  return absl::OkStatus();
}

uint64_t LogIndex::UnchangedThrough(std::span<const LogWrite> writes) const {
  uint64_t through = extent_.last.index;
  for (const LogWrite& write : writes) {
    if (write.restart) return extent_.truncated.index;
    if (!write.entries.empty()) through = std::min(through, write.entries.front().at.index - 1);
  }
  return through;
}

absl::Status LogIndex::CheckRange(uint64_t first, uint64_t end) const {
  if (first <= extent_.truncated.index) {
    return base::Error(absl::StatusCode::kOutOfRange, "COMPACTED", "entry {} is gone: the log was purged up to {}",
                       first, extent_.truncated.index);
  }
  if (end > extent_.last.index + 1) {
    return base::Error(absl::StatusCode::kOutOfRange, "UNAVAILABLE_INDEX", "entry {} is not there: the last is {}",
                       end - 1, extent_.last.index);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> LogIndex::TermAt(uint64_t index) const {
  if (index == extent_.truncated.index) return extent_.truncated.term;
  LARDER_RETURN_IF_ERROR(CheckRange(index, index + 1));
  return std::prev(terms_.upper_bound(index))->second;
}

absl::Status LogIndex::CheckPurge(uint64_t through) const {
  if (through <= extent_.last.index) return absl::OkStatus();
  return base::Error(absl::StatusCode::kInternal, kBug, "purge of entry {}: the last is {}", through,
                     extent_.last.index);
}

void LogIndex::Apply(const LogWrite& write) {
  if (write.restart) {
    const HardState kept = extent_.hard_state;
    *this = LogIndex(*write.restart);
    extent_.hard_state = kept;
  }
  if (!write.entries.empty()) Truncate(write.entries.front().at.index - 1);
  for (const LogEntry& entry : write.entries) Append(entry.at, entry.payload.size());
  if (write.hard_state) extent_.hard_state = *write.hard_state;
}

void LogIndex::Append(const LogPosition& at, uint64_t payload_size) {
  if (terms_.empty() || terms_.rbegin()->second != at.term) terms_.emplace_hint(terms_.end(), at.index, at.term);
  sizes_.push_back(static_cast<uint32_t>(payload_size));
  bytes_ += payload_size;
  extent_.last = at;
}

void LogIndex::Truncate(uint64_t last) {
  for (; extent_.truncated.index + sizes_.size() > last; sizes_.pop_back()) bytes_ -= sizes_.back();
  terms_.erase(terms_.upper_bound(last), terms_.end());
  extent_.last = {.index = last, .term = sizes_.empty() ? extent_.truncated.term : terms_.rbegin()->second};
}

void LogIndex::Purge(uint64_t through) {
  if (through <= extent_.truncated.index) return;
  const uint64_t term = *TermAt(through);
  for (uint64_t n = through - extent_.truncated.index; n > 0; --n, sizes_.pop_front()) bytes_ -= sizes_.front();
  extent_.truncated = {.index = through, .term = term};
  // The run that reaches over `through` begins behind it now.
  const auto after = terms_.upper_bound(through + 1);
  const uint64_t next_term = std::prev(after)->second;
  terms_.erase(terms_.begin(), after);
  if (!sizes_.empty()) terms_.emplace(through + 1, next_term);
}

}  // namespace larder::raft
