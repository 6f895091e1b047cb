#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "larder/object/caller.h"

namespace larder::cache_agent {

// A process's cgroups, in the kernel's words.
struct CallerCgroups {
  int32_t pid = 0;   // in the pid namespace of `proc`
  std::string text;  // of /proc/PID/cgroup
};

// What the kernel says of a caller's cgroups now. Reads files of the kernel only. The pid is that of the caller's
// pidfd, and the process still lived after its cgroups were read, so they are no other's. Errors:
//   UNAVAILABLE (CALLER_UNSURE)        there is no pidfd, as the kernel knew the process no longer for sure
//   PERMISSION_DENIED (CALLER_ENDED)   it has exited
//   PERMISSION_DENIED (CALLER_UNSEEN)  it is not in our pid namespace, or hidden from us
// and those of base::ReadFile.
absl::StatusOr<CallerCgroups> CgroupsOf(const object::CallerProcess& caller,
                                        const std::filesystem::path& proc = "/proc");

// The pid in a pidfd's /proc/PID/fdinfo/FD: 0 if it is not in the pid namespace, -1 if the process has exited; empty if
// this is not of a pidfd. Pure.
std::optional<int32_t> PidOfFdinfo(std::string_view fdinfo);

}  // namespace larder::cache_agent
