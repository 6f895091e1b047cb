#include "src/super_seeding.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace larder::swarm {
namespace {

// Pieces that are on their way at once: fewer would leave pauses, more make each one late.
constexpr uint32_t kFirstDue = 4;
constexpr uint32_t kMostDue = 64;
// However fast the others were.
constexpr auto kSoonestLate = std::chrono::milliseconds(100);

}  // namespace

SuperSeeding::SuperSeeding(uint32_t pieces, uint64_t seed, Now now, base::Duration patience)
    : pieces_(pieces), random_(seed), most_due_(kFirstDue), patience_(patience), pace_(patience / 4), begun_(now) {
  for (uint32_t piece = 0; piece < pieces; ++piece) fresh_.push_back(piece);
  std::ranges::shuffle(fresh_, random_);
}

void SuperSeeding::Join(Child child, Now now) { children_[child] = {.told = PieceSet(pieces_), .moved = now}; }

void SuperSeeding::Leave(Child child) {
  const auto found = children_.find(child);
  TakeBack(found->second);
  children_.erase(found);
}

void SuperSeeding::TakeBack(ChildState& state) {
  for (const Due& due : std::exchange(state.due, {})) fresh_.push_back(due.piece);
  if (!fresh_.empty()) over_since_.reset();
}

void SuperSeeding::Offer(ChildState& state, uint32_t piece, bool asked, Now now) {
  if (state.due.empty()) state.moved = now;
  state.told.Add(piece);
  state.due.push_back({.piece = piece, .since = now, .asked = asked});
  ++state.offered;
}

void SuperSeeding::Asked(Child child, PieceRun run, Now now) {
  ChildState& state = children_.at(child);
  for (uint32_t piece = run.first; piece < run.first + run.count; ++piece) {
    const auto due = std::ranges::find(state.due, piece, &Due::piece);
    if (due != state.due.end()) due->asked = true;
    if (state.told.Has(piece)) continue;
    state.told.Add(piece);
    if (std::erase(fresh_, piece) > 0) Offer(state, piece, true, now);
  }
}

void SuperSeeding::Moved(Child child, Now now) { children_.at(child).moved = now; }

void SuperSeeding::Sent(Child child, uint32_t piece, Now now) {
  ChildState& state = children_.at(child);
  const auto due = std::ranges::find(state.due, piece, &Due::piece);
  if (due == state.due.end()) {
    std::erase(fresh_, piece);  // it was taken back, and came after all
    return;
  }
  pace_ = (3 * pace_ + (now - due->since)) / 4;
  state.due.erase(due);
  const bool asked = std::ranges::any_of(
      children_, [](const auto& entry) { return std::ranges::any_of(entry.second.due, &Due::asked); });
  if (!asked && most_due_ < kMostDue) ++most_due_;
}

bool SuperSeeding::IsLate(const Due& due, Now now) const {
  return now - due.since >= std::max<base::Duration>(4 * pace_, kSoonestLate);
}

SuperSeeding::ChildState* SuperSeeding::Next(Now now, size_t& place, Child& child) {
  ChildState* next = nullptr;
  for (auto& [id, state] : children_) {
    if (state.told.full() || state.due.size() >= most_due_) continue;
    const auto rank = [&](const ChildState& of) {
      const auto late = std::ranges::count_if(of.due, [&](const Due& due) { return IsLate(due, now); });
      return std::tuple(late, of.due.size(), of.offered);
    };
    if (next != nullptr && rank(*next) <= rank(state)) continue;
    const auto fresh = std::find_if(fresh_.rbegin(), fresh_.rend(), [&](uint32_t p) { return !state.told.Has(p); });
    if (fresh == fresh_.rend()) continue;
    next = &state;
    child = id;
    place = static_cast<size_t>(fresh_.rend() - fresh) - 1;
  }
  return next;
}

std::vector<SuperSeeding::Child> SuperSeeding::Advance(Now now) {
  std::vector<Child> changed;
  const auto tell_all = [&](Child child, ChildState& state) {
    if (state.told.full()) return;
    state.told = PieceSet::All(pieces_);
    changed.push_back(child);
  };
  uint32_t due_now = 0;
  for (auto& [id, state] : children_) {
    if (!state.due.empty() && now - state.moved >= patience_) {
      TakeBack(state);
      tell_all(id, state);
    }
    due_now += std::ranges::count_if(state.due, [&](const Due& due) { return !IsLate(due, now); });
  }
  size_t place = 0;
  Child child = 0;
  for (; due_now < most_due_; ++due_now) {
    ChildState* next = Next(now, place, child);
    if (next == nullptr) break;
    Offer(*next, fresh_[place], false, now);
    fresh_.erase(fresh_.begin() + static_cast<ptrdiff_t>(place));
    if (std::ranges::find(changed, child) == changed.end()) changed.push_back(child);
  }
  const bool none_due = std::ranges::all_of(children_, [](const auto& entry) { return entry.second.due.empty(); });
  if (fresh_.empty() && none_due && !over_since_) over_since_ = now;
  // What has left spreads; who cannot have it from others in that time has it from here.
  if (over_since_ && now - *over_since_ >= std::max(patience_, (*over_since_ - begun_) / 4)) {
    for (auto& [id, state] : children_) tell_all(id, state);
  }
  return changed;
}

}  // namespace larder::swarm
