#include "larder/base/status.h"

#include <gtest/gtest.h>

#include "larder/base/testing/status_matchers.h"

namespace larder::base {
namespace {

using absl::StatusCode;
using ::testing::Not;

absl::StatusOr<int> Half(int number) {
  if (number % 2 != 0) return InvalidArgument("ODD", "{} is odd", number);
  return number / 2;
}

absl::StatusOr<int> Quarter(int number) {
  LARDER_ASSIGN_OR_RETURN(const int half, Half(number));
  LARDER_RETURN_IF_ERROR(Half(half).status());
  return Half(half);
}

TEST(Status, CarriesAReasonBesideTheCode) {
  const absl::Status status = Error(StatusCode::kFailedPrecondition, "EPOCH_STALE", "epoch {} is over", 7);
  EXPECT_THAT(status, StatusIs(StatusCode::kFailedPrecondition, "EPOCH_STALE"));
  EXPECT_EQ(Message(status), "epoch 7 is over");
}

TEST(Status, OfOthersHasNoReason) {
  EXPECT_EQ(Reason(absl::UnavailableError("connection lost")), "");
  EXPECT_EQ(Reason(absl::OkStatus()), "");
}

TEST(Status, AnnotateKeepsCodeAndReason) {
  const absl::Status status = Annotate(InvalidArgument("BAD_KEY", "empty segment"), "import a//b");
  EXPECT_THAT(status, StatusIs(StatusCode::kInvalidArgument, "BAD_KEY"));
  EXPECT_EQ(Message(status), "import a//b: empty segment");
  EXPECT_THAT(Annotate(absl::OkStatus(), "import"), IsOk());
}

TEST(Status, DetachedSaysTheSame) {
  const absl::Status error = Error(absl::StatusCode::kAborted, "EPOCH_STALE", "epoch {} is over", 7);
  EXPECT_EQ(Detached(error), error);
  EXPECT_THAT(Detached(absl::OkStatus()), IsOk());
}

TEST(Status, ErrnoBecomesTheCodeItMeansAndItsNameTheReason) {
  EXPECT_THAT(ErrnoError(ENOENT, "open x"), StatusIs(StatusCode::kNotFound, "ENOENT"));
  EXPECT_THAT(ErrnoError(EPERM, "open x"), StatusIs(StatusCode::kPermissionDenied, "EPERM"));
  EXPECT_THAT(ErrnoError(ENOSPC, "write"), StatusIs(StatusCode::kResourceExhausted, "ENOSPC"));
  EXPECT_THAT(ErrnoError(EEXIST, "open x"), StatusIs(StatusCode::kAlreadyExists, "EEXIST"));
  EXPECT_THAT(ErrnoError(ECONNREFUSED, "connect"), StatusIs(StatusCode::kUnavailable, "ECONNREFUSED"));
  EXPECT_THAT(ErrnoError(EIO, "read"), StatusIs(StatusCode::kInternal, "EIO"));
  EXPECT_THAT(ErrnoError(123456, "read"), StatusIs(StatusCode::kInternal, "EUNKNOWN"));
  EXPECT_EQ(Message(ErrnoError(ENOENT, "open x")), "open x: No such file or directory");
}

TEST(Status, MacrosPassErrorsOnAndUnwrapValues) {
  EXPECT_THAT(Quarter(3), StatusIs(StatusCode::kInvalidArgument, "ODD"));
  EXPECT_THAT(Quarter(6), StatusIs(StatusCode::kInvalidArgument, "ODD"));
  LARDER_ASSERT_OK_AND_ASSIGN(const int quarter, Quarter(8));
  EXPECT_EQ(quarter, 2);
}

TEST(StatusMatchers, AValueIsHeldOrNot) {
  EXPECT_THAT(absl::StatusOr<int>(3), IsOkAndHolds(3));
  EXPECT_THAT(absl::StatusOr<int>(3), ::testing::Not(IsOkAndHolds(4)));
  EXPECT_THAT(absl::StatusOr<int>(absl::UnknownError("")), ::testing::Not(IsOkAndHolds(0)));
}

TEST(StatusMatchers, TellCodesAndReasonsApart) {
  const absl::Status status = InvalidArgument("BAD_KEY", "no");
  EXPECT_THAT(status, StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(status, Not(StatusIs(StatusCode::kNotFound)));
  EXPECT_THAT(status, Not(StatusIs(StatusCode::kInvalidArgument, "BAD_SIZE")));
  EXPECT_THAT(status, Not(IsOk()));
  EXPECT_THAT(absl::StatusOr<int>(1), IsOk());
}

}  // namespace
}  // namespace larder::base
