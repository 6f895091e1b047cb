// What a fetch does by time, and what it asks for.
#include <algorithm>
#include <deque>
#include <utility>

#include "larder/base/status.h"
#include "src/fetch_machine.h"

namespace larder::swarm {
namespace {

using absl::StatusCode;

constexpr uint32_t kWindow = 4;      // pieces that a parent is asked for ahead, at least
constexpr uint32_t kMaxWindow = 64;  // and at most
constexpr uint32_t kRunsPerObject = 256;
constexpr uint32_t kLeadPieces = 8;  // that a reader is about to read
constexpr uint32_t kEndgamePieces = 4;
constexpr double kEndgameRatio = 2;                                // a piece's parent is this much slower than another
constexpr auto kEndgamePatience = std::chrono::milliseconds(100);  // or silent so long
constexpr double kStragglerRatio = 4;                              // slower than the others' median
constexpr int kStragglerSamples = 2;
constexpr auto kSlowFor = std::chrono::seconds(10);
// Who super-seeds is asked for whatever it has, once nothing has come from anybody for so long,
constexpr auto kStarved = std::chrono::milliseconds(500);
constexpr auto kAlone = std::chrono::milliseconds(100);  // or nobody else was there for so long.

}  // namespace

void FetchMachine::Advance(Now now) {
  if (result_) return;
  ForgivePauses(now);
  DialDue(now);
  for (auto& [id, parent] : parents_) CheckStall(parent, now);
  if (now >= next_sample_) SampleRates(now);
  const bool somebody =
      std::ranges::any_of(parents_, [](const auto& entry) { return entry.second.phase != FetchParent::Phase::kOut; });
  if (idle()) progress_ = now;
  if (!somebody && !request_.more_parents_may_come && !idle()) {
    Finish(base::Error(StatusCode::kUnavailable, "NO_PARENTS", "nobody is left to fetch {}/{} from: {}", request_.id.ns,
                       request_.id.key, WhyEach()));
    return;
  }
  if (now - progress_ >= options_.no_progress) {
    Finish(base::Error(StatusCode::kUnavailable, "NO_PROGRESS", "nothing of {}/{} came in {} s: {}", request_.id.ns,
                       request_.id.key, std::chrono::floor<std::chrono::seconds>(options_.no_progress).count(),
                       WhyEach()));
    return;
  }
  changed_ = changed_ || now >= AskAllAt();
  if (std::exchange(changed_, false) && ledger_) AssignPieces(now);
}

base::Deadline FetchMachine::next() const {
  if (result_) return base::kNoDeadline;
  base::Deadline next = base::kNoDeadline;
  if (!idle()) next = std::min<base::Deadline>(next_sample_, base::DeadlineAfter(progress_, options_.no_progress));
  for (const auto& [id, parent] : parents_) {
    if (parent.phase == FetchParent::Phase::kWaiting && !idle()) next = std::min<base::Deadline>(next, parent.dial_at);
    next = std::min(next, parent.StallAt(options_.stall));
  }
  if (const base::Deadline all = AskAllAt(); all > advanced_) next = std::min(next, all);
  return next;
}

bool FetchMachine::Alone() const {
  return std::ranges::all_of(parents_, [](const auto& entry) {
    return entry.second.phase != FetchParent::Phase::kOpen || entry.second.super_seeds;
  });
}

base::Deadline FetchMachine::AskAllAt() const {
  const bool some_rests = std::ranges::any_of(parents_, [](const auto& entry) {
    const FetchParent& parent = entry.second;
    return parent.phase == FetchParent::Phase::kOpen && parent.super_seeds && parent.flights.empty();
  });
  if (!some_rests || ledger_->wanted().empty()) return base::kNoDeadline;
  return Alone() ? base::DeadlineAfter(accompanied_, kAlone) : base::DeadlineAfter(progress_, kStarved);
}

void FetchMachine::ForgivePauses(Now now) {
  if (paused_) progress_ = std::min(now, progress_ + (now - advanced_));
  paused_ = std::ranges::any_of(parents_, [](const auto& entry) { return entry.second.paused_since.has_value(); });
  advanced_ = now;
}

void FetchMachine::DialDue(Now now) {
  if (idle()) return;
  auto connected = std::ranges::count_if(parents_, [](const auto& entry) { return entry.second.connected(); });
  for (auto& [id, parent] : parents_) {
    if (parent.phase != FetchParent::Phase::kWaiting || parent.dial_at > now) continue;
    if (static_cast<size_t>(connected) >= kMaxParents) {
      parent.dial_at = base::DeadlineAfter(now, options_.first_redial);
      continue;
    }
    ++connected;
    parent.phase = FetchParent::Phase::kDialling;
    parent.last_byte = now;
    Do(Action::Kind::kDial, id, parent.spec.address);
  }
}

void FetchMachine::CheckStall(FetchParent& parent, Now now) {
  if (now < parent.StallAt(options_.stall)) return;
  if (parent.phase == FetchParent::Phase::kOpen && parent.awaits_arriving()) {
    // Nobody's fault; and two that wait for each other must not do so for ever.
    parent.arriving.Remove(parent.flights.front().rest.first);
    CancelAll(parent);
    return;
  }
  const std::string_view what = parent.phase == FetchParent::Phase::kDialling ? "no connection" : "not a byte";
  Fail(parent,
       base::Error(StatusCode::kUnavailable, "STALLED", "{} within {} ms", what,
                   std::chrono::floor<std::chrono::milliseconds>(options_.stall).count()),
       false, now);
}

void FetchMachine::SampleRates(Now now) {
  const Now begin = next_sample_ - kSampleEvery;
  const double seconds = std::chrono::duration<double>(now - begin).count();
  next_sample_ = now + kSampleEvery;
  changed_ = true;  // who was slow may be asked again, and the last pieces a second time
  for (auto& [id, parent] : parents_) {
    const auto bytes = static_cast<double>(std::exchange(parent.bytes, 0));
    // Of who is silent CheckStall takes care.
    if (bytes == 0 || parent.awaits_arriving()) continue;
    if (!parent.flights.empty()) {
      if (parent.busy_since <= begin) parent.rate = bytes / seconds;
    } else if (const Now from = std::max(parent.busy_since, begin); parent.last_byte > from) {
      parent.rate = bytes / std::chrono::duration<double>(parent.last_byte - from).count();
    }
  }
  for (auto& [id, parent] : parents_) {
    std::vector<double> others;
    for (const auto& [other, them] : parents_) {
      if (other != id && them.rate) others.push_back(*them.rate);
    }
    const auto median = others.begin() + static_cast<ptrdiff_t>(others.size() / 2);
    std::ranges::nth_element(others, median);
    const bool slow = !parent.flights.empty() && !parent.limited(begin) && parent.rate && !others.empty() &&
                      *parent.rate * kStragglerRatio < *median;
    parent.slow = slow ? parent.slow + 1 : 0;
    if (parent.slow >= kStragglerSamples) LeaveStraggler(parent, now);
  }
}

void FetchMachine::LeaveStraggler(FetchParent& parent, Now now) {
  parent.slow = 0;
  parent.slow_until = now + kSlowFor;
  std::vector<uint32_t> requests;
  for (const Flight& flight : parent.flights) {
    bool elsewhere = false;
    for (uint32_t i = 0; i < flight.rest.count; ++i) elsewhere = elsewhere || BetterHas(flight.rest.first + i, now);
    if (elsewhere) requests.push_back(flight.request);
  }
  for (const uint32_t request : requests) EndFlight(parent, request, true);
  if (!requests.empty()) metrics_.Straggler();
}

bool FetchMachine::BetterHas(uint32_t piece, Now now) const {
  return std::ranges::any_of(parents_, [&](const auto& entry) {
    const FetchParent& parent = entry.second;
    return parent.phase == FetchParent::Phase::kOpen && parent.slow_until <= now && parent.Holds(piece);
  });
}

PieceSet FetchMachine::ScarceAt(const FetchParent& parent, Now now) const {
  const PieceSet& wanted = ledger_->wanted();
  PieceSet scarce(wanted.size());
  for (uint32_t piece = wanted.NextFrom(0); piece < wanted.size(); piece = wanted.NextFrom(piece + 1)) {
    if (parent.Holds(piece) && !BetterHas(piece, now)) scarce.Add(piece);
  }
  return scarce;
}

uint32_t FetchMachine::FreeOf(const FetchParent& parent, Now now) const {
  uint32_t window = kWindow;
  if (parent.rate) {
    const double ahead = *parent.rate * std::chrono::duration<double>(parent.round_trip).count();
    window = std::clamp(static_cast<uint32_t>(ahead / manifest_->piece_length) + 2, kWindow, kMaxWindow);
  }
  if (parent.slow_until > now) window = 1;
  return window - std::min(window, parent.asked());
}

void FetchMachine::AssignPieces(Now now) {
  while (!AssignOnce(false, now)) {
  }
  const bool alone = Alone();
  if (!alone) accompanied_ = now;
  // Only now: once something comes, what others are about to have is theirs to give.
  const bool starved = !alone && now >= AskAllAt();
  if (!starved && now - accompanied_ < kAlone) return;
  while (!AssignOnce(true, now)) {
  }
}

bool FetchMachine::AssignOnce(bool all, Now now) {
  std::vector<FetchParent*> open;
  std::deque<PieceSet> sets;  // of slow parents, and of those that super-seed
  std::vector<AssignView::Parent> parents;
  for (auto& [id, parent] : parents_) {
    if (parent.phase != FetchParent::Phase::kOpen) continue;
    open.push_back(&parent);
    const PieceSet* held = parent.held && !(all && parent.super_seeds) ? &*parent.held : nullptr;
    if (held != nullptr && parent.super_seeds && !ledger_->urgent().empty()) {
      // It has all, and somebody waits: that does not wait for its turn.
      PieceSet& reach = sets.emplace_back(*held);
      for (const PieceRun& run : ledger_->urgent().Runs()) reach.Add(run);
      held = &reach;
    }
    if (parent.slow_until > now) held = &sets.emplace_back(ScarceAt(parent, now));
    parents.push_back(
        {.held = held, .arriving = &parent.arriving, .free = FreeOf(parent, now), .distance = parent.spec.distance});
  }
  const std::vector<AssignView::InFlight> in_flight = EndgamePieces(open, now);
  const uint32_t pieces = manifest_->piece_count();
  bool whole = true;
  for (const Assignment& assignment : Assign({.wanted = &ledger_->wanted(),
                                      .parents = parents,
                                      .run_length = (pieces + kRunsPerObject - 1) / kRunsPerObject,
                                      .lead_end = request_.streaming ? ledger_->FirstMissing() + kLeadPieces : 0,
                                      .urgent = &ledger_->urgent(),
                                      .in_flight = in_flight,
                                      .seed = random_()})) {
    FetchParent& parent = *open[assignment.parent];
    Flight flight;
    if (assignment.duplicate) {
      const auto first = std::ranges::find(in_flight, assignment.run.first, &AssignView::InFlight::piece);
      const auto& flights = open[first->parent]->flights;
      const auto original = std::ranges::find_if(flights, [&](const Flight& f) {
        return first->piece >= f.rest.first && first->piece < f.rest.first + f.rest.count;
      });
      flight = ledger_->BeginDuplicate(assignment.run.first, parent.id, *original);
    } else {
      if (parent.super_seeds) parent.held->Add(assignment.run);
      flight = ledger_->Begin(assignment.run, parent.id, parent.Holds(assignment.run.first));
    }
    whole = whole && flight.rest == assignment.run;
    flight.request = next_request_++;
    Do(Action::Kind::kSend, parent.id,
       Encode(GetFrame{.request = flight.request, .run = flight.rest, .start = flight.received}));
    if (parent.flights.empty()) {
      parent.last_byte = parent.busy_since = now;
      parent.bytes = 0;
    }
    parent.flights.push_back(std::move(flight));
  }
  return whole;
}

std::vector<AssignView::InFlight> FetchMachine::EndgamePieces(const std::vector<FetchParent*>& open, Now now) const {
  std::vector<AssignView::InFlight> pieces;
  if (!ledger_->wanted().empty()) return pieces;
  uint32_t in_all = 0;
  double best = 0;
  for (const FetchParent* parent : open) {
    in_all += parent->asked();
    best = std::max(best, parent->rate.value_or(0));
  }
  if (in_all > kEndgamePieces) return pieces;
  for (uint32_t number = 0; number < open.size(); ++number) {
    const FetchParent& parent = *open[number];
    if (parent.limited(now - kSampleEvery)) continue;  // another would not be faster
    const bool silent = now - parent.last_byte >= kEndgamePatience;
    if (!silent && (!parent.rate || *parent.rate * kEndgameRatio > best)) continue;
    for (const Flight& flight : parent.flights) {
      for (uint32_t i = 0; i < flight.rest.count; ++i) {
        if (ledger_->FliesOnce(flight.rest.first + i)) pieces.push_back({flight.rest.first + i, number});
      }
    }
  }
  return pieces;
}

}  // namespace larder::swarm
