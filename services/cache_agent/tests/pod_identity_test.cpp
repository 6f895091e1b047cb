// Identity `cgroup` as the node has it: the program, real processes, the kernel's cgroups.
#include <gmock/gmock.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "tests/agent_process.h"
#include "tests/cgroup_tree.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using testing::AnyOf;
using testing::HasSubstr;

const std::string kPodA = "8dbc5577-d0e2-4706-8787-57d52c03ddf2";
const std::string kPodB = "d3a1c9f0-52c4-4b0e-9f7e-0c1f6a1b2c3d";
const std::string kContainer = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

// A container's cgroup, as the kubelet names it with either of its drivers.
std::string Cgroupfs(const std::string& uid) { return "kubepods/burstable/pod" + uid + "/" + kContainer; }
std::string Systemd(std::string uid) {
  std::ranges::replace(uid, '-', '_');
  return "kubepods.slice/kubepods-pod" + uid + ".slice/cri-containerd-" + kContainer + ".scope";
}

class Caller {
 public:
  Caller() : child_({LARDER_CALLER_BINARY}, ChildProcess::Output::kStdout) {}
  std::string Do(const std::string& line) {
    child_.WriteLine(line);
    return child_.ReadLine();
  }

 private:
  ChildProcess child_;
};

class PodIdentity : public testing::TestWithParam<CgroupVersion> {
 protected:
  void SetUp() override {
    auto made = CgroupTree::Make(GetParam());
    if (!made.ok()) GTEST_SKIP() << base::Message(made.status());
    cgroups_ = *std::move(made);
    WritePods({{kPodA, "team-a"}});
    agent_ = std::make_unique<AgentProcess>(
        dir_.path(), std::vector<std::string>{"--arena=16MiB", "--identity=cgroup", "--pods-file=" + PodsFile()});
  }
  std::string PodsFile() const { return dir_ / "pods.yaml"; }
  void WritePods(const std::vector<std::pair<std::string, std::string>>& pods) {
    std::string text = "pods:\n";
    for (const auto& [uid, ns] : pods) text += "  " + uid + ": {namespace: " + ns + ", name: pod-of-" + ns + "}\n";
    ASSERT_THAT(base::WriteFileAtomically(PodsFile(), text), IsOk());
  }
  std::string Connect(Caller& caller) { return caller.Do("connect " + agent_->socket_dir().string()); }
  // What a process in the cgroup is told that asks for the namespace; outside of all if there is none.
  std::string Greet(const std::string& cgroup, const std::string& asked = "") {
    Caller caller;
    if (!cgroup.empty()) {
      EXPECT_EQ(caller.Do("join " + cgroups_->Add(cgroup)), "ok");
    }
    EXPECT_EQ(Connect(caller), "ok");
    return caller.Do("hello " + asked);
  }
  // Counted when the caller has been told.
  bool DeniedIs(double count) const {
    return Eventually([&] { return agent_->Metric("larder_agent_denied_total{reason=\"denied\"}") == count; });
  }

  base::TempDir dir_;
  std::unique_ptr<CgroupTree> cgroups_;
  std::unique_ptr<AgentProcess> agent_;
};

TEST_P(PodIdentity, APodIsInItsOwnNamespace) {
  EXPECT_EQ(Greet(Cgroupfs(kPodA)), "ok team-a");
  EXPECT_EQ(Greet(Systemd(kPodA)), "ok team-a");
  EXPECT_EQ(Greet(Cgroupfs(kPodA), "team-a"), "ok team-a");
  EXPECT_EQ(Greet(Cgroupfs(kPodA), "team-b"), "FOREIGN_NAMESPACE");
  EXPECT_TRUE(DeniedIs(1));
}

TEST_P(PodIdentity, WhoIsInNoPodIsRefused) {
  EXPECT_EQ(Greet(""), "NO_POD");
  EXPECT_EQ(Greet("", "team-a"), "NO_POD");
  EXPECT_EQ(Greet("system.slice/other.service"), "NO_POD");
  EXPECT_EQ(Greet("kubepods/burstable"), "NO_POD");
  EXPECT_TRUE(DeniedIs(4));
}

TEST_P(PodIdentity, APodIsUnknownUntilTheFileHasIt) {
  EXPECT_EQ(Greet(Cgroupfs(kPodB)), "UNKNOWN_POD");
  WritePods({{kPodA, "team-a"}, {kPodB, "team-b"}});
  EXPECT_TRUE(Eventually([&] { return Greet(Cgroupfs(kPodB)) == "ok team-b"; }));
  EXPECT_EQ(Greet(Cgroupfs(kPodA)), "ok team-a");
}

TEST_P(PodIdentity, WhoMovesIsWhereItIsAtHello) {
  WritePods({{kPodA, "team-a"}, {kPodB, "team-b"}});
  ASSERT_TRUE(Eventually([&] { return Greet(Cgroupfs(kPodB)) == "ok team-b"; }));
  Caller caller;
  ASSERT_EQ(caller.Do("join " + cgroups_->Add(Cgroupfs(kPodA))), "ok");
  ASSERT_EQ(Connect(caller), "ok");
  ASSERT_EQ(caller.Do("join " + cgroups_->Add(Cgroupfs(kPodB))), "ok");
  EXPECT_EQ(caller.Do("hello"), "ok team-b");
}

// All that a pod can do without rights on the node: move below its own cgroup.
TEST_P(PodIdentity, NoNameBelowItsOwnCgroupMakesAPodAnother) {
  WritePods({{kPodA, "team-a"}, {kPodB, "team-b"}});
  ASSERT_TRUE(Eventually([&] { return Greet(Cgroupfs(kPodB)) == "ok team-b"; }));
  for (const std::string& own : {Cgroupfs(kPodA), Systemd(kPodA)}) {
    for (const std::string& below : {Cgroupfs(kPodB), Systemd(kPodB), "pod" + kPodB}) {
      EXPECT_EQ(Greet(own + "/" + below), "ok team-a") << below;
    }
  }
}

TEST_P(PodIdentity, AConnectionIsOfTheProcessThatMadeIt) {
  Caller caller;
  ASSERT_EQ(caller.Do("join " + cgroups_->Add(Cgroupfs(kPodA))), "ok");
  ASSERT_EQ(Connect(caller), "ok");
  ASSERT_EQ(caller.Do("fork"), "ok");
  // The agent may see the end before the record.
  EXPECT_THAT(caller.Do("hello"), AnyOf("CALLER_ENDED", "CONNECTION_LOST"));
  ASSERT_EQ(Connect(caller), "ok");
  EXPECT_EQ(caller.Do("hello"), "ok team-a");
  EXPECT_EQ(caller.Do("join " + cgroups_->outside()), "ok");
}

INSTANTIATE_TEST_SUITE_P(Cgroups, PodIdentity, testing::Values(CgroupVersion::kOne, CgroupVersion::kTwo),
                         [](const auto& info) { return info.param == CgroupVersion::kOne ? "Version1" : "Version2"; });

// In a child that has no right to trace others, as in a container: the error of taking a descriptor of an agent that
// runs with the same rights.
int TakeDescriptorOf(const std::vector<std::string>& flags) {
  const base::TempDir dir;
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE);
    __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct data[2] = {};
    ::syscall(SYS_capget, &header, data);
    data[0].effective &= ~(1u << CAP_SYS_PTRACE);
    data[0].permitted &= ~(1u << CAP_SYS_PTRACE);
    data[0].inheritable &= ~(1u << CAP_SYS_PTRACE);
    if (::syscall(SYS_capset, &header, data) != 0) ::_exit(255);
    const AgentProcess agent(dir.path(), flags);
    const base::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, agent.pid(), 0)));
    const base::UniqueFd taken(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), 0, 0)));
    const int error = taken ? 0 : errno;
    agent.Signal(SIGKILL);
    ::_exit(error);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(PodIdentityStart, WhereCallersAreToldApartNobodyTakesTheAgentsDescriptors) {
  const base::TempDir dir;
  ASSERT_THAT(base::WriteFileAtomically(dir / "pods.yaml", "pods: {}\n"), IsOk());
  const int open = TakeDescriptorOf({"--arena=16MiB"});
  if (open != 0) GTEST_SKIP() << "this kernel lets nobody do that (error " << open << ")";
  EXPECT_EQ(TakeDescriptorOf({"--arena=16MiB", "--identity=cgroup", "--pods-file=" + (dir / "pods.yaml").string()}),
            EPERM);
}

TEST(PodIdentityStart, NeedsAFileOfPods) {
  const base::TempDir dir;
  using Case = std::pair<std::vector<std::string>, std::string>;
  for (const auto& [flags, said] :
       {Case{{}, "pods_file: must be set"}, Case{{"--pods-file=" + (dir / "none.yaml").string()}, "none.yaml"}}) {
    std::vector<std::string> argv = {LARDER_AGENT_BINARY, "--listen-admin=127.0.0.1:0", "--arena=16MiB",
                                     "--identity=cgroup", "--socket-dir=" + (dir / "run").string()};
    argv.insert(argv.end(), flags.begin(), flags.end());
    ChildProcess agent(argv, ChildProcess::Output::kStderr);
    std::string lines;
    for (std::string line = agent.ReadLine(); !line.empty(); line = agent.ReadLine()) lines += line + "\n";
    EXPECT_EQ(agent.Wait(), 2);
    EXPECT_THAT(lines, HasSubstr(said));
    EXPECT_FALSE(std::filesystem::exists(dir / "run/data.sock"));
  }
}

}  // namespace
}  // namespace larder::cache_agent
