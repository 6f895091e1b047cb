#include "core/range.h"

#include <gtest/gtest.h>

#include "larder/base/testing/status_matchers.h"

namespace larder::cli {
namespace {

using base::StatusIs;

Extent Of(std::string_view text, uint64_t size) {
  const auto range = ParseRange(text);
  EXPECT_TRUE(range.ok()) << text;
  const auto extent = ExtentOf(range.value_or(ByteRange{}), size);
  EXPECT_TRUE(extent.ok()) << text;
  return extent.value_or(Extent{.offset = 999, .length = 999});
}

#define EXPECT_EXTENT(extent, from, count) \
  do {                                     \
    const Extent got = (extent);           \
    EXPECT_EQ(got.offset, from);           \
    EXPECT_EQ(got.length, count);          \
  } while (false)

TEST(Range, IncludesBothEnds) {
  EXPECT_EXTENT(Of("0-0", 10), 0u, 1u);
  EXPECT_EXTENT(Of("2-5", 10), 2u, 4u);
  EXPECT_EXTENT(Of("9-9", 10), 9u, 1u);
}

TEST(Range, WithoutAnEndGoesToTheEnd) { EXPECT_EXTENT(Of("7-", 10), 7u, 3u); }

TEST(Range, WithoutABeginningCountsFromTheEnd) {
  EXPECT_EXTENT(Of("-3", 10), 7u, 3u);
  EXPECT_EXTENT(Of("-30", 10), 0u, 10u);
  EXPECT_EXTENT(Of("-3", 0), 0u, 0u);
}

TEST(Range, AnEndBeyondTheObjectsIsTheObjects) {
  EXPECT_EXTENT(Of("8-100", 10), 8u, 2u);
  EXPECT_EXTENT(Of("0-18446744073709551615", 10), 0u, 10u);
}

TEST(Range, IsAskedForAsItWasSaid) {
  EXPECT_EQ(BytesOf(*ParseRange("2-5")), (object::ByteRange{.first = 2, .last = 5}));
  EXPECT_EQ(BytesOf(*ParseRange("7-")), (object::ByteRange{.first = 7}));
  EXPECT_EQ(BytesOf(*ParseRange("-3")), (object::ByteRange{.last = 3}));
}

TEST(Range, ABeginningBeyondTheObjectIsOutOfRange) {
  EXPECT_THAT(ExtentOf(*ParseRange("10-"), 10), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(ExtentOf(*ParseRange("0-"), 0), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST(Range, RefusesWhatIsNoRange) {
  for (const std::string_view text :
       {"", "-", "5", "a-b", "1-b", "-0", "5-4", "1-2-3", "+1-2", " 1-2", "--5", "99999999999999999999-", "0x1-2"}) {
    EXPECT_THAT(ParseRange(text), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_RANGE")) << text;
  }
}

}  // namespace
}  // namespace larder::cli
