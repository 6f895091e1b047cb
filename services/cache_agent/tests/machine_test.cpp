#include "core/machine.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <fstream>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::kGiB;
using base::kMiB;
using base::StatusIs;

class Cgroups : public testing::Test {
 protected:
  void Put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  uint64_t Bound() {
    const auto bound = CgroupMemoryBound(root_.path());
    return bound ? bound->bytes : 0;
  }
  base::TempDir root_;
};

TEST_F(Cgroups, TheLowestLimitOnTheWayUpCounts) {
  Put("proc/self/cgroup", "0::/pods/agent\n");
  Put("sys/fs/cgroup/memory.max", "max\n");
  Put("sys/fs/cgroup/pods/memory.max", "1000000\n");
  Put("sys/fs/cgroup/pods/agent/memory.max", "2000000\n");
  EXPECT_EQ(Bound(), 1000000u);
}

TEST_F(Cgroups, AContainerSeesOnlyTheMount) {
  Put("proc/self/cgroup", "0::/kubepods.slice/pod1/c1\n");
  Put("sys/fs/cgroup/memory.max", "3000000");
  EXPECT_EQ(Bound(), 3000000u);
}

TEST_F(Cgroups, VersionOneHasAHierarchyForMemory) {
  Put("proc/self/cgroup", "9:name=systemd:/x\n4:memory:/x/agent\n0::/\n");
  Put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Put("sys/fs/cgroup/memory/x/agent/memory.limit_in_bytes", "4000000\n");
  EXPECT_EQ(Bound(), 4000000u);
}

TEST_F(Cgroups, WithoutLimitsOrCgroupsThereIsNoBound) {
  EXPECT_FALSE(CgroupMemoryBound(root_.path()));
  Put("proc/self/cgroup", "0::/\nno colons\n:\n");
  Put("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_FALSE(CgroupMemoryBound(root_.path()));
}

TEST(Machine, AnArenaNeedsRoomForTheRest) {
  EXPECT_THAT(CheckArenaFits(kGiB, {.bytes = kGiB + 64 * kMiB, .source = "it"}), IsOk());
  EXPECT_THAT(CheckArenaFits(kGiB, {.bytes = kGiB + 63 * kMiB, .source = "it"}),
              StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_OVER_LIMIT"));
  EXPECT_THAT(CheckArenaFits(2 * kGiB, {.bytes = kGiB, .source = "it"}),
              StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_OVER_LIMIT"));
}

TEST(Machine, OpenFilesAreRaisedToTheHardLimit) {
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit lowered = before;
  lowered.rlim_cur = before.rlim_max / 2;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &lowered), 0);
  LARDER_ASSERT_OK_AND_ASSIGN(const uint64_t now, RaiseOpenFiles());
  EXPECT_EQ(now, before.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST(Machine, OpenFilesAreCounted) {
  const OpenFiles before = ReadOpenFiles();
  LARDER_ASSERT_OK_AND_ASSIGN(const base::UniqueFd one, base::OpenFile("/dev/null", O_RDONLY));
  EXPECT_EQ(ReadOpenFiles().used, before.used + 1);
  rlimit limit = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(before.limit, limit.rlim_cur);
}

TEST(Machine, ADiskHasFreeAndTotalBytes) {
  const base::TempDir dir;
  LARDER_ASSERT_OK_AND_ASSIGN(const DiskSpace space, ReadDiskSpace(dir.path()));
  EXPECT_GT(space.total, 0u);
  EXPECT_LE(space.free, space.total);
  EXPECT_THAT(ReadDiskSpace(dir / "none"), StatusIs(absl::StatusCode::kNotFound, "ENOENT"));
}

}  // namespace
}  // namespace larder::cache_agent
