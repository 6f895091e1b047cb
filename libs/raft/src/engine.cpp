#include "src/engine.h"

#include <array>

#include "larder/base/status.h"

namespace larder::raft {
namespace {

// Both sides of the header must mean the same by it: a difference is a bug of the build.
void CheckLayout() {
  constexpr std::array expected{
      sizeof(larder_raft_bytes),    sizeof(larder_raft_entry),    sizeof(larder_raft_hard_state),
      sizeof(larder_raft_snapshot), sizeof(larder_raft_message),  sizeof(larder_raft_read),
      sizeof(larder_raft_storage),  sizeof(larder_raft_config),   sizeof(larder_raft_ready),
      sizeof(larder_raft_status),   sizeof(larder_raft_progress), sizeof(larder_raft_change)};
  std::array<size_t, expected.size()> built{};
  if (larder_raft_layout(built.data(), built.size()) != expected.size() || built != expected) {
    fmt::print(stderr, "larder: raft: the engine was built with other declarations than engine_abi.h\n");
    std::abort();
  }
}

int32_t CodeOf(const absl::Status& status) {
  if (status.ok()) return LARDER_RAFT_OK;
  if (base::Reason(status) == "COMPACTED") return LARDER_RAFT_COMPACTED;
  return LARDER_RAFT_FAILED;
}

}  // namespace

int32_t Engine::ReadEntries(void* host, uint64_t first, uint64_t end, uint64_t max_bytes, larder_raft_push push,
                            void* sink) {
  const auto& engine = *static_cast<const Engine*>(host);
  return CodeOf(engine.log_.Read(first, end, max_bytes, [&](const LogEntry& entry) {
    const larder_raft_entry view{.index = entry.at.index,
                                 .term = entry.at.term,
                                 .kind = static_cast<uint64_t>(entry.kind),
                                 .payload = ToRaft(base::AsBytes(entry.payload))};
    push(sink, &view);
  }));
}

int32_t Engine::ReadTerm(void* host, uint64_t index, uint64_t* term) {
  const absl::StatusOr<uint64_t> found = static_cast<const Engine*>(host)->log_.TermAt(index);
  if (found.ok()) *term = *found;
  return CodeOf(found.status());
}

// Nothing is purged yet, so nobody needs one.
int32_t Engine::FindSnapshot(void*, uint64_t, uint64_t, larder_raft_snapshot*) { return LARDER_RAFT_UNAVAILABLE; }

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const EngineOptions& options, const LogStore& log,
                                                       const AppliedState& applied) {
  CheckLayout();
  std::unique_ptr<Engine> engine(new Engine(log));
  const LogExtent extent = log.extent();
  const larder_raft_config config{
      .id = options.self.value,
      .election_ticks = options.election_ticks,
      .heartbeat_ticks = options.heartbeat_ticks,
      .seed = options.seed,
      .applied = applied.at.index,
      .truncated_index = extent.truncated.index,
      .truncated_term = extent.truncated.term,
      .last_index = extent.last.index,
      .hard_state = {extent.hard_state.term, extent.hard_state.vote, extent.hard_state.commit},
      .configuration = ToRaft(base::AsBytes(applied.configuration)),
      .max_message_bytes = options.message_bytes,
      .max_inflight_messages = options.inflight_messages,
      .max_uncommitted_bytes = options.uncommitted_bytes,
      .max_unapplied_bytes = options.unapplied_bytes,
      .max_cached_bytes = options.cached_bytes,
      .storage = {.host = engine.get(), .entries = ReadEntries, .term = ReadTerm, .snapshot = FindSnapshot}};
  std::array<char, 512> why{};
  engine->raft_ = larder_raft_create(&config, why.data(), why.size());
  if (engine->raft_ == nullptr) return base::InvalidArgument("RAFT_INVALID", "the log cannot be used: {}", why.data());
  return engine;
}

Engine::~Engine() { larder_raft_destroy(raft_); }

absl::Status Engine::Checked(int32_t code) const {
  if (code == LARDER_RAFT_OK) return absl::OkStatus();
  const std::string why(base::AsText(FromRaft(larder_raft_last_error(raft_))));
  switch (code) {
    case LARDER_RAFT_INVALID:
      return base::InvalidArgument("RAFT_INVALID", "{}", why);
    case LARDER_RAFT_NOT_LEADER:
      return base::Error(absl::StatusCode::kFailedPrecondition, "NOT_LEADER", "{}", why);
    case LARDER_RAFT_NOT_READY:
      return base::Error(absl::StatusCode::kUnavailable, "NOT_READY", "{}", why);
    case LARDER_RAFT_BUSY:
      return base::Error(absl::StatusCode::kResourceExhausted, "RAFT_BUSY", "{}", why);
    case LARDER_RAFT_REFUSED:
      return base::Error(absl::StatusCode::kFailedPrecondition, "CHANGE_REFUSED", "{}", why);
    default:
      return base::Error(absl::StatusCode::kInternal, "RAFT_PANIC", "{}", why);
  }
}

absl::Status Engine::Tick() { return Checked(larder_raft_tick(raft_)); }
absl::Status Engine::Campaign() { return Checked(larder_raft_campaign(raft_)); }
absl::Status Engine::Step(base::ByteSpan message) { return Checked(larder_raft_step(raft_, ToRaft(message))); }

absl::StatusOr<LogPosition> Engine::Propose(std::span<const base::ByteSpan> payloads) {
  std::vector<larder_raft_bytes> views(payloads.size());
  for (size_t i = 0; i < views.size(); ++i) views[i] = ToRaft(payloads[i]);
  LogPosition first;
  LARDER_RETURN_IF_ERROR(Checked(larder_raft_propose(raft_, views.data(), views.size(), &first.index, &first.term)));
  return first;
}

absl::StatusOr<LogPosition> Engine::ProposeChange(std::span<const larder_raft_change> changes) {
  LogPosition at;
  LARDER_RETURN_IF_ERROR(
      Checked(larder_raft_propose_change(raft_, changes.data(), changes.size(), &at.index, &at.term)));
  return at;
}

absl::Status Engine::ReadIndex(base::ByteSpan context) {
  return Checked(larder_raft_read_index(raft_, ToRaft(context)));
}

bool Engine::HasReady() const { return larder_raft_has_ready(raft_); }

absl::StatusOr<larder_raft_ready> Engine::ReadyBegin() {
  larder_raft_ready ready{};
  LARDER_RETURN_IF_ERROR(Checked(larder_raft_ready_begin(raft_, &ready)));
  return ready;
}

absl::Status Engine::ReadyEnd() { return Checked(larder_raft_ready_end(raft_)); }
absl::Status Engine::OnPersistReady(uint64_t number) { return Checked(larder_raft_on_persist_ready(raft_, number)); }
absl::Status Engine::AppliedTo(uint64_t index) { return Checked(larder_raft_applied_to(raft_, index)); }

absl::StatusOr<std::string> Engine::ApplyChange(const LogEntry& change) {
  larder_raft_bytes configuration{};
  LARDER_RETURN_IF_ERROR(Checked(larder_raft_apply_change(raft_, change.at.index, static_cast<uint64_t>(change.kind),
                                                          ToRaft(base::AsBytes(change.payload)), &configuration)));
  return std::string(base::AsText(FromRaft(configuration)));
}

absl::Status Engine::Compact(uint64_t index) { return Checked(larder_raft_compact(raft_, index)); }

absl::Status Engine::ReportUnreachable(MemberId member) {
  return Checked(larder_raft_report_unreachable(raft_, member.value));
}
absl::Status Engine::ReportSnapshot(MemberId member, bool arrived) {
  return Checked(larder_raft_report_snapshot(raft_, member.value, arrived));
}
absl::Status Engine::TransferLeader(MemberId member) {
  return Checked(larder_raft_transfer_leader(raft_, member.value));
}

larder_raft_status Engine::status() const {
  larder_raft_status status{};
  larder_raft_get_status(raft_, &status);
  return status;
}

std::vector<larder_raft_progress> Engine::progress() const {
  std::vector<larder_raft_progress> progress(16);
  const size_t count = larder_raft_get_progress(raft_, progress.data(), progress.size());
  progress.resize(count);
  if (count > 16) larder_raft_get_progress(raft_, progress.data(), progress.size());
  return progress;
}

std::string EncodeVoters(std::span<const MemberId> voters) {
  std::vector<uint64_t> ids;
  for (const MemberId voter : voters) ids.push_back(voter.value);
  std::string out(ids.size() * 16 + 16, '\0');
  size_t size = out.size();
  larder_raft_encode_voters(ids.data(), ids.size(), reinterpret_cast<uint8_t*>(out.data()), &size);
  out.resize(size);
  return out;
}

}  // namespace larder::raft
