#include <algorithm>
#include <utility>

#include "core/fetches.h"
#include "larder/base/status.h"

// What those wait for who read: all of an object, or some of its bytes.
namespace larder::cache_agent {

using object::ObjectId;

namespace {

absl::Status Busy() {
  return base::Error(absl::StatusCode::kResourceExhausted, "FETCHES_BUSY",
                     "too many reads wait for objects of other nodes already: wait for some of them");
}

uint32_t PiecesIn(const object::ObjectInfo& info) {
  if (info.size == 0) return 0;
  return static_cast<uint32_t>((info.size - 1) / info.meta.piece_length + 1);
}

}  // namespace

void Fetches::Bring(object::SessionId session, const ObjectId& id, base::Deadline deadline, Brought done) {
  Add(id, {.session = session, .deadline = deadline, .range = {}, .done = [done = std::move(done)](const auto& lent) {
             done(lent.status());
           }});
}

void Fetches::BringRange(object::SessionId session, const ObjectId& id, const object::ByteRange& range,
                         base::Deadline deadline, Lent done) {
  Add(id, {.session = session, .deadline = deadline, .range = range, .done = std::move(done)});
}

void Fetches::Give(const std::vector<Answer>& answers) {
  for (const Answer& answer : answers) answer.done(answer.lent);
}

void Fetches::Add(const ObjectId& id, Waiter waiter) {
  std::vector<Answer> answers;
  FlightPtr asks;
  {
    base::MutexLock lock(mutex_);
    const auto waiting = waiting_.find(waiter.session);
    if (stopped_) {
      answers.push_back({waiter.done, Stopping()});
    } else if ((!flights_.contains(id) && flights_.size() >= kMostFlights) ||
               (waiting != waiting_.end() && waiting->second >= kMostWaiting)) {
      answers.push_back({waiter.done, Busy()});
    } else {
      FlightPtr& flight = flights_[id];
      if (flight == nullptr) {
        flight = asks = std::make_shared<Flight>();
        flight->id = id;
        flight->begun = flight->needed = parts_.clock.Now();
        Tell(*flight);
      } else if (waiter.range && flight->outdated && !flight->locating) {
        asks = flight;  // what is known of it is no ground to judge by
      }
      if (asks != nullptr) asks->locating = true;
      ++waiting_[waiter.session];
      flight->waiters.push_back(std::move(waiter));
      Judge(*flight, answers);
      LendReady(*flight, answers);
    }
  }
  Give(answers);
  if (asks != nullptr) Locate(asks);
}

bool Fetches::WaitsForParts(const Flight& flight) {
  return std::ranges::any_of(flight.waiters, [](const Waiter& waiter) { return waiter.range.has_value(); });
}

void Fetches::JudgeAnew(Flight& flight) {
  for (Waiter& waiter : flight.waiters) {
    waiter.judged = false;
    waiter.bytes.reset();
  }
  flight.copy = nullptr;
  flight.wants_all = false;
  flight.wished = flight.here = swarm::PieceSet(PiecesIn(flight.info));
  flight.last_reader = {};
}

void Fetches::Judge(Flight& flight, std::vector<Answer>& answers) {
  if (!flight.info.tracked) return;
  std::vector<Waiter> left;
  for (Waiter& waiter : flight.waiters) {
    if (waiter.judged || JudgeOne(flight, waiter, answers)) {
      left.push_back(std::move(waiter));
    } else {
      Leave(waiter);
    }
  }
  flight.waiters = std::move(left);
}

bool Fetches::JudgeOne(Flight& flight, Waiter& waiter, std::vector<Answer>& answers) {
  if (waiter.range && flight.outdated) return true;  // later
  const uint32_t all = PiecesIn(flight.info);
  swarm::PieceRun pieces{0, all};
  std::optional<object::ByteRun> bytes;
  if (waiter.range && all > 0) {
    const auto found = object::BytesOf(*waiter.range, flight.info.size);
    if (!found.ok()) {
      answers.push_back({waiter.done, found.status()});
      return false;
    }
    bytes = *found;
    pieces = swarm::PiecesOf(*bytes, flight.info.meta.piece_length);
  }
  waiter.judged = true;
  if (!bytes || pieces.count > all / 2) {
    flight.wants_all = true;
    if (flight.fetch != nullptr) flight.fetch->Want(swarm::kAllPieces);
    return true;
  }
  waiter.bytes = bytes;
  const uint32_t end = pieces.first + pieces.count;
  const bool in_order =
      flight.last_reader == waiter.session && (pieces.first == flight.last_end || pieces.first + 1 == flight.last_end);
  flight.last_reader = waiter.session;
  flight.last_end = end;
  Wish(flight, {pieces.first, pieces.count + (in_order ? std::min(kReadAhead, all - end) : 0)});
  return true;
}

void Fetches::Wish(Flight& flight, swarm::PieceRun pieces) {
  if (IsIdle(flight)) {
    // What failed when nothing was wanted says little of now.
    flight.failing.clear();
    flight.stuck_since.reset();
  }
  for (uint32_t piece = pieces.first; pieces.Has(piece); ++piece) flight.wished.Add(piece);
  if (flight.fetch != nullptr) flight.fetch->Want(pieces);
}

void Fetches::LendReady(Flight& flight, std::vector<Answer>& answers) {
  if (flight.copy == nullptr || flight.outdated || flight.phase != Phase::kFetching) return;
  const auto is_here = [&flight](const object::ByteRun& bytes) {
    const swarm::PieceRun pieces = swarm::PiecesOf(bytes, flight.info.meta.piece_length);
    uint32_t piece = pieces.first;
    while (pieces.Has(piece) && flight.here.Has(piece)) ++piece;
    return !pieces.Has(piece);
  };
  std::vector<Waiter> left;
  for (Waiter& waiter : flight.waiters) {
    if (!waiter.bytes || !is_here(*waiter.bytes)) {
      left.push_back(std::move(waiter));
      continue;
    }
    flight.needed = parts_.clock.Now();
    answers.push_back({waiter.done, flight.copy->Lend(waiter.session, *waiter.bytes)});
    Leave(waiter);
  }
  flight.waiters = std::move(left);
}

void Fetches::RefuseParts(Flight& flight, const absl::Status& why, std::vector<Answer>& answers) {
  std::vector<Waiter> left;
  for (Waiter& waiter : flight.waiters) {
    if (!waiter.range) {
      left.push_back(std::move(waiter));
      continue;
    }
    answers.push_back({waiter.done, why});
    Leave(waiter);
  }
  flight.waiters = std::move(left);
}

void Fetches::OnPiece(const FlightPtr& flight, uint64_t attempt, uint32_t piece) {
  std::vector<Answer> answers;
  {
    base::MutexLock lock(mutex_);
    if (flight->attempt != attempt || flight->phase != Phase::kFetching) return;
    flight->here.Add(piece);
    LendReady(*flight, answers);
  }
  Give(answers);
}

bool Fetches::IsIdle(const Flight& flight) const {
  if (flight.phase != Phase::kFetching || flight.wants_all) return false;
  for (uint32_t piece = flight.wished.NextFrom(0); piece < flight.wished.size();
       piece = flight.wished.NextFrom(piece + 1)) {
    if (!flight.here.Has(piece)) return false;
  }
  return true;
}

base::Duration Fetches::LingerOf(const Flight& flight) const {
  if (!IsIdle(flight)) return kLinger;
  return queue_.empty() ? kIdle : base::Duration::zero();
}

}  // namespace larder::cache_agent
