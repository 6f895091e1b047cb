#include "core/registry.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "core/change.h"
#include "core/handlers.h"
#include "core/history.h"
#include "core/layout.h"
#include "larder/base/status.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;

std::string RefuseAll(const Entry& entry, const Refusal& refusal) {
  return EncodeReplies(std::vector<Reply>(entry.commands.size(), refusal));
}

std::string Execute(Change& change, const Entry& entry) {
  if (entry.fence) {
    if (const auto refusal = RefuseToken(change, entry.fence->lease, entry.fence->token)) {
      return RefuseAll(entry, *refusal);
    }
  }
  std::vector<Reply> replies;
  for (const Command& command : entry.commands) {
    replies.push_back(std::visit([&change](const auto& held) { return Do(change, held); }, command));
  }
  return EncodeReplies(replies);
}

void ForgetAnswers(Change& change, ClientSession session, uint64_t below) {
  const std::string end = layout::Answer(session, below);
  std::vector<std::string> answers;
  change.rows().Scan(layout::AnswerPrefix(session), "", [&](std::string_view key, std::string_view) {
    if (key < end) answers.emplace_back(key);
    return key < end;
  });
  for (const std::string& answer : answers) change.Erase(answer);
}

// Executes an entry once, however often it comes.
std::string ExecuteOnce(Change& change, const Entry& entry, const RequestId& request) {
  const std::string row = layout::Session(request.session);
  auto session = change.Load<SessionRecord>(row);
  if (!session || session->ends() <= change.now()) {
    return RefuseAll(entry, Refuse(StatusCode::kFailedPrecondition, "SESSION_EXPIRED",
                                   "session {} is over (open another; whether earlier requests were done is unknown)",
                                   request.session.value));
  }
  const uint64_t low_water = std::max(session->low_water, request.low_water);
  if (request.sequence < low_water) {
    return RefuseAll(entry, Refuse(StatusCode::kFailedPrecondition, "REQUEST_FORGOTTEN",
                                   "request {} is below the low-water mark {}", request.sequence, low_water));
  }
  if (request.sequence - low_water >= kRequestWindow) {
    return RefuseAll(entry, Refuse(StatusCode::kResourceExhausted, "WINDOW_FULL",
                                   "request {} is {} or more above the low-water mark {} (wait for answers)",
                                   request.sequence, kRequestWindow, low_water));
  }
  if (low_water > session->low_water) ForgetAnswers(change, request.session, low_water);
  session->low_water = low_water;
  session->last_seen = change.now();
  change.Store(row, *session);
  const std::string answer_row = layout::Answer(request.session, request.sequence);
  if (auto answer = change.rows().Get(answer_row)) return *std::move(answer);
  std::string answer = Execute(change, entry);
  // The entry may have closed its own session.
  if (change.Has(row)) change.rows().Put(answer_row, answer);
  return answer;
}

}  // namespace

TrackerState::TrackerState(Table& table, Meta meta) : table_(table), meta_(std::move(meta)) {
  applied_ = {.at = {.index = meta_.applied_index, .term = meta_.applied_term}, .configuration = meta_.configuration};
}

absl::StatusOr<std::unique_ptr<TrackerState>> TrackerState::Open(Table& table) {
  const auto snapshot = table.NewSnapshot();
  auto meta = Load<Meta>(*snapshot, layout::Meta());
  if (!meta) {
    bool empty = true;
    snapshot->Scan("", "", [&empty](std::string_view, std::string_view) { return empty = false; });
    LARDER_RETURN_IF_ERROR(snapshot->status());
    if (!empty) {
      return base::Error(StatusCode::kDataLoss, "TABLE_DAMAGED",
                         "rows without the one that says how far they go (restore it, or join anew)");
    }
  }
  return std::unique_ptr<TrackerState>(new TrackerState(table, std::move(meta).value_or(Meta())));
}

absl::Status TrackerState::Apply(std::span<const raft::Command> commands, const raft::AppliedState& after,
                                 std::vector<std::string>& replies) {
  const auto batch = table_.NewBatch();
  Meta meta = meta_;
  Change change(*batch, meta);
  for (const raft::Command& command : commands) {
    const auto entry = DecodeEntry(command.payload);
    if (!entry.ok()) return base::Annotate(entry.status(), fmt::format("entry {}", command.at.index));
    meta.now = std::max(meta.now, entry->stamp);
    replies.push_back(entry->request ? ExecuteOnce(change, *entry, *entry->request) : Execute(change, *entry));
    Remember(change, command.at.index, meta.history);
  }
  meta.applied_index = after.at.index;
  meta.applied_term = after.at.term;
  meta.configuration = after.configuration;
  change.Store(layout::Meta(), meta);
  LARDER_RETURN_IF_ERROR(batch->Commit());
  meta_ = std::move(meta);
  applied_ = after;
  record_changes_ = change.records();
  return absl::OkStatus();
}

}  // namespace larder::tracker
