#pragma once
#include <string>
#include <utility>
#include <vector>

#include "larder/raft/node.h"

namespace larder::tracker {

// A node that says what a test has it say, and keeps what it was asked. One thread.
class ScriptedNode final : public raft::Node {
 public:
  void Follow(raft::MemberId leader, uint64_t term) {
    status_.role = leader == status_.self ? raft::Role::kLeader : raft::Role::kFollower;
    status_.leader = leader;
    status_.term = term;
  }

  void Propose(std::string command, ProposeDone done, uint64_t term) override {
    terms.push_back(term);
    proposed.emplace_back(std::move(command), std::move(done));
  }
  void Read(ReadDone done) override { reads.push_back(std::move(done)); }
  void ChangeMembers(std::vector<raft::MemberChange>, ReadDone) override {}
  void TransferLeader(raft::MemberId) override {}
  void Receive(std::string) override {}
  void Unreachable(raft::MemberId) override {}
  raft::NodeStatus status() const override { return status_; }
  void Stop() override {}

  std::vector<std::pair<std::string, ProposeDone>> proposed;
  std::vector<uint64_t> terms;  // in which they may be appended
  std::vector<ReadDone> reads;

 private:
  raft::NodeStatus status_{.self = {1}};
};

}  // namespace larder::tracker
