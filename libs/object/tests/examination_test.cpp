#include "larder/object/examination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "larder/base/status.h"

namespace larder::object {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

Advice Of(StatusCode code, std::string_view reason) { return AdviceFor(base::MakeError(code, reason, "as it was")); }

TEST(AdviceFor, EveryReasonWhyACallerIsNotKnownHasItsOwn) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"NO_POD", "from a pod"},         {"TWO_PODS", "of one pod"},   {"UNKNOWN_POD", "pods_file"},
      {"CALLER_ENDED", "that goes on"}, {"CALLER_UNSEEN", "hostPID"}, {"NO_TOKEN", "data.sock"}};
  for (const auto& [reason, remedy] : cases) {
    const Advice advice = Of(StatusCode::kPermissionDenied, reason);
    EXPECT_THAT(std::string(advice.remedy), HasSubstr(std::string(remedy))) << reason;
    EXPECT_EQ(advice.topic, "#callers") << reason;
  }
  EXPECT_EQ(Of(StatusCode::kUnavailable, "CALLER_UNSURE").topic, "#callers");
  EXPECT_EQ(Of(StatusCode::kUnauthenticated, "NO_SESSION").topic, "#callers");
}

TEST(AdviceFor, OnlyAForeignOrBadNamespaceIsTakenForOne) {
  EXPECT_EQ(Of(StatusCode::kPermissionDenied, "FOREIGN_NAMESPACE").topic, "#namespaces");
  EXPECT_EQ(Of(StatusCode::kInvalidArgument, "BAD_NAMESPACE").topic, "#namespaces");
  EXPECT_EQ(Of(StatusCode::kPermissionDenied, "EACCES").topic, "#permissions");
  EXPECT_EQ(Of(StatusCode::kPermissionDenied, "ANOTHER").topic, "#reasons");
}

TEST(AdviceFor, SendsToTheClusterWhoIsCutOffFromIt) {
  for (const std::string_view reason : {"NODE_FENCED", "NO_TRACKER"}) {
    EXPECT_EQ(Of(StatusCode::kUnavailable, reason).topic, "#cluster") << reason;
  }
}

TEST(AdviceFor, TellsWhatIsFull) {
  EXPECT_EQ(Of(StatusCode::kResourceExhausted, "ARENA_FULL").topic, "#full-arena");
  EXPECT_EQ(Of(StatusCode::kResourceExhausted, "DISK_FULL").topic, "#full-disk");
  EXPECT_EQ(Of(StatusCode::kResourceExhausted, "QUOTA_EXCEEDED").topic, "#quotas");
}

TEST(AdviceFor, GoesByTheCodeWhereAReasonHasNone) {
  EXPECT_EQ(Of(StatusCode::kDataLoss, "CHECKSUM").topic, "#damaged-objects");
  EXPECT_EQ(Of(StatusCode::kUnavailable, "CONNECTION_LOST").topic, "#no-answer");
  EXPECT_EQ(Of(StatusCode::kDeadlineExceeded, "").topic, "#no-answer");
  EXPECT_EQ(Of(StatusCode::kInternal, "").topic, "#reasons");
}

}  // namespace
}  // namespace larder::object
