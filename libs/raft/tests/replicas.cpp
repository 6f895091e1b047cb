#include "tests/replicas.h"

#include "larder/base/status.h"
#include "larder/raft/membership.h"

namespace larder::raft {

HeldReplica::HeldReplica(uint64_t id, const std::vector<uint64_t>& voters, ReplicaOptions options)
    : options_(std::move(options)) {
  options_.engine.self = {id};
  std::vector<MemberId> ids;
  for (const uint64_t voter : voters) ids.push_back({voter});
  Restart({.configuration = EncodeVoters(ids)});
}

void HeldReplica::Restart(const AppliedState& had) {
  replica_.reset();
  writes.clear();
  applies.clear();
  sent.clear();
  applied = had;
  ++options_.boot;
  replica_ = *Replica::Create(options_, log_, had, *this);
}

void HeldReplica::Note(const absl::Status& status) {
  if (died.ok()) died = status;
}

void HeldReplica::Process() { Note(replica_->Process()); }

void HeldReplica::Tick(uint64_t count) {
  for (; count > 0; --count) {
    Note(replica_->Tick());
    Process();
  }
}

void HeldReplica::Hear(const std::string& message) {
  Note(replica_->Step(base::AsBytes(message)));
  Process();
}

void HeldReplica::Campaign() {
  Note(replica_->Campaign());
  Process();
}

void HeldReplica::Write(size_t count) {
  std::vector<LogWrite> some;
  uint64_t number = 0;
  for (; count > 0 && !writes.empty(); --count, writes.pop_front()) {
    number = writes.front().number;
    some.push_back(std::move(writes.front().write));
  }
  if (some.empty()) return;
  Note(log_.Write(some));
  Note(replica_->OnWritten(number));
  Process();
}

void HeldReplica::Apply() {
  for (ApplyJob& job : std::exchange(applies, {})) {
    std::vector<std::string> replies;
    for (const LogEntry& command : job.commands) replies.push_back(command.payload);
    applied = job.after;
    Note(replica_->OnApplied(job.after.at, std::move(replies)));
    Process();
  }
}

void HeldReplica::Run() {
  Process();
  while (!writes.empty() || !applies.empty()) {
    Write();
    Apply();
  }
}

void HeldReplica::Propose(const std::string& command, uint64_t term) {
  replica_->Propose(
      command,
      [this](const absl::StatusOr<std::string>& reply) {
        answers.push_back(reply.ok() ? *reply : base::Reason(reply.status()));
      },
      term);
}

void HeldReplica::Read() {
  replica_->Read(
      [this](const absl::Status& status) { answers.push_back(status.ok() ? "read" : base::Reason(status)); });
}

absl::Status HeldReplica::Change(std::vector<MemberChange> changes) {
  absl::Status answer;
  replica_->ProposeChange(std::move(changes), [&](absl::Status status) { answer = std::move(status); });
  return answer;
}

void Settle(const std::map<uint64_t, HeldReplica*>& replicas) {
  for (bool busy = true; busy;) {
    busy = false;
    for (const auto& [id, replica] : replicas) {
      replica->Run();
      for (const auto& [to, message] : std::exchange(replica->sent, {})) {
        const auto receiver = replicas.find(to);
        if (receiver == replicas.end()) continue;
        receiver->second->Hear(message);
        busy = true;
      }
    }
  }
}

}  // namespace larder::raft
