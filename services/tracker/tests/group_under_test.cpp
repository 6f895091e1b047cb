#include "tests/group_under_test.h"

#include <grpcpp/channel.h>

#include <vector>

#include "larder/raft/membership.h"
#include "larder/rpc/channel.h"

namespace larder::tracker {
namespace {

std::string Voters(uint64_t count) {
  std::vector<raft::MemberId> ids;
  for (uint64_t id = 1; id <= count; ++id) ids.push_back({id});
  return raft::EncodeVoters(ids);
}

}  // namespace

GroupMember::GroupMember(uint64_t id, const base::Clock& clock, raft::MemoryNetwork& network, const Group& group)
    : self_{id},
      network_(network),
      state_(*TrackerState::Open(table_), Voters(kGroupSize)),
      node_(*raft::Node::Start({.self = self_,
                                .seed = id,
                                .boot = 1,
                                .tick = std::chrono::milliseconds(5),
                                .on_fatal = [](const absl::Status& why) { ADD_FAILURE() << why; }},
                               log_store_, state_, network.For(self_))),
      reads_(table_, readers_, 2, [](const absl::Status& why) { ADD_FAILURE() << why; }),
      consensus_({.self = self_,
                  .node = node_.get(),
                  .state = &state_,
                  .reads = &reads_,
                  .clock = &clock,
                  .send =
                      [this, &group](raft::MemberId to, const std::string& bytes) {
                        group.at(to.value)->Receive(self_, bytes);
                        return absl::OkStatus();
                      }}),
      worker_("tick",
              [this] {
                consensus_.Tick();
                return std::chrono::milliseconds(1);
              }),
      rpc_(consensus_, state_, *node_, metrics_),
      server_({.address = "127.0.0.1:0"}, log_) {
  server_.Add(rpc_);
  EXPECT_THAT(server_.Start(), base::IsOk());
  stub_ = v1::Tracker::NewStub(rpc::Dial("127.0.0.1:" + std::to_string(server_.port())));
}

GroupMember::~GroupMember() {
  rpc_.Stop();
  server_.Stop(system_clock_.Now() + std::chrono::seconds(10));
  readers_.Stop();
  worker_.Stop();
  consensus_.Stop();
  network_.Detach(self_);
  node_->Stop();
}

void GroupMember::Begin() {
  network_.Attach(self_, node_.get());
  worker_.Start();
}

GroupTest::GroupTest() {
  for (uint64_t id = 1; id <= kMembers; ++id) {
    group_.emplace(id, std::make_unique<GroupMember>(id, clock_, network_, group_));
  }
  for (const auto& [id, member] : group_) member->Begin();
}

GroupTest::~GroupTest() {
  for (const auto& [id, member] : group_) network_.Detach({id});
}

uint64_t GroupTest::Leader() {
  for (const auto& [id, member] : group_) {
    if (member->node().status().role == raft::Role::kLeader) return id;
  }
  return 0;
}

}  // namespace larder::tracker
