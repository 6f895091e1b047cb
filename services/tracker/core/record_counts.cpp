#include "core/record_counts.h"

#include <algorithm>

namespace larder::tracker {

void RecordCounts::Add(const RecordChanges& changes) {
  base::MutexLock lock(mutex_);
  for (const auto& [ns, by] : changes) {
    const auto count = counts_.try_emplace(ns).first;
    if ((count->second += by) == 0) counts_.erase(count);
  }
}

void RecordCounts::Complete() {
  base::MutexLock lock(mutex_);
  complete_ = true;
}

std::vector<RecordCounts::Count> RecordCounts::Largest() const {
  std::vector<Count> largest;
  {
    base::MutexLock lock(mutex_);
    if (!complete_) return largest;
    for (const auto& [ns, records] : counts_) largest.push_back({ns, static_cast<uint64_t>(records)});
  }
  if (largest.size() <= kTold) return largest;
  const auto told = largest.begin() + kTold;
  std::ranges::nth_element(largest, told, std::ranges::greater(), &Count::records);
  Count others{.ns = kOthers};
  std::for_each(told, largest.end(), [&others](const Count& count) { others.records += count.records; });
  largest.erase(told, largest.end());
  std::ranges::sort(largest, {}, &Count::ns);
  largest.push_back(std::move(others));
  return largest;
}

}  // namespace larder::tracker
