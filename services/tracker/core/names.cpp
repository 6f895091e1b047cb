#include "core/handlers.h"
#include "core/objects.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;

// Whether nothing sealed is there, or another epoch than asked for (0: any).
std::optional<Refusal> RefuseVersion(const std::optional<Object>& object, const ObjectId& id, Epoch epoch) {
  if (!object || !object->record.sealed) {
    return Refuse(StatusCode::kNotFound, "NOT_FOUND", "{}/{} does not exist", id.ns, id.key);
  }
  const Epoch sealed = object->record.sealed->epoch;
  if (epoch == Epoch{} || epoch == sealed) return std::nullopt;
  return Refuse(StatusCode::kAborted, "EPOCH_STALE", "{}/{} is at epoch {}, not {}", id.ns, id.key, sealed.value,
                epoch.value);
}

std::optional<Refusal> RefusePending(const std::optional<Object>& object) {
  if (!object || !object->record.pending) return std::nullopt;
  Refusal refusal = Refuse(StatusCode::kAborted, "HELD", "node {} is creating {}/{} (wait for it)",
                           object->record.pending->author.node, object->id.ns, object->id.key);
  refusal.holder = object->record.pending->author.node;
  return refusal;
}

Refusal Exists(const ObjectId& id) {
  return Refuse(StatusCode::kAlreadyExists, "EXISTS", "{}/{} exists", id.ns, id.key);
}

// Objects that are over which one command ends: all others wait for it. The sweep ends the rest.
constexpr int kMostEnded = 1000;

// Whether the directory holds anything; what is over in it ends, and more of that than one command may end counts.
bool HasChildren(Change& change, const ObjectId& directory) {
  const std::string row = layout::Directory(directory);
  for (int ended = 0; ended < kMostEnded; ++ended) {
    std::string child;
    change.rows().Scan(row, row + '\1', [&child](std::string_view key, std::string_view) {
      child = key;
      return false;
    });
    if (child.empty()) return false;
    if (child.ends_with('/')) return true;
    const std::string key = child.substr(layout::ObjectPrefix(directory.ns).size());
    if (FindObject(change, {directory.ns, key}) || !change.rows().status().ok()) return true;
  }
  return true;
}

}  // namespace

Reply Do(Change& change, const Delete& command) {
  if (const auto refusal = RefuseName(command.object)) return *refusal;
  auto object = FindObject(change, command.object);
  if (const auto refusal = RefuseVersion(object, command.object, command.epoch)) return *refusal;
  DropSealed(change, *object, EventKind::kDeleted);
  Save(change, *object);
  return Done{};
}

Reply Do(Change& change, const SetMeta& command) {
  if (const auto refusal = RefuseName(command.object)) return *refusal;
  if (command.wanted == 0u) {
    return Refuse(StatusCode::kInvalidArgument, "BAD_REPLICAS", "an object wants at least one copy");
  }
  auto object = FindObject(change, command.object);
  if (const auto refusal = RefuseVersion(object, command.object, command.epoch)) return *refusal;
  SealedVersion& sealed = *object->record.sealed;
  const LogTime expired = sealed.expires();
  if (command.ttl) {
    // Kept as counted from the seal; past all counting it has no end.
    const base::Duration age(static_cast<base::Duration::rep>(change.now().ns - sealed.sealed_at.ns));
    const bool ends = *command.ttl > base::Duration::zero() && *command.ttl <= base::Duration::max() - age;
    sealed.meta.ttl = ends ? age + *command.ttl : base::Duration::zero();
  }
  sealed.meta.pinned = command.pinned.value_or(sealed.meta.pinned);
  sealed.meta.wanted = command.wanted.value_or(sealed.meta.wanted);
  if (command.tags) sealed.meta.tags = *command.tags;
  change.MoveDue(layout::DueKind::kObject, layout::Number(object->record.blob.value), expired, sealed.expires());
  Save(change, *object);
  Tell(change, EventKind::kMetaChanged, *object, sealed.epoch);
  return Done{};
}

Reply Do(Change& change, const Rename& command) {
  const ObjectId to{command.object.ns, command.to};
  if (const auto refusal = RefuseName(command.object)) return *refusal;
  if (const auto refusal = RefuseName(to)) return *refusal;
  auto object = FindObject(change, command.object);
  if (const auto refusal = RefuseVersion(object, command.object, command.epoch)) return *refusal;
  if (const auto refusal = RefusePending(object)) return *refusal;
  const auto target = FindObject(change, to);
  if (target && target->record.sealed) return Exists(to);
  if (const auto refusal = RefusePending(target)) return *refusal;
  if (change.Has(layout::Directory(to))) return Exists(to);
  change.Erase(layout::Object(command.object));
  const Epoch epoch = object->record.sealed->epoch;
  change.Tell({EventKind::kRenamed, EventObject{object->id, object->record.blob, epoch, to.key}});
  object->id = to;
  Save(change, *object);
  return Done{};
}

Reply Do(Change& change, const MakeDir& command) {
  if (const auto refusal = RefuseName(command.directory)) return *refusal;
  if (change.Has(layout::Directory(command.directory)) || FindObject(change, command.directory)) {
    return Exists(command.directory);
  }
  change.Store(layout::Directory(command.directory), Mark{});
  change.Tell({EventKind::kDirectoryMade, EventObject{command.directory}});
  return Done{};
}

Reply Do(Change& change, const RemoveDir& command) {
  if (const auto refusal = RefuseName(command.directory)) return *refusal;
  const std::string row = layout::Directory(command.directory);
  if (!change.Has(row)) {
    return Refuse(StatusCode::kNotFound, "NOT_FOUND", "there is no directory {}/{}", command.directory.ns,
                  command.directory.key);
  }
  if (HasChildren(change, command.directory)) {
    return Refuse(StatusCode::kFailedPrecondition, "NOT_EMPTY", "{}/{} is not empty", command.directory.ns,
                  command.directory.key);
  }
  change.Erase(row);
  change.Tell({EventKind::kDirectoryRemoved, EventObject{command.directory}});
  return Done{};
}

}  // namespace larder::tracker
