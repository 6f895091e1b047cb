#pragma once
#include <absl/status/statusor.h>

#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace larder::cache_agent {

enum class CgroupVersion { kOne, kTwo };
inline void PrintTo(CgroupVersion version, std::ostream* out) { *out << (version == CgroupVersion::kOne ? "1" : "2"); }

// Cgroups of the test's own, in a hierarchy that the machine has, mounted where only this process and its children see
// it. Removed at the end of its life, by when no process may be left in them.
class CgroupTree {
 public:
  // FAILED_PRECONDITION, saying why, where the machine lets nobody make cgroups of this version. Puts the calling
  // thread into a mount namespace of its own.
  static absl::StatusOr<std::unique_ptr<CgroupTree>> Make(CgroupVersion version);
  ~CgroupTree();
  // Makes "kubepods/pod…/…" with all that is above it; the directory, to join it by.
  std::string Add(const std::string& name);
  // The directory of a cgroup that is not of the test's.
  std::string outside() const { return mount_; }

 private:
  CgroupTree() = default;
  std::string mount_;
  std::filesystem::path top_;
  std::vector<std::filesystem::path> made_;  // those above first
};

}  // namespace larder::cache_agent
