#include "tests/member_under_test.h"

#include <grpcpp/channel.h>

#include <chrono>
#include <vector>

#include "larder/raft/membership.h"
#include "larder/rpc/channel.h"

namespace larder::tracker {
namespace {

constexpr raft::MemberId kSelf{1};

std::string Voters(uint64_t count) {
  std::vector<raft::MemberId> ids;
  for (uint64_t id = kSelf.value; id < kSelf.value + count; ++id) ids.push_back({id});
  return raft::EncodeVoters(ids);
}

std::unique_ptr<raft::Node> StartNode(raft::LogStore& log, raft::StateMachine& state, raft::Transport& transport) {
  auto node = raft::Node::Start({.self = kSelf,
                                 .seed = 1,
                                 .boot = 1,
                                 .tick = std::chrono::milliseconds(5),
                                 .on_fatal = [](const absl::Status& why) { ADD_FAILURE() << why; }},
                                log, state, transport);
  EXPECT_THAT(node.status(), base::IsOk());
  return *std::move(node);
}

}  // namespace

MemberTest::MemberTest(uint64_t voters, const StreamLimits& limits, const WatchLimits& watch_limits)
    : state_(*TrackerState::Open(table_), Voters(voters)),
      node_(StartNode(log_store_, state_, network_.For(kSelf))),
      reads_(table_, readers_, 2, [](const absl::Status& why) { ADD_FAILURE() << why; }),
      consensus_({.self = kSelf,
                  .node = &held_,
                  .state = &state_,
                  .reads = &reads_,
                  .clock = &clock_,
                  .send = [](raft::MemberId, const std::string&) { return absl::OkStatus(); },
                  .node_session = {}}),
      worker_("tick",
              [this] {
                consensus_.Tick();
                return std::chrono::milliseconds(1);
              }),
      rpc_(consensus_, state_, held_, metrics_, limits, watch_limits),
      server_({.address = "127.0.0.1:0"}, log_) {
  network_.Attach(kSelf, node_.get());
  worker_.Start();
  server_.Add(rpc_);
  EXPECT_THAT(server_.Start(), base::IsOk());
  stub_ = Connect();
}

std::unique_ptr<v1::Tracker::Stub> MemberTest::Connect() {
  return v1::Tracker::NewStub(rpc::Dial("127.0.0.1:" + std::to_string(server_.port())));
}

void MemberTest::StopServer(base::Duration patience) {
  rpc_.Stop();
  server_.Stop(clock_.Now() + patience);
}

void MemberTest::StopAll() {
  StopServer(std::chrono::seconds(10));
  readers_.Stop();
  worker_.Stop();
  consensus_.Stop();
  network_.Detach(kSelf);
  node_->Stop();
}

v1::Result MemberTest::Run(const std::string& command) {
  v1::ApplyRequest request;
  *request.add_commands() = Parsed<v1::Command>(command);
  const auto response = Call(&v1::Tracker::Stub::Apply, request);
  EXPECT_THAT(response, base::IsOk());
  if (!response.ok() || response->results_size() != 1) return {};
  return response->results(0);
}

}  // namespace larder::tracker
