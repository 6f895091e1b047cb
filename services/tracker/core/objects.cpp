#include "core/objects.h"

#include <algorithm>

#include "core/locations.h"
#include "larder/base/status.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;

std::optional<Object> LoadObject(Change& change, const ObjectId& id) {
  auto record = change.Load<ObjectRecord>(layout::Object(id));
  return record ? std::optional(Object{id, *std::move(record)}) : std::nullopt;
}

std::optional<Object> LoadBlob(Change& change, BlobId blob) {
  const auto name = change.Load<NameRecord>(layout::Blob(blob));
  return name ? LoadObject(change, name->object) : std::nullopt;
}

bool IsOver(Change& change, const PendingCreate& create) {
  const auto node = change.Load<NodeRecord>(layout::Node(create.author.node));
  return !node || node->creates_until <= change.now();
}

std::optional<Object> EndWhatIsOver(Change& change, std::optional<Object> object) {
  if (!object) return std::nullopt;
  ObjectRecord& record = object->record;
  const bool expired = record.sealed && record.sealed->expires() <= change.now();
  const bool over = record.pending && IsOver(change, *record.pending);
  if (!expired && !over) return object;
  if (expired) DropSealed(change, *object, EventKind::kExpired);
  if (over) EndCreate(change, *object);
  Save(change, *object);
  return record.sealed || record.pending ? std::move(object) : std::nullopt;
}

void SetStagedSince(Change& change, Object& object, LogTime since) {
  SealedVersion& sealed = *object.record.sealed;
  if (sealed.staged_since != kNever) change.Erase(layout::Staged(sealed.staged_since, object.record.blob));
  if (since != kNever) change.Store(layout::Staged(since, object.record.blob), Mark{});
  sealed.staged_since = since;
}

void ForgetLocation(Change& change, const Object& object, const std::string& node) {
  const Epoch epoch = object.record.sealed->epoch;
  const auto before = EraseLocation(change, object.record.blob, epoch, node);
  if (before) Tell(change, EventKind::kLocationGone, object, epoch, NodeRef{node, before->node_epoch});
}

// Takes the sealed version off, for the reason `why`; returns what the origin holds.
std::optional<Origin> TakeSealed(Change& change, Object& object, EventKind why) {
  if (!object.record.sealed) return std::nullopt;
  const SealedVersion& sealed = *object.record.sealed;
  Tell(change, why, object, sealed.epoch);
  for (const Location& location : LocationsOf(change.rows(), object.record.blob, sealed.epoch)) {
    ForgetLocation(change, object, location.first);
  }
  SetStagedSince(change, object, kNever);
  change.MoveDue(layout::DueKind::kObject, layout::Number(object.record.blob.value), sealed.expires(), kNever);
  EndTicket(change, sealed.ticket);
  std::optional<Origin> left = sealed.origin ? sealed.origin : sealed.replaces;
  object.record.sealed.reset();
  return left;
}

}  // namespace

std::optional<Object> FindObject(Change& change, const ObjectId& id) {
  return EndWhatIsOver(change, LoadObject(change, id));
}

std::optional<Object> FindBlob(Change& change, BlobId blob) { return EndWhatIsOver(change, LoadBlob(change, blob)); }

Object NewObject(Change& change, const ObjectId& id) {
  change.CountRecord(id.ns, 1);
  return {id, {.blob = change.New<BlobId>()}};
}

void Save(Change& change, const Object& object) {
  const std::string row = layout::Object(object.id);
  if (object.record.sealed || object.record.pending) {
    change.Store(row, object.record);
    change.Store(layout::Blob(object.record.blob), NameRecord{object.id});
  } else {
    change.CountRecord(object.id.ns, -1);
    change.Erase(row);
    change.Erase(layout::Blob(object.record.blob));
  }
}

void EndCreate(Change& change, Object& object) {
  if (!object.record.pending) return;
  const PendingCreate& pending = *object.record.pending;
  change.Erase(layout::Create(pending.author.node, pending.epoch));
  const bool by_its_seal = object.record.sealed && object.record.sealed->epoch == pending.epoch;
  if (!by_its_seal) Tell(change, EventKind::kCreateEnded, object, pending.epoch, pending.author);
  object.record.pending.reset();
}

std::optional<Origin> Supersede(Change& change, Object& object) {
  return TakeSealed(change, object, EventKind::kSuperseded);
}

void DropSealed(Change& change, Object& object, EventKind why) {
  if (const auto left = TakeSealed(change, object, why)) EndTicket(change, left->ticket);
}

void Tell(Change& change, EventKind kind, const Object& object, Epoch epoch, const std::optional<NodeRef>& node) {
  change.Tell({.kind = kind, .object = EventObject{object.id, object.record.blob, epoch, ""}, .node = node});
}

void EndTicket(Change& change, UploadTicket ticket) {
  const auto record = change.Load<TicketRecord>(layout::Ticket(ticket));
  if (!record) return;
  change.MoveDue(layout::DueKind::kTicket, layout::Number(ticket.value), record->until, kNever);
  change.Erase(layout::Ticket(ticket));
  change.Store(layout::EndedTicket(ticket), *record);
}

void AddCopy(Change& change, Object& object, const NodeRef& holder, CopyKind kind) {
  const SealedVersion& sealed = *object.record.sealed;
  const std::string row = layout::Location(object.record.blob, sealed.epoch, holder.node);
  const auto before = change.Load<LocationRecord>(row);
  const bool was_staged = before && before->kind == CopyKind::kStaged;
  if (sealed.origin) {
    kind = CopyKind::kReplica;
  } else if (was_staged) {
    kind = CopyKind::kStaged;
  }
  if (before && before->kind == kind && before->node_epoch == holder.epoch) return;
  StoreLocation(change, object.record.blob, sealed.epoch,
                {holder.node, {kind, holder.epoch, change.New<LocationVersion>()}}, before);
  Tell(change, EventKind::kLocationAdded, object, sealed.epoch, holder);
  if (kind == CopyKind::kStaged && sealed.staged_since == kNever) SetStagedSince(change, object, change.now());
}

void RemoveCopy(Change& change, Object& object, const std::string& node) {
  const BlobId blob = object.record.blob;
  const Epoch epoch = object.record.sealed->epoch;
  ForgetLocation(change, object, node);
  const auto rest = LocationsOf(change.rows(), blob, epoch);
  const auto staged = [](const Location& location) { return location.second.kind == CopyKind::kStaged; };
  if (std::ranges::none_of(rest, staged)) SetStagedSince(change, object, kNever);
}

void EndCreatesOf(Change& change, const std::string& node, NodeRecord& record) {
  const std::string prefix = layout::CreatePrefix(node);
  std::vector<BlobId> blobs;
  change.rows().Scan(prefix, prefix, [&](std::string_view, std::string_view value) {
    const auto create = DecodeRecord<BlobRecord>(change.rows(), value);
    if (create) blobs.push_back(create->blob);
    return create.has_value();
  });
  for (const BlobId blob : blobs) {
    auto object = LoadBlob(change, blob);
    if (!object) continue;
    EndCreate(change, *object);
    Save(change, *object);
  }
  change.MoveDue(layout::DueKind::kCreates, node, record.creates_due, kNever);
  record.creates_due = kNever;
  record.creates_until = LogTime{};
}

std::optional<NodeRecord> FindActive(Change& change, const NodeRef& ref) {
  auto record = change.Load<NodeRecord>(layout::Node(ref.node));
  return record && record->epoch == ref.epoch && !record->fenced ? std::move(record) : std::nullopt;
}

Refusal Fenced(const NodeRef& ref) {
  return Refuse(StatusCode::kUnavailable, "NODE_FENCED", "node epoch {} of node {} is over (register again)",
                ref.epoch.value, ref.node);
}

std::optional<Refusal> RefuseEpoch(const std::optional<Object>& object, Epoch epoch) {
  const auto deleted = [&] {
    return Refuse(StatusCode::kNotFound, "DELETED", "epoch {} was deleted (free its bytes)", epoch.value);
  };
  const auto stale = [&] { return Refuse(StatusCode::kAborted, "EPOCH_STALE", "epoch {} is not sealed", epoch.value); };
  if (!object) return deleted();
  const ObjectRecord& record = object->record;
  if (!record.sealed) return epoch < record.pending->epoch ? deleted() : stale();
  if (epoch == record.sealed->epoch) return std::nullopt;
  if (epoch > record.sealed->epoch) return stale();
  return Refuse(StatusCode::kFailedPrecondition, "SUPERSEDED", "epoch {} gave way to {} (free its bytes)", epoch.value,
                record.sealed->epoch.value);
}

std::optional<Refusal> RefuseName(const ObjectId& id) {
  absl::Status status = object::CheckNamespace(id.ns);
  status.Update(object::CheckKey(id.key));
  if (status.ok()) return std::nullopt;
  return Refusal{.code = status.code(), .reason = base::Reason(status), .message = base::Message(status)};
}

std::optional<Refusal> RefuseWait(base::Duration wait) {
  if (wait > base::Duration::zero()) return std::nullopt;
  return Refuse(StatusCode::kInvalidArgument, "BAD_DURATION", "a lease needs a duration above 0");
}

}  // namespace larder::tracker
