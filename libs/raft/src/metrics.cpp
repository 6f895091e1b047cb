#include "larder/raft/metrics.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "larder/base/status.h"

namespace larder::raft {
namespace {

constexpr observe::HistogramDecl<> kSync = {.name = "larder_raft_sync_duration_seconds",
                                            .help = "Writes to the log, each with one sync of the disk."};
constexpr observe::HistogramDecl<> kCommit = {
    .name = "larder_raft_commit_latency_seconds",
    .help = "From a proposal at the leader to its reply: on the disks of a quorum, and applied."};
constexpr observe::HistogramDecl<Stage> kStages = {
    .name = "larder_raft_stage_duration_seconds",
    .help =
        "Where the time goes. queue: a proposal, until it is taken; append: entries, to this disk; commit: to a "
        "quorum's; apply: a step of the state machine; reply: from there to the replies.",
    .labels = {"stage"}};
constexpr observe::CounterDecl<ProposalResult> kProposals = {
    .name = "larder_raft_proposals_total",
    .help =
        "Proposals at this member. ok: applied; failed: not appended; unknown: appended, and then leadership or "
        "the quorum was lost.",
    .labels = {"result"}};
constexpr observe::GaugeDecl<> kIsLeader = {.name = "larder_raft_is_leader", .help = "1 at the member that leads."};
constexpr observe::GaugeDecl<> kLogBytes = {.name = "larder_raft_log_bytes", .help = "Entries that the log holds."};
constexpr observe::GaugeDecl<observe::NodeLabel> kLag = {
    .name = "larder_raft_lag_entries",
    .help = "Entries that a member, by its Raft id, does not have yet, as the leader knows.",
    .labels = {"node"}};

}  // namespace

std::string_view LabelText(ProposalResult result) {
  switch (result) {
    case ProposalResult::kOk:
      return "ok";
    case ProposalResult::kFailed:
      return "failed";
    case ProposalResult::kUnknown:
      return "unknown";
  }
  return "unknown";
}

std::string_view LabelText(Stage stage) {
  switch (stage) {
    case Stage::kQueue:
      return "queue";
    case Stage::kAppend:
      return "append";
    case Stage::kCommit:
      return "commit";
    case Stage::kApply:
      return "apply";
    case Stage::kReply:
      return "reply";
  }
  return "queue";
}

Metrics::Metrics(observe::Registry& registry)
    : registry_(registry),
      sync_(registry.Add(kSync)),
      commit_(registry.Add(kCommit)),
      proposals_(registry.Add(kProposals)) {
  const observe::Histograms<Stage> stages = registry.Add(kStages);
  for (size_t i = 0; i < stages_.size(); ++i) stages_[i] = &stages.With(static_cast<Stage>(i));
}

void Metrics::StageTook(Stage stage, base::Duration took) {
  stages_[static_cast<size_t>(stage)]->Observe(std::chrono::duration<double>(took).count());
}

void Metrics::Proposed(const absl::Status& outcome, base::Duration took) {
  if (outcome.ok()) {
    commit_.Observe(std::chrono::duration<double>(took).count());
    proposals_.With(ProposalResult::kOk).Increment();
  } else {
    const bool unknown = base::Reason(outcome) == "OUTCOME_UNKNOWN";
    proposals_.With(unknown ? ProposalResult::kUnknown : ProposalResult::kFailed).Increment();
  }
}

void Metrics::Watch(const Node& node, const LogStore& log) {
  watches_.push_back(
      registry_.AddWatch(kIsLeader, [&node] { return node.status().role == Role::kLeader ? 1.0 : 0.0; }));
  watches_.push_back(registry_.AddWatch(kLogBytes, [&log] { return static_cast<double>(log.bytes()); }));
  watches_.push_back(registry_.AddWatch(kLag, [&node](const observe::Sample<observe::NodeLabel>& sample) {
    const NodeStatus status = node.status();
    for (const MemberStatus& member : status.members) {
      sample(static_cast<double>(status.last_index - std::min(member.matched, status.last_index)),
             observe::NodeLabel(std::to_string(member.id.value)));
    }
  }));
}

void Metrics::Forget() { watches_.clear(); }

}  // namespace larder::raft
