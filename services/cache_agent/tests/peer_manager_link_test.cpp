#include "rpc/peer_manager_link.h"

#include <gmock/gmock.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>

#include "larder/base/testing/status_matchers.h"
#include "larder/peers/v1/peers.grpc.pb.h"

namespace larder::cache_agent {
namespace {

namespace pb = larder::peers::v1;
using base::StatusIs;
using std::chrono::seconds;

// Answers a hello, and ends the session with the first beat.
class OneHello final : public pb::PeerManager::Service {
 public:
  grpc::Status Session(grpc::ServerContext*,
                       grpc::ServerReaderWriter<pb::SessionResponse, pb::SessionRequest>* stream) override {
    pb::SessionRequest request;
    while (stream->Read(&request) && request.has_hello()) {
      pb::SessionResponse response;
      response.set_sequence(request.sequence());
      stream->Write(response);
    }
    return {grpc::StatusCode::ABORTED, "another session"};
  }
  grpc::Status ListNodes(grpc::ServerContext*, const pb::ListNodesRequest* request,
                         pb::ListNodesResponse* response) override {
    response->add_nodes()->set_name("after " + request->page_token());
    return grpc::Status::OK;
  }
};

TEST(PeerManagerLink, CarriesASessionAndQuestionsBesideItOverGrpc) {
  OneHello service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  std::promise<uint64_t> answered;
  std::promise<absl::Status> ended;
  std::promise<absl::StatusOr<pb::ListNodesResponse>> listed;
  auto link = DialPeerManagerByGrpc(
      "127.0.0.1:" + std::to_string(port),
      {.received = [&](const pb::SessionResponse& response) { answered.set_value(response.sequence()); },
       .ended = [&](const absl::Status& why) { ended.set_value(why); }});
  pb::SessionRequest request;
  request.set_sequence(1);
  request.mutable_hello();
  link->Send(request);
  EXPECT_EQ(answered.get_future().get(), 1u);
  pb::ListNodesRequest page;
  page.set_page_token("a");
  link->ListNodes(page, seconds(10), [&](auto response) { listed.set_value(std::move(response)); });
  EXPECT_EQ(listed.get_future().get().value().nodes(0).name(), "after a");
  request.mutable_beat();
  link->Send(request);
  EXPECT_THAT(ended.get_future().get(), StatusIs(absl::StatusCode::kAborted));
  link->Send(request);  // dropped
  link.reset();
  server->Shutdown();
}

TEST(PeerManagerLink, EndsWhereNobodyListens) {
  std::promise<absl::Status> ended;
  const auto link = DialPeerManagerByGrpc(
      "127.0.0.1:1",
      {.received = [](const pb::SessionResponse&) {}, .ended = [&](const absl::Status& why) { ended.set_value(why); }});
  EXPECT_THAT(ended.get_future().get(), StatusIs(absl::StatusCode::kUnavailable));
  std::promise<absl::Status> listed;
  link->ListNodes({}, seconds(10), [&](const auto& response) { listed.set_value(response.status()); });
  EXPECT_THAT(listed.get_future().get(), StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace larder::cache_agent
