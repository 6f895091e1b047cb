#include <utility>

#include "core/handlers.h"
#include "core/objects.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;

Refusal Unknown(const std::string& node) {
  return Refuse(StatusCode::kNotFound, "NOT_FOUND", "no node {} ever registered", node);
}

Reply Registered(Change& change, NodeEpoch epoch) {
  auto key = change.Load<PieceKeyRecord>(layout::PieceKey());
  if (!key) return NodeRegistered{epoch};
  return RegisteredWithKey{.epoch = epoch, .piece_key_id = key->id, .piece_key = std::move(key->secret)};
}

}  // namespace

Reply Do(Change& change, const RegisterNode& command) {
  if (command.node.empty() || command.node.size() > kMaxNodeName || command.node.find('\0') != std::string::npos) {
    return Refuse(StatusCode::kInvalidArgument, "BAD_NODE", "a node's name has 1 to {} bytes, no NUL", kMaxNodeName);
  }
  const std::string row = layout::Node(command.node);
  NodeRecord record = change.Load<NodeRecord>(row).value_or(NodeRecord());
  if (command.incarnation < record.incarnation) {
    return Refuse(StatusCode::kFailedPrecondition, "INCARNATION_STALE", "incarnation {} of node {} came after {}",
                  record.incarnation, command.node, command.incarnation);
  }
  EndCreatesOf(change, command.node, record);
  record.incarnation = command.incarnation;
  record.epoch = change.New<NodeEpoch>();
  record.fenced = false;
  record.address = command.address;
  record.zone = command.zone;
  record.rack = command.rack;
  record.last_seen = change.now();
  change.Store(row, record);
  change.Tell(EventKind::kNodeRegistered, {command.node, record.epoch});
  return Registered(change, record.epoch);
}

Reply Do(Change& change, const RegisterWithKey& command) {
  if (command.offered_piece_key.size() != kPieceKeyBytes) {
    return Refuse(StatusCode::kInvalidArgument, "BAD_NODE", "a node offers a key of {} bytes, or none", kPieceKeyBytes);
  }
  const Reply reply = Do(change, command.node);
  const auto* registered = std::get_if<NodeRegistered>(&reply);
  if (registered == nullptr) return reply;
  change.Store(layout::PieceKey(), PieceKeyRecord{.id = 1, .secret = command.offered_piece_key});
  return Registered(change, registered->epoch);
}

Reply Do(Change& change, const FenceNode& command) {
  const std::string row = layout::Node(command.node.node);
  auto record = change.Load<NodeRecord>(row);
  if (!record) return Unknown(command.node.node);
  if (record->epoch != command.node.epoch) {
    return Refuse(StatusCode::kAborted, "EPOCH_STALE", "node {} is at epoch {}, not {}", command.node.node,
                  record->epoch.value, command.node.epoch.value);
  }
  if (record->fenced) return Done{};
  EndCreatesOf(change, command.node.node, *record);
  record->fenced = true;
  change.Store(row, *record);
  change.Tell(EventKind::kNodeFenced, command.node);
  return Done{};
}

Reply Do(Change& change, const MarkNode& command) {
  const std::string row = layout::Node(command.node);
  auto record = change.Load<NodeRecord>(row);
  if (!record) return Unknown(command.node);
  record->draining = command.draining.value_or(record->draining);
  record->quarantined = command.quarantined.value_or(record->quarantined);
  change.Store(row, *record);
  change.Tell(EventKind::kNodeMarked, {command.node, record->epoch});
  return Done{};
}

Reply Do(Change& change, const RenewCreates& command) {
  if (const auto refusal = RefuseWait(command.lease)) return *refusal;
  auto record = FindActive(change, command.holder);
  if (!record) return Fenced(command.holder);
  record->last_seen = change.now();
  ExtendCreates(change, command.holder.node, *record, command.lease);
  change.Store(layout::Node(command.holder.node), *record);
  return Done{};
}

}  // namespace larder::tracker
