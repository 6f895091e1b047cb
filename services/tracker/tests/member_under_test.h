#pragma once
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "core/consensus.h"
#include "core/memory_table.h"
#include "core/served_state.h"
#include "larder/base/executor.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/worker.h"
#include "larder/observe/logger.h"
#include "larder/observe/registry.h"
#include "larder/raft/testing/memory_log_store.h"
#include "larder/raft/testing/memory_network.h"
#include "larder/rpc/server.h"
#include "larder/rpc/status.h"
#include "larder/tracker/v1/tracker.grpc.pb.h"
#include "rpc/tracker_rpc.h"
#include "tests/held_node.h"

namespace larder::tracker {

// The message that is written so.
template <typename Message>
Message Parsed(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// A member in memory, of a group of `voters` of which the others never come, behind a server on loopback.
class MemberTest : public testing::Test {
 public:
  template <typename Request, typename Response>
  using Method = grpc::Status (v1::Tracker::Stub::*)(grpc::ClientContext*, const Request&, Response*);

 protected:
  explicit MemberTest(uint64_t voters = 1, const StreamLimits& limits = {}, const WatchLimits& watch_limits = {});
  ~MemberTest() override { StopAll(); }

  // In the order of an App. Idempotent.
  void StopServer(base::Duration patience);
  void StopAll();
  // As a client that connects anew.
  std::unique_ptr<v1::Tracker::Stub> Connect();

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(Method<Request, Response> method, const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    Response response;
    const absl::Status status = rpc::FromGrpc((stub_.get()->*method)(&context, request, &response), context);
    if (!status.ok()) return status;
    return response;
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Ask(Method<Request, Response> method, const std::string& text = "") {
    return Call(method, Parsed<Request>(text));
  }
  // Of one command each; the call must succeed.
  v1::Result Run(const std::string& command);

  base::SystemClock clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, clock_};
  observe::Registry registry_;
  MemoryTable table_;
  ServedState state_;
  raft::MemoryLogStore log_store_;
  raft::MemoryNetwork network_;
  const std::unique_ptr<raft::Node> node_;
  HeldNode held_{*node_};
  base::ThreadPool readers_{"readers", 2};
  SnapshotReads reads_;
  Consensus consensus_;
  base::Worker worker_;
  RequestMetrics metrics_{registry_};
  TrackerRpc rpc_;
  rpc::Server server_;
  std::unique_ptr<v1::Tracker::Stub> stub_;
};

}  // namespace larder::tracker
