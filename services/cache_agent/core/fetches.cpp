#include "core/fetches.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <tuple>
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

// Where a fetch puts an object: the peer's own memory or file.
class CopyDestination final : public swarm::Destination {
 public:
  CopyDestination(std::shared_ptr<IncomingCopy> copy, std::shared_ptr<ArrivingCopies::Offer> offer,
                  const ObjectInfo& info, std::shared_ptr<std::atomic<uint64_t>> verified,
                  std::function<void(uint32_t)> kept)
      : copy_(std::move(copy)),
        offer_(std::move(offer)),
        size_(info.size),
        piece_length_(info.meta.piece_length),
        digest_(info.digest),
        verified_(std::move(verified)),
        kept_(std::move(kept)) {}

  absl::Status Prepare(const std::shared_ptr<const swarm::Manifest>& manifest,
                       const std::shared_ptr<swarm::PieceMap>& pieces) override {
    if (manifest->size == size_ && manifest->piece_length == piece_length_ && manifest->digest == digest_) {
      offer_->Begin(manifest, pieces);
      return absl::OkStatus();
    }
    return base::Error(absl::StatusCode::kDataLoss, "BAD_MANIFEST",
                       "its list of pieces is of {} bytes, {}, and the cluster says {} bytes, {}", manifest->size,
                       base::FormatDigest(manifest->digest), size_, base::FormatDigest(digest_));
  }
  base::MutableByteSpan At(uint64_t offset, uint64_t size) override { return copy_->At(offset, size); }
  absl::Status Verified(uint32_t piece) override {
    verified_->fetch_add(1);
    LARDER_RETURN_IF_ERROR(copy_->Keep(piece));
    kept_(piece);
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<IncomingCopy> copy_;
  const std::shared_ptr<ArrivingCopies::Offer> offer_;
  const uint64_t size_;
  const uint32_t piece_length_;
  const base::Digest digest_;
  const std::shared_ptr<std::atomic<uint64_t>> verified_;
  const std::function<void(uint32_t)> kept_;
};

swarm::PieceSet PiecesOf(const std::vector<bool>& parts) {
  swarm::PieceSet pieces(static_cast<uint32_t>(parts.size()));
  for (uint32_t piece = 0; piece < parts.size(); ++piece) {
    if (parts[piece]) pieces.Add(piece);
  }
  return pieces;
}

// It says that the node does not have what the cluster says it has.
bool IsNotThere(const absl::Status& why) {
  const std::string reason = base::Reason(why);
  return reason == "NO_OBJECT" || reason == "EPOCH_STALE";
}

bool IsDamage(const absl::Status& why) { return base::Reason(why) == "DIGEST_MISMATCH"; }

}  // namespace

absl::Status Stopping() {
  return base::Error(absl::StatusCode::kUnavailable, "STOPPING", "the agent is stopping: connect again");
}

Fetches::~Fetches() { Stop(); }

void Fetches::Outdate(const ObjectId& id) {
  locations_.Forget(id);
  {
    base::MutexLock lock(mutex_);
    const auto change = [](Flight& flight) {
      flight.outdated = true;
      ++flight.changes;
    };
    if (const auto found = flights_.find(id); found != flights_.end()) {
      Flight& flight = *found->second;
      change(flight);
      if (WaitsForParts(flight)) flight.ask_at = parts_.clock.Now();
    }
    const auto [begin, end] = ended_.equal_range(id);
    for (auto it = begin; it != end; ++it) {
      if (const FlightPtr flight = it->second.lock()) change(*flight);
    }
  }
  parts_.peer.DropParked(id);
}

// ---- where it is

void Fetches::Tell(const Flight& flight) const {
  if (parts_.board == nullptr) return;
  const std::optional<object::TrackedAs>& tracked = flight.info.tracked;
  // Who fetches one piece has nothing to give before all of it is here.
  if (tracked && flight.info.size <= flight.info.meta.piece_length) return parts_.board->Erase(flight.id);
  FetchBoard::Entry entry = {.epoch = tracked ? tracked->epoch : object::Epoch(),
                             .parents = static_cast<uint32_t>(flight.asked.size())};
  if (flight.verified != nullptr) {
    const uint64_t pieces = (flight.info.size - 1) / flight.info.meta.piece_length + 1;
    entry.percent = static_cast<uint32_t>(flight.verified->load() * 100 / pieces);
  }
  parts_.board->Put(flight.id, entry);
}

void Fetches::AddArriving(Flight& flight) const {
  std::erase_if(flight.copies, &ClusterCopy::arriving);
  for (const auto& [node, member] : flight.members) {
    const bool known = std::ranges::find(flight.copies, node, &ClusterCopy::node) != flight.copies.end();
    if (known || member.epoch != flight.info.tracked->epoch) continue;
    flight.copies.push_back({.node = node,
                             .address = member.address,
                             .node_epoch = member.node_epoch,
                             .confirmed = true,
                             .arriving = true});
  }
}

void Fetches::Meet(const ObjectId& id, std::vector<SwarmMember> members) {
  base::MutexLock lock(mutex_);
  const auto found = flights_.find(id);
  if (found == flights_.end()) return;
  Flight& flight = *found->second;
  for (SwarmMember& member : members) {
    if (!flight.members.contains(member.node) && flight.members.size() >= kMostMembers) continue;
    // Who gave up, and begins anew, is asked anew.
    const auto refused = flight.refused.find(member.node);
    if (refused != flight.refused.end() && IsNotThere(refused->second.why)) {
      flight.refused.erase(refused);
      flight.asked.erase(member.node);
    }
    const std::string node = member.node;
    flight.members.insert_or_assign(node, std::move(member));
  }
  if (!flight.info.tracked) return;  // until the cluster says which epoch is meant
  AddArriving(flight);
  if (flight.phase == Phase::kAsking) flight.ask_at = parts_.clock.Now();
  AskNew(flight, ChooseHolders(ViewOf(flight)));
}

void Fetches::Locate(const FlightPtr& flight) {
  uint64_t changes = 0;
  {
    base::MutexLock lock(mutex_);
    changes = flight->changes;
  }
  parts_.registry.Locate({flight->id},
                         [this, flight, changes](const absl::StatusOr<std::vector<ClusterObject>>& found) {
                           OnLocated(flight, changes, found);
                         });
}

HolderView Fetches::ViewOf(const Flight& flight) const {
  return {.self = parts_.node,
          .copies = flight.copies,
          .refused = &flight.refused,
          .waited = parts_.clock.Now() - flight.begun};
}

void Fetches::OnLocated(const FlightPtr& flight, uint64_t changes,
                        const absl::StatusOr<std::vector<ClusterObject>>& found) {
  absl::Status status = found.status();
  // Who was said to have it a moment ago has it still, mostly.
  std::optional<ClusterObject> object = found.ok() ? found->front() : locations_.Find(flight->id);
  uint64_t attempt = 0;
  bool begin = false;
  std::vector<Answer> answers;
  {
    base::MutexLock lock(mutex_);
    const bool news = found.ok() && flight->changes == changes;
    if (news) locations_.Put(*object);
    flight->locating = false;
    flight->ask_at = base::kNoDeadline;
    if (flight->phase == Phase::kOver || flight->phase == Phase::kSealing) return;
    if (status.ok() || (object && flight->phase == Phase::kAsking)) {
      const auto choice = Update(*flight, *object);
      status = choice.status();
      if (choice.ok() && news) flight->outdated = false;
      if (choice.ok()) Judge(*flight, answers);
      LendReady(*flight, answers);
      if (flight->outdated && WaitsForParts(*flight)) flight->ask_at = parts_.clock.Now();
      if (choice.ok() && flight->phase == Phase::kAsking && flight->waiters.empty()) {
        // All were refused: nothing is made room for, and the next Tick ends it, or asks for who comes before.
        flight->ask_at = parts_.clock.Now();
      } else if (choice.ok() && flight->phase == Phase::kAsking && !choice->ask.empty()) {
        begin = flight->has_turn;
        flight->phase = begin ? Phase::kMakingRoom : Phase::kQueued;
        if (!begin) queue_.push_back(flight);
      }
    } else if (flight->phase != Phase::kAsking) {
      // It goes on with whom it knows.
      flight->ask_at = parts_.clock.Now() + kAskAgain;
      if (flight->outdated) RefuseParts(*flight, status, answers);
      status = absl::OkStatus();
    }
    attempt = flight->attempt;
  }
  Give(answers);
  if (!status.ok()) return Finish(flight, attempt, status);
  begin ? MakeRoom(flight) : BeginQueued();
}

absl::StatusOr<HolderChoice> Fetches::Update(Flight& flight, const ClusterObject& found) {
  if (found.info.state != object::ObjectState::kSealed) {
    flight.outdated = true;
    // Its holder looked, and dropped the last copy: who reads is told of the damage.
    if (std::ranges::any_of(flight.refused, [](const auto& by) { return IsDamage(by.second.why); })) {
      return Nobody(flight);
    }
    return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "there is no object '{}' in namespace '{}'",
                       flight.id.key, flight.id.ns);
  }
  if (!found.info.manifest && found.info.digest.kind == base::Digest::Kind::kSha256) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "NO_MANIFEST",
                       "the cluster does not know the list of pieces of '{}', so that its bytes could not be verified "
                       "(read it where it is, or create it anew)",
                       flight.id.key);
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
    flight.asked.clear();
    flight.refused.clear();
    flight.failing.clear();
    JudgeAnew(flight);
    Tell(flight);
  }
  AddArriving(flight);
  HolderChoice choice = ChooseHolders(ViewOf(flight));
  // Who gives something is not given up because the cluster does not know of it any more.
  const bool comes = flight.phase == Phase::kFetching && !IsStuck(flight);
  if (choice.ask.empty() && !choice.wait && !comes) return Nobody(flight);
  if (choice.ask.empty()) flight.ask_at = parts_.clock.Now() + kAskAgain;
  AskNew(flight, choice);
  return choice;
}

void Fetches::AskNew(Flight& flight, const HolderChoice& choice) {
  if (flight.fetch == nullptr) return;
  for (swarm::Parent& parent : NewParents(flight, choice.ask)) flight.fetch->AddParent(std::move(parent));
}

absl::Status Fetches::Nobody(const Flight& flight) const {
  RefusedBy why = flight.refused;
  why.insert(flight.failing.begin(), flight.failing.end());
  HolderView view = ViewOf(flight);
  view.refused = &why;
  return NobodyHasIt(flight.id, view);
}

std::vector<swarm::Parent> Fetches::NewParents(Flight& flight, const std::vector<ClusterCopy>& copies) {
  std::vector<swarm::Parent> parents;
  for (const ClusterCopy& copy : copies) {
    const auto asked = flight.asked.find(copy.node);
    if (asked != flight.asked.end() && asked->second.node_epoch == copy.node_epoch) continue;
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
    flight.asked[copy.node] = {.node_epoch = copy.node_epoch, .version = copy.version, .arriving = copy.arriving};
    flight.refused.erase(copy.node);
    flight.failing.erase(copy.node);
    parents.push_back({.node = copy.node, .node_epoch = node_epoch, .address = copy.address, .ticket = *ticket});
    const auto member = flight.members.find(copy.node);
    if (member != flight.members.end()) parents.back().distance = member->second.distance;
  }
  return parents;
}

// ---- its bytes

void Fetches::BeginQueued() {
  std::vector<FlightPtr> begun;
  {
    base::MutexLock lock(mutex_);
    for (; under_way_ < kAtOnce && !queue_.empty(); queue_.pop_front()) {
      Flight& flight = *queue_.front();
      if (flight.phase != Phase::kQueued) continue;  // over, or looked for anew
      flight.phase = Phase::kMakingRoom;
      flight.has_turn = true;
      ++under_way_;
      begun.push_back(queue_.front());
    }
  }
  for (const FlightPtr& flight : begun) MakeRoom(flight);
}

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

void Fetches::Keep(const FlightPtr& flight, uint64_t attempt, IncomingCopy& copy, bool came) {
  {
    base::MutexLock lock(mutex_);
    if (flight->attempt != attempt || flight->outdated) return;
  }
  if (!came && std::ranges::count(copy.kept(), true) == 0) return;
  copy.Park();
  bool outdated = false;
  {
    base::MutexLock lock(mutex_);
    outdated = flight->outdated;
  }
  if (outdated) parts_.peer.DropParked(flight->id);  // since it was looked at
}

bool Fetches::Prepare(const FlightPtr& shared, uint64_t attempt, const std::shared_ptr<IncomingCopy>& copy,
                      std::shared_ptr<ArrivingCopies::Offer>& offer, swarm::FetchRequest& request) {
  Flight& flight = *shared;
  if (flight.attempt != attempt || flight.phase != Phase::kMakingRoom) return false;
  flight.phase = Phase::kFetching;
  flight.asked.clear();
  request.epoch = flight.info.tracked->epoch;
  request.manifest = flight.info.manifest;
  request.piece_length = flight.info.meta.piece_length;
  request.parents = NewParents(flight, ChooseHolders(ViewOf(flight)).ask);
  request.held = PiecesOf(copy->kept());
  flight.copy = copy;
  if (request.held->size() == flight.here.size()) flight.here = *request.held;
  if (!flight.wants_all) request.wanted = flight.wished.Runs();
  request.streaming = !flight.wants_all;
  flight.verified_before = request.held->count();
  flight.verified = std::make_shared<std::atomic<uint64_t>>(flight.verified_before);
  flight.stuck_since.reset();
  offer = parts_.arriving.Make(flight.id, request.epoch, copy);
  request.destination =
      std::make_shared<CopyDestination>(copy, offer, flight.info, flight.verified,
                                        [this, shared, attempt](uint32_t piece) { OnPiece(shared, attempt, piece); });
  return true;
}

void Fetches::Begin(const FlightPtr& flight, uint64_t attempt, const std::shared_ptr<IncomingCopy>& copy) {
  swarm::FetchRequest request{.id = flight->id, .more_parents_may_come = true};
  std::shared_ptr<ArrivingCopies::Offer> offer;
  bool wanted = false;
  absl::Status none;
  std::vector<Answer> answers;
  {
    base::MutexLock lock(mutex_);
    wanted = Prepare(flight, attempt, copy, offer, request);
    if (wanted) LendReady(*flight, answers);
    if (wanted && request.parents.empty()) none = Nobody(*flight);
    if (!none.ok()) flight->copy = nullptr;
  }
  Give(answers);
  if (!wanted || !none.ok()) Keep(flight, attempt, *copy, false);
  if (!wanted) return;
  if (!none.ok()) return Finish(flight, attempt, none);
  auto fetch = parts_.fetcher.Begin(
      std::move(request),
      {.done = [this, flight, attempt, copy,
                offer](const swarm::FetchResult& result) { OnFetched(flight, attempt, copy, offer, result); },
       .failed = [this, flight,
                  attempt](const swarm::ParentFailure& failure) { OnParentFailed(flight, attempt, failure); }});
  base::MutexLock lock(mutex_);
  if (flight->attempt == attempt && flight->phase == Phase::kFetching) {
    flight->fetch = std::move(fetch);
    // What was wished for meanwhile; and all that somebody waits for goes first.
    for (const swarm::PieceRun& pieces : flight->wished.Runs()) flight->fetch->Want(pieces);
    if (flight->wants_all) flight->fetch->Want(swarm::kAllPieces);
    AskNew(*flight, ChooseHolders(ViewOf(*flight)));  // who was met meanwhile
  } else {
    fetch->Cancel();
  }
}

void Fetches::OnParentFailed(const FlightPtr& flight, uint64_t attempt, const swarm::ParentFailure& failure) {
  std::optional<Asked> report;
  object::TrackedAs tracked;
  {
    base::MutexLock lock(mutex_);
    if (flight->attempt != attempt || flight->phase != Phase::kFetching) return;
    const auto asked = flight->asked.find(failure.node);
    if (asked == flight->asked.end() || asked->second.node_epoch != failure.node_epoch.value) return;
    RefusedBy& why = failure.final ? flight->refused : flight->failing;
    why[failure.node] = {.node_epoch = failure.node_epoch.value, .why = failure.why};
    if (asked->second.arriving) return;  // the cluster does not know of it
    if (failure.final && IsNotThere(failure.why)) report = asked->second;
    // Others may have it by now.
    const base::Duration after = failure.final ? base::Duration::zero() : kAskAgain;
    flight->ask_at = std::min(flight->ask_at, base::DeadlineAfter(parts_.clock.Now(), after));
    tracked = *flight->info.tracked;
  }
  locations_.Forget(flight->id);
  parts_.log.Info("a node does not give an object", {{"namespace", flight->id.ns},
                                                     {"node", failure.node},
                                                     {"why", base::Reason(failure.why)},
                                                     {"for_good", failure.final}});
  if (!report) return;
  parts_.registry.ReportBad(tracked, failure.node, report->node_epoch, report->version, [](const absl::Status&) {});
}

bool Fetches::IsStuck(const Flight& flight) const {
  return std::ranges::all_of(flight.asked, [&flight](const auto& asked) {
    return asked.second.arriving || flight.refused.contains(asked.first) || flight.failing.contains(asked.first);
  });
}

bool Fetches::Watch(Flight& flight, base::MonotonicTime now) {
  if (flight.phase != Phase::kFetching) return false;
  const uint64_t verified = flight.verified->load();
  const bool came = std::exchange(flight.verified_before, verified) != verified;
  if (came) flight.failing.clear();
  Tell(flight);
  if (came || IsIdle(flight) || !IsStuck(flight)) {
    flight.stuck_since.reset();
    return false;
  }
  if (!flight.stuck_since) flight.stuck_since = now;
  flight.ask_at = std::min(flight.ask_at, base::DeadlineAfter(now, kAskAgain));
  const bool may_come =
      std::ranges::any_of(flight.copies, [](const ClusterCopy& copy) { return copy.last_seen < kMayComeBack; });
  return now - *flight.stuck_since >= (may_come ? kMayComeBack : kGivenUp);
}

void Fetches::OnFetched(const FlightPtr& flight, uint64_t attempt, const std::shared_ptr<IncomingCopy>& copy,
                        const std::shared_ptr<ArrivingCopies::Offer>& offer, const swarm::FetchResult& result) {
  bool complete = false;
  {
    base::MutexLock lock(mutex_);
    complete = result.status.ok() && flight->attempt == attempt && flight->phase == Phase::kFetching;
    if (complete) flight->phase = Phase::kSealing;
    if (flight->copy == copy) flight->copy = nullptr;
  }
  if (!complete) {
    offer->Moved(nullptr);
    Keep(flight, attempt, *copy, !result.held.empty());
    return Finish(flight, attempt, result.status);
  }
  const auto seal = [this, flight, attempt, copy, offer, crc = swarm::CrcOf(*result.manifest)] {
    offer->BeginMove();
    copy->Seal(crc, [this, flight, attempt, offer](const absl::StatusOr<ObjectInfo>& sealed) {
      if (sealed.ok()) parts_.received(*sealed);
      offer->Moved(sealed.ok() ? parts_.peer.SealedView(sealed->id, sealed->epoch) : nullptr);
      // What is here instead may be the same; who waits looks.
      const bool here = sealed.ok() || base::Reason(sealed.status()) == "EXISTS";
      Finish(flight, attempt, here ? absl::OkStatus() : sealed.status());
    });
  };
  if (!parts_.executor.Submit(seal)) Finish(flight, attempt, Stopping());
}

// ---- its end

void Fetches::Leave(const Waiter& waiter) {
  const auto waiting = waiting_.find(waiter.session);
  if (--waiting->second == 0) waiting_.erase(waiting);
}

std::vector<Fetches::Waiter> Fetches::End(Flight& flight) {
  flight.phase = Phase::kOver;
  if (flight.fetch != nullptr) flight.fetch->Cancel();
  flight.fetch = nullptr;
  if (flight.has_turn) --under_way_;
  if (parts_.board != nullptr) parts_.board->Erase(flight.id);
  flight.copy = nullptr;
  for (const Waiter& waiter : flight.waiters) Leave(waiter);
  std::vector<Waiter> waiters = std::exchange(flight.waiters, {});
  const auto ending = flights_.extract(flight.id);
  ended_.emplace(flight.id, ending.mapped());
  return waiters;
}

void Fetches::Finish(const FlightPtr& flight, uint64_t attempt, const absl::Status& status) {
  std::vector<Waiter> waiters;
  {
    base::MutexLock lock(mutex_);
    if (flight->attempt != attempt || flight->phase == Phase::kOver) return;
    waiters = End(*flight);
  }
  for (const Waiter& waiter : waiters) status.ok() ? waiter.done(std::nullopt) : waiter.done(status);
  BeginQueued();
}

void Fetches::EndUnwanted(const FlightPtr& flight) {
  {
    base::MutexLock lock(mutex_);
    const bool ended = flight->phase == Phase::kOver || flight->phase == Phase::kSealing;
    if (ended || !flight->waiters.empty()) return;
    End(*flight);
  }
  BeginQueued();
}

void Fetches::Forget(object::SessionId session) {
  base::MutexLock lock(mutex_);
  if (waiting_.erase(session) == 0) return;
  for (const auto& [id, flight] : flights_) {
    std::erase_if(flight->waiters, [session](const Waiter& waiter) { return waiter.session == session; });
  }
}

void Fetches::Tick() {
  std::vector<Waiter> late;
  std::vector<FlightPtr> unwanted;
  std::vector<FlightPtr> asked;
  std::vector<std::tuple<FlightPtr, uint64_t, absl::Status>> over;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = parts_.clock.Now();
    std::erase_if(ended_, [](const auto& ended) { return ended.second.expired(); });
    for (const auto& [id, flight] : flights_) {
      const auto overdue =
          std::ranges::stable_partition(flight->waiters, [now](const Waiter& waiter) { return waiter.deadline > now; });
      for (const Waiter& waiter : overdue) Leave(waiter);
      std::ranges::move(overdue, std::back_inserter(late));
      flight->waiters.erase(overdue.begin(), overdue.end());
      if (!flight->waiters.empty()) {
        flight->needed = now;
      } else if (!flight->has_turn || now - flight->needed >= LingerOf(*flight)) {
        unwanted.push_back(flight);
        continue;
      }
      if (Watch(*flight, now)) {
        over.emplace_back(flight, flight->attempt, Nobody(*flight));
      } else if (flight->ask_at <= now && !flight->locating) {
        flight->locating = true;
        asked.push_back(flight);
      }
    }
  }
  for (const Waiter& waiter : late) {
    waiter.done(base::Error(absl::StatusCode::kDeadlineExceeded, "FETCHING",
                            "it has not come from other nodes in that time (a longer --timeout waits for it)"));
  }
  for (const auto& [flight, attempt, status] : over) Finish(flight, attempt, status);
  for (const FlightPtr& flight : unwanted) EndUnwanted(flight);
  for (const FlightPtr& flight : asked) Locate(flight);
}

void Fetches::Stop() {
  std::vector<Waiter> waiters;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    while (!flights_.empty()) {
      const FlightPtr flight = flights_.begin()->second;
      std::ranges::move(End(*flight), std::back_inserter(waiters));
    }
    queue_.clear();
  }
  for (const Waiter& waiter : waiters) waiter.done(Stopping());
}

}  // namespace larder::cache_agent
