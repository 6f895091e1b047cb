#include "larder/arena/arena.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/units.h"
#include "src/slab.h"

namespace larder::arena {
namespace {

using base::IsOk;
using base::kMiB;
using base::StatusIs;

std::unique_ptr<Arena> MakeArena(uint64_t slabs = 8) {
  auto arena = Arena::Create({.size = slabs * kMiB, .slab_size = kMiB});
  EXPECT_THAT(arena.status(), IsOk());
  return *std::move(arena);
}

void ExpectWhole(const Arena& arena) {
  const Arena::Usage usage = arena.usage();
  EXPECT_EQ(usage.free + usage.live + usage.quarantined, usage.limit);
}

struct Mapping {
  Mapping(const object::SharedMemory& memory, int prot) : size(memory.size()) {
    auto fd = memory.OpenReadOnly();
    EXPECT_THAT(fd.status(), IsOk());
    at = ::mmap(nullptr, size, prot, MAP_SHARED, fd->get(), 0);
  }
  ~Mapping() {
    if (at != MAP_FAILED) ::munmap(at, size);
  }
  uint64_t size;
  void* at;
};

TEST(Arena, SealedMemoryCannotBeWrittenThroughAnythingThatLeavesTheAgent) {
  auto arena = MakeArena();
  auto range = arena->AllocateSealed("a", 1000, 1000);
  ASSERT_THAT(range.status(), IsOk());
  std::memset(range->data(), 'x', 1000);
  auto fd = range->memory()->OpenReadOnly();
  ASSERT_THAT(fd.status(), IsOk());
  const int seals = ::fcntl(fd->get(), F_GET_SEALS);
  EXPECT_EQ(seals, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | 0x10);
  // Root opens it anew for writing: the seals still hold.
  base::UniqueFd writable(::open(fmt::format("/proc/self/fd/{}", fd->get()).c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(writable);
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writable.get(), 0), MAP_FAILED);
  EXPECT_EQ(::pwrite(writable.get(), "y", 1, 0), -1);
  EXPECT_EQ(::ftruncate(writable.get(), 0), -1);
  EXPECT_EQ(::fallocate(writable.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
  Mapping seen(*range->memory(), PROT_READ);
  EXPECT_EQ(static_cast<const char*>(seen.at)[999], 'x');
}

TEST(Arena, MemoryThatSomebodyStillMapsStaysInQuarantine) {
  auto arena = MakeArena();
  ASSERT_TRUE(arena->recycles());
  auto range = arena->AllocateSealed("a", kMiB, kMiB);
  ASSERT_THAT(range.status(), IsOk());
  std::memset(range->data(), 'x', kMiB);
  {
    Mapping seen(*range->memory(), PROT_READ);
    *range = Range();
    arena->Maintain();
    EXPECT_EQ(arena->usage().quarantined, kMiB);
    EXPECT_EQ(static_cast<const char*>(seen.at)[77], 'x');
    ExpectWhole(*arena);
  }
  arena->Maintain();
  EXPECT_EQ(arena->usage().quarantined, 0u);
  EXPECT_EQ(arena->usage().free, arena->usage().limit);
}

TEST(Arena, QuarantineIsTriedAgainBeforeACreateIsRefused) {
  auto arena = MakeArena(4);
  std::vector<Range> ranges;
  for (int i = 0; i < 4; ++i) ranges.push_back(*arena->AllocateSealed("a", kMiB, kMiB));
  {
    Mapping seen(*ranges.front().memory(), PROT_READ);
    ranges.erase(ranges.begin());
    EXPECT_THAT(arena->AllocateSealed("a", kMiB, kMiB).status(),
                StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  }
  EXPECT_THAT(arena->AllocateSealed("a", kMiB, kMiB).status(), IsOk());
}

TEST(Arena, NoSlabServesTwoNamespacesNotEvenOneAfterTheOther) {
  auto arena = MakeArena(4);
  std::vector<uint64_t> of_a;
  {
    std::vector<Range> ranges;
    for (int i = 0; i < 4; ++i) {
      ranges.push_back(*arena->AllocateSealed("a", kMiB, kMiB));
      of_a.push_back(ranges.back().memory()->id());
    }
  }
  arena->Maintain();
  std::vector<Range> ranges;
  for (int i = 0; i < 4; ++i) {
    auto range = arena->AllocateSealed("b", kMiB, kMiB);
    ASSERT_THAT(range.status(), IsOk());
    EXPECT_THAT(of_a, testing::Not(testing::Contains(range->memory()->id())));
    EXPECT_EQ(range->data()[123], std::byte{0});
    ranges.push_back(*std::move(range));
  }
}

TEST(Arena, MemoryUsedAgainByItsNamespaceIsZeroed) {
  auto arena = MakeArena(4);
  uint64_t id = 0;
  const std::byte* at = nullptr;
  {
    auto window = arena->AllocateWindow("a", 1, kMiB);
    ASSERT_THAT(window.status(), IsOk());
    at = window->front().data();
    std::memset(window->front().data(), 'x', kMiB);
    id = window->front().memory()->id();
  }
  arena->Maintain();
  auto window = arena->AllocateWindow("a", 1, 100);
  ASSERT_THAT(window.status(), IsOk());
  EXPECT_EQ(window->front().data(), at);
  EXPECT_NE(window->front().memory()->id(), id) << "no id has two lives";
  for (uint64_t i = 0; i < kMiB; ++i) ASSERT_EQ(window->front().data()[i], std::byte{0});
}

TEST(Arena, SmallObjectsArePackedAndLargeOnesArePageAligned) {
  auto arena = MakeArena();
  Range a = *arena->AllocateSealed("a", 100, 100);
  Range b = *arena->AllocateSealed("a", 100, 100);
  EXPECT_EQ(a.memory()->id(), b.memory()->id());
  EXPECT_EQ(b.offset() - a.offset(), 128u);
  auto arena2 = Arena::Create({.size = 16 * kMiB, .slab_size = 4 * kMiB});
  Range first = *(*arena2)->AllocateSealed("a", 3 * kMiB, 4096);
  Range second = *(*arena2)->AllocateSealed("a", 3 * kMiB, 4096);
  EXPECT_EQ(second.memory()->id(), first.memory()->id());
  EXPECT_EQ(second.offset(), 3 * kMiB);
  EXPECT_EQ(second.size(), kMiB) << "the rest goes to another slab, mapped beside it";
}

TEST(Arena, WindowsNeverTakeMoreThanAThird) {
  auto arena = MakeArena(6);
  auto first = arena->AllocateWindow("a", 1, 2 * kMiB);
  ASSERT_THAT(first.status(), IsOk());
  EXPECT_THAT(arena->AllocateWindow("a", 1, 1).status(), StatusIs(absl::StatusCode::kResourceExhausted, "NO_WINDOW"));
  first->clear();
  EXPECT_THAT(arena->AllocateWindow("a", 1, 1).status(), IsOk());
}

TEST(Arena, NoNamespaceKeepsAllOthersFromWindows) {
  auto arena = MakeArena(24);
  std::vector<std::vector<Range>> greedy;
  while (true) {
    auto window = arena->AllocateWindow("greedy", 1, kMiB);
    if (!window.ok()) break;
    greedy.push_back(*std::move(window));
  }
  EXPECT_GE(greedy.size(), 4u);
  auto other = arena->AllocateWindow("other", 1, kMiB);
  EXPECT_THAT(other.status(), IsOk());
  EXPECT_THAT(arena->AllocateWindow("greedy", 1, kMiB).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, "NO_WINDOW"));
  greedy.clear();
  EXPECT_THAT(arena->AllocateWindow("greedy", 1, kMiB).status(), IsOk());
}

// The kernel's proof does not see an O_PATH descriptor, which opens to write again, nor pages that io_uring has pinned.
TEST(Arena, WhatOneClientCouldWriteIsNeverAnothersWindow) {
  auto arena = MakeArena(12);
  const auto inode_of = [](const Range& range) {
    struct stat st {};
    EXPECT_EQ(::fstat(range.OpenWritable()->get(), &st), 0);
    return st.st_ino;
  };
  auto mine = arena->AllocateWindow("a", 1, kMiB);
  ASSERT_THAT(mine.status(), IsOk());
  const ino_t first = inode_of(mine->front());
  mine->clear();
  auto theirs = arena->AllocateWindow("a", 2, kMiB);
  ASSERT_THAT(theirs.status(), IsOk());
  EXPECT_NE(inode_of(theirs->front()), first);
  arena->Maintain();
  auto again = arena->AllocateWindow("a", 1, kMiB);
  ASSERT_THAT(again.status(), IsOk());
  EXPECT_EQ(inode_of(again->front()), first) << "its own, zeroed, is as good as new";
}

TEST(Arena, AWindowsPagesGoWithItThoughAPathStillLeadsThere) {
  base::UniqueFd path;
  {
    auto arena = MakeArena(4);
    auto window = arena->AllocateWindow("a", 1, kMiB);
    ASSERT_THAT(window.status(), IsOk());
    const base::UniqueFd fd = *window->front().OpenWritable();
    path.Reset(::open(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), O_PATH | O_CLOEXEC));
    ASSERT_TRUE(path);
  }
  struct stat st {};
  ASSERT_EQ(::fstat(path.get(), &st), 0);
  EXPECT_EQ(st.st_blocks, 0);
}

TEST(Arena, WhoKeepsTheWindowsThatHeGaveBackTakesNoMoreThanHisShare) {
  auto arena = MakeArena(24);
  std::vector<base::UniqueFd> kept;
  while (kept.size() < 24) {
    auto window = arena->AllocateWindow("greedy", 1, kMiB);
    if (!window.ok()) break;
    kept.push_back(*window->front().OpenWritable());
  }
  EXPECT_LE(arena->usage().quarantined, 8 * kMiB);
  EXPECT_THAT(arena->AllocateWindow("greedy", 2, kMiB).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, "NO_WINDOW"));
  EXPECT_THAT(arena->AllocateWindow("other", 3, kMiB).status(), IsOk());
  kept.clear();
  EXPECT_THAT(arena->AllocateWindow("greedy", 1, kMiB).status(), IsOk()) << "at once, before any maintenance";
  arena->Maintain();
  EXPECT_EQ(arena->usage().quarantined, 0u);
}

// data-plane.md, rule 15: what is promised is there already, so that no fault and no memory limit comes in between.
TEST(Arena, Lease15_EveryPageIsTouchedBeforeItIsPromised) {
  const auto resident = [](const Range& range) {
    std::vector<unsigned char> pages((range.size() + 4095) / 4096);
    std::byte* begin = range.data() - reinterpret_cast<uintptr_t>(range.data()) % 4096;
    EXPECT_EQ(::mincore(begin, pages.size() * 4096, pages.data()), 0);
    return std::ranges::all_of(pages, [](unsigned char page) { return (page & 1) != 0; });
  };
  auto arena = MakeArena(4);
  std::vector<Range> ranges;
  for (int i = 0; i < 4; ++i) {
    ranges.push_back(*arena->AllocateSealed("a", kMiB, kMiB));
    EXPECT_TRUE(resident(ranges.back()));
  }
  ranges.clear();
  arena->Maintain();
  // Made anew for another namespace, and after private memory took its place.
  { auto charge = *arena->ChargePrivate(3 * kMiB); }
  for (int i = 0; i < 4; ++i) {
    ranges.push_back(*arena->AllocateSealed("b", kMiB, kMiB));
    EXPECT_TRUE(resident(ranges.back()));
  }
}

TEST(Arena, QuarantineIsOnTheAccountOfItsNamespace) {
  auto arena = MakeArena(8);
  auto a = arena->AllocateSealed("a", kMiB, kMiB);
  auto b = arena->AllocateSealed("b", kMiB, kMiB);
  auto window = arena->AllocateWindow("a", 1, kMiB);
  const uint64_t id = a->memory()->id();
  base::UniqueFd of_a = *a->memory()->OpenReadOnly();
  base::UniqueFd of_b = *b->memory()->OpenReadOnly();
  base::UniqueFd of_window = *window->front().OpenWritable();
  *a = Range();
  *b = Range();
  window->clear();
  EXPECT_EQ(arena->HeldBeside("a"), 2 * kMiB);
  EXPECT_EQ(arena->HeldBeside("b"), kMiB);
  EXPECT_EQ(arena->HeldBeside("c"), 0u);
  EXPECT_EQ(arena->usage().quarantined, 3 * kMiB);
  EXPECT_EQ(arena->Quarantined().size(), 3u);
  EXPECT_THAT(arena->Quarantined(), testing::Contains(id));
  of_a.Reset();
  arena->Maintain();
  EXPECT_EQ(arena->HeldBeside("a"), kMiB);
  of_b.Reset();
  of_window.Reset();
  arena->Maintain();
  EXPECT_EQ(arena->HeldBeside("a") + arena->HeldBeside("b"), 0u);
  EXPECT_THAT(arena->Quarantined(), testing::IsEmpty());
}

base::UniqueFd OpenPath(const object::SharedMemory& memory) {
  const base::UniqueFd fd = *memory.OpenReadOnly();
  base::UniqueFd path(::open(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), O_PATH | O_CLOEXEC));
  EXPECT_TRUE(path);
  return path;
}

// F_SETLEASE does not see an O_PATH descriptor, which keeps a file's memory as any other does.
TEST(Arena, ADroppedSlabIsInQuarantineUntilNobodyHasItsMemory) {
  auto arena = MakeArena(4);
  std::vector<base::UniqueFd> paths;
  {
    std::vector<Range> ranges;
    for (int i = 0; i < 4; ++i) ranges.push_back(*arena->AllocateSealed("a", kMiB, kMiB));
    for (const Range& range : ranges) paths.push_back(OpenPath(*range.memory()));
  }
  arena->Maintain();
  EXPECT_EQ(arena->usage().free, 4 * kMiB) << "for its own namespace it serves again";
  EXPECT_THAT(arena->AllocateSealed("b", kMiB, kMiB).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  EXPECT_EQ(arena->HeldBeside("a"), 4 * kMiB);
  EXPECT_EQ(arena->usage().quarantined, 4 * kMiB);
  ExpectWhole(*arena);
  paths.pop_back();
  EXPECT_THAT(arena->AllocateSealed("b", kMiB, kMiB).status(), IsOk()) << "at once, before any maintenance";
  paths.clear();
  arena->Maintain();
  EXPECT_EQ(arena->HeldBeside("a"), 0u);
  EXPECT_EQ(arena->usage().quarantined, 0u);
}

// Takes this thread's rights over files that others own, which the agent may not have.
class WithoutRights {
 public:
  WithoutRights() { Set(false); }
  ~WithoutRights() { Set(true); }

 private:
  static void Set(bool on) {
    __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct data[2] = {};
    ASSERT_EQ(::syscall(SYS_capget, &header, data), 0);
    const uint32_t rights = 1u << CAP_LEASE | 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
    data[0].effective = on ? data[0].effective | rights : data[0].effective & ~rights;
    ASSERT_EQ(::syscall(SYS_capset, &header, data), 0);
  }
};

TEST(Arena, AFileThatIsGivenAwayIsNoLossOfMemory) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const WithoutRights without;
  auto arena = MakeArena(4);
  std::vector<base::UniqueFd> kept;
  for (const bool while_in_use : {true, false}) {
    auto range = arena->AllocateSealed("a", kMiB, kMiB);
    auto window = arena->AllocateWindow("a", 1, kMiB);
    ASSERT_THAT(range.status(), IsOk());
    ASSERT_THAT(window.status(), IsOk());
    kept.push_back(*range->memory()->OpenReadOnly());
    kept.push_back(*window->front().OpenWritable());
    const auto give_away = [&] {
      for (const base::UniqueFd& fd : kept) {
        ASSERT_EQ(::fchmod(fd.get(), 0), 0);
        ASSERT_EQ(::fchown(fd.get(), 1000, 1000), 0);
      }
    };
    if (while_in_use) give_away();
    *range = Range();
    window->clear();
    if (!while_in_use) give_away();
    arena->Maintain();
    EXPECT_EQ(arena->usage().quarantined, kMiB) << "the window's pages go with it";
    kept.clear();
    arena->Maintain();
    EXPECT_EQ(arena->usage().free, arena->usage().limit);
  }
}

TEST(Arena, WhatLittleHoldsUpMuchCountsAgainstItsNamespace) {
  auto arena = MakeArena(32);
  std::vector<Range> ranges;
  for (int i = 0; i < 160; ++i) ranges.push_back(*arena->AllocateSealed("a", 100 * 1024, 100 * 1024));
  EXPECT_EQ(arena->HeldBeside("a"), 0u);
  EXPECT_EQ(arena->usage().scattered, 0u);
  // Of each slab of ten, one is left.
  std::vector<Range> left;
  for (size_t i = 0; i < ranges.size(); i += 10) left.push_back(std::move(ranges[i]));
  ranges.clear();
  EXPECT_GT(arena->HeldBeside("a"), 12 * kMiB);
  EXPECT_EQ(arena->usage().scattered, arena->HeldBeside("a"));
  EXPECT_EQ(arena->HeldBeside("b"), 0u);
  left.clear();
  EXPECT_EQ(arena->HeldBeside("a"), 0u);
}

TEST(Arena, AFullArenaHasRoomLeftToMoveThings) {
  auto arena = MakeArena(16);
  std::vector<Range> ranges;
  while (true) {
    auto range = arena->AllocateSealed("a", 100 * 1024, 100 * 1024);
    if (!range.ok()) break;
    ranges.push_back(*std::move(range));
  }
  EXPECT_THAT(arena->AllocateWindow("a", 1, kMiB).status(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(arena->ChargePrivate(1).status(), StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  const Arena::Usage usage = arena->usage();
  EXPECT_EQ(usage.free, usage.reserved);
  EXPECT_EQ(usage.reserved, kMiB);
  EXPECT_THAT(arena->AllocateSealed("a", 100 * 1024, 100 * 1024, Purpose::kMove).status(), IsOk());
}

TEST(Arena, KnowsWhatItWastesAndWhere) {
  auto arena = MakeArena(16);
  std::vector<Range> ranges;
  for (int i = 0; i < 40; ++i) ranges.push_back(*arena->AllocateSealed("a", 100 * 1024, 100 * 1024));
  EXPECT_LE(arena->usage().wasted, 4 * 24 * 1024u) << "the ends of full slabs";
  EXPECT_TRUE(std::ranges::none_of(ranges, &Range::Sparse));
  // Of each slab of ten, one is left.
  std::vector<Range> left;
  for (size_t i = 0; i < ranges.size(); i += 10) left.push_back(std::move(ranges[i]));
  ranges.clear();
  EXPECT_GT(arena->usage().wasted, 3 * kMiB);
  EXPECT_TRUE(std::ranges::all_of(left, &Range::Sparse));
  // What comes next goes elsewhere.
  const Range next = *arena->AllocateSealed("a", 100 * 1024, 100 * 1024);
  EXPECT_TRUE(std::ranges::none_of(left, [&](const Range& one) { return one.memory() == next.memory(); }));
  EXPECT_FALSE(next.Sparse());
}

TEST(Arena, ASpareSlabIsMadeReadyInTheBackground) {
  auto arena = MakeArena(4);
  { auto charge = *arena->ChargePrivate(4 * kMiB); }
  EXPECT_EQ(arena->usage().free, 4 * kMiB);
  arena->Maintain();
  const uint64_t made = 6;  // after the four of the start, and the one that the proof was tried on
  EXPECT_EQ(arena->AllocateSealed("a", kMiB, kMiB)->memory()->id(), made) << "made before it was asked for";
}

TEST(Arena, WindowsAreNoMoreThanTheirNamespaceMayHave) {
  auto arena = MakeArena(24);
  auto first = arena->AllocateWindow("a", 1, 2 * kMiB, 3 * kMiB);
  ASSERT_THAT(first.status(), IsOk());
  EXPECT_THAT(arena->AllocateWindow("a", 1, 2 * kMiB, 3 * kMiB).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, "NO_WINDOW"));
  EXPECT_THAT(arena->AllocateWindow("a", 1, kMiB, 3 * kMiB).status(), IsOk());
  EXPECT_THAT(arena->AllocateWindow("b", 2, kMiB, kMiB / 2).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, "NO_WINDOW"))
      << "also the first";
}

TEST(Arena, WhatIsWithheldIsOnItsNamespacesAccountAndHalfAtMost) {
  auto arena = MakeArena(24);
  auto first = arena->Withhold("a", 6 * kMiB);
  ASSERT_THAT(first.status(), IsOk());
  EXPECT_EQ(arena->HeldBeside("a"), 6 * kMiB);
  EXPECT_THAT(arena->Withhold("b", 7 * kMiB).status(), StatusIs(absl::StatusCode::kResourceExhausted, "NOT_WITHHELD"));
  EXPECT_THAT(arena->Withhold("a", 3 * kMiB).status(), StatusIs(absl::StatusCode::kResourceExhausted, "NOT_WITHHELD"))
      << "it would leave too little to others";
  EXPECT_THAT(arena->Withhold("b", 6 * kMiB).status(), IsOk());
  *first = PrivateCharge();
  EXPECT_EQ(arena->HeldBeside("a"), 0u);
  EXPECT_EQ(arena->usage().free, arena->usage().limit);
}

TEST(SlabIds, GoRoundButNoTwoLivesHaveTheSameAtOneTime) {
  SlabIds ids(3);
  EXPECT_EQ(ids.Take(), 1u);
  EXPECT_EQ(ids.Take(), 2u);
  EXPECT_EQ(ids.Take(), 3u);
  ids.GiveBack(2);
  EXPECT_EQ(ids.Take(), 2u);
}

TEST(Arena, PrivateMemoryComesOutOfTheSameBudget) {
  auto arena = MakeArena(4);
  auto charge = arena->ChargePrivate(4 * kMiB);
  ASSERT_THAT(charge.status(), IsOk());
  EXPECT_THAT(arena->AllocateSealed("a", 1, 1).status(), StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  *charge = PrivateCharge();
  EXPECT_THAT(arena->AllocateSealed("a", 1, 1).status(), IsOk());
  ExpectWhole(*arena);
}

TEST(Arena, SurvivesSomebodyWhoOpensItsMemoryDuringTheProof) {
  auto arena = MakeArena(4);
  std::atomic<bool> done{false};
  // Root, in the agent's own pid namespace, opens whatever it finds.
  std::thread opener([&] {
    while (!done) {
      for (int fd = 3; fd < 32; ++fd) {
        base::UniqueFd opened(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
      }
    }
  });
  for (int i = 0; i < 3000; ++i) {
    auto range = arena->AllocateSealed("a", kMiB, kMiB);
    range = absl::UnknownError("freed");
    arena->Maintain();
  }
  done = true;
  opener.join();
  arena->Maintain();
  EXPECT_EQ(arena->usage().free, arena->usage().limit);
}

TEST(Arena, RangesOutliveTheArena) {
  auto arena = MakeArena();
  Range range = *arena->AllocateSealed("a", 100, 100);
  arena.reset();
  range.data()[0] = std::byte{1};
}

TEST(Arena, RefusesSizesThatCannotWork) {
  EXPECT_THAT(Arena::Create({.size = kMiB}).status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_ARENA"));
  EXPECT_THAT(Arena::Create({.size = 64 * kMiB, .slab_size = 3 * kMiB}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "BAD_ARENA"));
}

TEST(Arena, AddsUpAfterAnySequenceOfCalls) {
  auto arena = MakeArena(16);
  std::mt19937_64 random(7);
  std::vector<Range> ranges;
  std::vector<PrivateCharge> charges;
  for (int step = 0; step < 4000; ++step) {
    const std::string ns = random() % 2 ? "a" : "b";
    switch (random() % 6) {
      case 0:
      case 1:
        if (auto r = arena->AllocateSealed(ns, 1 + random() % (2 * kMiB), 1); r.ok()) ranges.push_back(*std::move(r));
        break;
      case 2:
        if (auto w = arena->AllocateWindow(ns, 1, 1 + random() % (3 * kMiB)); w.ok()) {
          for (Range& range : *w) ranges.push_back(std::move(range));
        }
        break;
      case 3:
        if (auto c = arena->ChargePrivate(random() % 70000); c.ok()) charges.push_back(*std::move(c));
        break;
      case 4:
        for (int k = 0; k < 3 && !ranges.empty(); ++k) {
          std::swap(ranges[random() % ranges.size()], ranges.back());
          ranges.pop_back();
        }
        if (!charges.empty()) charges.pop_back();
        break;
      default:
        arena->Maintain();
    }
    const Arena::Usage usage = arena->usage();
    ASSERT_EQ(usage.free + usage.live + usage.quarantined, usage.limit);
    ASSERT_LE(usage.live, usage.limit);
    ASSERT_LE(usage.allocated, usage.live);
    ASSERT_LE(usage.windows, usage.limit / 3 + kMiB);
  }
  ranges.clear();
  charges.clear();
  arena->Maintain();
  EXPECT_EQ(arena->usage().free, arena->usage().limit);
}

}  // namespace
}  // namespace larder::arena
