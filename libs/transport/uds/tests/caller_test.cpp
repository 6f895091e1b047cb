// Who connected, also when it is gone and its pid is somebody else's.
#include "src/caller.h"

#include <gmock/gmock.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "src/socket.h"

namespace larder::transport::uds {
namespace {

using base::IsOk;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A child that does nothing, with a pid of our choice if one is given; killed at the end of its life.
class Idler {
 public:
  explicit Idler(pid_t wanted = 0) {
    clone_args args{};
    args.exit_signal = SIGCHLD;
    if (wanted != 0) {
      args.set_tid = reinterpret_cast<uint64_t>(&wanted);
      args.set_tid_size = 1;
    }
    pid_ = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
    while (pid_ == 0) ::pause();
  }
  ~Idler() { End(); }
  void End() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

bool Lives(const base::UniqueFd& pidfd) {
  pollfd wanted{.fd = pidfd.get(), .events = POLLIN};
  return pidfd.valid() && ::poll(&wanted, 1, 0) == 0;
}

class CallerTest : public testing::Test {
 protected:
  // A child that connects and exits; its pid.
  pid_t ConnectAndExit() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(ConnectTo(path_).ok() ? 0 : 1);
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    return child;
  }
  base::UniqueFd Accept() const { return base::UniqueFd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }
  // A connection that waited for so long, and whose caller may therefore be gone.
  Queued Long() const { return {.since = began_, .until = began_ + seconds(10)}; }

  base::TempDir dir_;
  const std::string path_ = dir_ / "s";
  const base::Duration began_ = BootNow();
  const base::UniqueFd listening_ = *ListenAt(path_, 0600);
};

TEST_F(CallerTest, IsTheProcessThatConnected) {
  EXPECT_TRUE(QueueIsEmpty(listening_.get()));
  const auto connection = ConnectTo(path_);
  ASSERT_THAT(connection, IsOk());
  EXPECT_FALSE(QueueIsEmpty(listening_.get()));
  LARDER_ASSERT_OK_AND_ASSIGN(const Caller caller, CallerOf(Accept().get(), {began_, BootNow()}));
  EXPECT_EQ(caller.pid, ::getpid());
  EXPECT_TRUE(Lives(caller.pidfd));
}

TEST_F(CallerTest, WhoDiedWhileItWaitedIsNotTheOneWithItsPid) {
  const pid_t pid = ConnectAndExit();
  const Idler impostor(pid);
  if (impostor.pid() != pid) GTEST_SKIP() << "may not choose a pid (root may): " << std::strerror(errno);
  LARDER_ASSERT_OK_AND_ASSIGN(const Caller caller, CallerOf(Accept().get(), Long()));
  EXPECT_EQ(caller.pid, pid);
  EXPECT_FALSE(Lives(caller.pidfd));
  // What kernels without SO_PEERPIDFD are left with.
  EXPECT_FALSE(OpenPidfd(pid, Long()).valid());
}

TEST_F(CallerTest, BeforeLinux65IsWhoeverBeganBeforeTheConnection) {
  Idler idler;
  ASSERT_GT(idler.pid(), 0);
  EXPECT_FALSE(OpenPidfd(idler.pid(), Long()).valid());
  const base::Duration later = BootNow() + seconds(1);
  EXPECT_TRUE(Lives(OpenPidfd(idler.pid(), {.since = later, .until = later + seconds(10)})));
  EXPECT_TRUE(Lives(OpenPidfd(idler.pid(), {.since = began_, .until = began_ + milliseconds(100)})));
  const pid_t gone = idler.pid();
  idler.End();
  EXPECT_FALSE(OpenPidfd(gone, {.since = began_, .until = began_}).valid());
  EXPECT_FALSE(OpenPidfd(0, {.since = began_, .until = began_}).valid());
}

TEST(CouldBeAnother, IfItBeganDuringALongWait) {
  const auto queued = [](int from, int to) { return Queued{milliseconds(from), milliseconds(to)}; };
  EXPECT_FALSE(CouldBeAnother(milliseconds(1000), queued(1000, 9000)));
  EXPECT_TRUE(CouldBeAnother(milliseconds(1001), queued(1000, 9000)));
  EXPECT_TRUE(CouldBeAnother(milliseconds(1001), queued(1000, 1201)));
  EXPECT_FALSE(CouldBeAnother(milliseconds(1001), queued(1000, 1200))) << "no pid comes back so soon";
}

TEST(StartOf, IsTheTwentySecondFieldWhateverTheNameIs) {
  const double tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  const std::string rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 1234 20 21";
  const auto latest = std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(1235 * tick));
  EXPECT_EQ(StartOf("42 (cat)" + rest), latest);
  EXPECT_EQ(StartOf("42 (a) R 1 (b c)" + rest), latest);
  EXPECT_EQ(StartOf("42 (cat) S 1 2 3"), std::nullopt);
  EXPECT_EQ(StartOf("42 cat" + rest), std::nullopt);
  EXPECT_EQ(StartOf("42 (cat) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x 20"), std::nullopt);
  EXPECT_EQ(StartOf(""), std::nullopt);
}

TEST(StartOf, OfThisProcessIsBeforeNow) {
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string stat, base::ReadFile("/proc/self/stat"));
  const auto started = StartOf(stat);
  ASSERT_TRUE(started.has_value());
  EXPECT_LT(*started, BootNow() + seconds(1));
  EXPECT_GT(*started, base::Duration(0));
}

TEST(Strangers, TheOldestOfWhoHasMostGoes) {
  EXPECT_EQ(OneTooMany(std::vector<int32_t>{7}), 0u);
  EXPECT_EQ(OneTooMany(std::vector<int32_t>{7, 8, 9}), 0u);
  EXPECT_EQ(OneTooMany(std::vector<int32_t>{7, 8, 9, 8}), 1u);
  EXPECT_EQ(OneTooMany(std::vector<int32_t>{7, 8, 7, 8, 8}), 1u);
}

}  // namespace
}  // namespace larder::transport::uds
