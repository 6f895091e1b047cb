#include "core/caller_cgroups.h"

#include <poll.h>

#include <algorithm>
#include <charconv>

#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::cache_agent {
namespace {

constexpr uint64_t kMaxFdinfo = 4 * base::kKiB;
constexpr uint64_t kMaxCgroups = 256 * base::kKiB;  // a path has at most 4 KiB, and hierarchies are a dozen

absl::Status Ended() {
  return base::Error(absl::StatusCode::kPermissionDenied, "CALLER_ENDED",
                     "the process that connected has exited: connect from the one that goes on");
}
absl::Status Unseen() {
  return base::Error(absl::StatusCode::kPermissionDenied, "CALLER_UNSEEN",
                     "the agent does not see the caller's process: with identity 'cgroup' it needs the node's pid "
                     "namespace (hostPID), and a /proc that hides nobody");
}
absl::Status Unsure() {
  return base::Error(absl::StatusCode::kUnavailable, "CALLER_UNSURE",
                     "the kernel no longer knows for sure which process connected: connect again");
}

// What is not there, or not for us, is kept from us.
absl::StatusOr<std::string> ReadProc(const std::filesystem::path& path, uint64_t limit) {
  absl::StatusOr<std::string> text = base::ReadFile(path, limit);
  if (absl::IsNotFound(text.status()) || absl::IsPermissionDenied(text.status())) return Unseen();
  return text;
}

bool HasExited(int pidfd) {
  pollfd exit{.fd = pidfd, .events = POLLIN};
  return ::poll(&exit, 1, 0) != 0;
}

}  // namespace

absl::StatusOr<CallerCgroups> CgroupsOf(const object::CallerProcess& caller, const std::filesystem::path& proc) {
  if (caller.pidfd < 0) return caller.pid == 0 ? Unseen() : Unsure();
  LARDER_ASSIGN_OR_RETURN(const std::string fdinfo,
                          ReadProc(proc / "self/fdinfo" / std::to_string(caller.pidfd), kMaxFdinfo));
  const std::optional<int32_t> pid = PidOfFdinfo(fdinfo);
  if (!pid || *pid < 0) return Ended();
  if (*pid == 0) return Unseen();
  absl::StatusOr<std::string> cgroups = ReadProc(proc / std::to_string(*pid) / "cgroup", kMaxCgroups);
  if (HasExited(caller.pidfd)) return Ended();
  if (!cgroups.ok()) return cgroups.status();
  return CallerCgroups{.pid = *pid, .text = *std::move(cgroups)};
}

std::optional<int32_t> PidOfFdinfo(std::string_view fdinfo) {
  constexpr std::string_view kField = "Pid:\t";
  while (!fdinfo.empty()) {
    std::string_view line = fdinfo.substr(0, fdinfo.find('\n'));
    fdinfo.remove_prefix(std::min(fdinfo.size(), line.size() + 1));
    if (!line.starts_with(kField)) continue;
    line.remove_prefix(kField.size());
    int32_t pid = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), pid);
    if (error == std::errc() && end == line.data() + line.size()) return pid;
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace larder::cache_agent
