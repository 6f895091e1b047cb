#pragma once
#include <gmock/gmock.h>

#include <ostream>
#include <string>
#include <utility>

#include "larder/base/error_table.h"
#include "larder/base/status.h"

// Matchers of absl::Status and absl::StatusOr: EXPECT_THAT(store.Open(), IsOk());
// EXPECT_THAT(ParseBytes("x"), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_SIZE")).
namespace larder::base {
namespace testing_internal {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

class StatusMatcher {
 public:
  explicit StatusMatcher(absl::StatusCode code) : code_(code), any_reason_(true) {}
  StatusMatcher(absl::StatusCode code, std::string reason)
      : code_(code), any_reason_(false), reason_(std::move(reason)) {}

  template <typename T>
  bool MatchAndExplain(const T& value, ::testing::MatchResultListener* listener) const {
    const absl::Status& status = StatusOf(value);
    *listener << "which is " << ErrorRowOf(status.code()).name << " (" << Reason(status) << "): " << Message(status);
    return status.code() == code_ && (any_reason_ || Reason(status) == reason_);
  }
  void DescribeTo(std::ostream* out) const {
    *out << "is " << ErrorRowOf(code_).name;
    if (!any_reason_) *out << " (" << reason_ << ")";
  }
  void DescribeNegationTo(std::ostream* out) const {
    *out << "not: ";
    DescribeTo(out);
  }

 private:
  absl::StatusCode code_;
  bool any_reason_;
  std::string reason_;
};

}  // namespace testing_internal

inline auto StatusIs(absl::StatusCode code) {
  return ::testing::MakePolymorphicMatcher(testing_internal::StatusMatcher(code));
}
inline auto StatusIs(absl::StatusCode code, std::string reason) {
  return ::testing::MakePolymorphicMatcher(testing_internal::StatusMatcher(code, std::move(reason)));
}
inline auto IsOk() { return StatusIs(absl::StatusCode::kOk); }
// A StatusOr with a value that matches.
MATCHER_P(IsOkAndHolds, value, "is OK and holds the value") {
  if (!arg.ok()) {
    *result_listener << "which is " << ErrorRowOf(arg.status().code()).name << ": " << Message(arg.status());
    return false;
  }
  return ::testing::ExplainMatchResult(value, *arg, result_listener);
}

}  // namespace larder::base

#define LARDER_ASSERT_OK_AND_ASSIGN_IMPL(result, lhs, expr) \
  auto result = (expr);                                     \
  ASSERT_THAT(result, ::larder::base::IsOk());              \
  lhs = *std::move(result)
#define LARDER_ASSERT_OK_AND_ASSIGN(lhs, expr) \
  LARDER_ASSERT_OK_AND_ASSIGN_IMPL(LARDER_CONCAT(larder_result_, __LINE__), lhs, expr)
