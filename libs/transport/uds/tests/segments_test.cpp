#include "src/segments.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "larder/arena/arena.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/units.h"

namespace larder::transport::uds {
namespace {

using base::IsOk;
using base::kMiB;
using base::StatusIs;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class SegmentsTest : public testing::Test {
 protected:
  // A slab of the arena, known to `segments_` by `id`.
  arena::Range Add(uint32_t id) {
    arena::Range range = *arena_->AllocateSealed("a", kMiB, kMiB);
    std::memset(range.data(), static_cast<int>('a' + id), kMiB);
    segments_.Add(id, Mapping::OfSegment(*range.memory()->OpenReadOnly(), range.memory()->size()));
    return range;
  }
  absl::StatusOr<Mapped> Map(std::vector<WireExtent> extents) { return segments_.Map(extents); }
  // No memory that was let go is still mapped.
  bool NothingQuarantined() {
    arena_->Maintain();
    return arena_->usage().quarantined == 0;
  }

  std::unique_ptr<arena::Arena> arena_ = *arena::Arena::Create({.size = 16 * kMiB, .slab_size = kMiB});
  Segments segments_;
};

TEST_F(SegmentsTest, ExtentsAreLaidSideBySide) {
  arena::Range first = Add(1), second = Add(2);
  auto mapped = Map({{.segment = 1, .offset = 4096, .length = 8192}, {.segment = 2, .offset = 0, .length = 5000}});
  ASSERT_THAT(mapped.status(), IsOk());
  ASSERT_EQ(mapped->bytes.size(), 13192u);
  EXPECT_EQ(mapped->bytes[8191], std::byte{'b'});
  EXPECT_EQ(mapped->bytes[8192], std::byte{'c'});
  EXPECT_EQ(mapped->bytes[13191], std::byte{'c'});
}

TEST_F(SegmentsTest, AnExtentOutsideItsSegmentIsRefused) {
  arena::Range range = Add(1);
  for (const auto& [offset, length] :
       {std::pair<uint64_t, uint64_t>{kMiB, 1}, {0, kMiB + 1}, {UINT64_MAX, 2}, {0, 0}}) {
    EXPECT_THAT(Map({{.segment = 1, .offset = offset, .length = length}}).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, "BAD_RECORD"));
  }
  EXPECT_THAT(Map({{.segment = 1, .offset = 5, .length = 4096}, {.segment = 1, .offset = 0, .length = 1}}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "BAD_RECORD"));
  EXPECT_THAT(Map({{.segment = 9, .offset = 0, .length = 1}}).status(),
              StatusIs(absl::StatusCode::kNotFound, "NO_SEGMENT"));
}

TEST_F(SegmentsTest, MemoryThatIsNotSealedIsNeverMapped) {
  const base::UniqueFd pretender(::memfd_create("pretender", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(pretender.get(), kMiB), 0);
  EXPECT_EQ(Mapping::OfSegment(pretender, kMiB), nullptr);
  arena::Range range = *arena_->AllocateSealed("a", kMiB, kMiB);
  EXPECT_EQ(Mapping::OfSegment(*range.memory()->OpenReadOnly(), range.memory()->size() + 4096), nullptr);
}

TEST_F(SegmentsTest, WhatNobodyAskedForSinceTheLastLookIsUnmapped) {
  arena::Range one = Add(1), two = Add(2);
  const std::vector<WireExtent> both = {{.segment = 1, .offset = 0, .length = 4096},
                                        {.segment = 2, .offset = 0, .length = 4096}};
  auto joined = Map(both);
  ASSERT_THAT(joined.status(), IsOk());
  EXPECT_THAT(segments_.DropUnused().segments, IsEmpty()) << "just used";
  EXPECT_THAT(segments_.DropUnused().segments, IsEmpty()) << "still read";
  *joined = Mapped();
  ASSERT_THAT(Map({{.segment = 1, .offset = 0, .length = 1}}).status(), IsOk());
  EXPECT_THAT(segments_.DropUnused().segments, ElementsAre(2u));
  EXPECT_THAT(segments_.DropUnused().segments, ElementsAre(1u));
  // With the last mapping gone the kernel lets the agent use the memory again.
  one = arena::Range();
  two = arena::Range();
  EXPECT_TRUE(NothingQuarantined());
}

TEST_F(SegmentsTest, WhatIsAskedBackGoesAtOnceOrWithItsLastReader) {
  arena::Range one = Add(1), two = Add(2), three = Add(3);
  const std::vector<WireExtent> both = {{.segment = 1, .offset = 0, .length = 4096},
                                        {.segment = 2, .offset = 0, .length = 4096}};
  auto joined = Map(both), again = Map(both);
  ASSERT_THAT(joined.status(), IsOk());
  ASSERT_THAT(again.status(), IsOk());
  EXPECT_THAT(segments_.AskedBack(std::vector<uint32_t>{2, 3, 9}).segments, UnorderedElementsAre(9u, 3u))
      << "9 was never here, which the agent is told as well";
  *joined = Mapped();
  EXPECT_THAT(segments_.Trim().segments, IsEmpty()) << "another reader is left";
  *again = Mapped();
  EXPECT_THAT(segments_.Trim().segments, ElementsAre(2u)) << "1 may stay";
  two = arena::Range();
  three = arena::Range();
  EXPECT_TRUE(NothingQuarantined());
}

TEST_F(SegmentsTest, WhenTheConnectionEndsOnlyWhatIsReadStaysMapped) {
  arena::Range one = Add(1), two = Add(2), three = Add(3);
  auto idle = Map({{.segment = 3, .offset = 0, .length = 1}});
  *idle = Mapped();
  auto joined = Map({{.segment = 1, .offset = 0, .length = 4096}, {.segment = 2, .offset = 4096, .length = 10}});
  ASSERT_THAT(joined.status(), IsOk());
  const auto held = segments_.Leave();
  ASSERT_EQ(held.size(), 2u);
  EXPECT_EQ(held[0].lock()->size(), kMiB);
  EXPECT_EQ(joined->bytes[4096], std::byte{'c'});
  EXPECT_THAT(Map({{.segment = 1, .offset = 0, .length = 1}}).status(),
              StatusIs(absl::StatusCode::kNotFound, "NO_SEGMENT"));
  three = arena::Range();
  EXPECT_TRUE(NothingQuarantined());
  *joined = Mapped();
  EXPECT_TRUE(held[0].expired() && held[1].expired());
}

}  // namespace
}  // namespace larder::transport::uds
