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

  absl::StatusOr<pb::StatusResponse> Status() { return Call(&pb::Agent::Stub::Status, pb::StatusRequest()); }
  static pb::RequestCount CountOf(const std::string& op, const pb::StatusResponse& status) {
    for (const pb::RequestCount& count : status.counters().requests()) {
      if (count.op() == op) return count;
    }
    ADD_FAILURE() << "no operation " << op;
    return {};
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

TEST_F(Control, StatusTellsWhoTheAgentIs) {
  const auto before =
      std::chrono::duration_cast<std::chrono::milliseconds>(base::SystemClock().WallNow().time_since_epoch());
  LARDER_ASSERT_OK_AND_ASSIGN(const pb::StatusResponse status, Status());
  EXPECT_EQ(status.version(), rpc::Version());
  EXPECT_EQ(status.node(), "node-a");
  EXPECT_EQ(status.namespace_(), "team-a");
  EXPECT_EQ(status.identity(), "open");
  EXPECT_EQ(status.store(), "memory");
  EXPECT_GE(status.wall_time_ms(), before.count());
  EXPECT_LT(status.wall_time_ms(), before.count() + 60'000);
  EXPECT_LT(status.uptime_ms(), 60'000u);
  EXPECT_GT(status.open_files().used(), 0u);
  EXPECT_GE(status.open_files().limit(), status.open_files().used());
}

TEST_F(Control, StatusIsForTheNamespaceOfTheTokensSession) {
  const auto status_by = [&](const std::string& token) -> absl::StatusOr<pb::StatusResponse> {
    grpc::ClientContext context;
    context.AddMetadata("larder-session-bin", token);
    pb::StatusResponse response;
    LARDER_RETURN_IF_ERROR(rpc::FromGrpc(stub_->Status(&context, pb::StatusRequest(), &response), context));
    return response;
  };
  LARDER_ASSERT_OK_AND_ASSIGN(const pb::StatusResponse status, status_by(client_->token()));
  EXPECT_EQ(status.namespace_(), "team-a");
  EXPECT_THAT(status_by(std::string(16, 'x')), StatusIs(absl::StatusCode::kUnauthenticated, "NO_SESSION"));
}

TEST_F(Control, StatusAddsUpWhatTheAgentHolds) {
  ASSERT_THAT(Put(*client_, "a", "12345"), IsOk());
  ASSERT_THAT(Put(*agent_.Connect("team-b"), "a", "123"), IsOk());
  const std::string large(100'000, 'x');
  ASSERT_THAT(Put(*client_, "large", large), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(auto writer, client_->Create({.key = "new"}));
  LARDER_ASSERT_OK_AND_ASSIGN(auto reader, client_->Get("large"));
  LARDER_ASSERT_OK_AND_ASSIGN(const pb::StatusResponse status, Status());
  EXPECT_EQ(status.objects(), 3u);
  EXPECT_EQ(status.object_bytes(), 100'008u);
  EXPECT_EQ(status.create_leases(), 1u);
  EXPECT_EQ(status.read_leases(), 1u);
  EXPECT_EQ(status.connections(), status.sessions());
  EXPECT_GE(status.connections(), 1u);
  ASSERT_EQ(status.namespaces_size(), 2) << "identity is open";
  EXPECT_EQ(status.namespaces(0).namespace_(), "team-a");
  EXPECT_EQ(status.namespaces(0).objects(), 2u);
  EXPECT_EQ(status.namespaces(0).bytes(), 100'005u);
  EXPECT_EQ(status.namespaces(1).namespace_(), "team-b");
  const pb::ArenaUse& arena = status.arena();
  EXPECT_EQ(arena.limit_bytes(), 16 * base::kMiB);
  EXPECT_EQ(arena.free_bytes() + arena.live_bytes() + arena.quarantined_bytes(), arena.limit_bytes());
  EXPECT_GE(arena.allocated_bytes(), 100'008u);
  EXPECT_LE(arena.allocated_bytes(), arena.live_bytes());
}

TEST_F(Control, StatusCountsSinceTheStart) {
  ASSERT_THAT(Put(*client_, "k", "12345"), IsOk());
  for (int i = 0; i < 3; ++i) ASSERT_THAT(client_->Get("k"), IsOk());
  ASSERT_THAT(client_->Get("none"), StatusIs(absl::StatusCode::kNotFound));
  LARDER_ASSERT_OK_AND_ASSIGN(const pb::StatusResponse status, Status());
  EXPECT_EQ(CountOf("get", status).ok(), 3u);
  EXPECT_EQ(CountOf("get", status).failed(), 1u);
  EXPECT_EQ(CountOf("seal", status).ok(), 1u);
  EXPECT_EQ(CountOf("delete", status).ok(), 0u);
  EXPECT_EQ(status.counters().hits(), 3u);
  EXPECT_EQ(status.counters().misses(), 1u);
  EXPECT_EQ(status.counters().bytes_in(), 5u);
  EXPECT_EQ(status.counters().bytes_out(), 15u);
}

TEST_F(Control, StatusTellsTheRulesOfTheCallersNamespaceThoughItIsEmpty) {
  agent_.Stop();
  Config config = Defaults();
  config.quotas["team-a"].memory = base::kMiB;
  config.namespaces["team-a"].evict_last = true;
  Agent limited(config);
  ASSERT_THAT(limited.Start(), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const pb::StatusResponse status, Status());
  ASSERT_EQ(status.namespaces_size(), 1);
  EXPECT_EQ(status.namespaces(0).namespace_(), "team-a");
  EXPECT_EQ(status.namespaces(0).objects(), 0u);
  EXPECT_EQ(status.namespaces(0).limit_bytes(), base::kMiB);
  EXPECT_TRUE(status.namespaces(0).evict_last());
}

TEST_F(Control, StatusTellsOfTheDiskWhereThereIsOne) {
  LARDER_ASSERT_OK_AND_ASSIGN(const pb::StatusResponse memory, Status());
  EXPECT_FALSE(memory.has_disk()) << "nothing was ever kept in its data_dir";
  agent_.Stop();
  Config config = OnDisk();
  config.disk_max_bytes = base::kGiB;
  Agent on_disk(config);
  ASSERT_THAT(on_disk.Start(), IsOk());
  ASSERT_THAT(Put(*on_disk.Connect("team-a"), "k", "12345"), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const pb::StatusResponse status, Status());
  EXPECT_EQ(status.store(), "file");
  ASSERT_TRUE(status.has_disk());
  EXPECT_EQ(status.disk().data_dir(), config.data_dir);
  EXPECT_GE(status.disk().used_bytes(), 5u);
  EXPECT_EQ(status.disk().limit_bytes(), base::kGiB);
  EXPECT_GT(status.disk().total_bytes(), status.disk().free_bytes());
}

TEST(SumByNamespace, AddsTiersAndKeepsToOneIfAsked) {
  const std::vector<object::PeerUsage::Stored> stored = {{.tier = "hot", .ns = "a", .objects = 1, .bytes = 10},
                                                         {.tier = "hot", .ns = "b", .objects = 2, .bytes = 20},
                                                         {.tier = "warm", .ns = "a", .objects = 3, .bytes = 30}};
  const auto all = SumByNamespace(stored, "");
  EXPECT_EQ(all.size(), 2u);
  EXPECT_EQ(all.at("b").objects, 2u);
  const auto own = SumByNamespace(stored, "a");
  ASSERT_EQ(own.size(), 1u) << "others are not told of";
  EXPECT_EQ(own.at("a").objects, 4u);
  EXPECT_EQ(own.at("a").bytes, 40u);
}

}  // namespace
}  // namespace larder::cache_agent
