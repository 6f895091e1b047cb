#include <algorithm>

#include "core/handlers.h"
#include "core/objects.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;

std::optional<Refusal> RefuseMeta(const ObjectMeta& meta) {
  if (meta.wanted > 0) return std::nullopt;
  return Refuse(StatusCode::kInvalidArgument, "BAD_REPLICAS", "an object wants at least one copy");
}

// Another object may take its place, if the caller says so.
Refusal Exists(const ObjectId& id, std::string_view what) {
  return Refuse(StatusCode::kAlreadyExists, "EXISTS", "{}/{} exists{} (overwrite it, or choose another key)", id.ns,
                id.key, what);
}
Refusal IsDirectory(const ObjectId& id) {
  return Refuse(StatusCode::kAlreadyExists, "EXISTS", "{}/{} is a directory (choose another key)", id.ns, id.key);
}

Refusal Held(const ObjectId& id, const std::string& holder) {
  Refusal refusal =
      Refuse(StatusCode::kAborted, "HELD", "node {} is creating {}/{} (wait for it)", holder, id.ns, id.key);
  refusal.holder = holder;
  return refusal;
}

bool CreatedElsewhere(const std::optional<Object>& object, const std::string& node) {
  return object && object->record.pending && object->record.pending->author.node != node;
}

bool SameContent(const ObjectMeta& a, const ObjectMeta& b) {
  return a.size == b.size && a.digest == b.digest && a.digest.kind != base::Digest::Kind::kNone;
}

Sealed SealVersion(Change& change, Object& object, SealedVersion version, CopyKind kind) {
  version.sealed_at = change.now();
  version.replaces = Supersede(change, object);
  object.record.sealed = std::move(version);
  const SealedVersion& sealed = *object.record.sealed;
  EndCreate(change, object);
  Tell(change, EventKind::kSealed, object, sealed.epoch, sealed.author);
  change.MoveDue(layout::DueKind::kObject, layout::Number(object.record.blob.value), kNever, sealed.expires());
  AddCopy(change, object, sealed.author, kind);
  Save(change, object);
  return {object.record.blob, sealed.epoch};
}

}  // namespace

void ExtendCreates(Change& change, const std::string& node, NodeRecord& record, base::Duration lease) {
  // What ended must not live again only because nobody has looked yet.
  if (record.creates_until <= change.now()) EndCreatesOf(change, node, record);
  record.creates_until = std::max(record.creates_until, After(change.now(), lease));
  if (record.creates_due != kNever) return;  // ExpireDue looks then, and moves it
  change.MoveDue(layout::DueKind::kCreates, node, kNever, record.creates_until);
  record.creates_due = record.creates_until;
}

Reply Do(Change& change, const AcquireCreate& command) {
  if (const auto refusal = RefuseName(command.object)) return *refusal;
  if (const auto refusal = RefuseWait(command.lease)) return *refusal;
  auto node = FindActive(change, command.holder);
  if (!node) return Fenced(command.holder);
  auto found = FindObject(change, command.object);
  if (found && found->record.sealed && !command.overwrite) return Exists(command.object, "");
  if (CreatedElsewhere(found, command.holder.node)) {
    return Held(command.object, found->record.pending->author.node);
  }
  if (change.Has(layout::Directory(command.object))) return IsDirectory(command.object);

  ExtendCreates(change, command.holder.node, *node, command.lease);
  change.Store(layout::Node(command.holder.node), *node);
  // Anew: extending may have ended an earlier create of it.
  found = FindObject(change, command.object);
  Object object = found ? *std::move(found) : NewObject(change, command.object);
  EndCreate(change, object);
  object.record.pending = PendingCreate{change.New<Epoch>(), command.holder};
  change.Store(layout::Create(command.holder.node, object.record.pending->epoch), BlobRecord{object.record.blob});
  Save(change, object);
  Tell(change, EventKind::kCreateGranted, object, object.record.pending->epoch, command.holder);
  return CreateGranted{object.record.blob, object.record.pending->epoch};
}

Reply Do(Change& change, const Seal& command) {
  if (const auto refusal = RefuseName(command.object)) return *refusal;
  if (const auto refusal = RefuseMeta(command.meta)) return *refusal;
  auto object = FindObject(change, command.object);
  if (object && object->record.sealed) {
    const SealedVersion& sealed = *object->record.sealed;
    if (sealed.epoch == command.epoch && sealed.author == command.author) {
      return Sealed{object->record.blob, sealed.epoch};  // a repeat
    }
  }
  if (!FindActive(change, command.author)) return Fenced(command.author);
  if (!object || object->record.pending != PendingCreate{command.epoch, command.author}) {
    return Refuse(StatusCode::kAborted, "EPOCH_STALE", "epoch {} of {}/{} is over (create it again)",
                  command.epoch.value, command.object.ns, command.object.key);
  }
  return SealVersion(change, *object, {.epoch = command.epoch, .author = command.author, .meta = command.meta},
                     command.kind);
}

Reply Do(Change& change, const Abandon& command) {
  if (const auto refusal = RefuseName(command.object)) return *refusal;
  if (!FindActive(change, command.author)) return Fenced(command.author);
  auto object = FindObject(change, command.object);
  if (object && object->record.pending == PendingCreate{command.epoch, command.author}) {
    EndCreate(change, *object);
    Save(change, *object);
  }
  return Done{};
}

Reply Do(Change& change, const Publish& command) {
  if (const auto refusal = RefuseName(command.object)) return *refusal;
  if (const auto refusal = RefuseMeta(command.meta)) return *refusal;
  if (!FindActive(change, command.author)) return Fenced(command.author);
  auto found = FindObject(change, command.object);
  if (found && found->record.sealed) {
    if (SameContent(found->record.sealed->meta, command.meta)) {
      AddCopy(change, *found, command.author, command.kind);
      Save(change, *found);
      return Sealed{found->record.blob, found->record.sealed->epoch};
    }
    if (!command.overwrite) return Exists(command.object, " with other content");
  }
  if (CreatedElsewhere(found, command.author.node)) {
    return Held(command.object, found->record.pending->author.node);
  }
  if (change.Has(layout::Directory(command.object))) return IsDirectory(command.object);
  Object object = found ? *std::move(found) : NewObject(change, command.object);
  return SealVersion(
      change, object,
      {.epoch = change.New<Epoch>(), .author = command.author, .alias = command.alias, .meta = command.meta},
      command.kind);
}

}  // namespace larder::tracker
