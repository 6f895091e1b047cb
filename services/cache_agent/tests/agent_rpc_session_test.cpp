// Whose session a call on control.sock acts in.
#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/identity.h"
#include "larder/base/mutex.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/peer_decorator.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/server.h"
#include "larder/rpc/status.h"
#include "rpc/agent_rpc.h"
#include "tests/agent_under_test.h"
#include "tests/raw_hello.h"

namespace larder::cache_agent {
namespace {

namespace pb = larder::agent::v1;
using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using object::SessionId;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Metadata = std::map<std::string, std::string>;

std::string BytesOf(const object::SessionToken& token) { return std::string(base::AsText(token.bytes)); }

// Calls with the metadata given, each as its status.
class Calls {
 public:
  explicit Calls(const std::filesystem::path& socket_dir)
      : stub_(pb::Agent::NewStub(rpc::DialUnix(socket_dir / "control.sock"))) {}

  absl::Status Stat(const Metadata& metadata) {
    pb::StatRequest request;
    request.set_key("k");
    return Call(&pb::Agent::Stub::Stat, request, metadata);
  }
  absl::Status List(const Metadata& metadata) { return Call(&pb::Agent::Stub::List, pb::ListRequest(), metadata); }
  absl::Status Delete(const Metadata& metadata) {
    pb::DeleteRequest request;
    request.set_key("k");
    return Call(&pb::Agent::Stub::Delete, request, metadata);
  }
  absl::Status Pin(const Metadata& metadata) {
    pb::PinRequest request;
    request.set_key("k");
    return Call(&pb::Agent::Stub::Pin, request, metadata);
  }
  absl::Status Status(const Metadata& metadata) {
    return Call(&pb::Agent::Stub::Status, pb::StatusRequest(), metadata);
  }
  // One of each that acts in a session.
  std::vector<absl::Status> All(const Metadata& metadata) {
    return {Stat(metadata), List(metadata), Delete(metadata), Pin(metadata)};
  }

 private:
  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (pb::Agent::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, const Metadata& metadata) {
    grpc::ClientContext context;
    for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
    Response response;
    return rpc::FromGrpc((stub_.get()->*method)(&context, request, &response), context);
  }
  std::unique_ptr<pb::Agent::Stub> stub_;
};

// Notes the sessions it is called with. Those with the number 9 have ended.
class NotingPeer final : public object::PeerDecorator {
 public:
  static constexpr SessionId kOfCall{1};
  static constexpr SessionId kEnded{9};

  NotingPeer() : PeerDecorator(nullptr) {}
  absl::StatusOr<SessionId> OpenSession(const object::SessionOwner& owner, object::LapsedFn) override {
    base::MutexLock lock(mutex_);
    opened_.push_back(owner.ns);
    return kOfCall;
  }
  void CloseSession(SessionId session) override {
    base::MutexLock lock(mutex_);
    closed_.push_back(session.value);
  }
  void Stat(SessionId session, const std::string&, object::Done<absl::StatusOr<object::ObjectStat>> done) override {
    const absl::Status noted = Note(session);
    noted.ok() ? done(object::ObjectStat()) : done(noted);
  }
  void List(SessionId session, const object::ListRequest&,
            object::Done<absl::StatusOr<object::ListPage>> done) override {
    const absl::Status noted = Note(session);
    noted.ok() ? done(object::ListPage()) : done(noted);
  }
  void Delete(SessionId session, const std::string&, object::Done<absl::Status> done) override { done(Note(session)); }
  void SetPinned(SessionId session, const std::string&, bool, object::Done<absl::Status> done) override {
    done(Note(session));
  }

  std::vector<uint64_t> acted() {
    base::MutexLock lock(mutex_);
    return acted_;
  }
  std::vector<std::string> opened() {
    base::MutexLock lock(mutex_);
    return opened_;
  }
  std::vector<uint64_t> closed() {
    base::MutexLock lock(mutex_);
    return closed_;
  }

 private:
  absl::Status Note(SessionId session) {
    base::MutexLock lock(mutex_);
    acted_.push_back(session.value);
    if (session != kEnded) return absl::OkStatus();
    return base::Error(StatusCode::kNotFound, "NO_SESSION", "it has ended");
  }
  base::Mutex mutex_;
  std::vector<uint64_t> acted_ LARDER_GUARDED_BY(mutex_);
  std::vector<std::string> opened_ LARDER_GUARDED_BY(mutex_);
  std::vector<uint64_t> closed_ LARDER_GUARDED_BY(mutex_);
};

// Runs what it is given when told to.
class HeldExecutor final : public base::Executor {
 public:
  bool Submit(std::function<void()> task) override {
    base::MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
    changed_.NotifyAll();
    return true;
  }
  void Await(size_t tasks) {
    base::MutexLock lock(mutex_);
    while (tasks_.size() < tasks) changed_.Wait(mutex_);
  }
  void RunAll() {
    std::vector<std::function<void()>> tasks;
    {
      base::MutexLock lock(mutex_);
      tasks.swap(tasks_);
    }
    for (const auto& task : tasks) task();
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<std::function<void()>> tasks_ LARDER_GUARDED_BY(mutex_);
};

class CallSession : public testing::Test, public object::TransportObserver {
 protected:
  void Serve(Identity identity) {
    rpc_ = std::make_unique<AgentRpc>(peer_, executor_, status_, sessions_, IdentifyCalls(identity), *this, nodes_);
    server_.Add(*rpc_);
    ASSERT_THAT(server_.Start(), IsOk());
  }
  void Denied(std::string_view reason) override {
    base::MutexLock lock(mutex_);
    denied_.emplace_back(reason);
  }
  std::vector<std::string> denied() {
    base::MutexLock lock(mutex_);
    return denied_;
  }
  // A token of the session that `ns` is in.
  std::string Token(SessionId session, const std::string& ns) { return BytesOf(*sessions_.Issue(session, {.ns = ns})); }

  base::TempDir dir_;
  const base::SystemClock clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, clock_};
  base::InlineExecutor executor_;
  NotingPeer peer_;
  StatusReader status_{{.clock = &clock_}};  // for calls that do not come to read it
  LiveSessions sessions_;
  const NodeList nodes_;
  base::Mutex mutex_;
  std::vector<std::string> denied_ LARDER_GUARDED_BY(mutex_);
  std::unique_ptr<AgentRpc> rpc_;
  rpc::Server server_{{.unix_path = dir_ / "control.sock"}, log_};
  Calls calls_{dir_.path()};
};

TEST_F(CallSession, IsTheTokensAndStaysOpen) {
  Serve(Identity::kCgroup);
  const std::string token = Token({7}, "team-a");
  EXPECT_THAT(calls_.All({{"larder-session-bin", token}}), testing::Each(IsOk()));
  EXPECT_THAT(calls_.Stat({{"larder-session-bin", token}, {"larder-namespace", "team-a"}}), IsOk());
  EXPECT_THAT(peer_.acted(), ElementsAre(7, 7, 7, 7, 7));
  EXPECT_THAT(peer_.opened(), IsEmpty());
  EXPECT_THAT(peer_.closed(), IsEmpty());
  EXPECT_THAT(denied(), IsEmpty());
}

TEST_F(CallSession, IsNoneWithoutALiveToken) {
  Serve(Identity::kOpen);
  const std::string token = Token({7}, "team-a");
  std::string wrong = token;
  wrong.back() = static_cast<char>(wrong.back() ^ 1);
  for (const std::string& bad :
       {wrong, std::string(), token.substr(1), token + "x", std::string(16, '\0'), std::string(1000, 'x')}) {
    EXPECT_THAT(calls_.All({{"larder-session-bin", bad}}),
                testing::Each(StatusIs(StatusCode::kUnauthenticated, "NO_SESSION")));
  }
  EXPECT_THAT(peer_.acted(), IsEmpty());
  EXPECT_THAT(denied(), testing::AllOf(testing::SizeIs(24), testing::Each("no_session")));
}

TEST_F(CallSession, ThatEndsDuringTheCallIsNone) {
  Serve(Identity::kCgroup);
  const std::string token = Token(NotingPeer::kEnded, "team-a");
  EXPECT_THAT(calls_.All({{"larder-session-bin", token}}),
              testing::Each(StatusIs(StatusCode::kUnauthenticated, "NO_SESSION")));
  EXPECT_THAT(peer_.acted(), ElementsAre(9, 9, 9, 9));
}

TEST_F(CallSession, IsOfOneNamespace) {
  Serve(Identity::kOpen);
  const Metadata foreign = {{"larder-session-bin", Token({7}, "team-a")}, {"larder-namespace", "team-b"}};
  const absl::Status refused = calls_.Stat(foreign);
  EXPECT_THAT(refused, StatusIs(StatusCode::kPermissionDenied, "FOREIGN_NAMESPACE"));
  EXPECT_THAT(base::Message(refused), HasSubstr("'team-a'"));
  EXPECT_THAT(peer_.acted(), IsEmpty());
  EXPECT_THAT(denied(), ElementsAre("denied"));
}

TEST_F(CallSession, WithoutATokenIsTheCallsOwnWhereItsWordCounts) {
  Serve(Identity::kOpen);
  EXPECT_THAT(calls_.Stat({{"larder-namespace", "team-a"}}), IsOk());
  EXPECT_THAT(calls_.Stat({}), IsOk());
  EXPECT_THAT(peer_.opened(), ElementsAre("team-a", "default"));
  EXPECT_THAT(peer_.acted(), ElementsAre(1, 1));
  EXPECT_THAT(peer_.closed(), ElementsAre(1, 1));
}

TEST_F(CallSession, WithoutATokenIsRefusedWhereItsWordDoesNot) {
  Serve(Identity::kCgroup);
  std::vector<absl::Status> refused = calls_.All({{"larder-namespace", "team-a"}});
  refused.push_back(calls_.Status({{"larder-namespace", "team-a"}}));
  EXPECT_THAT(refused, testing::Each(StatusIs(StatusCode::kPermissionDenied, "NO_TOKEN")));
  EXPECT_THAT(base::Message(refused.front()), HasSubstr("larder-session-bin"));
  EXPECT_THAT(peer_.opened(), IsEmpty());
  EXPECT_THAT(denied(), testing::AllOf(testing::SizeIs(5), testing::Each("denied")));
}

// A pod's service goes with its volume, while the executor is the node's: what the pod left queued there is run later.
TEST_F(CallSession, OfAQueuedCallNeedsNoService) {
  HeldExecutor executor;
  NotingPeer other;
  const auto identify = IdentifyCalls(Identity::kCgroup);
  std::optional<AgentRpc> service(std::in_place, peer_, executor, status_, sessions_, identify, *this, nodes_);
  server_.Add(*service);
  ASSERT_THAT(server_.Start(), IsOk());
  const Metadata token = {{"larder-session-bin", Token({7}, "team-a")}};
  auto deleted = std::async(std::launch::async, [&] { return calls_.Delete(token); });
  auto pinned = std::async(std::launch::async, [&] { return calls_.Pin(token); });
  executor.Await(2);
  server_.Stop(base::Deadline());
  EXPECT_FALSE(deleted.get().ok());
  EXPECT_FALSE(pinned.get().ok());
  service.emplace(other, executor, status_, sessions_, identify, *this, nodes_);  // where the other one lay
  executor.RunAll();
  EXPECT_THAT(peer_.acted(), ElementsAre(7, 7));
  EXPECT_THAT(other.acted(), IsEmpty());
}

TEST_F(CallSession, OfAStatusThatIsQueuedHoldsNoServerBack) {
  HeldExecutor executor;
  AgentRpc service(peer_, executor, status_, sessions_, IdentifyCalls(Identity::kOpen), *this, nodes_);
  server_.Add(service);
  ASSERT_THAT(server_.Start(), IsOk());
  auto told = std::async(std::launch::async, [&] { return calls_.Status({}); });
  executor.Await(1);
  server_.Stop(base::Deadline());  // returns
  EXPECT_FALSE(told.get().ok());
  executor.RunAll();
}

// The whole of it: one identity and one lease table on both sockets.
TEST_F(AppTest, ACallWithAConnectionsTokenActsInItsSessionUntilItEnds) {
  const Config config = Defaults();
  Agent agent(config);
  ASSERT_THAT(agent.Start(), IsOk());
  ASSERT_THAT(Put(*agent.Connect("team-a"), "k", "abc"), IsOk());
  Calls calls(config.socket_dir);
  LARDER_ASSERT_OK_AND_ASSIGN(base::UniqueFd connection, ConnectRaw(config.socket_dir));
  LARDER_ASSERT_OK_AND_ASSIGN(const Greeting greeting, SayHello(connection.get(), "team-a"));
  const Metadata token = {{"larder-session-bin", greeting.token}};
  const std::string opened = "larder_agent_requests_total{op=\"open\",code=\"OK\"} ";
  EXPECT_THAT(agent.Metrics(), HasSubstr(opened + "2\n"));
  EXPECT_THAT(calls.Stat(token), IsOk());
  EXPECT_THAT(calls.Stat({}), StatusIs(StatusCode::kNotFound, "NO_OBJECT")) << "in the namespace `default`";
  EXPECT_THAT(agent.Metrics(), HasSubstr(opened + "3\n")) << "of the call without a token only";
  connection.Reset();
  ASSERT_TRUE(agent.AwaitNoConnection());
  LARDER_ASSERT_OK_AND_ASSIGN(const base::UniqueFd next, ConnectRaw(config.socket_dir));
  LARDER_ASSERT_OK_AND_ASSIGN(const Greeting anew, SayHello(next.get(), "team-a"));
  EXPECT_THAT(calls.Stat(token), StatusIs(StatusCode::kUnauthenticated, "NO_SESSION"));
  EXPECT_THAT(agent.Metrics(), HasSubstr("larder_agent_denied_total{reason=\"no_session\"} 1\n"));
  EXPECT_THAT(calls.Stat({{"larder-session-bin", anew.token}}), IsOk());
}

}  // namespace
}  // namespace larder::cache_agent
