#include "core/handlers.h"
#include "core/locations.h"
#include "core/objects.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;

Refusal StaleTicket(UploadTicket ticket) {
  return Refuse(StatusCode::kAborted, "TICKET_STALE", "upload ticket {} is over (begin again)", ticket.value);
}

// The origin has it: the staged copies need no protection any more.
void Unstage(Change& change, Object& object) {
  const Epoch epoch = object.record.sealed->epoch;
  for (const auto& [node, location] : LocationsOf(change.rows(), object.record.blob, epoch)) {
    if (location.kind != CopyKind::kStaged) continue;
    LocationRecord replica = location;
    replica.kind = CopyKind::kReplica;
    replica.version = change.New<LocationVersion>();
    StoreLocation(change, object.record.blob, epoch, {node, replica}, location);
  }
  LogTime& since = object.record.sealed->staged_since;
  if (since != kNever) change.Erase(layout::Staged(since, object.record.blob));
  since = kNever;
}

// Another upload overwrote it in its place; elsewhere (the object was renamed) it is left behind.
void ForgetReplaced(Change& change, const std::optional<Origin>& replaced, const ObjectId& at) {
  if (!replaced) return;
  if (replaced->at == at) {
    change.Erase(layout::Ticket(replaced->ticket));
  } else {
    EndTicket(change, replaced->ticket);
  }
}

}  // namespace

Reply Do(Change& change, const BeginUpload& command) {
  if (const auto refusal = RefuseWait(command.ttl)) return *refusal;
  if (!FindActive(change, command.uploader)) return Fenced(command.uploader);
  auto object = FindBlob(change, command.blob);
  if (auto refusal = RefuseEpoch(object, command.epoch)) return *std::move(refusal);
  SealedVersion& sealed = *object->record.sealed;
  EndTicket(change, sealed.ticket);
  sealed.ticket = change.New<UploadTicket>();
  const TicketRecord record{.blob = command.blob,
                            .epoch = command.epoch,
                            .uploader = command.uploader,
                            .object = object->id,
                            .until = After(change.now(), command.ttl)};
  change.Store(layout::Ticket(sealed.ticket), record);
  change.MoveDue(layout::DueKind::kTicket, layout::Number(sealed.ticket.value), kNever, record.until);
  Save(change, *object);
  const std::optional<Origin>& there = sealed.origin ? sealed.origin : sealed.replaces;
  return TicketGranted{.ticket = sealed.ticket,
                       .object = object->id,
                       .until = record.until,
                       .replaces = there && there->at == object->id ? there->etag : ""};
}

Reply Do(Change& change, const CommitOrigin& command) {
  const std::string row = layout::Ticket(command.ticket);
  auto record = change.Load<TicketRecord>(row);
  const bool ended = !record;
  if (ended) record = change.Load<TicketRecord>(layout::EndedTicket(command.ticket));
  if (!record) return StaleTicket(command.ticket);
  if (!record->etag.empty() && !ended) {
    const bool repeat = record->etag == command.etag && record->crc32c == command.crc32c;
    return repeat ? Reply(Done{}) : Reply(StaleTicket(command.ticket));
  }
  auto object = FindBlob(change, record->blob);
  if (auto refusal = RefuseEpoch(object, record->epoch)) return *std::move(refusal);
  if (command.etag.empty()) return Refuse(StatusCode::kInvalidArgument, "BAD_ETAG", "an upload has an ETag");
  if (ended) return StaleTicket(command.ticket);
  if (record->until <= change.now()) {
    EndTicket(change, command.ticket);
    return StaleTicket(command.ticket);
  }
  if (!FindActive(change, record->uploader)) return Fenced(record->uploader);

  SealedVersion& sealed = *object->record.sealed;
  ForgetReplaced(change, sealed.origin, record->object);
  ForgetReplaced(change, sealed.replaces, record->object);
  sealed.replaces.reset();
  sealed.origin = Origin{command.ticket, record->object, command.etag, command.crc32c};
  sealed.ticket = {};
  Unstage(change, *object);
  Save(change, *object);
  Tell(change, EventKind::kOriginCommitted, *object, sealed.epoch, record->uploader);
  change.MoveDue(layout::DueKind::kTicket, layout::Number(command.ticket.value), record->until, kNever);
  record->until = kNever;
  record->etag = command.etag;
  record->crc32c = command.crc32c;
  change.Store(row, *record);
  return Done{};
}

Reply Do(Change& change, const ForgetTicket& command) {
  if (change.Has(layout::Ticket(command.ticket))) {
    return Refuse(StatusCode::kFailedPrecondition, "TICKET_LIVE", "upload ticket {} has not ended",
                  command.ticket.value);
  }
  change.Erase(layout::EndedTicket(command.ticket));
  return Done{};
}

}  // namespace larder::tracker
