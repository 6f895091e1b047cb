#include "core/machine.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <climits>
#include <iterator>
#include <string_view>
#include <system_error>

#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;

// Besides the arena: code, threads' stacks, tables of objects and clients.
constexpr uint64_t kHeadroom = 64 * base::kMiB;

// The number in a cgroup's file; empty for "max", and for a file that is not there.
std::optional<uint64_t> ReadNumber(const fs::path& path) {
  const absl::StatusOr<std::string> text = base::ReadFile(path, 4096);
  if (!text.ok()) return std::nullopt;
  uint64_t number = 0;
  if (std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc()) return std::nullopt;
  return number;
}

void Lower(std::optional<MemoryBound>& lowest, uint64_t bytes, std::string source) {
  if (!lowest || bytes < lowest->bytes) lowest = MemoryBound{bytes, std::move(source)};
}

// `group` is the process's place below `mount`; limits of all groups above it hold too. In a container the place may be
// one of the host's, of which only the mount itself is visible.
void LowerByGroups(std::optional<MemoryBound>& lowest, const fs::path& mount, fs::path group, std::string_view file) {
  while (true) {
    const fs::path limit = mount / group.relative_path() / file;
    if (const auto bytes = ReadNumber(limit)) Lower(lowest, *bytes, "the cgroup's " + std::string(file));
    if (group.relative_path().empty()) return;
    group = group.parent_path();
  }
}

}  // namespace

std::optional<MemoryBound> CgroupMemoryBound(const fs::path& root) {
  std::optional<MemoryBound> lowest;
  const absl::StatusOr<std::string> groups = base::ReadFile(root / "proc/self/cgroup", base::kMiB);
  if (!groups.ok()) return lowest;
  const fs::path mount = root / "sys/fs/cgroup";
  // Lines of ID:CONTROLLERS:PATH; version 2 has one, "0::PATH".
  for (std::string_view rest = *groups; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (controllers.empty()) LowerByGroups(lowest, mount, group, "memory.max");
    if (controllers == "memory") LowerByGroups(lowest, mount / "memory", group, "memory.limit_in_bytes");
  }
  return lowest;
}

MemoryBound LowestMemoryBound() {
  std::optional<MemoryBound> lowest = CgroupMemoryBound("/");
  struct sysinfo machine = {};
  if (::sysinfo(&machine) == 0) Lower(lowest, uint64_t{machine.totalram} * machine.mem_unit, "the machine's memory");
  rlimit limit = {};
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    Lower(lowest, limit.rlim_cur, "RLIMIT_AS");
  return lowest.value_or(MemoryBound{UINT64_MAX, "none"});
}

absl::Status CheckArenaFits(uint64_t arena_bytes, const MemoryBound& bound) {
  if (arena_bytes <= bound.bytes && bound.bytes - arena_bytes >= kHeadroom) return absl::OkStatus();
  return base::Error(absl::StatusCode::kResourceExhausted, "ARENA_OVER_LIMIT",
                     "an arena of {} and {} for the rest do not fit: {} is {} (lower 'arena', or raise the limit)",
                     base::FormatBytes(arena_bytes), base::FormatBytes(kHeadroom), bound.source,
                     base::FormatBytes(bound.bytes));
}

absl::StatusOr<uint64_t> RaiseOpenFiles() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return base::ErrnoError(errno, "read the limit of open files");
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return base::ErrnoError(errno, "raise the limit of open files");
  }
  return limit.rlim_cur;
}

void ForbidInspection() { ::prctl(PR_SET_DUMPABLE, 0); }

OpenFiles ReadOpenFiles() {
  OpenFiles files;
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) files.limit = limit.rlim_cur;
  std::error_code unknown;
  const fs::directory_iterator all("/proc/self/fd", unknown);
  const auto open = std::distance(fs::begin(all), fs::end(all));
  if (!unknown && open > 0) files.used = static_cast<uint64_t>(open) - 1;  // one is that of looking
  return files;
}

absl::StatusOr<DiskSpace> ReadDiskSpace(const fs::path& path) {
  struct statvfs found = {};
  if (::statvfs(path.c_str(), &found) != 0) return base::ErrnoError(errno, "look at the disk of " + path.native());
  const uint64_t free = ::geteuid() == 0 ? found.f_bfree : found.f_bavail;
  return DiskSpace{.total = found.f_blocks * found.f_frsize, .free = free * found.f_frsize};
}

absl::StatusOr<std::string> HostName() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size()) != 0) return base::ErrnoError(errno, "read the host's name");
  return std::string(name.data());
}

}  // namespace larder::cache_agent
