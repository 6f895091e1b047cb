#include <vector>

#include "core/handlers.h"
#include "core/objects.h"

namespace larder::tracker {
namespace {

// The session whose end is next. Its row says when somebody looked for last, so look at those that are earlier.
void EndTheOneIdleForLongest(Change& change) {
  for (;;) {
    const std::string prefix = layout::DuePrefix(layout::DueKind::kSession);
    std::optional<layout::DueRow> first;
    change.rows().Scan(prefix, prefix, [&](std::string_view key, std::string_view) {
      first = layout::ParseDue(key);
      return false;
    });
    if (!first) return;
    const ClientSession session{layout::ParseNumber(first->id)};
    auto record = change.Load<SessionRecord>(layout::Session(session));
    if (!record) return;
    if (record->due >= record->ends()) return EndSession(change, session, *record);
    change.MoveDue(layout::DueKind::kSession, first->id, record->due, record->ends());
    record->due = record->ends();
    change.Store(layout::Session(session), *record);
  }
}

}  // namespace

void EndSession(Change& change, ClientSession session, const SessionRecord& record) {
  const std::string prefix = layout::AnswerPrefix(session);
  std::vector<std::string> answers;
  change.rows().Scan(prefix, prefix, [&answers](std::string_view key, std::string_view) {
    answers.emplace_back(key);
    return true;
  });
  for (const std::string& answer : answers) change.Erase(answer);
  change.MoveDue(layout::DueKind::kSession, layout::Number(session.value), record.due, kNever);
  change.Erase(layout::Session(session));
  --change.sessions();
}

Reply Do(Change& change, const OpenSession&) {
  if (change.sessions() >= kMaxSessions) EndTheOneIdleForLongest(change);
  const auto session = change.New<ClientSession>();
  SessionRecord record{.last_seen = change.now()};
  record.due = record.ends();
  change.Store(layout::Session(session), record);
  change.MoveDue(layout::DueKind::kSession, layout::Number(session.value), kNever, record.due);
  ++change.sessions();
  return SessionOpened{session};
}

Reply Do(Change& change, const CloseSession& command) {
  const auto record = change.Load<SessionRecord>(layout::Session(command.session));
  if (record) EndSession(change, command.session, *record);
  return Done{};
}

}  // namespace larder::tracker
