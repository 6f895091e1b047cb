#include "src/fetch_machine.h"

#include <algorithm>
#include <utility>

#include "larder/base/backoff.h"
#include "larder/base/status.h"

namespace larder::swarm {
namespace {

using absl::StatusCode;

constexpr uint32_t kMuch = 8;  // an eighth of the pieces

// These say that asking again cannot help.
bool IsFinal(const absl::Status& why) {
  constexpr std::array<std::string_view, 6> kFinal = {"PROTOCOL_VERSION", "BAD_TICKET",  "TICKET_EXPIRED",
                                                      "NODE_EPOCH_STALE", "EPOCH_STALE", "NO_OBJECT"};
  return std::ranges::find(kFinal, base::Reason(why)) != kFinal.end();
}

}  // namespace

PieceRun PiecesOf(const object::ByteRun& bytes, uint32_t piece_length) {
  const uint64_t first = bytes.offset / piece_length;
  const uint64_t last = (bytes.offset + bytes.length - 1) / piece_length;
  return {.first = static_cast<uint32_t>(first), .count = static_cast<uint32_t>(last - first + 1)};
}

FetchMachine::FetchMachine(FetchRequest request, const FetcherOptions& options, Metrics& metrics, uint64_t seed,
                           base::MonotonicTime now)
    : request_(std::move(request)),
      options_(options),
      metrics_(metrics),
      random_(seed),
      progress_(now),
      advanced_(now),
      next_sample_(now + kSampleEvery) {
  for (const Parent& parent : request_.parents) AddParent(parent, now);
}

FetchParent* FetchMachine::Find(ParentId id) {
  const auto found = parents_.find(id);
  return found == parents_.end() ? nullptr : &found->second;
}

FetchParent* FetchMachine::FindNode(const std::string& node) {
  const auto found = std::ranges::find_if(parents_, [&](const auto& entry) { return entry.second.spec.node == node; });
  return found == parents_.end() ? nullptr : &found->second;
}

void FetchMachine::AddParent(Parent parent, Now now) {
  if (result_) return;
  FetchParent* known = FindNode(parent.node);
  if (known == nullptr) {
    const ParentId id = next_parent_++;
    parents_[id] = {.id = id, .spec = std::move(parent), .dial_at = now};
    return;
  }
  const bool same = known->spec.address == parent.address && known->spec.node_epoch == parent.node_epoch;
  known->spec = std::move(parent);
  if (known->lied || (same && known->connected())) return;
  Disconnect(*known);
  known->phase = FetchParent::Phase::kWaiting;
  known->dial_at = now;
  known->failures = 0;
}

void FetchMachine::RemoveParent(const std::string& node) {
  FetchParent* parent = FindNode(node);
  if (parent == nullptr || result_) return;
  Disconnect(*parent);
  parents_.erase(parent->id);
}

void FetchMachine::Want(PieceRun pieces, Now now) {
  if (result_) return;
  // Who wants all shares it with others by what is rare, and reads nothing first.
  const bool all = pieces.first == 0 && pieces.count >= (ledger_ ? manifest_->piece_count() : kAllPieces.count);
  if (all) request_.streaming = false;
  if (!ledger_) {
    if (all) request_.wanted.reset();
    if (!all) urgent_.push_back(pieces);
    return;
  }
  const bool was_idle = idle();
  ledger_->Want(pieces, !all);
  changed_ = true;
  if (!was_idle || idle()) return;
  // Nobody was to give anything until now.
  progress_ = now;
  for (auto& [id, parent] : parents_) {
    if (parent.phase == FetchParent::Phase::kWaiting) parent.dial_at = now;
  }
}

void FetchMachine::Disconnect(FetchParent& parent) {
  if (!parent.connected()) return;
  for (const Flight& flight : std::exchange(parent.flights, {})) ledger_->End(flight);
  parent.phase = FetchParent::Phase::kWaiting;
  parent.rate.reset();
  parent.paused_since.reset();
  Do(Action::Kind::kClose, parent.id);
  changed_ = true;
}

void FetchMachine::Fail(FetchParent& parent, const absl::Status& why, bool final, Now now) {
  Disconnect(parent);
  parent.last_error = why;
  parent.phase = final ? FetchParent::Phase::kOut : FetchParent::Phase::kWaiting;
  if (base::Reason(why) == "NOT_YET") parent.failures = 0;  // it will have the object soon, and answers
  const double chance = std::uniform_real_distribution<double>(0, 1)(random_);
  parent.dial_at = base::DeadlineAfter(
      now, base::BackoffDelay(parent.failures++, options_.first_redial, options_.longest_redial, chance));
  actions_.push_back(
      {.kind = Action::Kind::kTell,
       .parent = parent.id,
       .failure = {.node = parent.spec.node, .node_epoch = parent.spec.node_epoch, .why = why, .final = final}});
}

bool FetchMachine::HasMuch() const {
  const PieceSet* held = ledger_ ? &ledger_->held() : request_.held ? &*request_.held : nullptr;
  return held != nullptr && held->count() * kMuch > held->size();
}

void FetchMachine::OnConnected(ParentId id, Now now) {
  FetchParent* parent = Find(id);
  if (parent == nullptr || parent->phase != FetchParent::Phase::kDialling) return;
  parent->phase = FetchParent::Phase::kOpening;
  parent->last_byte = parent->opened = now;
  Do(Action::Kind::kSend, id,
     Encode(HelloFrame{.transfer_class = request_.transfer_class, .ticket = parent->spec.ticket}) +
         Encode(OpenFrame{.epoch = request_.epoch,
                          .node_epoch = parent->spec.node_epoch,
                          .piece_length = request_.piece_length,
                          .super_seeding = !request_.wanted && !request_.streaming && !HasMuch()}));
}

void FetchMachine::OnClosed(ParentId id, const absl::Status& why, Now now) {
  if (FetchParent* parent = Find(id); parent != nullptr && parent->connected()) Fail(*parent, why, false, now);
}

void FetchMachine::OnPaused(ParentId id, Now now) {
  FetchParent* parent = Find(id);
  if (parent != nullptr && parent->connected() && !parent->paused_since) parent->paused_since = now;
}

void FetchMachine::OnResumed(ParentId id, Now now) {
  FetchParent* parent = Find(id);
  if (parent == nullptr || !parent->paused_since) return;
  parent->last_byte += now - *std::exchange(parent->paused_since, std::nullopt);
  parent->resumed = now;
}

void FetchMachine::OnBusy(base::Duration busy, Now now) {
  progress_ = std::min(now, progress_ + busy);
  for (auto& [id, parent] : parents_) {
    if (parent.connected() && !parent.paused_since) parent.last_byte = std::min(now, parent.last_byte + busy);
  }
}

void FetchMachine::OnBytes(ParentId id, Now now) {
  FetchParent* parent = Find(id);
  if (parent != nullptr && parent->phase == FetchParent::Phase::kOpening) parent->last_byte = now;
}

void FetchMachine::OnWanted(ParentId id, Now now) {
  if (FetchParent* parent = Find(id)) parent->last_byte = now;
}

void FetchMachine::OnMalformed(ParentId id, const absl::Status& why, Now now) {
  if (FetchParent* parent = Find(id); parent != nullptr && parent->connected()) {
    Do(Action::Kind::kSend, id, EncodeError(0, why));
    Fail(*parent, why, false, now);
  }
}

void FetchMachine::OnFrame(ParentId id, const ControlFrame& frame, Now now) {
  FetchParent* parent = Find(id);
  if (parent == nullptr || !parent->connected() || result_) return;
  if (const absl::Status status = HandleFrame(*parent, frame, now); !status.ok()) OnMalformed(id, status, now);
}

absl::Status FetchMachine::HandleFrame(FetchParent& parent, const ControlFrame& frame, Now now) {
  switch (frame.header.kind) {
    case FrameKind::kManifest:
      return HandleManifest(parent, frame, now);
    case FrameKind::kHave:
      return HandleHave(parent, frame.payload, now);
    case FrameKind::kError: {
      LARDER_ASSIGN_OR_RETURN(const ErrorFrame error, DecodeError(frame.payload));
      HandleError(parent, error, now);
      return absl::OkStatus();
    }
    default:
      return BadFrame("a frame that is a child's");
  }
}

absl::Status FetchMachine::HandleManifest(FetchParent& parent, const ControlFrame& frame, Now now) {
  if (parent.phase != FetchParent::Phase::kOpening) return BadFrame("a second MANIFEST");
  const bool holds_all = (frame.header.flags & kFlagged) != 0;
  const bool super_seeds = (frame.header.flags & kSuperSeeding) != 0;
  if (holds_all && super_seeds) return BadFrame("a MANIFEST of two kinds");
  LARDER_ASSIGN_OR_RETURN(Manifest manifest, DecodeManifest(frame.payload));
  const base::Sha256Digest digest = ManifestDigest(manifest);
  if (digest != (manifest_ != nullptr ? manifest_digest_ : request_.manifest.value_or(digest))) {
    Fail(parent, base::Error(StatusCode::kDataLoss, "MANIFEST_MISMATCH", "another manifest than the object's"), true,
         now);
    return absl::OkStatus();
  }
  if (manifest_ == nullptr) {
    manifest_digest_ = digest;
    if (const absl::Status status = Adopt(std::move(manifest), now); !status.ok() || result_) {
      Finish(status);
      return absl::OkStatus();
    }
  }
  parent.phase = FetchParent::Phase::kOpen;
  parent.round_trip = now - parent.opened;
  const uint32_t pieces = manifest_->piece_count();
  parent.held.reset();
  if (!holds_all) parent.held = PieceSet(pieces);
  parent.super_seeds = super_seeds;
  parent.arriving = PieceSet(pieces);
  changed_ = true;
  return absl::OkStatus();
}

absl::Status FetchMachine::Adopt(Manifest manifest, Now now) {
  manifest_ = std::make_shared<const Manifest>(std::move(manifest));
  const uint32_t pieces = manifest_->piece_count();
  const bool resumes = request_.held && request_.held->size() == pieces;
  ledger_.emplace(manifest_, *request_.destination, resumes ? *request_.held : PieceSet(pieces));
  for (const PieceRun& run : request_.wanted.value_or(std::vector{kAllPieces})) ledger_->Want(run);
  for (const PieceRun& run : std::exchange(urgent_, {})) ledger_->Want(run, true);
  LARDER_RETURN_IF_ERROR(request_.destination->Prepare(manifest_, ledger_->map()));
  progress_ = accompanied_ = now;
  if (ledger_->complete()) Finish(absl::OkStatus());
  return absl::OkStatus();
}

absl::Status FetchMachine::HandleHave(FetchParent& parent, base::ByteSpan payload, Now now) {
  if (parent.phase != FetchParent::Phase::kOpen || !parent.held) return BadFrame("a HAVE of who has all, or nothing");
  LARDER_ASSIGN_OR_RETURN(const HaveFrame have, DecodeHave(payload));
  const bool waited = parent.awaits_arriving();
  const uint32_t pieces = parent.arriving.size();
  for (const PieceRun& run : have.runs) {
    if (uint64_t{run.first} + run.count > pieces) return BadFrame("a HAVE beyond the last piece");
    for (uint32_t piece = run.first; piece < run.first + run.count; ++piece) {
      parent.arriving.Remove(piece);
      if (have.state == PieceMap::State::kHeld) parent.held->Add(piece);
      if (have.state == PieceMap::State::kArriving) parent.arriving.Add(piece);
    }
  }
  if (waited && !parent.awaits_arriving()) parent.last_byte = now;
  changed_ = true;
  return absl::OkStatus();
}

void FetchMachine::HandleError(FetchParent& parent, const ErrorFrame& error, Now now) {
  const absl::Status why = StatusOf(error);
  if (error.request == 0) {
    Fail(parent, why, IsFinal(why), now);
    return;
  }
  const auto flight = std::ranges::find(parent.flights, error.request, &Flight::request);
  if (flight == parent.flights.end()) return;  // cancelled meanwhile
  const uint32_t piece = flight->rest.first;
  if (!parent.held || std::exchange(parent.super_seeds, false)) parent.held = PieceSet::All(parent.arriving.size());
  parent.held->Remove(piece);
  parent.arriving.Remove(piece);
  parent.last_error = why;
  parent.last_byte = now;
  EndFlight(parent, error.request, false);
}

void FetchMachine::EndFlight(FetchParent& parent, uint32_t request, bool cancel) {
  const auto flight = std::ranges::find(parent.flights, request, &Flight::request);
  ledger_->End(*flight);
  parent.flights.erase(flight);
  if (cancel) Do(Action::Kind::kSend, parent.id, Encode(CancelFrame{.request = request}));
  changed_ = true;
}

void FetchMachine::CancelAll(FetchParent& parent) {
  while (!parent.flights.empty()) EndFlight(parent, parent.flights.front().request, true);
}

absl::StatusOr<base::MutableByteSpan> FetchMachine::Room(ParentId id, const PieceFrame& frame, uint32_t part,
                                                         uint32_t size) {
  FetchParent* parent = Find(id);
  if (parent == nullptr || !parent->connected() || result_) return base::MutableByteSpan();
  if (parent->phase != FetchParent::Phase::kOpen) return BadFrame("a PIECE before the MANIFEST");
  if (frame.request >= next_request_) return BadFrame("a PIECE that nobody asked for");
  const auto flight = std::ranges::find(parent->flights, frame.request, &Flight::request);
  if (flight == parent->flights.end()) return base::MutableByteSpan();  // it was on its way when it was cancelled
  const auto room = ledger_->Room(*flight, frame, part, size);
  if (!room) return BadFrame("a PIECE that is not the next one");
  return *room;
}

void FetchMachine::OnData(ParentId id, const PieceFrame& frame, uint32_t size, uint32_t crc, Now now) {
  FetchParent& parent = *Find(id);
  Flight& flight = *std::ranges::find(parent.flights, frame.request, &Flight::request);
  progress_ = now;
  parent.bytes += size;
  const auto outcome = ledger_->Arrived(flight, size, crc);
  if (!outcome.ok()) {
    Finish(outcome.status());
    return;
  }
  if (*outcome == PieceLedger::Outcome::kMore) return;
  changed_ = true;
  if (flight.rest.count == 0) std::erase_if(parent.flights, [&](const Flight& f) { return f.rest.count == 0; });
  if (*outcome == PieceLedger::Outcome::kVerified) {
    parent.failures = 0;
    metrics_.Received(PieceResult::kOk);
    PieceVerified(frame.piece);
    return;
  }
  metrics_.Received(PieceResult::kMismatch);
  metrics_.Mismatch();
  if (*outcome == PieceLedger::Outcome::kMixed) return;  // the piece comes again, from one parent alone
  parent.lied = true;
  Do(Action::Kind::kSend, id, Encode(DoubtFrame{.piece = frame.piece}));
  Fail(parent,
       base::Error(StatusCode::kDataLoss, "DIGEST_MISMATCH", "piece {} is not what the manifest says", frame.piece),
       true, now);
}

void FetchMachine::OnDamaged(ParentId id, Now now) {
  FetchParent* parent = Find(id);
  if (parent == nullptr || !parent->connected()) return;
  metrics_.Mismatch();
  parent->lied = true;
  Fail(*parent, base::Error(StatusCode::kDataLoss, "DIGEST_MISMATCH", "data that are not what their frame says"), true,
       now);
}

void FetchMachine::PieceVerified(uint32_t piece) {
  // A second flight of it, or a run in which it waits its turn.
  for (auto& [id, parent] : parents_) {
    const auto also = std::ranges::find_if(parent.flights, [&](const Flight& flight) {
      return piece >= flight.rest.first && piece < flight.rest.first + flight.rest.count;
    });
    if (also == parent.flights.end()) continue;
    metrics_.Received(PieceResult::kDuplicate);
    if (also->rest.first == piece)
      metrics_.DuplicateBytes(also->duplicate ? also->received - also->copy_from : also->received);
    EndFlight(parent, also->request, true);
  }
  if (ledger_->complete()) Finish(absl::OkStatus());
}

void FetchMachine::Finish(absl::Status status) {
  if (result_) return;
  for (auto& [id, parent] : parents_) Disconnect(parent);
  result_ = FetchResult{.status = std::move(status), .manifest = manifest_};
  if (!ledger_) return;
  result_->held = ledger_->held();
  ledger_->map()->Stop();
}

std::string FetchMachine::WhyEach() const {
  std::string text;
  for (const auto& [id, parent] : parents_) {
    const std::string why =
        parent.last_error.ok()
            ? std::string(parent.phase == FetchParent::Phase::kOpen ? "has nothing that is missing" : "did not answer")
            : base::Reason(parent.last_error) + ": " + base::Message(parent.last_error);
    text += fmt::format("{}{} ({}): {}", text.empty() ? "" : "; ", parent.spec.node, parent.spec.address, why);
  }
  return text.empty() ? "no parent is known" : text;
}

}  // namespace larder::swarm
