#pragma once
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "larder/raft/testing/memory_log_store.h"
#include "src/replica.h"

namespace larder::raft {

// A replica whose disk, state machine and network do nothing until they are told. It echoes: a command's reply is the
// command.
class HeldReplica final : public ReplicaHost {
 public:
  HeldReplica(uint64_t id, const std::vector<uint64_t>& voters, ReplicaOptions options = {});
  // As after a crash: what was not written is gone, and `applied` is what the state machine has.
  void Restart(const AppliedState& applied);
  Replica* operator->() { return replica_.get(); }

  // Each goes on with Process. Errors are in `died`.
  void Process();
  void Tick(uint64_t count = 1);
  void Hear(const std::string& message);
  void Campaign();
  void Write(size_t count = SIZE_MAX);  // the oldest that wait for it
  void Apply();                         // all that wait
  // Everything there is to do, but that messages are only put into `sent`.
  void Run();
  // The reply, or why there is none, is in `answers`, as text, once it comes.
  void Propose(const std::string& command, uint64_t term = Node::kAnyTerm);
  void Read();
  absl::Status Change(std::vector<MemberChange> changes);

  std::vector<std::pair<uint64_t, std::string>> sent;
  std::deque<LogJob> writes;
  std::deque<ApplyJob> applies;
  std::vector<std::string> answers;
  AppliedState applied;
  absl::Status died;

 private:
  void Send(MemberId to, std::string message) override { sent.emplace_back(to.value, std::move(message)); }
  void Write(LogJob job) override { writes.push_back(std::move(job)); }
  void Apply(ApplyJob job) override { applies.push_back(std::move(job)); }
  void Note(const absl::Status& status);

  ReplicaOptions options_;
  MemoryLogStore log_;
  std::unique_ptr<Replica> replica_;
};

// Runs all of them, and delivers, until nobody has anything to do. What is for others is lost.
void Settle(const std::map<uint64_t, HeldReplica*>& replicas);

}  // namespace larder::raft
