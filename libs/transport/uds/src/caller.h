#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "larder/base/clock.h"
#include "larder/base/unique_fd.h"

// Who is at the other end of a socket. Times are since the machine's start, as the kernel counts them for processes.
namespace larder::transport::uds {

// The process that connected, and a descriptor that becomes readable when it exits. The descriptor is invalid when the
// process had exited before, is not in our pid namespace (before Linux 6.5), or cannot be told from one that got its
// pid.
struct Caller {
  int32_t pid = 0;
  base::UniqueFd pidfd;
};

// When a connection was made: after the queue of its socket was seen empty, before it was accepted.
struct Queued {
  base::Duration since{};
  base::Duration until{};
};

// Whether the kernel keeps hold of who connected (Linux 6.5): nobody's Queued is looked at then.
bool KernelKeepsCallers();

base::Duration BootNow();
// Whether a listening socket has nobody in its queue.
bool QueueIsEmpty(int listening);

absl::StatusOr<Caller> CallerOf(int fd, const Queued& queued);

// Linux 6.5 keeps hold of who connected. Before, there is the pid alone, which may be another's by now; so `pid` as it
// is now, unless CouldBeAnother.
base::UniqueFd OpenPidfd(int32_t pid, const Queued& queued);
// Whether a process that began at `started` may have taken the pid of the one that connected. Not if it began before
// the connection; and in so short a time nobody gets a pid back, which takes the kernel through all others. Pure.
bool CouldBeAnother(base::Duration started, const Queued& queued);
// The latest moment at which the process of a /proc/PID/stat can have begun. Pure.
std::optional<base::Duration> StartOf(std::string_view stat);

// The connection to give up for the next one, where there are too many that have said nothing yet: the oldest of the
// process that has most of them. `pids` are their processes, the oldest connection first, and not empty. Pure.
size_t OneTooMany(std::span<const int32_t> pids);

}  // namespace larder::transport::uds
