// Identity `csi` as a node has it: the program as root, a kubelet, mounts, pods with mount namespaces of their own.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <httplib.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <vector>

#include "larder/agent/v1/agent.grpc.pb.h"
#include "larder/base/bytes.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/unique_fd.h"
#include "larder/client/client.h"
#include "larder/rpc/channel.h"
#include "tests/agent_process.h"
#include "tests/csi/fake_kubelet.h"

namespace larder::cache_agent::csi {
namespace {

namespace fs = std::filesystem;
using base::IsOk;
using base::StatusIs;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr char kDriver[] = "csi.larder.io";

std::set<std::string> NamesIn(const fs::path& dir) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir)) names.insert(entry.path().filename());
  return names;
}

// A line of /proc/PID/status.
std::string StatusOf(int pid, const std::string& key) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":\t")) return line.substr(key.size() + 2);
  }
  return "";
}

int ChildOf(int pid) {
  std::ifstream children("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  int child = 0;
  children >> child;
  return child;
}

// How often something is mounted at the path, as this process sees it.
int MountsAt(const std::string& path) {
  std::ifstream mounts("/proc/self/mountinfo");
  int count = 0;
  for (std::string line; std::getline(mounts, line);) count += line.find(" " + path + " ") != line.npos ? 1 : 0;
  return count;
}

base::UniqueFd ConnectTo(const std::string& path) {
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << path;
  return fd;
}

// A gRPC server speaks first; a connection that it does not want is closed.
bool IsServed(int fd) {
  char byte = 0;
  return ::recv(fd, &byte, 1, MSG_PEEK) == 1;
}

class DriverProcess : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, for mounts";
    // Mounts of the test's own. What its agents mount comes back to it, as to the node by Bidirectional.
    if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "needs mount namespaces";
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount(pods().c_str(), pods().c_str(), nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(::mount("none", pods().c_str(), nullptr, MS_SHARED, nullptr), 0);
    fs::permissions(dir_.path(), fs::perms{0755});  // the agent is not root for long
    WriteConfig("");
    StartAgent();
  }
  void TearDown() override {
    agent_.reset();
    if (::geteuid() == 0) ::umount2(pods().c_str(), MNT_DETACH);
  }
  std::string pods() const { return kubelet_.dir() + "/pods"; }
  std::string run() const { return dir_ / "r"; }
  std::string ConfigFile() const { return dir_ / "agent.yaml"; }
  void WriteConfig(const std::string& text) { std::ofstream(ConfigFile()) << "lease_ttl: 30s\n" << text; }
  void StartAgent() {
    RunAgent();
    LARDER_ASSERT_OK_AND_ASSIGN(const auto info, kubelet_.Register(kDriver));
    EXPECT_EQ(info.endpoint(), run() + "/csi/csi.sock");
  }
  void RunAgent() {
    agent_.emplace(dir_.path(),
                   std::vector<std::string>{"--config=" + ConfigFile(), "--arena=16MiB", "--identity=csi",
                                            "--csi-kubelet-dir=" + kubelet_.dir(), "--csi-run-dir=" + run()});
  }
  bool Ready() {
    const auto answer = httplib::Client("127.0.0.1", agent_->admin_port()).Get("/readyz");
    return answer && answer->status == 200;
  }
  // Where the pod has its volume: the target's own name is too long for a socket.
  std::string Volume(const FakePod& pod) {
    const std::string at = dir_ / pod.name;
    fs::create_directory(at);
    EXPECT_EQ(::mount(kubelet_.TargetOf(pod).c_str(), at.c_str(), nullptr, MS_BIND, nullptr), 0);
    return at;
  }
  static absl::StatusOr<std::unique_ptr<client::Client>> Connect(const std::string& at, const std::string& ns = "") {
    return client::Client::Connect("uds://" + at, {.ns = ns, .retries = 0});
  }
  static absl::Status Put(client::Client& client, const std::string& key, const std::string& text) {
    return client.Put({.key = key}, base::AsBytes(text)).status();
  }
  // Nothing is left of any volume.
  void ExpectNothingLeft() {
    EXPECT_THAT(NamesIn(run() + "/state"), IsEmpty());
    EXPECT_THAT(NamesIn(run() + "/pods"), IsEmpty());
    EXPECT_EQ(agent_->Metric("larder_csi_volumes"), 0);
  }

  base::TempDir dir_;
  FakeKubelet kubelet_{dir_ / "k"};
  std::optional<AgentProcess> agent_;
};

TEST_F(DriverProcess, GivesAPodItsNamespaceByItsVolume) {
  EXPECT_THAT(kubelet_.NodeId(), base::IsOkAndHolds("node-0"));
  const FakePod pod = PodNumber(1);
  ASSERT_THAT(kubelet_.Publish(pod), IsOk());
  const std::string at = Volume(pod);
  LARDER_ASSERT_OK_AND_ASSIGN(const auto client, Connect(at));
  EXPECT_EQ(client->ns(), "team-a");
  ASSERT_THAT(Put(*client, "k", "abc"), IsOk());
  EXPECT_THAT(client->Stat("k"), IsOk());
  EXPECT_THAT(Connect(at, "team-b"), StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"));
  EXPECT_EQ(agent_->Metric("larder_csi_volumes"), 1);
  EXPECT_EQ(agent_->Metric("larder_csi_requests_total{op=\"publish\",code=\"OK\"}"), 1);
}

TEST_F(DriverProcess, IsReadyWhileTheKubeletHasIt) {
  EXPECT_TRUE(Ready());
  ASSERT_THAT(kubelet_.Notify(kDriver, false), IsOk());
  EXPECT_FALSE(Ready());
  ASSERT_THAT(kubelet_.Notify(kDriver, true), IsOk());
  EXPECT_TRUE(Ready());
  agent_->Signal(SIGTERM);
  EXPECT_EQ(agent_->Wait(), 0);
  RunAgent();
  EXPECT_FALSE(Ready()) << "nobody has registered it";
}

// One pod's calls are bounded before it is known what they ask for.
TEST_F(DriverProcess, APodsControlSocketTakesNoLargeRequest) {
  const FakePod pod = PodNumber(1);
  ASSERT_THAT(kubelet_.Publish(pod), IsOk());
  const auto stub = larder::agent::v1::Agent::NewStub(rpc::DialUnix(Volume(pod) + "/control.sock"));
  const auto stat = [&](size_t bytes) {
    grpc::ClientContext context;
    larder::agent::v1::StatRequest request;
    request.set_key(std::string(bytes, 'k'));
    larder::agent::v1::StatResponse response;
    return stub->Stat(&context, request, &response);
  };
  const grpc::Status large = stat(65 << 10);
  EXPECT_EQ(large.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << large.error_message();
  EXPECT_NE(stat(1 << 10).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

// Of one pod, however many it opens; another one's are its own.
TEST_F(DriverProcess, APodsControlSocketTakesSixtyFourConnections) {
  for (const int number : {1, 2}) ASSERT_THAT(kubelet_.Publish(PodNumber(number)), IsOk());
  const std::string one = Volume(PodNumber(1)) + "/control.sock";
  const std::string two = Volume(PodNumber(2)) + "/control.sock";
  std::vector<base::UniqueFd> open;
  for (int i = 0; i < 64; ++i) {
    open.push_back(ConnectTo(one));
    ASSERT_TRUE(IsServed(open.back().get())) << i;
  }
  EXPECT_FALSE(IsServed(ConnectTo(one).get()));
  EXPECT_TRUE(IsServed(ConnectTo(two).get()));
  open.pop_back();
  EXPECT_TRUE(Eventually([&] { return IsServed(ConnectTo(one).get()); }));
}

TEST_F(DriverProcess, ShowsTwoSocketsReadOnlyEvenToRoot) {
  const FakePod pod = PodNumber(1);
  ASSERT_THAT(kubelet_.Publish(pod), IsOk());
  const std::string at = kubelet_.TargetOf(pod);
  EXPECT_THAT(NamesIn(at), UnorderedElementsAre("control.sock", "data.sock"));
  for (const std::string& path : {at, at + "/data.sock", at + "/control.sock"}) {
    EXPECT_EQ(::chmod(path.c_str(), 0777), -1);
    EXPECT_EQ(errno, EROFS) << path;
  }
  EXPECT_EQ(::unlink((at + "/data.sock").c_str()), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(::open((at + "/new").c_str(), O_CREAT | O_WRONLY, 0600), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(::mkdir((at + "/../mount/new").c_str(), 0700), -1);
  EXPECT_EQ(errno, EROFS);
}

TEST_F(DriverProcess, PublishesOnceHoweverOftenItIsAskedAndLeavesNothing) {
  const FakePod pod = PodNumber(1);
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(kubelet_.Publish(pod), IsOk());
    EXPECT_EQ(MountsAt(kubelet_.TargetOf(pod)), 1);
  }
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(kubelet_.Unpublish(pod), IsOk());
    EXPECT_FALSE(fs::exists(kubelet_.TargetOf(pod)));
    EXPECT_EQ(MountsAt(kubelet_.TargetOf(pod)), 0);
  }
  ExpectNothingLeft();
}

TEST_F(DriverProcess, UnpublishingEndsLeases) {
  const FakePod pod = PodNumber(1);
  ASSERT_THAT(kubelet_.Publish(pod), IsOk());
  const std::string at = Volume(pod);
  LARDER_ASSERT_OK_AND_ASSIGN(const auto client, Connect(at));
  LARDER_ASSERT_OK_AND_ASSIGN(const auto writer, client->Create({.key = "half"}));
  EXPECT_EQ(agent_->Metric("larder_lease_active{kind=\"create\"}"), 1);
  ::umount2(at.c_str(), MNT_DETACH);
  ASSERT_THAT(kubelet_.Unpublish(pod), IsOk());
  EXPECT_EQ(agent_->Metric("larder_lease_active{kind=\"create\"}"), 0);
  EXPECT_EQ(agent_->Metric("larder_agent_connections"), 0);
}

TEST_F(DriverProcess, IsNobodyButForTheMounter) {
  const int mounter = ChildOf(agent_->pid());
  ASSERT_NE(mounter, 0);
  EXPECT_THAT(StatusOf(agent_->pid(), "Uid"), HasSubstr("65532\t65532\t65532\t65532"));
  EXPECT_THAT(StatusOf(mounter, "Uid"), HasSubstr("0\t0\t0\t0"));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_EQ(StatusOf(agent_->pid(), set), "0000000000000000") << set;
  }
  EXPECT_EQ(StatusOf(mounter, "CapEff"), "0000000000200002");  // CAP_SYS_ADMIN, CAP_DAC_OVERRIDE
  for (const int pid : {agent_->pid(), mounter}) EXPECT_EQ(StatusOf(pid, "NoNewPrivs"), "1");
#ifdef __SANITIZE_THREAD__
  EXPECT_EQ(StatusOf(mounter, "Threads"), "2");  // the sanitizer has one of its own
#else
  EXPECT_EQ(StatusOf(mounter, "Threads"), "1");
#endif
}

TEST_F(DriverProcess, LetsOnlyPodsWithTheMountReachTheirSockets) {
  ASSERT_THAT(kubelet_.Publish(PodNumber(1)), IsOk());
  for (const std::string& dir : {run(), run() + "/pods", run() + "/state", run() + "/csi"}) {
    EXPECT_EQ(fs::status(dir).permissions(), fs::perms::owner_all) << dir;
  }
  struct stat socket = {};
  ASSERT_EQ(::stat((kubelet_.TargetOf(PodNumber(1)) + "/data.sock").c_str(), &socket), 0);
  EXPECT_EQ(socket.st_mode & 0777, 0666u);
}

TEST_F(DriverProcess, TheMounterHoldsNoSocketOfTheAgents) {
  const std::string fds = "/proc/" + std::to_string(ChildOf(agent_->pid())) + "/fd";
  std::vector<std::string> sockets;
  for (const auto& entry : fs::directory_iterator(fds)) {
    const std::string to = fs::read_symlink(entry);
    if (std::stoi(entry.path().filename()) > 2 && to.starts_with("socket:")) sockets.push_back(to);
  }
  EXPECT_EQ(sockets.size(), 1u);  // its own
}

TEST_F(DriverProcess, ASecondAgentOfTheSameDriverNameDoesNotStart) {
  fs::create_directory(dir_ / "2");
  fs::permissions(dir_ / "2", fs::perms{0755});
  const auto socket = [&] {
    struct stat found = {};
    ::stat(kubelet_.RegistrationSocket(kDriver).c_str(), &found);
    return found.st_ino;
  };
  const ino_t before = socket();
  const auto start = [&] {
    AgentProcess(dir_ / "2", {"--arena=16MiB", "--identity=csi", "--csi-kubelet-dir=" + kubelet_.dir(),
                              "--csi-run-dir=" + (dir_ / "2r").string()});
  };
  EXPECT_THAT(start, testing::ThrowsMessage<std::exception>(HasSubstr("csi.driver_name csi.larder.io")));
  EXPECT_EQ(socket(), before);
  EXPECT_THAT(kubelet_.Publish(PodNumber(1)), IsOk());
}

TEST_F(DriverProcess, TakesOverWhatAnAgentThatWasRootLeft) {
  agent_->Signal(SIGTERM);
  agent_->Wait();
  const fs::path data = dir_ / "data";
  fs::create_directories(data / "objects");
  std::ofstream(data / "objects" / "one") << "x";
  fs::create_symlink(ConfigFile(), data / "objects" / "link");
  for (const fs::path& path : {data, data / "objects"}) ASSERT_EQ(::chown(path.c_str(), 0, 0), 0);
  StartAgent();
  for (const fs::path& path : {data, data / "objects", data / "objects" / "one"}) {
    struct stat found = {};
    ASSERT_EQ(::stat(path.c_str(), &found), 0);
    EXPECT_EQ(found.st_uid, 65532u) << path;
  }
  struct stat pointed = {};
  ASSERT_EQ(::stat(ConfigFile().c_str(), &pointed), 0);
  EXPECT_EQ(pointed.st_uid, 0u);
}

TEST_F(DriverProcess, IfEitherProcessEndsBothDo) {
  const int mounter = ChildOf(agent_->pid());
  ::kill(mounter, SIGKILL);
  EXPECT_GT(agent_->Wait(), 0);
  StartAgent();
  const base::UniqueFd next(static_cast<int>(::syscall(SYS_pidfd_open, ChildOf(agent_->pid()), 0)));
  ASSERT_TRUE(next.valid());
  agent_->Signal(SIGKILL);
  agent_->Wait();
  EXPECT_TRUE(Eventually([&] { return ::syscall(SYS_pidfd_send_signal, next.get(), 0, nullptr, 0) != 0; }));
}

TEST_F(DriverProcess, AStopTakesTheRegistrationAwayAndKeepsMounts) {
  const FakePod pod = PodNumber(1);
  ASSERT_THAT(kubelet_.Publish(pod), IsOk());
  agent_->Signal(SIGTERM);
  EXPECT_EQ(agent_->Wait(), 0);
  // The kubelet passes over names with a dot.
  EXPECT_THAT(NamesIn(kubelet_.dir() + "/plugins_registry"),
              UnorderedElementsAre("." + std::string(kDriver) + ".lock"));
  EXPECT_EQ(MountsAt(kubelet_.TargetOf(pod)), 1);
}

TEST_F(DriverProcess, TheNextAgentServesTheSameMounts) {
  const FakePod pod = PodNumber(1);
  ASSERT_THAT(kubelet_.Publish(pod), IsOk());
  const std::string at = Volume(pod);
  for (const int signal : {SIGKILL, SIGTERM}) {
    agent_->Signal(signal);
    agent_->Wait();
    StartAgent();
    LARDER_ASSERT_OK_AND_ASSIGN(const auto client, Connect(at));
    EXPECT_EQ(client->ns(), "team-a");
    EXPECT_THAT(client->List({}), IsOk());  // by control.sock
    EXPECT_EQ(MountsAt(kubelet_.TargetOf(pod)), 1);
    EXPECT_EQ(agent_->Metric("larder_csi_volumes"), 1);
  }
  ASSERT_THAT(kubelet_.Publish(pod), IsOk());
  ::umount2(at.c_str(), MNT_DETACH);
  ASSERT_THAT(kubelet_.Unpublish(pod), IsOk());
  ExpectNothingLeft();
}

TEST_F(DriverProcess, AHundredMoreVolumesCostNoThreadAndLittleMemory) {
  ASSERT_THAT(kubelet_.Publish(PodNumber(0)), IsOk());
  const int threads = std::stoi(StatusOf(agent_->pid(), "Threads"));
  const auto before = agent_->Measure();
  for (int i = 1; i <= 100; ++i) ASSERT_THAT(kubelet_.Publish(PodNumber(i)), IsOk());
  EXPECT_EQ(agent_->Metric("larder_csi_volumes"), 101);
  EXPECT_LT(std::stoi(StatusOf(agent_->pid(), "Threads")), threads + 5);  // gRPC's own come and go
  const uint64_t grown = agent_->Measure().anon - std::min(agent_->Measure().anon, before.anon);
  RecordProperty("bytes_of_100_volumes", std::to_string(grown));
  EXPECT_LE(grown, (4 << 20) + (kAddressSanitizer || kThreadSanitizer ? agent_->Slack() : 0));
  for (int i = 0; i <= 100; ++i) ASSERT_THAT(kubelet_.Unpublish(PodNumber(i)), IsOk());
  ExpectNothingLeft();
}

TEST_F(DriverProcess, GrantsOpenOtherNamespacesAndTheirEndEndsSessions) {
  WriteConfig("grants:\n  - {namespace: team-a, serviceAccount: trainer, verbs: [get, list], on: [team-b]}\n");
  agent_->Signal(SIGHUP);
  const FakePod owner{.uid = PodNumber(2).uid, .ns = "team-b", .name = "owner"};
  ASSERT_THAT(kubelet_.Publish(owner), IsOk());
  ASSERT_THAT(kubelet_.Publish(PodNumber(1)), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const auto theirs, Connect(Volume(owner)));
  ASSERT_THAT(Put(*theirs, "k", std::string(1 << 20, 'x')), IsOk());  // mapped, under a lease
  const std::string at = Volume(PodNumber(1));
  absl::StatusOr<std::unique_ptr<client::Client>> reader;
  ASSERT_TRUE(Eventually([&] { return (reader = Connect(at, "team-b")).ok(); }));
  EXPECT_THAT((*reader)->Get("k"), IsOk());
  EXPECT_THAT((*reader)->List({}), IsOk());
  // The same words whether it exists or not.
  EXPECT_EQ((*reader)->Delete("k"), (*reader)->Delete("none"));
  EXPECT_THAT((*reader)->Delete("k"), StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"));
  EXPECT_THAT(Put(**reader, "new", "x"), StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"));
  EXPECT_THAT((*reader)->SetPinned("k", true), StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"));
  LARDER_ASSERT_OK_AND_ASSIGN(const auto held, (*reader)->Get("k"));
  EXPECT_EQ(agent_->Metric("larder_lease_active{kind=\"read\"}"), 1);
  WriteConfig("");
  agent_->Signal(SIGHUP);
  EXPECT_TRUE(Eventually([&] { return agent_->Metric("larder_lease_active{kind=\"read\"}") == 0; }));
  EXPECT_THAT(Connect(at, "team-b"), StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"));
}

TEST_F(DriverProcess, AVolumeForReadingReadsOnly) {
  FakePod pod = PodNumber(1);
  pod.attributes = {{"access", "read"}};
  ASSERT_THAT(kubelet_.Publish(pod), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const auto client, Connect(Volume(pod)));
  EXPECT_THAT(Put(*client, "k", "x"), StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"));
  EXPECT_THAT(client->Stat("k"), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_F(DriverProcess, WhatAPodWritesNamesNobodyElse) {
  FakePod pod = PodNumber(1);
  pod.attributes = {{"namespace", "team-b"}};
  EXPECT_THAT(kubelet_.Publish(pod), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_ATTRIBUTE"));
  // A link in place of the pod's own directory leads nowhere.
  pod.attributes.clear();
  const fs::path parent = fs::path(kubelet_.TargetOf(pod)).parent_path();
  fs::remove_all(parent);
  fs::create_directory(dir_ / "elsewhere");
  fs::create_directory_symlink(dir_ / "elsewhere", parent);
  EXPECT_THAT(kubelet_.Publish(kubelet_.RequestFor(pod)), Not(IsOk()));
  EXPECT_THAT(NamesIn(dir_ / "elsewhere"), IsEmpty());
  fs::remove(parent);
  // Another driver's volume is not ours to mount on.
  fs::create_directory(parent);
  std::ofstream(parent / "vol_data.json") << R"({"driverName":"other.example.com","volumeLifecycleMode":"Ephemeral"})";
  EXPECT_THAT(kubelet_.Publish(kubelet_.RequestFor(pod)), StatusIs(absl::StatusCode::kPermissionDenied, "EPERM"));
  ExpectNothingLeft();
  // Nor is one that may be another's.
  for (const char* text : {"", "{}"}) {
    std::ofstream(parent / "vol_data.json") << text;
    EXPECT_THAT(kubelet_.Publish(kubelet_.RequestFor(pod)), StatusIs(absl::StatusCode::kInternal, "EINVAL"));
  }
  fs::remove(parent / "vol_data.json");
  EXPECT_THAT(kubelet_.Publish(kubelet_.RequestFor(pod)), StatusIs(absl::StatusCode::kNotFound, "ENOENT"));
}

TEST_F(DriverProcess, AnothersMountStaysThoughWhoseItIsIsNotWrittenDown) {
  const FakePod pod = PodNumber(1);
  const std::string target = kubelet_.TargetOf(pod);
  fs::create_directories(target);
  ASSERT_EQ(::mount("none", target.c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_THAT(kubelet_.Unpublish(pod), IsOk());
  EXPECT_EQ(MountsAt(target), 1);
  ASSERT_EQ(::umount2(target.c_str(), MNT_DETACH), 0);
}

TEST_F(DriverProcess, OurMountGoesThoughWhoseItIsIsNotWrittenDown) {
  const FakePod pod = PodNumber(1);
  ASSERT_THAT(kubelet_.Publish(pod), IsOk());
  fs::remove(fs::path(kubelet_.TargetOf(pod)).parent_path() / "vol_data.json");
  EXPECT_THAT(kubelet_.Unpublish(pod), IsOk());
  EXPECT_EQ(MountsAt(kubelet_.TargetOf(pod)), 0);
  ExpectNothingLeft();
}

}  // namespace
}  // namespace larder::cache_agent::csi
