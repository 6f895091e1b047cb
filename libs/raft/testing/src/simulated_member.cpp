#include "testing/src/simulated_member.h"

#include <algorithm>

#include "larder/base/status.h"

namespace larder::raft {

void SimulatedMember::Do(const absl::Status& status) {
  if (!status.ok()) laws_.Broken(fmt::format("member {}: {}", id_.value, base::Message(status)));
}

void SimulatedMember::Start(uint64_t seed, uint64_t boot) {
  // Limits that the little that is written here reaches.
  const ReplicaOptions options{.engine = {.self = id_,
                                          .seed = seed,
                                          .message_bytes = 256,
                                          .inflight_messages = 8,
                                          .uncommitted_bytes = 4096,
                                          .unapplied_bytes = 400,
                                          .cached_bytes = 512},
                               .boot = boot,
                               .slow_disk_ticks = 15};
  auto replica = Replica::Create(options, log_, machine_.applied(), *this);
  Do(replica.status());
  if (!replica.ok()) return;
  replica_ = *std::move(replica);
  Process();
}

void SimulatedMember::Crash(size_t written) {
  replica_.reset();
  WriteToDisk(written);
  writing_.clear();
  applying_.clear();
  machine_.Crash();
}

void SimulatedMember::WriteToDisk(size_t count) {
  for (; count > 0 && !writing_.empty(); --count, writing_.pop_front()) {
    const LogWrite& write = writing_.front().write;
    Do(log_.Write({&write, 1}));
    laws_.Durable(id_, log_, write);
  }
}

void SimulatedMember::WriteSome(size_t count) {
  count = std::min(count, writing_.size());
  if (count == 0) return;
  const uint64_t number = writing_[count - 1].number;
  WriteToDisk(count);
  Do(replica_->OnWritten(number));
  Process();
}

void SimulatedMember::ApplySome(size_t count) {
  count = std::min(count, applying_.size());
  if (count == 0) return;
  std::vector<LogEntry> entries;
  AppliedState after;
  for (; count > 0; --count, applying_.pop_front()) {
    ApplyJob& job = applying_.front();
    laws_.Commits(id_, job.after.at, holders(job.after.at));
    if (job.commands.empty()) laws_.Configured(job.after.at.index, job.after.configuration);
    std::ranges::move(job.commands, std::back_inserter(entries));
    after = std::move(job.after);
  }
  std::vector<Command> commands;
  for (const LogEntry& entry : entries) {
    laws_.Applies(id_, entry);
    commands.push_back({.at = entry.at, .payload = base::AsBytes(entry.payload)});
  }
  std::vector<std::string> replies;
  Do(machine_.Apply(commands, after, replies));
  laws_.State(id_, after.at.index, machine_.hash());
  Do(replica_->OnApplied(after.at, std::move(replies)));
  Process();
}

void SimulatedMember::Process() {
  Do(replica_->Process());
  const NodeStatus status = replica_->status();
  if (status.role == Role::kLeader) laws_.Leads(id_, status.term);
}

bool SimulatedMember::Holds(LogPosition at) const {
  const LogExtent extent = log_.extent();
  if (at.index > extent.last.index || at.index <= extent.truncated.index) return at.index <= extent.truncated.index;
  return log_.TermAt(at.index).value_or(0) == at.term;
}

}  // namespace larder::raft
