#include <algorithm>
#include <utility>

#include "core/tracked_peer.h"
#include "larder/base/status.h"

// What is here, and what the cluster knows of it: told, compared, and dropped where others deleted or replaced it.
namespace larder::cache_agent {

using object::Done;
using object::Epoch;
using object::ObjectId;
using object::TrackedAs;

namespace {

constexpr size_t kPage = 1000;
// By a Tick, so that questions about all that is here leave room for others.
constexpr size_t kCheckedAtOnce = 256;
constexpr size_t kLookedAtAtOnce = 4096;
// After which an object whose fate is not known yet is looked at again.
constexpr base::Duration kLookAgain = std::chrono::milliseconds(100);

}  // namespace

void TrackedPeer::VisitAll(const std::function<void(const object::ObjectInfo&)>& visit) {
  ObjectId after;
  while (true) {
    const std::vector<object::ObjectInfo> page = inner().ListSealed(after, kPage);
    for (const object::ObjectInfo& info : page) visit(info);
    if (page.size() < kPage) return;
    after = page.back().id;
  }
}

void TrackedPeer::PublishUntracked() {
  VisitAll([this](const object::ObjectInfo& info) {
    // What is tracked may have been deleted while this node was down: it is compared.
    if (!info.tracked) publisher_.Publish({.info = WithManifest(info), .acknowledged = true}, nullptr);
  });
}

void TrackedPeer::OnTracked(const object::ObjectInfo& info, const TrackedAs& tracked) {
  {
    base::MutexLock lock(mutex_);
    marking_.emplace(info.id, tracked);
  }
  // While the agent stops, it is not marked: it is told of again at the next start.
  Run([this, info, tracked] { Mark(info, tracked); });
}

void TrackedPeer::Mark(const object::ObjectInfo& info, const TrackedAs& tracked) {
  const absl::Status marked = inner().SetTracked(info.id, info.epoch, tracked);
  EndMarking(info.id, tracked);
  // What a disk did not keep is told of again at the next start. What went before the cluster heard of it, and what
  // took its place, if anything did, speaks for itself.
  if (base::Reason(marked) == "NO_OBJECT") inventory_.GiveUp(info.id, tracked);
}

void TrackedPeer::EndMarking(const ObjectId& id, const TrackedAs& tracked) {
  base::MutexLock lock(mutex_);
  const auto [begin, end] = marking_.equal_range(id);
  const auto it = std::find_if(begin, end, [&](const auto& item) { return item.second == tracked; });
  if (it != end) marking_.erase(it);
}

// ---- what goes by itself, and what other nodes have done

void TrackedPeer::OnGone(const std::vector<object::ObjectInfo>& gone) {
  for (const object::ObjectInfo& info : gone) {
    publisher_.ForgetIf(info.id, info.epoch);
    if (info.tracked) inventory_.GiveUp(info.id, *info.tracked);
  }
}

void TrackedPeer::AskWhetherTheyMayGo(const std::vector<object::ObjectInfo>& objects, Done<std::vector<bool>> done) {
  std::vector<std::pair<ObjectId, TrackedAs>> copies;
  copies.reserve(objects.size());
  for (const object::ObjectInfo& info : objects) copies.emplace_back(info.id, info.tracked.value_or(TrackedAs{}));
  inventory_.Offer(std::move(copies), std::move(done));
}

std::vector<TrackedAs> TrackedPeer::Copies() {
  std::vector<TrackedAs> copies;
  {
    base::MutexLock lock(mutex_);
    for (const auto& [id, tracked] : marking_) copies.push_back(tracked);
  }
  VisitAll([&copies](const object::ObjectInfo& info) {
    if (info.tracked) copies.push_back(*info.tracked);
  });
  // One may have been marked meanwhile.
  std::ranges::sort(copies);
  copies.erase(std::ranges::unique(copies).begin(), copies.end());
  return copies;
}

InventorySync::Presence TrackedPeer::PresenceOf(const ObjectId& id, const TrackedAs& copy) {
  using Presence = InventorySync::Presence;
  {
    base::MutexLock lock(mutex_);
    if (marking_.contains(id)) return Presence::kUndecided;
  }
  // What is told of now may come to the same copy.
  if (publisher_.PendingEpoch(id) != Epoch{}) return Presence::kUndecided;
  const std::optional<object::ObjectInfo> here = inner().FindSealed(id);
  return here && here->tracked == copy ? Presence::kHere : Presence::kGone;
}

void TrackedPeer::CheckOver() {
  std::set<TrackedAs> over;
  {
    base::MutexLock lock(mutex_);
    over.swap(over_);
  }
  if (over.empty()) return;
  VisitAll([this, &over](const object::ObjectInfo& info) {
    if (info.tracked && over.contains(*info.tracked)) Recheck(info.id);
  });
}

void TrackedPeer::Recheck(const ObjectId& id) {
  if (fetches_ != nullptr) fetches_->Outdate(id);
  // Most of what changes in a cluster is not here.
  if (inner().FindSealed(id)) CheckLater(id, {});
}

void TrackedPeer::CheckLater(const ObjectId& id, base::MonotonicTime not_before) {
  base::MutexLock lock(mutex_);
  if (rechecking_.insert(id).second) recheck_.push_back({id, not_before});
}

void TrackedPeer::CheckCopies() {
  std::vector<ObjectId> due;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = clock_.Now();
    for (size_t left = std::min(recheck_.size(), kLookedAtAtOnce); left > 0 && due.size() < kCheckedAtOnce; --left) {
      RecheckEntry entry = std::move(recheck_.front());
      recheck_.pop_front();
      if (entry.not_before > now) {
        recheck_.push_back(std::move(entry));
      } else {
        rechecking_.erase(entry.id);
        due.push_back(std::move(entry.id));
      }
    }
  }
  for (const ObjectId& id : due) CheckHere(id);
  CheckOver();
}

bool TrackedPeer::IsBeingCreated(const ObjectId& id) {
  base::MutexLock lock(mutex_);
  return std::ranges::any_of(creations_, [&id](const auto& item) {
    const ObjectId& created = item.second->id;
    return created.ns == id.ns && (created.key == id.key || (created.key.empty() && id.key.starts_with("sha256:")));
  });
}

bool TrackedPeer::IsOwn(const ObjectId& id) { return IsBeingCreated(id) || publisher_.IsOnlyHere(id); }

void TrackedPeer::CheckHere(const ObjectId& id) {
  const std::optional<object::ObjectInfo> here = inner().FindSealed(id);
  if (!here) return;
  // Its seal may be on its way to the cluster: that decides, and is then looked at.
  if (IsBeingCreated(id) || publisher_.PendingEpoch(id) != Epoch{}) return CheckLater(id, clock_.Now() + kLookAgain);
  if (publisher_.IsOnlyHere(id)) return;
  registry_.Locate(
      {id}, [this, info = *here](const absl::StatusOr<std::vector<ClusterObject>>& found) { DropIfGone(info, found); });
}

void TrackedPeer::DropIfGone(const object::ObjectInfo& here, const absl::StatusOr<std::vector<ClusterObject>>& found) {
  if (!found.ok() || IsOwn(here.id)) return CheckLater(here.id, clock_.Now() + kLookAgain);
  const object::ObjectInfo& there = found->front().info;
  const bool sealed = there.state == object::ObjectState::kSealed;
  const bool same_content = sealed && there.digest == here.digest && there.size == here.size;
  if (here.tracked ? sealed && there.epoch == here.tracked->epoch : same_content) return;
  // Created anew elsewhere, and this is a copy of that, too.
  if (same_content) return publisher_.Publish({.info = WithManifest(here), .acknowledged = true}, nullptr);
  // While the agent stops, it stays: it is compared at the next start.
  Run([this, here] {
    // Told anew since somebody looked: what it comes to decides.
    if (IsOwn(here.id)) return;
    if (WasToldOf(here)) return CheckLater(here.id, clock_.Now() + kLookAgain);
    inner().Drop(here.id, here.epoch).IgnoreError();
  });
}

bool TrackedPeer::WasToldOf(const object::ObjectInfo& before) {
  {
    base::MutexLock lock(mutex_);
    if (marking_.contains(before.id)) return true;
  }
  const std::optional<object::ObjectInfo> now = inner().FindSealed(before.id);
  return now && now->tracked != before.tracked;
}

}  // namespace larder::cache_agent
