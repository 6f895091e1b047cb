#include <vector>

#include "core/handlers.h"
#include "core/objects.h"

namespace larder::tracker {
namespace {

using layout::DueKind;

// Each looks again: only what is over by now ends, the rest is due later.

void ExpireCreates(Change& change, const std::string& node) {
  auto record = change.Load<NodeRecord>(layout::Node(node));
  if (!record) return;
  if (record->creates_until <= change.now()) {
    EndCreatesOf(change, node, *record);
  } else {
    change.MoveDue(DueKind::kCreates, node, record->creates_due, record->creates_until);
    record->creates_due = record->creates_until;
  }
  change.Store(layout::Node(node), *record);
}

void ExpireLease(Change& change, const std::string& name) {
  const auto record = change.Load<LeaseRecord>(layout::Lease(name));
  if (record) EndLease(change, name, *record);
}

void ExpireSession(Change& change, const std::string& id) {
  const ClientSession session{layout::ParseNumber(id)};
  auto record = change.Load<SessionRecord>(layout::Session(session));
  if (!record) return;
  if (record->ends() <= change.now()) return EndSession(change, session, *record);
  change.MoveDue(DueKind::kSession, id, record->due, record->ends());
  record->due = record->ends();
  change.Store(layout::Session(session), *record);
}

void Expire(Change& change, DueKind kind, const layout::DueRow& due) {
  switch (kind) {
    case DueKind::kObject:
      FindBlob(change, BlobId{layout::ParseNumber(due.id)});
      return;
    case DueKind::kCreates:
      return ExpireCreates(change, due.id);
    case DueKind::kLease:
      return ExpireLease(change, due.id);
    case DueKind::kTicket:
      return EndTicket(change, UploadTicket{layout::ParseNumber(due.id)});
    case DueKind::kSession:
      return ExpireSession(change, due.id);
    case DueKind::kResp:
      change.MoveDue(kind, due.id, due.when, kNever);
      change.Erase(due.id);
      return;
  }
}

}  // namespace

Reply Do(Change& change, const ExpireDue& command) {
  if (command.limit == 0) return Refuse(absl::StatusCode::kInvalidArgument, "BAD_LIMIT", "a limit is above 0");
  Expired expired;
  for (int i = 0; i < layout::kDueKinds; ++i) {
    const auto kind = static_cast<DueKind>(i);
    const std::string prefix = layout::DuePrefix(kind);
    std::vector<layout::DueRow> due;
    change.rows().Scan(prefix, prefix, [&](std::string_view key, std::string_view) {
      layout::DueRow row = layout::ParseDue(key);
      if (row.when > change.now()) return false;
      expired.more = expired.count + due.size() >= command.limit;
      if (!expired.more) due.push_back(std::move(row));
      return !expired.more;
    });
    for (const layout::DueRow& row : due) Expire(change, kind, row);
    expired.count += static_cast<uint32_t>(due.size());
    if (expired.more) break;
  }
  return expired;
}

}  // namespace larder::tracker
