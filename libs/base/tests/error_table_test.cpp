#include "larder/base/error_table.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string_view>

namespace larder::base {
namespace {

using absl::StatusCode;

TEST(ErrorTable, HasARowForEveryCodeInTheOrderOfTheirNumbers) {
  ASSERT_EQ(ErrorTable().size(), 17u);
  for (size_t i = 0; i < ErrorTable().size(); ++i) {
    EXPECT_EQ(static_cast<size_t>(ErrorTable()[i].code), i);
    EXPECT_EQ(ErrorTable()[i].name, std::string_view(absl::StatusCodeToString(ErrorTable()[i].code)));
  }
}

TEST(ErrorTable, HasTheExitCodesOfTheContract) {
  const std::map<StatusCode, int> contract = {
      {StatusCode::kOk, 0},
      {StatusCode::kCancelled, 10},
      {StatusCode::kUnknown, 1},
      {StatusCode::kInvalidArgument, 2},
      {StatusCode::kDeadlineExceeded, 8},
      {StatusCode::kNotFound, 3},
      {StatusCode::kAlreadyExists, 4},
      {StatusCode::kPermissionDenied, 5},
      {StatusCode::kResourceExhausted, 6},
      {StatusCode::kFailedPrecondition, 4},
      {StatusCode::kAborted, 4},
      {StatusCode::kOutOfRange, 2},
      {StatusCode::kUnimplemented, 1},
      {StatusCode::kInternal, 1},
      {StatusCode::kUnavailable, 7},
      {StatusCode::kDataLoss, 9},
      {StatusCode::kUnauthenticated, 5},
  };
  for (const auto& [code, exit_code] : contract) EXPECT_EQ(ErrorRowOf(code).exit_code, exit_code) << code;
}

TEST(ErrorTable, HasOnePythonClassPerExitCode) {
  const std::map<int, std::string_view> contract = {
      {0, ""},
      {1, "Error"},
      {2, "InvalidArgument"},
      {3, "NotFound"},
      {4, "Conflict"},
      {5, "PermissionDenied"},
      {6, "ResourceExhausted"},
      {7, "Unavailable"},
      {8, "DeadlineExceeded"},
      {9, "DataLoss"},
      {10, "Interrupted"},
  };
  for (const ErrorRow& row : ErrorTable()) EXPECT_EQ(row.python_class, contract.at(row.exit_code)) << row.name;
}

TEST(ErrorTable, NamesTheRedisPrefixesClientsActOn) {
  EXPECT_EQ(ErrorRowOf(StatusCode::kUnavailable).resp_prefix, "CLUSTERDOWN");
  EXPECT_EQ(ErrorRowOf(StatusCode::kDeadlineExceeded).resp_prefix, "TIMEOUT");
  EXPECT_EQ(ErrorRowOf(StatusCode::kUnauthenticated).resp_prefix, "NOAUTH");
  EXPECT_EQ(ErrorRowOf(StatusCode::kPermissionDenied).resp_prefix, "NOPERM");
  EXPECT_EQ(ErrorRowOf(StatusCode::kInvalidArgument).resp_prefix, "ERR");
}

TEST(ErrorTable, GivesEveryErrorAnHttpErrorStatus) {
  for (const ErrorRow& row : ErrorTable().subspan(1)) {
    EXPECT_GE(row.http, 400) << row.name;
    EXPECT_LT(row.http, 600) << row.name;
  }
  EXPECT_EQ(ErrorRowOf(StatusCode::kOk).http, 200);
}

TEST(ErrorTable, CallsRetryableOnlyWhatTimeAloneCanMend) {
  std::set<StatusCode> retryable;
  for (const ErrorRow& row : ErrorTable()) {
    if (row.retryable) retryable.insert(row.code);
  }
  EXPECT_EQ(retryable, (std::set{StatusCode::kDeadlineExceeded, StatusCode::kAborted, StatusCode::kUnavailable}));
}

TEST(ErrorTable, TreatsACodeWithoutARowAsUnknown) {
  EXPECT_EQ(ErrorRowOf(static_cast<StatusCode>(99)).code, StatusCode::kUnknown);
  EXPECT_EQ(ErrorRowOf(static_cast<StatusCode>(-1)).code, StatusCode::kUnknown);
}

}  // namespace
}  // namespace larder::base
