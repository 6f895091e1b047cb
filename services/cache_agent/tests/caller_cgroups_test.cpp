#include "core/caller_cgroups.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/unique_fd.h"

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using base::StatusIs;

base::UniqueFd OpenPidfd(pid_t pid) { return base::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

// A child that waits until it is let go.
class Child {
 public:
  Child() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    hold_.Reset(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      hold_.Reset();
      char none = 0;
      ::_exit(static_cast<int>(::read(ends[0], &none, 1)));
    }
    ::close(ends[0]);
  }
  ~Child() {
    if (pid_ > 0) Reap();
  }
  // It exits; its parent does not look yet, so the pid stays its own.
  void Exit() {
    hold_.Reset();
    siginfo_t info{};
    ::waitid(P_PID, pid_, &info, WEXITED | WNOWAIT);
  }
  void Reap() {
    hold_.Reset();
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }

 private:
  base::UniqueFd hold_;
  pid_t pid_ = 0;
};

TEST(CallerCgroups, AreThoseThatTheKernelShows) {
  const base::UniqueFd self = OpenPidfd(::getpid());
  LARDER_ASSERT_OK_AND_ASSIGN(const CallerCgroups mine, CgroupsOf({.pid = ::getpid(), .pidfd = self.get()}));
  EXPECT_EQ(mine.pid, ::getpid());
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string shown, base::ReadFile("/proc/self/cgroup"));
  EXPECT_EQ(mine.text, shown);
}

TEST(CallerCgroups, GoByThePidfdWhateverThePid) {
  const Child child;
  const base::UniqueFd pidfd = OpenPidfd(child.pid());
  LARDER_ASSERT_OK_AND_ASSIGN(const CallerCgroups by_wrong_pid, CgroupsOf({.pid = 1, .pidfd = pidfd.get()}));
  EXPECT_EQ(by_wrong_pid.pid, child.pid());
  LARDER_ASSERT_OK_AND_ASSIGN(const CallerCgroups without_pid, CgroupsOf({.pid = 0, .pidfd = pidfd.get()}));
  EXPECT_EQ(without_pid.pid, child.pid());
}

TEST(CallerCgroups, OfAnExitedCallerAreNotRead) {
  Child child;
  const base::UniqueFd pidfd = OpenPidfd(child.pid());
  child.Exit();
  EXPECT_THAT(CgroupsOf({.pid = child.pid(), .pidfd = pidfd.get()}),
              StatusIs(StatusCode::kPermissionDenied, "CALLER_ENDED"));
  child.Reap();
  EXPECT_THAT(CgroupsOf({.pid = 1, .pidfd = pidfd.get()}), StatusIs(StatusCode::kPermissionDenied, "CALLER_ENDED"));
}

TEST(CallerCgroups, WithoutAPidfdAreUnknown) {
  EXPECT_THAT(CgroupsOf({.pid = ::getpid(), .pidfd = -1}), StatusIs(StatusCode::kUnavailable, "CALLER_UNSURE"));
  const absl::Status unseen = CgroupsOf({.pid = 0, .pidfd = -1}).status();
  EXPECT_THAT(unseen, StatusIs(StatusCode::kPermissionDenied, "CALLER_UNSEEN"));
  EXPECT_THAT(base::Message(unseen), testing::HasSubstr("hostPID"));
}

// The kernel's files as the test says, the pidfd a real one.
class CallerCgroupsByAFakeProc : public testing::Test {
 protected:
  absl::StatusOr<CallerCgroups> Read(int pidfd, const std::string& fdinfo) {
    fs::create_directories(dir_ / "self/fdinfo");
    std::ofstream(dir_ / "self/fdinfo" / std::to_string(pidfd)) << fdinfo;
    fs::create_directories(dir_ / "4242");
    std::ofstream(dir_ / "4242/cgroup") << "0::/another's\n";
    return CgroupsOf({.pid = 4242, .pidfd = pidfd}, dir_.path());
  }
  base::TempDir dir_;
};

TEST_F(CallerCgroupsByAFakeProc, OfALivingCallerAreRead) {
  const base::UniqueFd self = OpenPidfd(::getpid());
  EXPECT_EQ(Read(self.get(), "pos:\t0\nPid:\t4242\nNSpid:\t4242\n")->text, "0::/another's\n");
}

// It exits between the two looks, and its pid is another's by the time its cgroups are read.
TEST_F(CallerCgroupsByAFakeProc, OfACallerThatExitedMeanwhileAreNotBelieved) {
  Child child;
  const base::UniqueFd pidfd = OpenPidfd(child.pid());
  child.Reap();
  EXPECT_THAT(Read(pidfd.get(), "Pid:\t4242\n"), StatusIs(StatusCode::kPermissionDenied, "CALLER_ENDED"));
}

TEST_F(CallerCgroupsByAFakeProc, OutsideThePidNamespaceAreUnseen) {
  const base::UniqueFd self = OpenPidfd(::getpid());
  EXPECT_THAT(Read(self.get(), "Pid:\t0\n"), StatusIs(StatusCode::kPermissionDenied, "CALLER_UNSEEN"));
  EXPECT_THAT(Read(self.get(), "Pid:\t-1\n"), StatusIs(StatusCode::kPermissionDenied, "CALLER_ENDED"));
  EXPECT_THAT(Read(self.get(), "Pid:\t7\n"), StatusIs(StatusCode::kPermissionDenied, "CALLER_UNSEEN"))
      << "as where /proc hides others' processes";
}

TEST(PidOfFdinfo, IsTheFieldPid) {
  EXPECT_EQ(PidOfFdinfo("pos:\t0\nflags:\t02000002\nmnt_id:\t4\nino:\t45695\nPid:\t13226\nNSpid:\t13226\t7\n"), 13226);
  EXPECT_EQ(PidOfFdinfo("Pid:\t-1\nNSpid:\t-1\n"), -1);
  for (const char* other : {"", "pos:\t0\n", "NSpid:\t7\n", "Pid:\tx\n", "Pid:\t7x\n", "Pid:\t99999999999\n"}) {
    EXPECT_EQ(PidOfFdinfo(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace larder::cache_agent
