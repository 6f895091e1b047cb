#include "testing/src/simulated_member.h"

#include <algorithm>

#include "larder/base/status.h"

namespace larder::raft {

void SimulatedMember::Do(const absl::Status& status) {
  if (!status.ok()) laws_.Broken(fmt::format("member {}: {}", id_.value, base::Message(status)));
}

void SimulatedMember::Start(uint64_t seed, uint64_t boot) {
  auto replica =
      Replica::Create({.engine = {.self = id_, .seed = seed, .message_bytes = 256, .cached_bytes = 512}, .boot = boot},
                      log_, machine_.applied(), *this);
  Do(replica.status());
  if (!replica.ok()) return;
  replica_ = *std::move(replica);
  Process();
}

void SimulatedMember::Crash(size_t written) {
  replica_.reset();
  const std::vector<LogWrite> writes = TakeWrites(written);
  if (!writes.empty()) Do(log_.Write(writes));
  writing_.clear();
  applying_.clear();
  machine_.Crash();
}

std::vector<LogWrite> SimulatedMember::TakeWrites(size_t count) {
  std::vector<LogWrite> writes;
  for (; count > 0 && !writing_.empty(); --count) {
    writes.push_back(std::move(writing_.front().write));
    writing_.pop_front();
  }
  return writes;
}

void SimulatedMember::WriteSome(size_t count) {
  count = std::min(count, writing_.size());
  if (count == 0) return;
  const uint64_t number = writing_[count - 1].number;
  const std::vector<LogWrite> writes = TakeWrites(count);
  Do(log_.Write(writes));
  for (const LogWrite& write : writes) laws_.Durable(id_, log_.extent(), write.entries);
  Do(replica_->OnWritten(number));
  Process();
}

void SimulatedMember::ApplySome(size_t count) {
  count = std::min(count, applying_.size());
  if (count == 0) return;
  std::vector<LogEntry> entries;
  AppliedState after;
  for (; count > 0; --count) {
    std::ranges::move(applying_.front().commands, std::back_inserter(entries));
    after = std::move(applying_.front().after);
    applying_.pop_front();
  }
  std::vector<Command> commands;
  for (const LogEntry& entry : entries) {
    const auto [held, needed] = holders(entry.at);
    laws_.Applies(id_, entry, held, needed);
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
