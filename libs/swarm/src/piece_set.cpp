#include "larder/swarm/piece_set.h"

#include <algorithm>
#include <bit>

namespace larder::swarm {

PieceSet PieceSet::All(uint32_t size) {
  PieceSet all(size);
  all.Add(PieceRun{0, size});
  return all;
}

void PieceSet::Add(uint32_t piece) {
  const uint64_t bit = uint64_t{1} << piece % 64;
  uint64_t& word = words_[piece / 64];
  count_ += (word & bit) == 0 ? 1 : 0;
  word |= bit;
}

void PieceSet::Add(PieceRun run) {
  for (uint32_t i = 0; i < run.count; ++i) Add(run.first + i);
}

void PieceSet::Remove(uint32_t piece) {
  const uint64_t bit = uint64_t{1} << piece % 64;
  uint64_t& word = words_[piece / 64];
  count_ -= (word & bit) != 0 ? 1 : 0;
  word &= ~bit;
}

uint32_t PieceSet::NextFrom(uint32_t from) const {
  if (from >= size_) return size_;
  uint64_t word = words_[from / 64] & (~uint64_t{0} << from % 64);
  for (size_t i = from / 64;;) {
    if (word != 0) return static_cast<uint32_t>(i * 64) + static_cast<uint32_t>(std::countr_zero(word));
    if (++i == words_.size()) return size_;
    word = words_[i];
  }
}

std::vector<PieceRun> PieceSet::Runs() const {
  std::vector<PieceRun> runs;
  for (uint32_t piece = NextFrom(0); piece < size_; piece = NextFrom(piece + 1)) {
    if (!runs.empty() && runs.back().first + runs.back().count == piece) {
      ++runs.back().count;
    } else {
      runs.push_back({piece, 1});
    }
  }
  return runs;
}

PieceMap::State PieceMap::at(uint32_t piece) const {
  base::MutexLock lock(mutex_);
  if (held_.Has(piece)) return moving_ ? State::kArriving : State::kHeld;
  return arriving_.Has(piece) ? State::kArriving : State::kAbsent;
}

PieceSet PieceMap::held() const {
  base::MutexLock lock(mutex_);
  return held_;
}

PieceSet PieceMap::arriving() const {
  base::MutexLock lock(mutex_);
  return arriving_;
}

void PieceMap::Set(uint32_t piece, State state) {
  {
    base::MutexLock lock(mutex_);
    const bool was_arriving = arriving_.Has(piece);
    if (held_.Has(piece) || (state != State::kHeld && was_arriving == (state == State::kArriving))) return;
    arriving_.Remove(piece);
    if (state == State::kHeld) held_.Add(piece);
    if (state == State::kArriving) arriving_.Add(piece);
  }
  Tell();
}

void PieceMap::SetMoving(bool moving) {
  {
    base::MutexLock lock(mutex_);
    moving_ = moving;
  }
  Tell();
}

void PieceMap::Stop() {
  {
    base::MutexLock lock(mutex_);
    arriving_ = PieceSet(held_.size());
  }
  Tell();
}

std::shared_ptr<void> PieceMap::Listen(Listener listener) {
  const auto kept = std::make_shared<Listener>(std::move(listener));
  base::MutexLock lock(mutex_);
  std::erase_if(listeners_, [](const auto& weak) { return weak.expired(); });
  listeners_.push_back(kept);
  return kept;
}

void PieceMap::Tell() {
  std::vector<std::shared_ptr<Listener>> listeners;
  {
    base::MutexLock lock(mutex_);
    for (const auto& weak : listeners_) {
      if (auto listener = weak.lock()) listeners.push_back(std::move(listener));
    }
  }
  for (const auto& listener : listeners) (*listener)();
}

}  // namespace larder::swarm
