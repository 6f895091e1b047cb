#include "src/pool.h"

// How the pool gets memory back: the proof, quarantine, zeroing, dropping.
namespace larder::arena {

void Pool::Retire(SlabPtr slab) {
  in_use_ -= slab->size();
  if (slab->use == SlabUse::kSealed) Book(slab->ns, &Account::sealed, -static_cast<int64_t>(slab->size()));
  switch (recycles_ ? slab->TryProof() : Slab::Proof::kNone) {
    case Slab::Proof::kUnshared:
      return Clean(std::move(slab));
    case Slab::Proof::kShared:
      return Quarantine(std::move(slab));
    case Slab::Proof::kNone:
      return Discard(std::move(slab));
  }
}

void Pool::Discard(SlabPtr slab) {
  if (slab->use == SlabUse::kWindow) BookWindow(slab->ns, -static_cast<int64_t>(slab->size()));
  Drop(std::move(slab));
}

void Pool::Clean(SlabPtr slab) {
  if (slab->use == SlabUse::kWindow) BookWindow(slab->ns, -static_cast<int64_t>(slab->size()));
  dirty_.push_back(std::move(slab));
}

void Pool::Quarantine(SlabPtr slab) {
  held_bytes_ += slab->size();
  Book(slab->ns, &Account::quarantined, static_cast<int64_t>(slab->size()));
  quarantine_.push_back(std::move(slab));
}

void Pool::ReleaseProven() {
  std::deque<SlabPtr> tried;
  tried.swap(quarantine_);
  for (SlabPtr& slab : tried) {
    const Slab::Proof proof = slab->TryProof();
    if (proof == Slab::Proof::kShared) {
      quarantine_.push_back(std::move(slab));
      continue;
    }
    held_bytes_ -= slab->size();
    Book(slab->ns, &Account::quarantined, -static_cast<int64_t>(slab->size()));
    proof == Slab::Proof::kUnshared ? Clean(std::move(slab)) : Discard(std::move(slab));
  }
}

bool Pool::MakeRoom(uint64_t bytes) {
  if (budget_ < bytes) CollectEnded();
  while (budget_ < bytes) {
    if (!dirty_.empty()) {
      SlabPtr victim = std::move(dirty_.front());
      dirty_.pop_front();
      Drop(std::move(victim));
    } else if (!free_.empty()) {
      // Spares last: they are what any namespace can take at once. kSpare sorts first.
      Drop(TakeFree(free_.rbegin()->first));
    } else {
      return false;
    }
  }
  return true;
}

void Pool::Drop(SlabPtr slab) {
  const uint64_t size = slab->size();
  // A window's pages go with it, whoever holds the rest.
  if (!slab->shared() || !slab->watched() || slab->use == SlabUse::kWindow) {
    budget_ += size;
    dropped_.push_back(std::move(slab));
    return;
  }
  ending_[*slab->watched()] = {.ns = slab->ns, .bytes = size};
  held_bytes_ += size;
  Book(slab->ns, &Account::ending, static_cast<int64_t>(size));
  slab.reset();
  CollectEnded();  // it has ended, unless somebody cheats
}

void Pool::CollectEnded() {
  for (const int watched : watch_->Ended()) {
    const auto node = ending_.extract(watched);
    if (node.empty()) continue;
    budget_ += node.mapped().bytes;
    held_bytes_ -= node.mapped().bytes;
    Book(node.mapped().ns, &Account::ending, -static_cast<int64_t>(node.mapped().bytes));
  }
}

void Pool::Maintain() {
  std::vector<SlabPtr> dropped;
  {
    base::MutexLock lock(mutex_);
    CollectEnded();
    ReleaseProven();
    dropped.swap(dropped_);
  }
  dropped.clear();
  ZeroDirty();
  KeepSpare();
}

void Pool::ZeroDirty() {
  while (true) {
    SlabPtr slab;
    {
      base::MutexLock lock(mutex_);
      if (dirty_.empty()) return;
      slab = std::move(dirty_.front());
      dirty_.pop_front();
      readying_ += slab->size();
    }
    slab->Zero();
    base::MutexLock lock(mutex_);
    readying_ -= slab->size();
    free_[KeyOf(*slab)].push_back(std::move(slab));
  }
}

void Pool::KeepSpare() {
  {
    base::MutexLock lock(mutex_);
    if (free_.contains({.size = slab_size_}) || budget_ < slab_size_) return;
    budget_ -= slab_size_;
    readying_ += slab_size_;
  }
  absl::StatusOr<SlabPtr> made = Slab::Make(slab_size_, ids_, watch_);
  base::MutexLock lock(mutex_);
  readying_ -= slab_size_;
  if (made.ok()) {
    free_[KeyOf(**made)].push_back(*std::move(made));
  } else {
    budget_ += slab_size_;  // tried again at the next round, and by whoever needs one
  }
}

}  // namespace larder::arena
