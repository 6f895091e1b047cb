#include "core/fetches.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "larder/base/status.h"
#include "larder/swarm/manifest.h"

namespace larder::cache_agent {

using object::IncomingCopy;
using object::ObjectId;
using object::ObjectInfo;

namespace {

// Longer than most transfers take: who is cut off by its end asks the cluster again.
constexpr base::Duration kTicketLife = std::chrono::hours(1);
constexpr base::Duration kRoomWait = std::chrono::seconds(2);

absl::Status Stopping() {
  return base::Error(absl::StatusCode::kUnavailable, "STOPPING", "the agent is stopping: connect again");
}

// Where a fetch puts an object: the peer's own memory or file.
class CopyDestination final : public swarm::Destination {
 public:
  CopyDestination(std::shared_ptr<IncomingCopy> copy, const ObjectInfo& info)
      : copy_(std::move(copy)), size_(info.size), piece_length_(info.meta.piece_length), digest_(info.digest) {}

  absl::Status Prepare(const std::shared_ptr<const swarm::Manifest>& manifest,
                       const std::shared_ptr<swarm::PieceMap>&) override {
    if (manifest->size == size_ && manifest->piece_length == piece_length_ && manifest->digest == digest_) {
      return absl::OkStatus();
    }
    return base::Error(absl::StatusCode::kDataLoss, "BAD_MANIFEST",
                       "its list of pieces is of {} bytes, {}, and the cluster says {} bytes, {}", manifest->size,
                       base::FormatDigest(manifest->digest), size_, base::FormatDigest(digest_));
  }
  base::MutableByteSpan At(uint64_t offset, uint64_t size) override { return copy_->At(offset, size); }
  absl::Status Verified(uint32_t piece) override { return copy_->Keep(piece); }

 private:
  const std::shared_ptr<IncomingCopy> copy_;
  const uint64_t size_;
  const uint32_t piece_length_;
  const base::Digest digest_;
};

absl::Status NoLeave(const ObjectId& id) {
  return base::Error(absl::StatusCode::kUnavailable, "NO_PIECE_KEY",
                     "'{}' is on other nodes, and this one has no key to ask them for it yet (the tracker gives it "
                     "when the agent registers)",
                     id.key);
}

// It says that the node does not have what the cluster says it has.
bool IsNotThere(const absl::Status& why) {
  const std::string reason = base::Reason(why);
  return reason == "NO_OBJECT" || reason == "EPOCH_STALE";
}

}  // namespace

Fetches::~Fetches() { Stop(); }

void Fetches::Bring(object::SessionId session, const ObjectId& id, base::Deadline deadline, Brought done) {
  {
    base::MutexLock lock(mutex_);
    if (!stopped_) {
      FlightPtr& flight = flights_[id];
      if (flight == nullptr) {
        flight = std::make_shared<Flight>();
        flight->id = id;
        queue_.push_back(flight);
      }
      flight->waiters.push_back({session, deadline, std::move(done)});
      done = nullptr;
    }
  }
  if (done) return done(Stopping());
  BeginWaiting();
}

void Fetches::BeginWaiting() {
  std::vector<FlightPtr> begun;
  {
    base::MutexLock lock(mutex_);
    for (; under_way_ < kAtOnce && !queue_.empty(); queue_.pop_front(), ++under_way_) {
      Flight& flight = *queue_.front();
      flight.begun = flight.needed = parts_.clock.Now();
      flight.locating = true;
      begun.push_back(queue_.front());
    }
  }
  for (const FlightPtr& flight : begun) Locate(flight);
}

// ---- where it is

void Fetches::Locate(const FlightPtr& flight) {
  parts_.registry.Locate({flight->id}, [this, flight](const absl::StatusOr<std::vector<ClusterObject>>& found) {
    OnLocated(flight, found);
  });
}

HolderView Fetches::ViewOf(const Flight& flight) const {
  return {.self = parts_.node,
          .copies = flight.copies,
          .refused = &flight.refused,
          .waited = parts_.clock.Now() - flight.begun};
}

void Fetches::OnLocated(const FlightPtr& flight, const absl::StatusOr<std::vector<ClusterObject>>& found) {
  absl::Status status = found.status();
  uint64_t attempt = 0;
  bool begin = false;
  {
    base::MutexLock lock(mutex_);
    flight->locating = false;
    flight->ask_at = base::kNoDeadline;
    if (flight->phase == Phase::kOver || flight->phase == Phase::kSealing) return;
    if (status.ok()) {
      const auto choice = Update(*flight, found->front());
      status = choice.status();
      begin = choice.ok() && flight->phase == Phase::kAsking && !choice->ask.empty();
      if (begin) flight->phase = Phase::kMakingRoom;
    } else if (flight->phase != Phase::kAsking) {
      return;  // it goes on with whom it knows
    }
    attempt = flight->attempt;
  }
  if (!status.ok()) return Finish(flight, attempt, status);
  if (begin) MakeRoom(flight);
}

absl::StatusOr<HolderChoice> Fetches::Update(Flight& flight, const ClusterObject& found) {
  if (found.info.state != object::ObjectState::kSealed) {
    return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "there is no object '{}' in namespace '{}'",
                       flight.id.key, flight.id.ns);
  }
  flight.copies = found.copies;
  if (flight.info.tracked != found.info.tracked) {
    // The first answer; or it was replaced meanwhile, and nobody wants the rest of the old one.
    if (flight.fetch != nullptr) flight.fetch->Cancel();
    flight.fetch = nullptr;
    ++flight.attempt;
    flight.phase = Phase::kAsking;
    flight.info = found.info;
    flight.info.meta.piece_length = swarm::ChoosePieceLength(found.info.size, found.info.meta.piece_length);
    flight.refused.clear();
  }
  HolderChoice choice = ChooseHolders(ViewOf(flight));
  if (choice.ask.empty() && !choice.wait) return NobodyHasIt(flight.id, ViewOf(flight));
  if (choice.ask.empty()) flight.ask_at = parts_.clock.Now() + kAskAgain;
  if (flight.fetch != nullptr) {
    for (swarm::Parent& parent : NewParents(flight, choice.ask)) flight.fetch->AddParent(std::move(parent));
  }
  return choice;
}

std::vector<swarm::Parent> Fetches::NewParents(Flight& flight, const std::vector<ClusterCopy>& copies) {
  std::vector<swarm::Parent> parents;
  for (const ClusterCopy& copy : copies) {
    const auto asked = flight.asked.find(copy.node);
    if (asked != flight.asked.end() && asked->second == copy.node_epoch) continue;
    if (asked == flight.asked.end() && flight.asked.size() >= swarm::kMaxParents) continue;
    const swarm::NodeEpoch node_epoch{copy.node_epoch};
    const auto ticket = parts_.tickets.Sign(
        {.id = flight.id,
         .epoch = flight.info.tracked->epoch,
         .child = parts_.node,
         .parent = node_epoch,
         .expiry = std::chrono::time_point_cast<std::chrono::milliseconds>(parts_.clock.WallNow() + kTicketLife)});
    if (!ticket.ok()) {
      flight.refused[copy.node] = {.node_epoch = copy.node_epoch, .why = ticket.status()};
      continue;
    }
    flight.asked[copy.node] = copy.node_epoch;
    parents.push_back({.node = copy.node, .node_epoch = node_epoch, .address = copy.address, .ticket = *ticket});
  }
  return parents;
}

// ---- its bytes

void Fetches::MakeRoom(const FlightPtr& flight) {
  ObjectInfo info;
  uint64_t attempt = 0;
  {
    base::MutexLock lock(mutex_);
    info = flight->info;
    attempt = flight->attempt;
  }
  const auto receive = [this, flight, info, attempt] {
    parts_.peer.Receive(info, base::DeadlineAfter(parts_.clock.Now(), kRoomWait),
                        [this, flight, attempt](absl::StatusOr<std::unique_ptr<IncomingCopy>> copy) {
                          if (!copy.ok()) return Finish(flight, attempt, copy.status());
                          Begin(flight, attempt, *std::move(copy));
                        });
  };
  if (!parts_.peer.blocks()) {
    receive();
  } else if (!parts_.executor.Submit(receive)) {
    Finish(flight, attempt, Stopping());
  }
}

void Fetches::Begin(const FlightPtr& flight, uint64_t attempt, const std::shared_ptr<IncomingCopy>& copy) {
  swarm::FetchRequest request{.id = flight->id, .more_parents_may_come = true};
  {
    base::MutexLock lock(mutex_);
    if (flight->attempt != attempt || flight->phase != Phase::kMakingRoom) return;
    flight->phase = Phase::kFetching;
    flight->asked.clear();
    request.epoch = flight->info.tracked->epoch;
    request.manifest = flight->info.manifest;
    request.parents = NewParents(*flight, ChooseHolders(ViewOf(*flight)).ask);
    request.destination = std::make_shared<CopyDestination>(copy, flight->info);
  }
  if (request.parents.empty()) return Finish(flight, attempt, NoLeave(flight->id));
  auto fetch = parts_.fetcher.Begin(
      std::move(request),
      {.done = [this, flight, attempt,
                copy](const swarm::FetchResult& result) { OnFetched(flight, attempt, copy, result); },
       .failed = [this, flight,
                  attempt](const swarm::ParentFailure& failure) { OnParentFailed(flight, attempt, failure); }});
  base::MutexLock lock(mutex_);
  if (flight->attempt == attempt && flight->phase == Phase::kFetching) {
    flight->fetch = std::move(fetch);
  } else {
    fetch->Cancel();
  }
}

void Fetches::OnParentFailed(const FlightPtr& flight, uint64_t attempt, const swarm::ParentFailure& failure) {
  std::optional<ClusterCopy> report;
  object::TrackedAs tracked;
  {
    base::MutexLock lock(mutex_);
    if (flight->attempt != attempt || flight->phase != Phase::kFetching) return;
    const auto asked = flight->asked.find(failure.node);
    if (failure.final && asked != flight->asked.end()) {
      flight->refused[failure.node] = {.node_epoch = asked->second, .why = failure.why};
      const auto copy = std::ranges::find(flight->copies, failure.node, &ClusterCopy::node);
      if (IsNotThere(failure.why) && copy != flight->copies.end() && copy->node_epoch == asked->second) report = *copy;
    }
    // Others may have it by now. Who is gone for good is known to the cluster first.
    flight->ask_at = std::min(
        flight->ask_at, base::Deadline(parts_.clock.Now() + (failure.final ? base::Duration::zero() : kAskAgain)));
    tracked = *flight->info.tracked;
  }
  parts_.log.Info("a node does not give an object", {{"namespace", flight->id.ns},
                                                     {"node", failure.node},
                                                     {"why", base::Reason(failure.why)},
                                                     {"for_good", failure.final}});
  if (!report) return;
  parts_.registry.ReportBad(tracked, report->node, report->node_epoch, report->version, [](const absl::Status&) {});
}

void Fetches::OnFetched(const FlightPtr& flight, uint64_t attempt, const std::shared_ptr<IncomingCopy>& copy,
                        const swarm::FetchResult& result) {
  if (!result.status.ok()) return Finish(flight, attempt, result.status);
  {
    base::MutexLock lock(mutex_);
    if (flight->attempt != attempt || flight->phase != Phase::kFetching) return;
    flight->phase = Phase::kSealing;
  }
  const auto seal = [this, flight, attempt, copy, crc = swarm::CrcOf(*result.manifest)] {
    copy->Seal(crc, [this, flight, attempt](const absl::StatusOr<ObjectInfo>& sealed) {
      if (sealed.ok()) parts_.received(*sealed);
      // What is here instead may be the same; who waits looks.
      const bool here = sealed.ok() || base::Reason(sealed.status()) == "EXISTS";
      Finish(flight, attempt, here ? absl::OkStatus() : sealed.status());
    });
  };
  if (!parts_.executor.Submit(seal)) Finish(flight, attempt, Stopping());
}

// ---- its end

void Fetches::Finish(const FlightPtr& flight, uint64_t attempt, const absl::Status& status) {
  std::vector<Waiter> waiters;
  {
    base::MutexLock lock(mutex_);
    if (flight->attempt != attempt || flight->phase == Phase::kOver) return;
    flight->phase = Phase::kOver;
    if (flight->fetch != nullptr) flight->fetch->Cancel();
    flight->fetch = nullptr;
    waiters.swap(flight->waiters);
    flights_.erase(flight->id);
    --under_way_;
  }
  for (const Waiter& waiter : waiters) waiter.done(status);
  BeginWaiting();
}

void Fetches::Forget(object::SessionId session) {
  base::MutexLock lock(mutex_);
  for (const auto& [id, flight] : flights_) {
    std::erase_if(flight->waiters, [session](const Waiter& waiter) { return waiter.session == session; });
  }
}

void Fetches::Tick() {
  std::vector<Waiter> late;
  std::vector<std::pair<FlightPtr, uint64_t>> unwanted;
  std::vector<FlightPtr> asked;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = parts_.clock.Now();
    for (const auto& [id, flight] : flights_) {
      const auto overdue =
          std::ranges::stable_partition(flight->waiters, [now](const Waiter& waiter) { return waiter.deadline > now; });
      std::ranges::move(overdue, std::back_inserter(late));
      flight->waiters.erase(overdue.begin(), overdue.end());
      if (!flight->waiters.empty() || flight->begun == base::MonotonicTime()) {
        flight->needed = now;
      } else if (now - flight->needed >= kLinger && flight->phase != Phase::kSealing) {
        unwanted.emplace_back(flight, flight->attempt);
        continue;
      }
      if (flight->ask_at <= now && !flight->locating) {
        flight->locating = true;
        asked.push_back(flight);
      }
    }
  }
  for (const Waiter& waiter : late) {
    waiter.done(base::Error(absl::StatusCode::kDeadlineExceeded, "FETCHING",
                            "it is still on its way from other nodes (a longer --timeout waits for it)"));
  }
  for (const auto& [flight, attempt] : unwanted) Finish(flight, attempt, absl::CancelledError());
  for (const FlightPtr& flight : asked) Locate(flight);
}

void Fetches::Stop() {
  std::vector<Waiter> waiters;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    for (const auto& [id, flight] : flights_) {
      flight->phase = Phase::kOver;
      if (flight->fetch != nullptr) flight->fetch->Cancel();
      std::ranges::move(flight->waiters, std::back_inserter(waiters));
      flight->waiters.clear();
    }
    flights_.clear();
    queue_.clear();
  }
  for (const Waiter& waiter : waiters) waiter.done(Stopping());
}

size_t Fetches::size() const {
  base::MutexLock lock(mutex_);
  return flights_.size();
}

}  // namespace larder::cache_agent
