#include "src/caller.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string>

#include "larder/base/file.h"
#include "larder/base/status.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

namespace larder::transport::uds {
namespace {

// Twice the listener's tick, at each of which it looks at the queue.
constexpr base::Duration kTooShortForReuse = std::chrono::milliseconds(200);
constexpr size_t kMaxStat = 4096;

bool Readable(int fd) {
  pollfd wanted{.fd = fd, .events = POLLIN};
  return ::poll(&wanted, 1, 0) != 0;
}

}  // namespace

bool KernelKeepsCallers() {
  static const bool kKeeps = [] {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) return false;
    const base::UniqueFd one(pair[0]), other(pair[1]);
    int pidfd = -1;
    socklen_t length = sizeof pidfd;
    if (::getsockopt(one.get(), SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) != 0) return false;
    ::close(pidfd);
    return true;
  }();
  return kKeeps;
}

base::Duration BootNow() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

bool QueueIsEmpty(int listening) { return !Readable(listening); }

absl::StatusOr<Caller> CallerOf(int fd, const Queued& queued) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return base::ErrnoError(errno, "SO_PEERCRED");
  Caller caller{.pid = credentials.pid};
  int pidfd = -1;
  length = sizeof pidfd;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == 0) {
    ::fcntl(pidfd, F_SETFD, FD_CLOEXEC);
    caller.pidfd.Reset(pidfd);
  } else if (errno == ENOPROTOOPT) {
    caller.pidfd = OpenPidfd(caller.pid, queued);
  }
  // Any other error: it has exited, and its pid may be another's.
  return caller;
}

base::UniqueFd OpenPidfd(int32_t pid, const Queued& queued) {
  if (pid <= 0) return {};
  base::UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return {};
  const absl::StatusOr<std::string> stat = base::ReadFile("/proc/" + std::to_string(pid) + "/stat", kMaxStat);
  if (!stat.ok()) return {};
  const std::optional<base::Duration> started = StartOf(*stat);
  // While the descriptor's process lives the pid is its own, so what was read is its start.
  if (!started || CouldBeAnother(*started, queued) || Readable(pidfd.get())) return {};
  return pidfd;
}

bool CouldBeAnother(base::Duration started, const Queued& queued) {
  return started > queued.since && queued.until - queued.since > kTooShortForReuse;
}

std::optional<base::Duration> StartOf(std::string_view stat) {
  constexpr int kFieldsBefore = 19;  // between the name and the start time, field 22
  // The name, in parentheses, may hold anything; nothing after it holds a parenthesis.
  const size_t name_end = stat.rfind(')');
  if (name_end == stat.npos) return std::nullopt;
  std::string_view rest = stat.substr(name_end + 1);
  for (int i = 0; i <= kFieldsBefore; ++i) {
    const size_t space = rest.find(' ');
    if (space == rest.npos) return std::nullopt;
    rest.remove_prefix(space + 1);
  }
  uint64_t ticks = 0;
  const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), ticks);
  if (parsed.ec != std::errc()) return std::nullopt;
  // It is rounded down to ticks.
  const double seconds = static_cast<double>(ticks + 1) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(seconds));
}

size_t OneTooMany(std::span<const int32_t> pids) {
  std::map<int32_t, size_t> count;
  for (const int32_t pid : pids) ++count[pid];
  const auto of = [&](int32_t pid) { return count.at(pid); };
  return static_cast<size_t>(std::ranges::max_element(pids, {}, of) - pids.begin());
}

}  // namespace larder::transport::uds
