#include "core/location_cache.h"

namespace larder::cache_agent {

void LocationCache::Erase(const object::ObjectId& id) {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return;
  order_.erase(entry->second.place);
  entries_.erase(entry);
}

void LocationCache::Put(const ClusterObject& object) {
  base::MutexLock lock(mutex_);
  Erase(object.info.id);
  if (object.info.state != object::ObjectState::kSealed || object.copies.empty()) return;
  if (entries_.size() >= most_) Erase(object::ObjectId(order_.front()));
  const auto place = order_.insert(order_.end(), object.info.id);
  entries_[object.info.id] = {.object = object, .at = clock_.Now(), .place = place};
}

void LocationCache::Forget(const object::ObjectId& id) {
  base::MutexLock lock(mutex_);
  Erase(id);
}

std::optional<ClusterObject> LocationCache::Find(const object::ObjectId& id) const {
  base::MutexLock lock(mutex_);
  const auto entry = entries_.find(id);
  if (entry == entries_.end() || clock_.Now() - entry->second.at >= kFresh) return std::nullopt;
  return entry->second.object;
}

}  // namespace larder::cache_agent
