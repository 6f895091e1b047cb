#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <set>

#include "larder/raft/testing/memory_log_store.h"
#include "src/replica.h"
#include "testing/src/simulated_laws.h"
#include "testing/src/simulated_machine.h"

namespace larder::raft {

// One member: a replica, while it runs, and what outlives it. Its disk and its state machine do their work only when
// they are told.
class SimulatedMember final : public ReplicaHost {
 public:
  using SendMessage = std::function<void(MemberId to, std::string message)>;
  SimulatedMember(MemberId id, AppliedState first, SimulatedLaws& laws, SendMessage send)
      : id_(id), laws_(laws), send_(std::move(send)), machine_(std::move(first)) {}

  void Start(uint64_t seed, uint64_t boot);
  // Of the writes on their way, `written` reach the disk.
  void Crash(size_t written);
  bool running() const { return replica_ != nullptr; }
  Replica& replica() { return *replica_; }

  void Tick() { Do(replica_->Tick()); }
  void Step(const std::string& message) { Do(replica_->Step(base::AsBytes(message))); }
  // Writes the oldest `count` jobs, by one sync.
  void WriteSome(size_t count);
  // Applies the oldest `count` jobs, as one.
  void ApplySome(size_t count);
  void Flush() { machine_.Flush().IgnoreError(); }
  // To be called after each call of the replica.
  void Process();

  size_t writing() const { return writing_.size(); }
  size_t applying() const { return applying_.size(); }
  bool Holds(LogPosition at) const;
  MemberId id() const { return id_; }
  const SimulatedMachine& machine() const { return machine_; }
  // Whose disks hold an entry.
  std::function<std::set<uint64_t>(LogPosition)> holders;

 private:
  void Send(MemberId to, std::string message) override { send_(to, std::move(message)); }
  void Write(LogJob job) override { writing_.push_back(std::move(job)); }
  void Apply(ApplyJob job) override { applying_.push_back(std::move(job)); }
  void Do(const absl::Status& status);
  void WriteToDisk(size_t count);

  const MemberId id_;
  SimulatedLaws& laws_;
  const SendMessage send_;
  MemoryLogStore log_;
  SimulatedMachine machine_;
  std::deque<LogJob> writing_;
  std::deque<ApplyJob> applying_;
  std::unique_ptr<Replica> replica_;  // uses all of the above
};

}  // namespace larder::raft
