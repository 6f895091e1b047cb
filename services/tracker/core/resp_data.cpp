#include "core/handlers.h"
#include "core/objects.h"
#include "larder/base/status.h"

namespace larder::tracker {
namespace {

constexpr int kDatabases = 16;

std::optional<Refusal> RefuseDatabase(const RespDatabase& database) {
  if (const absl::Status status = object::CheckNamespace(database.ns); !status.ok()) {
    return Refusal{.code = status.code(), .reason = base::Reason(status), .message = base::Message(status)};
  }
  if (database.number < kDatabases) return std::nullopt;
  return Refuse(absl::StatusCode::kInvalidArgument, "BAD_DATABASE", "databases are 0 to {}", kDatabases - 1);
}

// Also one whose time is over: look at `until`.
void Erase(Change& change, const std::string& row, const std::optional<RespRecord>& record) {
  if (!record) return;
  change.MoveDue(layout::DueKind::kResp, row, record->until, kNever);
  change.Erase(row);
}

}  // namespace

Reply Do(Change& change, const RespSet& command) {
  if (const auto refusal = RefuseDatabase(command.database)) return *refusal;
  const std::string row = layout::Resp(command.database, command.key);
  auto before = change.Load<RespRecord>(row);
  if (before && before->until <= change.now()) {
    Erase(change, row, before);
    before.reset();
  }
  RespSetDone done;
  done.stored =
      command.condition == RespSetIf::kAlways || before.has_value() == (command.condition == RespSetIf::kPresent);
  if (command.get && before) done.old = before->value;
  if (!done.stored) return done;
  if (command.ttl == kRespOver) {
    Erase(change, row, before);
    return done;
  }
  const LogTime was_until = before ? before->until : kNever;
  LogTime until = command.keep_ttl ? was_until : kNever;
  if (command.ttl > base::Duration::zero()) until = After(change.now(), command.ttl);
  change.MoveDue(layout::DueKind::kResp, row, was_until, until);
  change.Store(row, RespRecord{until, command.value});
  return done;
}

Reply Do(Change& change, const RespDelete& command) {
  if (const auto refusal = RefuseDatabase(command.database)) return *refusal;
  Count count;
  for (const std::string& key : command.keys) {
    const std::string row = layout::Resp(command.database, key);
    const auto record = change.Load<RespRecord>(row);
    if (record && record->until > change.now()) ++count.count;
    Erase(change, row, record);
  }
  return count;
}

}  // namespace larder::tracker
