#include "core/publisher.h"

#include <algorithm>
#include <utility>

#include "larder/base/backoff.h"
#include "larder/base/status.h"

namespace larder::cache_agent {
namespace {

constexpr base::Duration kFirstPause = std::chrono::milliseconds(100);
constexpr base::Duration kLongestPause = std::chrono::seconds(5);
constexpr base::Duration kIdle = std::chrono::seconds(1);

// The cluster could not be asked, or another creates the key now: it may be told later.
bool MayBeToldLater(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status) ||
         base::Reason(status) == "HELD";
}

}  // namespace

void Publisher::Publish(Publication publication, Told told) {
  Pending replaced;
  {
    base::MutexLock lock(mutex_);
    conflicts_.erase(publication.info.id);
    Pending& pending = pending_[publication.info.id];
    replaced = std::exchange(pending, {.publication = publication});
    if (told) pending.waiting.push_back(std::move(told));
  }
  if (replaced.publication.right != publication.right) Abandon(replaced.publication);
  for (const Told& one : replaced.waiting) {
    one(base::Error(absl::StatusCode::kAborted, "SUPERSEDED", "a newer object took its place on this node"));
  }
  Tell(publication);
}

void Publisher::Abandon(const Publication& publication) {
  // Else it would be renewed for as long as this node lives, and nobody could create the key.
  if (publication.right == object::Epoch{}) return;
  registry_.Abandon(publication.info.id, publication.right, [](const absl::Status&) {});
}

void Publisher::Tell(const Publication& publication) {
  if (publication.right != object::Epoch{}) {
    return registry_.Seal(publication.right, publication.info, [this, publication](const absl::Status& status) {
      if (base::Reason(status) == "EPOCH_STALE") {
        // The right is lost, the bytes are not: like one that never had it.
        Publication without = publication;
        without.right = {};
        return Tell(without);
      }
      OnTold(publication, status.ok() ? absl::StatusOr<object::Epoch>(publication.right) : status);
    });
  }
  registry_.Publish(publication.info, publication.overwrite, [this, publication](absl::StatusOr<object::Epoch> epoch) {
    if (!epoch.ok() || publication.settings.empty()) return OnTold(publication, std::move(epoch));
    registry_.SetMeta(publication.info.id, *epoch, publication.settings,
                      [this, publication, epoch = *epoch](const absl::Status& set) {
                        OnTold(publication, set.ok() ? absl::StatusOr<object::Epoch>(epoch) : set);
                      });
  });
}

void Publisher::OnTold(const Publication& publication, absl::StatusOr<object::Epoch> result) {
  std::vector<Told> waiting;
  {
    base::MutexLock lock(mutex_);
    const auto it = pending_.find(publication.info.id);
    // Forgotten, or replaced, meanwhile.
    if (it == pending_.end() || it->second.publication.info.epoch != publication.info.epoch) return;
    Pending& pending = it->second;
    const bool held = base::Reason(result.status()) == "HELD";
    // Whoever waits for another creator goes on waiting; else who asked hears that the cluster could not be told yet.
    if (!held) waiting = std::exchange(pending.waiting, {});
    if (!result.ok() && MayBeToldLater(result.status())) {
      pending.publication.right = publication.right;
      pending.again = clock_.Now() + base::BackoffDelay(held ? 0 : pending.failures++, kFirstPause, kLongestPause,
                                                        base::BackoffRandom());
    } else {
      if (base::Reason(result.status()) == "EXISTS") conflicts_.insert(publication.info.id);
      pending_.erase(it);
    }
  }
  for (const Told& told : waiting) told(result);
}

void Publisher::Await(const object::ObjectId& id, object::Epoch own, Told told) {
  {
    base::MutexLock lock(mutex_);
    const auto it = pending_.find(id);
    if (it != pending_.end() && it->second.publication.info.epoch == own) {
      it->second.waiting.push_back(std::move(told));
      return;
    }
  }
  if (!InConflict(id)) return told(object::Epoch{});
  told(base::Error(absl::StatusCode::kAlreadyExists, "EXISTS", "'{}' was created by another node meanwhile", id.key));
}

bool Publisher::IsPending(const object::ObjectId& id, object::Epoch own) const {
  base::MutexLock lock(mutex_);
  const auto it = pending_.find(id);
  return it != pending_.end() && it->second.publication.info.epoch == own;
}

bool Publisher::IsBehind(const object::ObjectId& id, object::Epoch own) const {
  base::MutexLock lock(mutex_);
  const auto it = pending_.find(id);
  return it != pending_.end() && it->second.publication.info.epoch == own && it->second.publication.acknowledged;
}

bool Publisher::IsOnlyHere(const object::ObjectId& id) const {
  base::MutexLock lock(mutex_);
  return pending_.contains(id) || conflicts_.contains(id);
}

object::Epoch Publisher::PendingEpoch(const object::ObjectId& id) const {
  base::MutexLock lock(mutex_);
  const auto it = pending_.find(id);
  return it == pending_.end() ? object::Epoch{} : it->second.publication.info.epoch;
}

void Publisher::ForgetConflict(const object::ObjectId& id) {
  base::MutexLock lock(mutex_);
  conflicts_.erase(id);
}

void Publisher::ForgetIf(const object::ObjectId& id, object::Epoch own) {
  Pending forgotten;
  {
    base::MutexLock lock(mutex_);
    const auto it = pending_.find(id);
    if (it == pending_.end() || it->second.publication.info.epoch != own) return;
    forgotten = std::move(it->second);
    pending_.erase(it);
  }
  Abandon(forgotten.publication);
  for (const Told& told : forgotten.waiting) {
    told(base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "'{}' was deleted before it was published", id.key));
  }
}

bool Publisher::InConflict(const object::ObjectId& id) const {
  base::MutexLock lock(mutex_);
  return conflicts_.contains(id);
}

size_t Publisher::pending() const {
  base::MutexLock lock(mutex_);
  return pending_.size();
}

base::Duration Publisher::Tick() {
  std::vector<Publication> due;
  base::Duration next = kIdle;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = clock_.Now();
    for (auto& [id, pending] : pending_) {
      if (!pending.again) continue;
      if (*pending.again <= now) {
        pending.again.reset();
        due.push_back(pending.publication);
      } else {
        next = std::min(next, base::Duration(*pending.again - now));
      }
    }
  }
  for (const Publication& publication : due) Tell(publication);
  return next;
}

}  // namespace larder::cache_agent
