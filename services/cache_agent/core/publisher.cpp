#include "core/publisher.h"

#include <algorithm>
#include <utility>

#include "larder/base/backoff.h"
#include "larder/base/status.h"

namespace larder::cache_agent {

using object::Epoch;
using object::ObjectId;
using object::TrackedAs;

namespace {

constexpr base::Duration kFirstPause = std::chrono::milliseconds(100);
constexpr base::Duration kLongestPause = std::chrono::seconds(5);
constexpr base::Duration kIdle = std::chrono::seconds(1);

bool IsHeld(const absl::Status& status) { return base::Reason(status) == "HELD"; }

absl::Status NotYet() {
  return base::Error(absl::StatusCode::kUnavailable, "NO_TRACKER", "no tracker said in time that it knows of it");
}

}  // namespace

bool Publisher::MayBeToldLater(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status) ||
         IsHeld(status);
}

Publisher::Pendings::iterator Publisher::Find(const ObjectId& id, Epoch own) {
  const auto it = pending_.find(id);
  return it != pending_.end() && it->second.publication.info.epoch == own ? it : pending_.end();
}

void Publisher::Publish(Publication publication, Told told) {
  Pending replaced;
  Epoch unused;  // right
  bool tell = true;
  {
    base::MutexLock lock(mutex_);
    conflicts_.erase(publication.info.id);
    Pending& pending = pending_[publication.info.id];
    Publication& before = pending.publication;
    if (before.info.epoch == publication.info.epoch) {
      // The same object, put again: one attempt speaks for both.
      before.acknowledged |= publication.acknowledged;
      before.overwrite |= publication.overwrite && !pending.unknown;
      if (before.settings.empty()) before.settings = publication.settings;
      if (before.right != publication.right) unused = publication.right;
      publication = before;
      tell = pending.again.has_value() && pending.holds == 0;
    } else {
      replaced = std::exchange(pending, {.publication = publication});
    }
    if (tell) pending.again.reset();
    if (told) AddWaiting(pending, std::move(told));
  }
  Abandon(publication.info.id, unused);
  if (replaced.publication.right != publication.right) Abandon(publication.info.id, replaced.publication.right);
  for (const Waiting& one : replaced.waiting) {
    one.told(base::Error(absl::StatusCode::kAborted, "SUPERSEDED", "a newer object took its place on this node"));
  }
  if (tell) Tell(publication);
}

void Publisher::AddWaiting(Pending& pending, Told told) {
  pending.waiting.push_back({std::move(told), clock_.Now() + kPatience});
  wake_.emplace(pending.waiting.back().until, pending.publication.info.id);
}

void Publisher::TryAgain(Pending& pending, base::MonotonicTime at) {
  pending.again = at;
  wake_.emplace(at, pending.publication.info.id);
}

void Publisher::Abandon(const ObjectId& id, Epoch right) {
  // Else it would be renewed for as long as this node lives, and nobody could create the key.
  if (right != Epoch{}) registry_.Abandon(id, right, [](const absl::Status&) {});
}

void Publisher::Tell(const Publication& publication) {
  using Result = absl::StatusOr<TrackedAs>;
  if (publication.right != Epoch{}) {
    return registry_.Seal(publication.right, publication.info, [this, publication](Result result) {
      if (base::Reason(result.status()) == "EPOCH_STALE") return OnRightLost(publication, result.status());
      OnTold(publication, std::move(result));
    });
  }
  registry_.Publish(publication.info, publication.overwrite, [this, publication](Result result) {
    if (!result.ok() || publication.settings.empty()) return OnTold(publication, std::move(result));
    registry_.SetMeta(publication.info.id, result->epoch, publication.settings,
                      [this, publication, tracked = *result](const absl::Status& set) {
                        OnTold(publication, set.ok() ? Result(tracked) : set);
                      });
  });
}

void Publisher::OnRightLost(const Publication& publication, const absl::Status& why) {
  Publication without = publication;
  without.right = {};
  bool unknown = false;
  {
    base::MutexLock lock(mutex_);
    const auto it = Find(publication.info.id, publication.info.epoch);
    if (it == pending_.end()) return;
    Pending& pending = it->second;
    pending.publication.right = {};
    unknown = pending.unknown;
    if (!unknown && pending.holds > 0) return TryAgain(pending, clock_.Now());
  }
  // An attempt before may have sealed it, and somebody deleted or replaced it since: that is not undone. Else the bytes
  // are not lost: it is like one that never had the right.
  return unknown ? OnTold(publication, why) : Tell(without);
}

void Publisher::OnTold(const Publication& publication, absl::StatusOr<TrackedAs> result) {
  if (result.ok() && tracked_) tracked_(publication.info, *result);
  std::vector<Waiting> waiting;
  {
    base::MutexLock lock(mutex_);
    const auto it = Find(publication.info.id, publication.info.epoch);
    if (it == pending_.end()) return;  // forgotten, or replaced, meanwhile
    Pending& pending = it->second;
    const base::MonotonicTime now = clock_.Now();
    const bool held = IsHeld(result.status());
    // Whoever waits for another creator goes on waiting; else who asked hears that the cluster could not be told yet.
    if (!held) waiting = std::exchange(pending.waiting, {});
    for (Waiting& one : pending.waiting) {
      one.until = now + kPatience;
      wake_.emplace(one.until, publication.info.id);
    }
    if (!result.ok() && MayBeToldLater(result.status())) {
      pending.unknown |= absl::IsDeadlineExceeded(result.status());
      // An attempt that may have been done may have been followed by others' newer objects.
      if (pending.unknown) pending.publication.overwrite = false;
      TryAgain(pending, now + base::BackoffDelay(held ? 0 : pending.failures++, kFirstPause, kLongestPause,
                                                 base::BackoffRandom()));
    } else {
      if (!result.ok()) conflicts_[publication.info.id] = publication.info.epoch;
      pending_.erase(it);
    }
  }
  for (const Waiting& one : waiting) one.told(result);
}

void Publisher::Await(const ObjectId& id, Epoch own, Told told) {
  {
    base::MutexLock lock(mutex_);
    if (const auto it = Find(id, own); it != pending_.end()) {
      return AddWaiting(it->second, std::move(told));
    }
  }
  if (!InConflict(id)) return told(TrackedAs{});
  told(base::Error(absl::StatusCode::kAlreadyExists, "EXISTS", "'{}' was created by another node meanwhile", id.key));
}

bool Publisher::IsPending(const ObjectId& id, Epoch own) const {
  base::MutexLock lock(mutex_);
  const auto it = pending_.find(id);
  return it != pending_.end() && it->second.publication.info.epoch == own;
}

bool Publisher::IsBehind(const ObjectId& id, Epoch own) const {
  base::MutexLock lock(mutex_);
  const auto it = pending_.find(id);
  return it != pending_.end() && it->second.publication.info.epoch == own && it->second.publication.acknowledged;
}

bool Publisher::IsOnlyHere(const ObjectId& id) const {
  base::MutexLock lock(mutex_);
  return pending_.contains(id) || conflicts_.contains(id);
}

Epoch Publisher::PendingEpoch(const ObjectId& id) const {
  base::MutexLock lock(mutex_);
  const auto it = pending_.find(id);
  return it == pending_.end() ? Epoch{} : it->second.publication.info.epoch;
}

void Publisher::Hold(const ObjectId& id, Epoch own) {
  base::MutexLock lock(mutex_);
  if (const auto it = Find(id, own); it != pending_.end()) ++it->second.holds;
}

void Publisher::Release(const ObjectId& id, Epoch own) {
  base::MutexLock lock(mutex_);
  const auto it = Find(id, own);
  if (it == pending_.end() || it->second.holds == 0) return;
  it->second.holds -= 1;
  if (it->second.again) wake_.emplace(*it->second.again, id);
}

void Publisher::ForgetIf(const ObjectId& id, Epoch own) {
  Pending forgotten;
  {
    base::MutexLock lock(mutex_);
    if (const auto conflict = conflicts_.find(id); conflict != conflicts_.end() && conflict->second == own) {
      conflicts_.erase(conflict);
    }
    const auto it = Find(id, own);
    if (it == pending_.end()) return;
    forgotten = std::move(it->second);
    pending_.erase(it);
  }
  Abandon(id, forgotten.publication.right);
  for (const Waiting& one : forgotten.waiting) {
    one.told(base::Error(absl::StatusCode::kNotFound, "NO_OBJECT",
                         "'{}' was deleted, or dropped, before it was published", id.key));
  }
}

bool Publisher::InConflict(const ObjectId& id) const {
  base::MutexLock lock(mutex_);
  return conflicts_.contains(id);
}

size_t Publisher::pending() const {
  base::MutexLock lock(mutex_);
  return pending_.size();
}

base::Duration Publisher::Tick() {
  std::vector<Publication> due;
  std::vector<Waiting> tired;
  base::Duration next = kIdle;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = clock_.Now();
    while (!wake_.empty() && wake_.begin()->first <= now) {
      const auto it = pending_.find(wake_.extract(wake_.begin()).mapped());
      if (it == pending_.end()) continue;
      Pending& pending = it->second;
      std::erase_if(pending.waiting, [&](Waiting& one) {
        if (one.until > now) return false;
        tired.push_back(std::move(one));
        return true;
      });
      if (!pending.again || *pending.again > now || pending.holds > 0) continue;
      pending.again.reset();
      due.push_back(pending.publication);
    }
    if (!wake_.empty()) next = std::min(next, base::Duration(wake_.begin()->first - now));
  }
  for (const Waiting& one : tired) one.told(NotYet());
  for (const Publication& publication : due) Tell(publication);
  return next;
}

}  // namespace larder::cache_agent
