#include "larder/object/byte_range.h"

#include <gmock/gmock.h>

#include "larder/base/testing/status_matchers.h"

namespace larder::object {
namespace {

using base::IsOkAndHolds;
using base::StatusIs;

TEST(ByteRange, HasThreeFormsAndEndsWhereTheObjectDoes) {
  const auto of = [](std::optional<uint64_t> first, std::optional<uint64_t> last) {
    return BytesOf({.first = first, .last = last}, 100);
  };
  EXPECT_THAT(of(0, 0), IsOkAndHolds(ByteRun{0, 1}));
  EXPECT_THAT(of(10, 19), IsOkAndHolds(ByteRun{10, 10}));
  EXPECT_THAT(of(10, UINT64_MAX), IsOkAndHolds(ByteRun{10, 90}));
  EXPECT_THAT(of(99, {}), IsOkAndHolds(ByteRun{99, 1}));
  EXPECT_THAT(of({}, 1), IsOkAndHolds(ByteRun{99, 1}));
  EXPECT_THAT(of({}, UINT64_MAX), IsOkAndHolds(ByteRun{0, 100}));
}

TEST(ByteRange, OfNoByteOfTheObjectIsOutOfRange) {
  const auto outside = StatusIs(absl::StatusCode::kOutOfRange, "BAD_RANGE");
  EXPECT_THAT(BytesOf({.first = 100}, 100), outside);
  EXPECT_THAT(BytesOf({.last = 0}, 100), outside);
  EXPECT_THAT(BytesOf({.first = 0}, 0), outside);
  EXPECT_THAT(BytesOf({.last = 5}, 0), outside);
}

TEST(ByteRange, ThatSaysNothingIsRefused) {
  const auto bad = StatusIs(absl::StatusCode::kInvalidArgument, "BAD_RANGE");
  EXPECT_THAT(BytesOf({}, 100), bad);
  EXPECT_THAT(BytesOf({.first = 2, .last = 1}, 100), bad);
}

}  // namespace
}  // namespace larder::object
