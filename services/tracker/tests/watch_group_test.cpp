// Watches on the members of a group, while its leader changes.
#include <grpcpp/channel.h>

#include <array>

#include "larder/raft/membership.h"
#include "larder/rpc/channel.h"
#include "tests/member_under_test.h"

namespace larder::tracker {
namespace {

using base::IsOk;
using Group = std::map<uint64_t, std::unique_ptr<class Member>>;

constexpr uint64_t kMembers = 3;

std::string Voters() {
  std::vector<raft::MemberId> ids;
  for (uint64_t id = 1; id <= kMembers; ++id) ids.push_back({id});
  return raft::EncodeVoters(ids);
}

// As the one of MemberTest, among others.
class Member {
 public:
  Member(uint64_t id, raft::MemoryNetwork& network, const Group& group)
      : self_{id},
        network_(network),
        state_(*TrackerState::Open(table_), Voters()),
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
                    .clock = &clock_,
                    .send = [this, &group](raft::MemberId to,
                                           const std::string& bytes) { group.at(to.value)->Receive(self_, bytes); }}),
        worker_("tick",
                [this] {
                  consensus_.Tick();
                  return std::chrono::milliseconds(1);
                }),
        rpc_(consensus_, state_, *node_, metrics_),
        server_({.address = "127.0.0.1:0"}, log_) {
    server_.Add(rpc_);
    EXPECT_THAT(server_.Start(), IsOk());
    stub_ = v1::Tracker::NewStub(rpc::Dial("127.0.0.1:" + std::to_string(server_.port())));
  }
  ~Member() {
    rpc_.Stop();
    server_.Stop(clock_.Now() + std::chrono::seconds(10));
    readers_.Stop();
    worker_.Stop();
    consensus_.Stop();
    network_.Detach(self_);
    node_->Stop();
  }

  // When all are there.
  void Begin() {
    network_.Attach(self_, node_.get());
    worker_.Start();
  }
  void Receive(raft::MemberId from, const std::string& bytes) { consensus_.Receive(from, bytes); }
  raft::Node& node() { return *node_; }
  v1::Tracker::Stub& stub() { return *stub_; }

 private:
  const raft::MemberId self_;
  raft::MemoryNetwork& network_;
  base::SystemClock clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, clock_};
  observe::Registry registry_;
  MemoryTable table_;
  ServedState state_;
  raft::MemoryLogStore log_store_;
  const std::unique_ptr<raft::Node> node_;
  base::ThreadPool readers_{"readers", 2};
  SnapshotReads reads_;
  Consensus consensus_;
  base::Worker worker_;
  RequestMetrics metrics_{registry_};
  TrackerRpc rpc_;
  rpc::Server server_;
  std::unique_ptr<v1::Tracker::Stub> stub_;
};

class WatchGroupTest : public testing::Test {
 protected:
  WatchGroupTest() {
    for (uint64_t id = 1; id <= kMembers; ++id) group_.emplace(id, std::make_unique<Member>(id, network_, group_));
    for (const auto& [id, member] : group_) member->Begin();
  }
  ~WatchGroupTest() override {
    for (const auto& [id, member] : group_) network_.Detach({id});
  }

  static std::chrono::system_clock::time_point Soon() {
    return std::chrono::system_clock::now() + std::chrono::seconds(30);
  }
  // By any member; a repeat under its request id, where the outcome is unknown, does it once.
  void MakeDir(uint64_t member, const std::string& key) {
    v1::ApplyRequest request;
    *request.add_commands() =
        Parsed<v1::Command>(R"(make_dir { directory { namespace: "team" key: ")" + key + R"(" } })");
    request.mutable_request_id()->set_session(session_);
    request.mutable_request_id()->set_sequence(++sequence_);
    request.mutable_request_id()->set_low_water(1);
    absl::Status status = absl::UnknownError("not sent");
    for (const auto until = Soon(); !status.ok() && std::chrono::system_clock::now() < until;) {
      grpc::ClientContext context;
      context.set_deadline(until);
      v1::ApplyResponse response;
      status = rpc::FromGrpc(group_.at(member)->stub().Apply(&context, request, &response), context);
    }
    ASSERT_THAT(status, IsOk());
  }
  void OpenSession() {
    const auto request = Parsed<v1::ApplyRequest>("commands { open_session {} }");
    for (const auto until = Soon(); session_ == 0 && std::chrono::system_clock::now() < until;) {
      grpc::ClientContext context;
      context.set_deadline(until);
      v1::ApplyResponse response;
      if (!group_.at(1)->stub().Apply(&context, request, &response).ok()) continue;
      session_ = response.results(0).session_opened().session();
    }
    ASSERT_GT(session_, 0u);
  }
  uint64_t Leader() {
    for (const auto& [id, member] : group_) {
      if (member->node().status().role == raft::Role::kLeader) return id;
    }
    return 0;
  }
  void MoveLeader() {
    const uint64_t leader = Leader();
    if (leader > 0) group_.at(leader)->node().TransferLeader({1 + leader % kMembers});
  }
  // What a member tells from `from` until `count` directories are made, each event as bytes; goes on at `next`.
  std::vector<std::string> Told(uint64_t member, size_t count, v1::WatchPosition& next) {
    grpc::ClientContext context;
    context.set_deadline(Soon());
    v1::WatchRequest request = Parsed<v1::WatchRequest>("kinds: EVENT_KIND_DIRECTORY_MADE page_size: 1");
    *request.mutable_from() = next;
    const auto stream = group_.at(member)->stub().Watch(&context, request);
    std::vector<std::string> told;
    for (v1::WatchResponse response; told.size() < count && stream->Read(&response);) {
      for (const v1::Event& event : response.events()) told.push_back(event.SerializeAsString());
      next = response.next();
    }
    context.TryCancel();
    return told;
  }

  raft::MemoryNetwork network_;
  Group group_;
  uint64_t session_ = 0;
  uint64_t sequence_ = 0;
};

TEST_F(WatchGroupTest, AllMembersTellTheSameWhoeverLeads) {
  constexpr size_t kDirs = 60;
  OpenSession();
  for (size_t i = 0; i < kDirs; ++i) {
    if (i % 20 == 10) MoveLeader();
    MakeDir(1 + i % kMembers, "d" + std::to_string(i));
  }
  std::array<v1::WatchPosition, kMembers> ends;
  const std::vector<std::string> first = Told(1, kDirs, ends[0]);
  ASSERT_EQ(first.size(), kDirs);
  EXPECT_TRUE(Told(2, kDirs, ends[1]) == first);
  EXPECT_TRUE(Told(3, kDirs, ends[2]) == first);
  EXPECT_EQ(ends[0].ShortDebugString(), ends[1].ShortDebugString());
}

TEST_F(WatchGroupTest, AClientGoesOnAtAnotherMemberWhenTheLeaderIsLost) {
  constexpr size_t kBefore = 10;
  constexpr size_t kAfter = 10;
  OpenSession();
  for (size_t i = 0; i < kBefore; ++i) MakeDir(1, "d" + std::to_string(i));
  const uint64_t lost = Leader();
  ASSERT_GT(lost, 0u);
  v1::WatchPosition next;
  std::vector<std::string> told = Told(lost, kBefore, next);
  network_.Cut({lost});
  const uint64_t other = 1 + lost % kMembers;
  for (size_t i = 0; i < kAfter; ++i) MakeDir(other, "e" + std::to_string(i));
  const std::vector<std::string> rest = Told(other, kAfter, next);
  told.insert(told.end(), rest.begin(), rest.end());
  ASSERT_EQ(told.size(), kBefore + kAfter);
  for (size_t i = 0; i < told.size(); ++i) {
    v1::Event event;
    ASSERT_TRUE(event.ParseFromString(told[i]));
    EXPECT_EQ(event.object().id().key(), i < kBefore ? "d" + std::to_string(i) : "e" + std::to_string(i - kBefore));
  }
  // The lost one tells the same when it is back, from where it was left.
  network_.Mend();
  v1::WatchPosition from_the_beginning;
  EXPECT_TRUE(Told(lost, kBefore + kAfter, from_the_beginning) == told);
}

}  // namespace
}  // namespace larder::tracker
