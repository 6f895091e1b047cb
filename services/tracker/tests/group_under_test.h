#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "larder/base/testing/manual_clock.h"
#include "tests/member_under_test.h"

namespace larder::tracker {

inline constexpr uint64_t kGroupSize = 3;

class GroupMember;
using Group = std::map<uint64_t, std::unique_ptr<GroupMember>>;

// As the member of MemberTest, among others.
class GroupMember {
 public:
  // `clock` is what its Consensus goes by.
  GroupMember(uint64_t id, const base::Clock& clock, raft::MemoryNetwork& network, const Group& group);
  ~GroupMember();

  // When all are there.
  void Begin();
  void Receive(raft::MemberId from, const std::string& bytes) { consensus_.Receive(from, bytes); }
  raft::Node& node() { return *node_; }
  v1::Tracker::Stub& stub() { return *stub_; }

 private:
  const raft::MemberId self_;
  raft::MemoryNetwork& network_;
  base::SystemClock system_clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, system_clock_};
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

// A group of three, in memory, each behind a server on loopback.
class GroupTest : public testing::Test {
 protected:
  static constexpr uint64_t kMembers = kGroupSize;

  GroupTest();
  ~GroupTest() override;

  static std::chrono::system_clock::time_point Soon() {
    return std::chrono::system_clock::now() + std::chrono::seconds(30);
  }
  // The number of the one that leads, if there is one.
  uint64_t Leader();
  // By one of them, once.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(uint64_t member, MemberTest::Method<Request, Response> method, const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(Soon());
    Response response;
    const absl::Status status =
        rpc::FromGrpc((group_.at(member)->stub().*method)(&context, request, &response), context);
    if (!status.ok()) return status;
    return response;
  }

  base::ManualClock clock_;  // what all go by, but for Raft
  raft::MemoryNetwork network_;
  Group group_;
};

}  // namespace larder::tracker
