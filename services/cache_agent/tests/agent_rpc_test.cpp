#include "rpc/agent_rpc.h"

#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "larder/base/testing/status_matchers.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/status.h"
#include "tests/agent_under_test.h"

namespace larder::cache_agent {
namespace {

namespace pb = larder::agent::v1;
using base::IsOk;
using base::StatusIs;

class Control : public AppTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(agent_.Start(), IsOk());
    client_ = agent_.Connect("team-a");
  }
  template <typename Request, typename Response>
  using Method = grpc::Status (pb::Agent::Stub::*)(grpc::ClientContext*, const Request&, Response*);
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(Method<Request, Response> method, const Request& request,
                                const std::string& ns = "team-a") {
    grpc::ClientContext context;
    if (!ns.empty()) context.AddMetadata("larder-namespace", ns);
    Response response;
    const absl::Status status = rpc::FromGrpc((stub_.get()->*method)(&context, request, &response), context);
    if (!status.ok()) return status;
    return response;
  }
  absl::StatusOr<pb::Object> Stat(const std::string& key, const std::string& ns = "team-a") {
    pb::StatRequest request;
    request.set_key(key);
    LARDER_ASSIGN_OR_RETURN(const pb::StatResponse response, Call(&pb::Agent::Stub::Stat, request, ns));
    return response.object();
  }
  absl::Status Delete(const std::string& key) {
    pb::DeleteRequest request;
    request.set_key(key);
    return Call(&pb::Agent::Stub::Delete, request).status();
  }
  absl::Status Pin(const std::string& key, bool pinned) {
    pb::PinRequest request;
    request.set_key(key);
    request.set_pinned(pinned);
    return Call(&pb::Agent::Stub::Pin, request).status();
  }

  Agent agent_{Defaults()};
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<pb::Agent::Stub> stub_ = pb::Agent::NewStub(rpc::DialUnix(dir_ / "a.run" / "control.sock"));
};

TEST_F(Control, StatTellsAllThatIsKnown) {
  object::CreateRequest request{.key = "k"};
  request.meta = {.ttl = std::chrono::minutes(5), .tags = {"t1", "t2"}, .application = "app", .wanted_replicas = 2};
  ASSERT_THAT(client_->Put(request, base::AsBytes("123456789")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const pb::Object object, Stat("k"));
  EXPECT_EQ(object.namespace_(), "team-a");
  EXPECT_EQ(object.key(), "k");
  EXPECT_EQ(object.state(), pb::OBJECT_STATE_SEALED);
  EXPECT_GT(object.epoch(), 0u);
  EXPECT_EQ(object.size_bytes(), 9u);
  EXPECT_EQ(object.digest(), "crc32c:e3069283");
  EXPECT_EQ(object.piece_length_bytes(), 1u << 20);
  EXPECT_GT(object.ttl_left_ms(), 290'000);
  EXPECT_EQ(object.wanted_replicas(), 2u);
  EXPECT_FALSE(object.pinned());
  EXPECT_EQ(object.tier(), "hot");
  EXPECT_EQ(object.application(), "app");
  EXPECT_THAT(object.tags(), testing::ElementsAre("t1", "t2"));
}

TEST_F(Control, StatShowsAnObjectThatIsBeingCreated) {
  LARDER_ASSERT_OK_AND_ASSIGN(auto writer, client_->Create({.key = "k"}));
  EXPECT_EQ(Stat("k")->state(), pb::OBJECT_STATE_CREATING);
}

TEST_F(Control, ListGoesPageByPage) {
  for (const char* key : {"a/1", "a/2", "a/3", "b/1"}) ASSERT_THAT(Put(*client_, key, "x"), IsOk());
  pb::ListRequest request;
  request.set_prefix("a/");
  request.set_page_size(2);
  LARDER_ASSERT_OK_AND_ASSIGN(pb::ListResponse page, Call(&pb::Agent::Stub::List, request));
  ASSERT_EQ(page.objects_size(), 2);
  EXPECT_EQ(page.objects(1).key(), "a/2");
  request.set_page_token(page.next_page_token());
  LARDER_ASSERT_OK_AND_ASSIGN(page, Call(&pb::Agent::Stub::List, request));
  ASSERT_EQ(page.objects_size(), 1);
  EXPECT_EQ(page.objects(0).key(), "a/3");
  EXPECT_EQ(page.next_page_token(), "");
  request.set_page_size(1001);
  EXPECT_THAT(Call(&pb::Agent::Stub::List, request), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_LIMIT"));
}

TEST_F(Control, PinAndDeleteChangeTheObject) {
  ASSERT_THAT(Put(*client_, "k", "x"), IsOk());
  ASSERT_THAT(Pin("k", true), IsOk());
  EXPECT_TRUE(Stat("k")->pinned());
  ASSERT_THAT(Pin("k", false), IsOk());
  EXPECT_FALSE(Stat("k")->pinned());
  ASSERT_THAT(Delete("k"), IsOk());
  EXPECT_THAT(client_->Get("k"), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_F(Control, ErrorsComeWithTheirReason) {
  EXPECT_THAT(Stat("none"), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(Stat("a//b"), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_KEY"));
  EXPECT_THAT(Delete("none"), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(Pin("none", true), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(Stat("k", "No_Label"), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_NAMESPACE"));
}

TEST_F(Control, TheCallersNamespaceIsTheMetadatasOrDefault) {
  ASSERT_THAT(Put(*client_, "k", "x"), IsOk());
  EXPECT_THAT(Stat("k", ""), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  ASSERT_THAT(Put(*agent_.Connect(), "k", "xyz"), IsOk());
  EXPECT_EQ(Stat("k", "")->size_bytes(), 3u);
  EXPECT_EQ(Stat("k")->size_bytes(), 1u);
}

}  // namespace
}  // namespace larder::cache_agent
