#include "larder/rpc/server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <ctime>
#include <future>
#include <thread>

#include "grpc/health/v1/health.grpc.pb.h"
#include "larder/base/executor.h"
#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/unique_fd.h"
#include "larder/rpc/acceptor.h"
#include "larder/rpc/address.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/happens_before.h"
#include "tests/echo_service.h"

namespace larder::rpc {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using HealthReply = grpc::health::v1::HealthCheckResponse;

class ServerTest : public ::testing::Test {
 protected:
  std::unique_ptr<Server> Make(ServerOptions options) {
    auto server = std::make_unique<Server>(std::move(options), log_);
    server->Add(echo_);
    return server;
  }
  static std::shared_ptr<grpc::Channel> DialPort(const Server& server) {
    return Dial(FormatHostPort({"127.0.0.1", server.port()}));
  }
  static absl::StatusOr<HealthReply::ServingStatus> Check(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    HealthReply reply;
    const grpc::Status status = grpc::health::v1::Health::NewStub(channel)->Check(&context, {}, &reply);
    if (!status.ok()) return FromGrpc(status, context);
    return reply.status();
  }

  sockaddr_un Address() const {
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
    return address;
  }
  base::UniqueFd ConnectTo(const std::filesystem::path& path) const {
    base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  // Connects until a connection is served.
  bool ServesAgain(const std::filesystem::path& path) const {
    const auto until = std::chrono::steady_clock::now() + kLong;
    while (std::chrono::steady_clock::now() < until) {
      if (Greets(ConnectTo(path).get(), kLong)) return true;
    }
    return false;
  }
  static bool ComesToHave(const Acceptor& acceptor, size_t open) {
    const auto until = std::chrono::steady_clock::now() + kLong;
    while (acceptor.open() != open && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return acceptor.open() == open;
  }
  // The server speaks first, if it serves the connection: within `limit`.
  static bool Greets(int fd, std::chrono::milliseconds limit) {
    pollfd wait = {.fd = fd, .events = POLLIN, .revents = 0};
    char byte = 0;
    return ::poll(&wait, 1, static_cast<int>(limit.count())) == 1 && ::recv(fd, &byte, 1, MSG_PEEK) == 1;
  }
  static std::chrono::nanoseconds CpuTime() {
    timespec used = {};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
  }
  static constexpr std::chrono::seconds kLong{10};

  base::ManualClock clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, clock_};
  base::TempDir dir_;
  const std::filesystem::path path_ = dir_ / "control.sock";
  EchoService echo_;
};

TEST_F(ServerTest, CarriesAnErrorAndItsReasonOverAUnixSocket) {
  const auto server = Make({.unix_path = path_});
  ASSERT_THAT(server->Start(), IsOk());
  testing::SayRequest request;
  request.set_text("ü");
  request.set_code(static_cast<int>(StatusCode::kFailedPrecondition));
  request.set_reason("EPOCH_STALE");
  grpc::ClientContext context;
  const auto said = Say(DialUnix(path_), request, context);
  EXPECT_THAT(said, StatusIs(StatusCode::kFailedPrecondition, "EPOCH_STALE"));
  EXPECT_EQ(base::Message(said.status()), "as asked: ü");
}

TEST_F(ServerTest, TellsGrpcsOwnUnavailableByItsMissingReason) {
  EXPECT_THAT(Say(DialUnix(path_), "hello"), StatusIs(StatusCode::kUnavailable, ""));
}

TEST_F(ServerTest, AnswersOnTcpAndUnixSocketAtOnce) {
  const auto server = Make({.address = "127.0.0.1:0", .unix_path = path_});
  ASSERT_THAT(server->Start(), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string over_tcp, Say(DialPort(*server), "tcp"));
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string over_unix, Say(DialUnix(path_), "unix"));
  EXPECT_EQ(over_tcp, "tcp");
  EXPECT_EQ(over_unix, "unix");
}

TEST_F(ServerTest, HealthFollowsSetServing) {
  const auto server = Make({.unix_path = path_});
  ASSERT_THAT(server->Start(), IsOk());
  const auto channel = DialUnix(path_);
  LARDER_ASSERT_OK_AND_ASSIGN(const auto started, Check(channel));
  EXPECT_EQ(started, HealthReply::SERVING);
  server->SetServing(false);
  LARDER_ASSERT_OK_AND_ASSIGN(const auto draining, Check(channel));
  EXPECT_EQ(draining, HealthReply::NOT_SERVING);
}

TEST_F(ServerTest, ReflectionListsItsServices) {
  const auto server = Make({.unix_path = path_});
  ASSERT_THAT(server->Start(), IsOk());
  const grpc::Slice list_services(std::string("\x3a\x00", 2));  // ServerReflectionRequest{list_services: ""}
  const grpc::ByteBuffer request(&list_services, 1);
  grpc::ByteBuffer response;
  grpc::ClientContext context;
  grpc::GenericStub stub(DialUnix(path_));
  std::promise<grpc::Status> done;
  HappensBefore(&done);
  stub.UnaryCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", {}, &request, &response,
                 [&](grpc::Status status) {
                   HappensAfter(&done);
                   done.set_value(std::move(status));
                 });
  ASSERT_TRUE(done.get_future().get().ok());
  grpc::Slice answer;
  ASSERT_TRUE(response.DumpToSingleSlice(&answer).ok());
  const std::string text(reinterpret_cast<const char*>(answer.begin()), answer.size());
  EXPECT_THAT(text, ::testing::HasSubstr("larder.rpc.testing.Echo"));
}

TEST_F(ServerTest, AStaleSocketDoesNotStopAStart) {
  {
    const base::UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address = {.sun_family = AF_UNIX};
    std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(stale.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  ASSERT_TRUE(std::filesystem::is_socket(path_));
  const auto server = Make({.unix_path = path_});
  ASSERT_THAT(server->Start(), IsOk());
  EXPECT_THAT(Say(DialUnix(path_), "hello"), IsOk());
}

TEST_F(ServerTest, TheSocketHasTheModeAskedForAndNothingLiesBesideIt) {
  const auto server = Make({.unix_path = path_, .unix_mode = 0606});
  ASSERT_THAT(server->Start(), IsOk());
  struct stat status = {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0606u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 1);
}

TEST_F(ServerTest, StopRemovesTheSocket) {
  const auto server = Make({.unix_path = path_});
  ASSERT_THAT(server->Start(), IsOk());
  server->Stop(base::kNoDeadline);
  server->Stop(base::kNoDeadline);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ServerTest, ASuccessorTakesThePathAndKeepsIt) {
  const auto old_server = Make({.unix_path = path_});
  ASSERT_THAT(old_server->Start(), IsOk());
  EchoService other;
  Server successor({.unix_path = path_}, log_);
  successor.Add(other);
  ASSERT_THAT(successor.Start(), IsOk());
  old_server->Stop(base::kNoDeadline);
  EXPECT_THAT(Say(DialUnix(path_), "hello"), IsOk());
}

TEST_F(ServerTest, RefusesAPortThatIsTaken) {
  const auto first = Make({.address = "127.0.0.1:0"});
  ASSERT_THAT(first->Start(), IsOk());
  const auto second = Make({.address = FormatHostPort({"127.0.0.1", first->port()})});
  EXPECT_THAT(second->Start(), StatusIs(StatusCode::kFailedPrecondition, "CANNOT_LISTEN"));
  EXPECT_EQ(second->port(), 0);
}

TEST_F(ServerTest, RefusesWhatItCannotListenOn) {
  EXPECT_THAT(Make({})->Start(), StatusIs(StatusCode::kInvalidArgument, "NO_ADDRESS"));
  EXPECT_THAT(Make({.address = "localhost"})->Start(), StatusIs(StatusCode::kInvalidArgument, "BAD_ADDRESS"));
  EXPECT_THAT(Make({.unix_path = dir_ / std::string(120, 'x')})->Start(),
              StatusIs(StatusCode::kInvalidArgument, "PATH_TOO_LONG"));
  EXPECT_THAT(Make({.unix_path = dir_ / "none/control.sock"})->Start(),
              StatusIs(StatusCode::kFailedPrecondition, "CANNOT_LISTEN"));
}

TEST_F(ServerTest, APathThatCannotBeReplacedLeavesNothingListening) {
  std::filesystem::create_directories(path_ / "inner");
  const auto server = Make({.unix_path = path_});
  EXPECT_THAT(server->Start(), StatusIs(StatusCode::kFailedPrecondition, "CANNOT_LISTEN"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 1);
}

TEST_F(ServerTest, RefusesAMessageOverTheLimit) {
  const auto server = Make({.unix_path = path_});
  ASSERT_THAT(server->Start(), IsOk());
  grpc::ChannelArguments unlimited;
  unlimited.SetMaxSendMessageSize(-1);
  const auto channel =
      grpc::CreateCustomChannel("unix:" + path_.native(), grpc::InsecureChannelCredentials(), unlimited);
  EXPECT_THAT(Say(channel, std::string(kMaxMessageBytes + 1, 'x')), StatusIs(StatusCode::kResourceExhausted, ""));
  EXPECT_THAT(Say(DialUnix(path_), std::string(kMaxMessageBytes - 100, 'x')), IsOk());
}

TEST_F(ServerTest, RefusesAMessageOverALimitOfItsOwn) {
  const auto server = Make({.unix_path = path_, .limits = {.message_bytes = 1000}});
  ASSERT_THAT(server->Start(), IsOk());
  EXPECT_THAT(Say(DialUnix(path_), std::string(1001, 'x')), StatusIs(StatusCode::kResourceExhausted, ""));
}

TEST_F(ServerTest, IsWaitedForThoughItAnswersLate) {
  base::UniqueFd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = Address();
  ASSERT_EQ(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(listening.get(), 8), 0);
  const auto channel = DialUnix(path_);
  const auto soon = [] { return std::chrono::system_clock::now() + std::chrono::milliseconds(500); };
  for (auto state = channel->GetState(true); state != GRPC_CHANNEL_CONNECTING; state = channel->GetState(true)) {
    ASSERT_TRUE(channel->WaitForStateChange(state, std::chrono::system_clock::now() + kLong));
  }
  EXPECT_FALSE(channel->WaitForStateChange(GRPC_CHANNEL_CONNECTING, soon())) << "it was given up";
  const auto server = Make({.listening = std::move(listening), .reflection = false});
  ASSERT_THAT(server->Start(), IsOk());
  EXPECT_THAT(Say(channel, "hello"), IsOk());
}

TEST_F(ServerTest, AnAcceptorTakesNoMoreThanTheSocketMayHave) {
  Acceptor acceptor(100);
  const auto server = Make({.unix_path = path_, .acceptor = &acceptor, .limits = {.connections = 2}});
  ASSERT_THAT(server->Start(), IsOk());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 1);
  std::vector<base::UniqueFd> clients;
  for (int i = 0; i < 2; ++i) clients.push_back(ConnectTo(path_));
  for (const auto& client : clients) EXPECT_TRUE(Greets(client.get(), kLong));
  EXPECT_FALSE(Greets(ConnectTo(path_).get(), kLong)) << "it is closed";
  EXPECT_EQ(acceptor.open(), 2u);
  clients.pop_back();
  EXPECT_TRUE(ServesAgain(path_)) << "whoever leaves makes room";
  EXPECT_TRUE(Greets(clients[0].get(), kLong)) << "and who is there stays";
  server->Stop(base::Deadline());
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(ComesToHave(acceptor, 0)) << "gRPC has closed them all";
}

TEST_F(ServerTest, AnAcceptorTakesNoMoreOfAllSocketsThanItMay) {
  Acceptor acceptor(3);
  const std::filesystem::path other = dir_ / "other.sock";
  const auto one = Make({.unix_path = path_, .acceptor = &acceptor, .limits = {.connections = 2}});
  const auto two = Make({.unix_path = other, .acceptor = &acceptor, .limits = {.connections = 2}});
  ASSERT_THAT(one->Start(), IsOk());
  ASSERT_THAT(two->Start(), IsOk());
  std::vector<base::UniqueFd> clients;
  for (const auto& path : {path_, path_, other}) {
    clients.push_back(ConnectTo(path));
    EXPECT_TRUE(Greets(clients.back().get(), kLong));
  }
  EXPECT_FALSE(Greets(ConnectTo(other).get(), kLong));
  one->Stop(base::Deadline());
  EXPECT_TRUE(ServesAgain(other)) << "what the other server had is free";
  EXPECT_TRUE(ComesToHave(acceptor, 1));
  EXPECT_THAT(Say(DialUnix(other), "hello"), IsOk());
}

TEST_F(ServerTest, SaysThatWhatItWasGivenCannotBeListenedOn) {
  const auto server =
      Make({.listening = base::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)), .reflection = false});
  EXPECT_THAT(server->Start(), StatusIs(StatusCode::kFailedPrecondition, "CANNOT_LISTEN"));
}

TEST_F(ServerTest, WaitsForDescriptorsWithoutSpinning) {
  base::UniqueFd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = Address();
  ASSERT_EQ(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(listening.get(), 8), 0);
  const auto server = Make({.listening = std::move(listening), .reflection = false});
  ASSERT_THAT(server->Start(), IsOk());
  base::UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit files = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit few = {.rlim_cur = 256, .rlim_max = files.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<base::UniqueFd> all;
  for (int fd; (fd = ::dup(client.get())) >= 0;) all.emplace_back(fd);
  const auto before = CpuTime();
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_FALSE(Greets(client.get(), std::chrono::milliseconds(400)));
  EXPECT_LT(CpuTime() - before, std::chrono::milliseconds(200));
  all.clear();
  EXPECT_TRUE(Greets(client.get(), kLong));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
}

TEST_F(ServerTest, StopLetsACallInFlightEnd) {
  base::ThreadPool pool("echo", 1);
  std::promise<void> entered;
  std::promise<void> release;
  echo_.OnSay([&](Context* context, const testing::SayRequest* request, testing::SayResponse* response) {
    return UnaryOn(pool, context, [&, request, response] {
      entered.set_value();
      release.get_future().wait();
      return EchoService::Answer(*request, *response);
    });
  });
  const auto server = Make({.unix_path = path_});
  ASSERT_THAT(server->Start(), IsOk());
  auto said = std::async(std::launch::async, [&] { return Say(DialUnix(path_), "late"); });
  entered.get_future().wait();
  auto stopped = std::async(std::launch::async, [&] { server->Stop(base::kNoDeadline); });
  while (std::filesystem::exists(path_)) std::this_thread::yield();  // until Stop has begun
  EXPECT_EQ(stopped.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  release.set_value();
  stopped.wait();
  EXPECT_EQ(*said.get(), "late");
}

TEST_F(ServerTest, StopCancelsWhatIsInFlightAtItsDeadline) {
  base::ThreadPool pool("echo", 1);
  std::promise<void> entered;
  echo_.OnSay([&](Context* context, const testing::SayRequest*, testing::SayResponse*) {
    return UnaryOn(pool, context, [&, context]() -> absl::Status {
      entered.set_value();
      while (!context->IsCancelled()) std::this_thread::yield();
      return absl::CancelledError("stopped");
    });
  });
  const auto server = Make({.unix_path = path_});
  ASSERT_THAT(server->Start(), IsOk());
  auto said = std::async(std::launch::async, [&] { return Say(DialUnix(path_), "never"); });
  entered.get_future().wait();
  server->Stop(base::Deadline());
  EXPECT_FALSE(said.get().ok());
}

}  // namespace
}  // namespace larder::rpc
