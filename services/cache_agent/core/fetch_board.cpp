#include "core/fetch_board.h"

namespace larder::cache_agent {

void FetchBoard::Put(const object::ObjectId& id, const Entry& entry) {
  {
    base::MutexLock lock(mutex_);
    const auto known = view_.entries.find(id);
    if (known == view_.entries.end() && view_.entries.size() >= kMost) return;
    const bool same = known != view_.entries.end() && known->second.epoch == entry.epoch;
    view_.entries[id] = entry;
    if (same) return;
    ++view_.revision;
  }
  changed_();
}

void FetchBoard::Erase(const object::ObjectId& id) {
  {
    base::MutexLock lock(mutex_);
    if (view_.entries.erase(id) == 0) return;
    ++view_.revision;
  }
  changed_();
}

FetchBoard::View FetchBoard::view() const {
  base::MutexLock lock(mutex_);
  return view_;
}

}  // namespace larder::cache_agent
