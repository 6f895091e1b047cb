#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/status.h"
#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/process.h"
#include "larder/rpc/server.h"
#include "larder/rpc/status.h"
#include "rpc/peer_manager_rpc.h"
#include "rpc/peers_proto.h"
#include "tests/scripted_cluster.h"

namespace larder::peer_manager {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr base::Duration kSession = seconds(10);
constexpr size_t kMostSessions = 3;
constexpr char kHello[] = "sequence: 1 node_epoch: 5 hello { node: 'a' incarnation: 1 }";

template <typename Message>
Message Parsed(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// An agent's end of a session.
class Session {
 public:
  explicit Session(v1::PeerManager::Stub& stub) {
    // After those who wait for what ends it.
    context_.set_deadline(std::chrono::system_clock::now() + seconds(60));
    stream_ = stub.Session(&context_);
  }
  // The answer, or what the session ended with.
  absl::StatusOr<v1::SessionResponse> Say(const std::string& text) {
    v1::SessionResponse response;
    if (stream_->Write(Parsed<v1::SessionRequest>(text)) && stream_->Read(&response)) return response;
    return End();
  }
  // Reads no answer. False: it ended.
  bool Tell(const std::string& text) { return stream_->Write(Parsed<v1::SessionRequest>(text)); }
  absl::StatusOr<v1::SessionResponse> Hello(const std::string& node, uint64_t epoch) {
    return Say("sequence: 1 node_epoch: " + std::to_string(epoch) + " hello { node: '" + node + "' incarnation: 1 }");
  }
  absl::StatusOr<v1::SessionResponse> Beat(uint64_t sequence, uint64_t epoch) {
    return Say("sequence: " + std::to_string(sequence) + " node_epoch: " + std::to_string(epoch) +
               " beat { load { upload_queue: 3 } }");
  }
  // Waits for it.
  absl::Status End() {
    v1::SessionResponse unread;
    while (stream_->Read(&unread)) {
    }
    return rpc::FromGrpc(stream_->Finish(), context_);
  }
  void Leave() { stream_->WritesDone(); }
  void Break() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SessionRequest, v1::SessionResponse>> stream_;
};

class PeerManagerRpcTest : public testing::Test {
 protected:
  PeerManagerRpcTest() {
    server_.Add(rpc_);
    EXPECT_THAT(server_.Start(), IsOk());
    stub_ = v1::PeerManager::NewStub(rpc::Dial("127.0.0.1:" + std::to_string(server_.port())));
  }
  ~PeerManagerRpcTest() override {
    rpc_.Stop(base::kNoDeadline);
    server_.Stop(base::SystemClock().Now() + seconds(10));
  }

  template <typename Request, typename Response>
  using Method = grpc::Status (v1::PeerManager::Stub::*)(grpc::ClientContext*, const Request&, Response*);
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(Method<Request, Response> method, const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(30));
    Response response;
    const absl::Status status = rpc::FromGrpc((*stub_.*method)(&context, request, &response), context);
    if (!status.ok()) return status;
    return response;
  }
  absl::StatusOr<v1::ListNodesResponse> List(const std::string& request = "") {
    return Call(&v1::PeerManager::Stub::ListNodes, Parsed<v1::ListNodesRequest>(request));
  }
  v1::Node Shown(const std::string& name) {
    const auto page = List();
    EXPECT_THAT(page, IsOk());
    for (const v1::Node& node : page->nodes()) {
      if (node.name() == name) return node;
    }
    return {};
  }
  // Its sessions have room for a few bytes that were not read.
  std::unique_ptr<v1::PeerManager::Stub> StubThatTakesNothing() const {
    grpc::ChannelArguments few;
    few.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 5);
    few.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    return v1::PeerManager::NewStub(grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_.port()),
                                                              grpc::InsecureChannelCredentials(), few));
  }
  bool NoSessions() const { return metrics_.Render().find("larder_peers_sessions 0") != std::string::npos; }
  // Of what the server hears later.
  static bool Soon(const std::function<bool()>& holds) {
    for (const auto until = std::chrono::steady_clock::now() + seconds(30); std::chrono::steady_clock::now() < until;) {
      if (holds()) return true;
      std::this_thread::yield();
    }
    return false;
  }
  void Lead(uint64_t term) {
    manager_.Round();
    for (const auto& look : cluster_.looks()) look(std::optional<LeaderLease>());
    manager_.Round();
    for (const auto& grant : cluster_.grants()) grant(Term{term});
    for (const auto& told : cluster_.readings())
      told(std::vector<TrackedNode>{{.name = "a", .epoch = {5}, .incarnation = 1}});
    manager_.Round();
    for (const auto& told : cluster_.readings())
      told(std::vector<TrackedNode>{{.name = "a", .epoch = {5}, .incarnation = 1}});
  }

  base::ManualClock clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, clock_};
  observe::Registry metrics_;
  ScriptedCluster cluster_;
  Manager manager_{{.name = "self", .session = kSession, .leader_ttl = seconds(5), .most_nodes = 10},
                   cluster_,
                   clock_,
                   log_,
                   metrics_};
  SwarmDesk swarms_{manager_, 100, clock_, metrics_};
  PeerManagerRpc rpc_{manager_, swarms_, kMostSessions, clock_, metrics_};
  rpc::Server server_{{.address = "127.0.0.1:0"}, log_};
  std::unique_ptr<v1::PeerManager::Stub> stub_;
};

TEST_F(PeerManagerRpcTest, EachMessageIsAnsweredUnderItsNumber) {
  Session session(*stub_);
  LARDER_ASSERT_OK_AND_ASSIGN(const auto first, session.Hello("a", 5));
  EXPECT_EQ(first.sequence(), 1u);
  EXPECT_FALSE(first.leads());
  EXPECT_EQ(first.term(), 0u);
  EXPECT_EQ(first.session_ms(), 10'000);
  Lead(7);
  LARDER_ASSERT_OK_AND_ASSIGN(const auto second, session.Beat(9, 5));
  EXPECT_EQ(second.sequence(), 9u);
  EXPECT_TRUE(second.leads());
  EXPECT_EQ(second.term(), 7u);
}

TEST_F(PeerManagerRpcTest, ANodeIsShownAsItSays) {
  Session session(*stub_);
  ASSERT_THAT(session.Say(R"(sequence: 1 node_epoch: 5 hello {
                               node: "a" incarnation: 2 address: "a:7461" zone: "z" rack: "r"
                               capacity { memory_bytes: 10 disk_bytes: 20 } load { upload_queue: 1 } })"),
              IsOk());
  ASSERT_THAT(session.Say(R"(sequence: 2 node_epoch: 5 beat { load {
                               uplink_bytes_per_second: 1 upload_queue: 2 memory_used_bytes: 3 memory_free_bytes: 4
                               disk_used_bytes: 5 disk_free_bytes: 6 } })"),
              IsOk());
  clock_.Advance(milliseconds(1500));
  EXPECT_EQ(Shown("a").DebugString(), Parsed<v1::Node>(R"(
      name: "a" node_epoch: 5 incarnation: 2 state: NODE_STATE_LIVE state_ms: 1500 connected: true address: "a:7461"
      zone: "z" rack: "r" capacity { memory_bytes: 10 disk_bytes: 20 } last_seen_ms: 1500
      load { uplink_bytes_per_second: 1 upload_queue: 2 memory_used_bytes: 3 memory_free_bytes: 4 disk_used_bytes: 5
             disk_free_bytes: 6 })")
                                          .DebugString());
  EXPECT_THAT(metrics_.Render(), HasSubstr("larder_peers_sessions 1"));
}

TEST_F(PeerManagerRpcTest, ANodeWhoseSessionEndsIsSuspectAtOnce) {
  for (const bool broken : {false, true}) {
    Session session(*stub_);
    ASSERT_THAT(session.Hello("a", 5), IsOk());
    ASSERT_EQ(Shown("a").state(), v1::NODE_STATE_LIVE);
    broken ? session.Break() : session.Leave();
    EXPECT_TRUE(Soon([&] { return Shown("a").state() == v1::NODE_STATE_SUSPECT; })) << broken;
    EXPECT_FALSE(Shown("a").connected());
    EXPECT_EQ(session.End().code(), broken ? StatusCode::kCancelled : StatusCode::kOk);
  }
}

TEST_F(PeerManagerRpcTest, ASecondStreamOfANodeTakesOver) {
  Session first(*stub_), second(*stub_);
  ASSERT_THAT(first.Hello("a", 5), IsOk());
  ASSERT_THAT(second.Hello("a", 5), IsOk());
  EXPECT_THAT(first.End(), StatusIs(StatusCode::kAborted, "SESSION_REPLACED"));
  EXPECT_THAT(second.Beat(2, 5), IsOk());
  EXPECT_EQ(Shown("a").state(), v1::NODE_STATE_LIVE);
}

TEST_F(PeerManagerRpcTest, WhatIsNoSessionEndsSayingWhy) {
  const std::string hello = R"(sequence: 1 hello { node: "a" incarnation: 1 })";
  const std::string long_text(513, 'x');
  const struct {
    std::vector<std::string> said;
    std::string reason;
    std::string in_message;
  } cases[] = {{{"sequence: 1 beat {}"}, "BAD_SESSION", "hello"},
               {{"sequence: 1"}, "BAD_SESSION", "hello"},
               {{hello, R"(sequence: 2 hello { node: "a" })"}, "BAD_SESSION", "hello"},
               {{hello, "sequence: 2"}, "BAD_SESSION", "hello"},
               {{hello, "sequence: 1 beat {}"}, "BAD_FIELD", "sequence"},
               {{R"(hello { node: "a" })"}, "BAD_FIELD", "sequence"},
               {{R"(sequence: 1 hello {})"}, "BAD_FIELD", "hello.node"},
               {{R"(sequence: 1 hello { node: "a\000b" })"}, "BAD_FIELD", "hello.node"},
               {{"sequence: 1 hello { node: '" + std::string(254, 'n') + "' }"}, "BAD_FIELD", "hello.node"},
               {{R"(sequence: 1 hello { node: "a" address: "here" })"}, "BAD_FIELD", "hello.address"},
               {{"sequence: 1 hello { node: 'a' zone: '" + long_text + "' }"}, "BAD_FIELD", "hello.zone"},
               {{"sequence: 1 hello { node: 'a' rack: '" + long_text + "' }"}, "BAD_FIELD", "hello.rack"}};
  for (const auto& one : cases) {
    ASSERT_TRUE(Soon([&] { return NoSessions(); })) << "there is room for a few";
    Session session(*stub_);
    absl::Status last;
    for (const std::string& text : one.said) last = session.Say(text).status();
    EXPECT_THAT(last, StatusIs(StatusCode::kInvalidArgument, one.reason)) << one.said.back();
    EXPECT_THAT(base::Message(last), HasSubstr(one.in_message));
  }
}

TEST_F(PeerManagerRpcTest, AnEarlierRegistrationEndsTheSession) {
  Session session(*stub_);
  ASSERT_THAT(session.Hello("a", 5), IsOk());
  manager_.Round();
  for (const auto& told : cluster_.readings()) told(std::vector<TrackedNode>{{.name = "a", .epoch = {6}}});
  EXPECT_THAT(session.Beat(2, 5), StatusIs(StatusCode::kFailedPrecondition, "NODE_EPOCH_STALE"));
}

TEST_F(PeerManagerRpcTest, ASessionOfWhichNothingComesEnds) {
  Session silent(*stub_), mute(*stub_), lively(*stub_);
  ASSERT_THAT(silent.Hello("a", 5), IsOk());
  ASSERT_THAT(lively.Hello("b", 6), IsOk());
  ASSERT_TRUE(Soon([&] { return metrics_.Render().find("larder_peers_sessions 3") != std::string::npos; }));
  clock_.Advance(kSession - milliseconds(1));
  ASSERT_THAT(lively.Beat(2, 6), IsOk());
  rpc_.Sweep();
  clock_.Advance(milliseconds(1));
  rpc_.Sweep();
  // Cancelled, if the manager had not heard yet that its answer went out.
  EXPECT_THAT(silent.End(),
              AnyOf(StatusIs(StatusCode::kDeadlineExceeded, "SESSION_SILENT"), StatusIs(StatusCode::kCancelled)));
  EXPECT_THAT(mute.End(), StatusIs(StatusCode::kDeadlineExceeded, "SESSION_SILENT"));
  EXPECT_THAT(lively.Beat(3, 6), IsOk());
}

TEST_F(PeerManagerRpcTest, ASessionWhoseAgentTakesNoAnswersEnds) {
  const auto stub = StubThatTakesNothing();
  Session deaf(*stub);
  ASSERT_TRUE(deaf.Tell(kHello));
  ASSERT_TRUE(Soon([&] { return Shown("a").state() == v1::NODE_STATE_LIVE; }));
  clock_.Advance(kSession);
  EXPECT_TRUE(Soon([&] {
    rpc_.Sweep();
    return NoSessions();
  }));
}

TEST_F(PeerManagerRpcTest, AManagerThatStopsDoesNotWaitForAnAgentThatTakesNoAnswers) {
  const auto stub = StubThatTakesNothing();
  Session deaf(*stub);
  ASSERT_TRUE(deaf.Tell(kHello));
  ASSERT_TRUE(Soon([&] { return Shown("a").state() == v1::NODE_STATE_LIVE; }));
  rpc_.Stop(base::kNoDeadline);
  EXPECT_TRUE(Soon([&] { return NoSessions(); }));
}

TEST_F(PeerManagerRpcTest, SessionsAreLimited) {
  std::vector<std::unique_ptr<Session>> sessions;
  for (size_t i = 0; i < kMostSessions; ++i) {
    sessions.push_back(std::make_unique<Session>(*stub_));
    ASSERT_THAT(sessions.back()->Hello("node-" + std::to_string(i), 1), IsOk());
  }
  EXPECT_THAT(Session(*stub_).Hello("more", 1), StatusIs(StatusCode::kResourceExhausted, "TOO_MANY_SESSIONS"));
  sessions.front()->Leave();
  ASSERT_THAT(sessions.front()->End(), IsOk());
  EXPECT_TRUE(Soon([&] { return Session(*stub_).Hello("more", 1).ok(); }));
}

TEST_F(PeerManagerRpcTest, AManagerThatStopsEndsItsSessionsAndTakesNoMore) {
  Session session(*stub_);
  ASSERT_THAT(session.Hello("a", 5), IsOk());
  rpc_.Stop(base::kNoDeadline);
  EXPECT_THAT(session.End(), StatusIs(StatusCode::kUnavailable, "STOPPING"));
  EXPECT_THAT(Session(*stub_).Hello("b", 6), StatusIs(StatusCode::kUnavailable, "STOPPING"));
}

TEST_F(PeerManagerRpcTest, ListsInPages) {
  manager_.Round();
  for (const auto& told : cluster_.readings()) {
    told(std::vector<TrackedNode>{{.name = "b", .epoch = {6}, .fenced = true}, {.name = "a", .epoch = {5}}});
  }
  LARDER_ASSERT_OK_AND_ASSIGN(const auto first, List("page_size: 1"));
  ASSERT_EQ(first.nodes_size(), 1);
  EXPECT_EQ(first.nodes(0).name(), "a");
  EXPECT_EQ(first.nodes(0).state(), v1::NODE_STATE_SUSPECT);
  EXPECT_FALSE(first.nodes(0).has_load());
  LARDER_ASSERT_OK_AND_ASSIGN(const auto second, List("page_size: 2 page_token: '" + first.next_page_token() + "'"));
  ASSERT_EQ(second.nodes_size(), 1);
  EXPECT_EQ(second.nodes(0).state(), v1::NODE_STATE_LOST);
  EXPECT_EQ(second.next_page_token(), "");
  EXPECT_THAT(List("page_size: 1001"), StatusIs(StatusCode::kInvalidArgument, "BAD_LIMIT"));
}

TEST_F(PeerManagerRpcTest, StatusSaysHowItIs) {
  Session session(*stub_);
  ASSERT_THAT(session.Hello("a", 5), IsOk());
  const auto status = [&] { return Call(&v1::PeerManager::Stub::Status, v1::StatusRequest()); };
  LARDER_ASSERT_OK_AND_ASSIGN(v1::StatusResponse now, status());
  EXPECT_FALSE(now.leads());
  EXPECT_FALSE(now.tracker_answers());
  EXPECT_FALSE(now.has_tracker_heard_ms());
  Lead(7);
  clock_.Advance(seconds(1));
  LARDER_ASSERT_OK_AND_ASSIGN(now, status());
  EXPECT_EQ(now.DebugString(), Parsed<v1::StatusResponse>(R"(
      version: ")" + std::string(rpc::Version()) + R"(" name: "self" leads: true term: 7 leader: "self"
      tracker_answers: true tracker_heard_ms: 1000 session_ms: 10000
      nodes { state: NODE_STATE_LIVE nodes: 1 } nodes { state: NODE_STATE_SUSPECT }
      nodes { state: NODE_STATE_LOST } nodes { state: NODE_STATE_DRAINING })")
                                   .DebugString());
}

TEST_F(PeerManagerRpcTest, AJoinTellsWhoElseFetches) {
  constexpr char kA[] =
      "node: 'a' node_epoch: 5 sequence: 1 fetching { namespace: 'team' key: 'model' epoch: 7 percent: 30 }";
  EXPECT_THAT(Call(&v1::PeerManager::Stub::Join, Parsed<v1::JoinRequest>(kA)),
              StatusIs(StatusCode::kUnavailable, "NODE_NOT_LIVE"));
  Session a(*stub_);
  EXPECT_THAT(a.Say("sequence: 1 node_epoch: 5 hello { node: 'a' incarnation: 1 address: 'a:1' zone: 'z' rack: 'r' }"),
              IsOk());
  Session b(*stub_);
  EXPECT_THAT(b.Hello("b", 6), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const auto first, Call(&v1::PeerManager::Stub::Join, Parsed<v1::JoinRequest>(kA)));
  EXPECT_EQ(first.swarms_size(), 0);
  LARDER_ASSERT_OK_AND_ASSIGN(const auto second,
                              Call(&v1::PeerManager::Stub::Join,
                                   Parsed<v1::JoinRequest>("node: 'b' node_epoch: 6 sequence: 1 wait: true "
                                                           "fetching { namespace: 'team' key: 'model' epoch: 7 }")));
  ASSERT_EQ(second.swarms_size(), 1);
  EXPECT_EQ(
      second.ShortDebugString(),
      Parsed<v1::JoinResponse>("swarms { namespace: 'team' key: 'model' version: 2 members { node: 'a' node_epoch: "
                               "5 epoch: 7 address: 'a:1' zone: 'z' rack: 'r' percent: 30 } }")
          .ShortDebugString());
}

TEST_F(PeerManagerRpcTest, AJoinThatSaysNonsenseIsRefused) {
  std::string many = "node: 'a' node_epoch: 5";
  for (int i = 0; i <= 256; ++i) many += " fetching { namespace: 'team' key: 'k" + std::to_string(i) + "' }";
  for (const std::string& text : {std::string("node: ''"), std::string("node: 'a' fetching { key: 'k' }"),
                                  std::string("node: 'a' fetching { namespace: 'team' }"), many}) {
    EXPECT_THAT(Call(&v1::PeerManager::Stub::Join, Parsed<v1::JoinRequest>(text)),
                StatusIs(StatusCode::kInvalidArgument, "BAD_FIELD"))
        << text;
  }
}

}  // namespace
}  // namespace larder::peer_manager
