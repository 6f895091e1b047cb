#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

// What the machine lets an agent have. All blocks on files of the kernel only.
namespace larder::cache_agent {

// A bound of this process's memory and where it comes from.
struct MemoryBound {
  uint64_t bytes = 0;
  std::string source;  // "the cgroup's memory.max"
};

// The lowest of the cgroups' limits above this process, of either version of cgroups, as told by proc/self/cgroup and
// sys/fs/cgroup below `root`. Empty if none is set or known.
std::optional<MemoryBound> CgroupMemoryBound(const std::filesystem::path& root);
// The same with the machine's memory and this process's RLIMIT_AS.
MemoryBound LowestMemoryBound();

// RESOURCE_EXHAUSTED (ARENA_OVER_LIMIT) if an arena of that size, with what the agent needs besides, is above the
// bound: the kernel would kill it half-way, or later.
absl::Status CheckArenaFits(uint64_t arena_bytes, const MemoryBound& bound);

// Raises this process's limit of open files as far as it may; returns what it is then.
absl::StatusOr<uint64_t> RaiseOpenFiles();

// No process with the same rights can take this one's descriptors or read its memory from now on; nor does it leave a
// core. Who listens is named by a pidfd to whoever connects (SO_PEERPIDFD), so that pid namespaces keep nobody out.
void ForbidInspection();

// This process's open files.
struct OpenFiles {
  uint64_t limit = 0;  // RLIMIT_NOFILE; UINT64_MAX: none
  uint64_t used = 0;
};
// What the kernel does not tell is 0.
OpenFiles ReadOpenFiles();

// The file system that `path` lies on, in bytes. Errors as of base::ErrnoError.
struct DiskSpace {
  uint64_t total = 0;
  uint64_t free = 0;  // for this process: without what is kept for root, unless it is root
};
absl::StatusOr<DiskSpace> ReadDiskSpace(const std::filesystem::path& path);

// The host's name. INTERNAL if the kernel does not say.
absl::StatusOr<std::string> HostName();

}  // namespace larder::cache_agent
