#include <algorithm>

#include "core/handlers.h"
#include "core/locations.h"
#include "core/objects.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;

// Why the object needs the node's copy, if it does.
std::optional<Refusal> RefuseGiveUp(Change& change, const Object& object, const GiveUp& command) {
  const SealedVersion& sealed = *object.record.sealed;
  uint32_t live = 0;
  bool staged_elsewhere = false;
  bool staged_here = false;
  for (const Location& location : LocationsOf(change.rows(), command.blob, sealed.epoch)) {
    const auto& [node, record] = location;
    const bool staged = record.kind == CopyKind::kStaged;
    if (node == command.holder.node) {
      staged_here = staged;
    } else if (IsLive(change.rows(), command.blob, location, change.Load<NodeRecord>(layout::Node(node)))) {
      ++live;
      staged_elsewhere |= staged;
    }
  }
  if (staged_here && !staged_elsewhere && !sealed.origin) {
    return Refuse(StatusCode::kFailedPrecondition, "LAST_STAGED", "no origin and no other live staged copy has it");
  }
  const bool origin_stands_in = sealed.origin && !sealed.meta.pinned;
  if (live >= sealed.meta.wanted || origin_stands_in || command.evict_last) return std::nullopt;
  return Refuse(StatusCode::kFailedPrecondition, "LAST_COPIES", "{} live copies would stay of {} wanted", live,
                sealed.meta.wanted);
}

}  // namespace

Reply Do(Change& change, const AddLocation& command) {
  if (!FindActive(change, command.holder)) return Fenced(command.holder);
  auto object = FindBlob(change, command.blob);
  if (auto refusal = RefuseEpoch(object, command.epoch)) return *std::move(refusal);
  AddCopy(change, *object, command.holder, command.kind);
  Save(change, *object);
  return Done{};
}

Reply Do(Change& change, const GiveUp& command) {
  if (!FindActive(change, command.holder)) return Fenced(command.holder);
  auto object = FindBlob(change, command.blob);
  if (auto refusal = RefuseEpoch(object, command.epoch)) return *std::move(refusal);
  if (!change.Has(layout::Location(command.blob, command.epoch, command.holder.node))) return Done{};  // a repeat
  if (auto refusal = RefuseGiveUp(change, *object, command)) return *std::move(refusal);
  RemoveCopy(change, *object, command.holder.node);
  const bool gone = !object->record.sealed->origin && LocationsOf(change.rows(), command.blob, command.epoch).empty();
  if (gone) DropSealed(change, *object, EventKind::kDeleted);  // evict_last: nobody has it any more
  Save(change, *object);
  return Done{};
}

Reply Do(Change& change, const ReportBad& command) {
  auto object = FindBlob(change, command.blob);
  if (RefuseEpoch(object, command.epoch)) return Effect{false};
  const auto location = change.Load<LocationRecord>(layout::Location(command.blob, command.epoch, command.holder.node));
  if (!location || location->version != command.version) return Effect{false};
  const auto node = change.Load<NodeRecord>(layout::Node(command.holder.node));
  if (ToldIn(change.rows(), command.blob, {command.holder.node, *location}, node) != command.holder.epoch) {
    return Effect{false};
  }
  RemoveCopy(change, *object, command.holder.node);
  Save(change, *object);
  return Effect{true};
}

}  // namespace larder::tracker
