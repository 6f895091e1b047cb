#include "tests/cgroup_tree.h"

#include <fmt/format.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "larder/base/file.h"
#include "larder/base/status.h"

namespace larder::cache_agent {
namespace {

absl::Status Impossible(std::string_view what) {
  return base::Error(absl::StatusCode::kFailedPrecondition, "NO_CGROUPS", "{}: {}", what, std::strerror(errno));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CgroupTree>> CgroupTree::Make(CgroupVersion version) {
  LARDER_ASSIGN_OR_RETURN(const std::string own, base::ReadFile("/proc/self/cgroup"));
  if (version == CgroupVersion::kOne && own.find(":name=systemd:") == own.npos) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "NO_CGROUPS", "this machine has version 2 only");
  }
  if (own.find("kubepods") != own.npos) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "NO_CGROUPS",
                       "this test is in a pod, and so is all that it starts");
  }
  if (::unshare(CLONE_NEWNS) != 0) return Impossible("a mount namespace");
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Impossible("private mounts");
  std::string at = (std::filesystem::temp_directory_path() / "larder-cgroups-XXXXXX").string();
  if (::mkdtemp(at.data()) == nullptr) return Impossible("make a directory");
  std::unique_ptr<CgroupTree> tree(new CgroupTree());
  tree->mount_ = at;
  const bool two = version == CgroupVersion::kTwo;
  if (::mount("none", at.c_str(), two ? "cgroup2" : "cgroup", 0, two ? nullptr : "none,name=systemd") != 0) {
    return Impossible("mount cgroups");
  }
  // At the top: where the test was started may be a user's, whose cgroups are no pods'.
  tree->top_ = std::filesystem::path(at) / fmt::format("larder-test-{}", ::getpid());
  if (::mkdir(tree->top_.c_str(), 0755) != 0) return Impossible("make a cgroup");
  tree->made_.push_back(tree->top_);
  return tree;
}

CgroupTree::~CgroupTree() {
  std::ranges::reverse(made_);
  for (const std::filesystem::path& cgroup : made_) ::rmdir(cgroup.c_str());
  ::umount2(mount_.c_str(), MNT_DETACH);
  ::rmdir(mount_.c_str());
}

std::string CgroupTree::Add(const std::string& name) {
  std::filesystem::path at = top_;
  for (const std::filesystem::path& part : std::filesystem::path(name)) {
    at /= part;
    if (::mkdir(at.c_str(), 0755) == 0) {
      made_.push_back(at);
    } else if (errno != EEXIST) {
      throw std::system_error(errno, std::generic_category(), at.native());
    }
  }
  return at;
}

}  // namespace larder::cache_agent
