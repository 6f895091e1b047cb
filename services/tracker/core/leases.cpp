#include "core/handlers.h"
#include "core/objects.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;

constexpr size_t kMaxLeaseName = 255;

std::optional<LeaseRecord> FindLease(Change& change, std::string_view name) {
  auto record = change.Load<LeaseRecord>(layout::Lease(name));
  return record && record->until > change.now() ? std::move(record) : std::nullopt;
}

LeaseGranted StoreLease(Change& change, const std::string& name, LeaseRecord record, base::Duration ttl) {
  const auto before = change.Load<LeaseRecord>(layout::Lease(name));
  record.until = After(change.now(), ttl);
  change.MoveDue(layout::DueKind::kLease, name, before ? before->until : kNever, record.until);
  change.Store(layout::Lease(name), record);
  return {record.token, record.until};
}

void TellLease(Change& change, EventKind kind, const std::string& name, const LeaseRecord& record) {
  change.Tell({.kind = kind, .lease = EventLease{name, record.holder, record.token}});
}

}  // namespace

void EndLease(Change& change, const std::string& name, const LeaseRecord& record) {
  change.MoveDue(layout::DueKind::kLease, name, record.until, kNever);
  change.Erase(layout::Lease(name));
  TellLease(change, EventKind::kLeaseEnded, name, record);
}

std::optional<Refusal> RefuseToken(Change& change, std::string_view lease, LeaseToken token) {
  const auto record = FindLease(change, lease);
  if (record && record->token == token) return std::nullopt;
  return Refuse(StatusCode::kAborted, "TOKEN_STALE", "token {} of lease {} is over", token.value, lease);
}

Reply Do(Change& change, const GrantLease& command) {
  if (command.name.empty() || command.name.size() > kMaxLeaseName) {
    return Refuse(StatusCode::kInvalidArgument, "BAD_LEASE", "a lease's name has 1 to {} bytes", kMaxLeaseName);
  }
  if (const auto refusal = RefuseWait(command.ttl)) return *refusal;
  const auto held = FindLease(change, command.name);
  if (held && held->holder != command.holder) {
    Refusal refusal = Refuse(StatusCode::kAborted, "HELD", "{} holds lease {}", held->holder, command.name);
    refusal.holder = held->holder;
    return refusal;
  }
  const LeaseRecord record{.holder = command.holder, .token = change.New<LeaseToken>()};
  TellLease(change, EventKind::kLeaseGranted, command.name, record);
  return StoreLease(change, command.name, record, command.ttl);
}

Reply Do(Change& change, const RenewLease& command) {
  if (const auto refusal = RefuseWait(command.ttl)) return *refusal;
  if (const auto refusal = RefuseToken(change, command.name, command.token)) return *refusal;
  return StoreLease(change, command.name, *FindLease(change, command.name), command.ttl);
}

Reply Do(Change& change, const ReleaseLease& command) {
  if (const auto refusal = RefuseToken(change, command.name, command.token)) return *refusal;
  const auto record = FindLease(change, command.name);
  EndLease(change, command.name, *record);
  return Done{};
}

Reply Do(Change& change, const PutPlan& command) {
  if (command.plan.size() > kMaxPlanBytes) {
    return Refuse(StatusCode::kInvalidArgument, "PLAN_TOO_LONG", "a plan has at most {} bytes, not {}", kMaxPlanBytes,
                  command.plan.size());
  }
  if (const auto refusal = RefuseToken(change, command.name, command.token)) return *refusal;
  change.Store(layout::Plan(command.name), PlanRecord{command.token, command.plan});
  return Done{};
}

}  // namespace larder::tracker
