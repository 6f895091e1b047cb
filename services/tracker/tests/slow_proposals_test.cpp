#include "core/slow_proposals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "larder/base/status.h"
#include "larder/base/testing/manual_clock.h"

namespace larder::tracker {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

class SlowProposalsTest : public testing::Test {
 protected:
  base::ManualClock clock_;
  std::vector<std::string> lines_;
  observe::Logger log_{{.output = [this](std::string_view line) { lines_.emplace_back(line); }}, clock_};
  SlowProposals slow_{log_, clock_};
};

TEST_F(SlowProposalsTest, ALineSaysWhereTheTimeWent) {
  slow_.Note({.took = milliseconds(150),
              .queue = milliseconds(1),
              .append = milliseconds(120),
              .commit = milliseconds(130),
              .apply = microseconds(2500),
              .reply = milliseconds(3)});
  ASSERT_THAT(lines_, SizeIs(1));
  EXPECT_THAT(lines_[0], AllOf(HasSubstr("slow proposal"), HasSubstr("took_ms=150.0"), HasSubstr("queue_ms=1.0"),
                               HasSubstr("append_ms=120.0"), HasSubstr("commit_ms=130.0"), HasSubstr("apply_ms=2.5"),
                               HasSubstr("reply_ms=3.0"), HasSubstr("others=0")));
}

TEST_F(SlowProposalsTest, OfOneThatFailedTheStagesAreUnknown) {
  slow_.Note({.outcome = base::Error(absl::StatusCode::kUnavailable, "OUTCOME_UNKNOWN", "leadership was lost"),
              .took = milliseconds(3000)});
  ASSERT_THAT(lines_, SizeIs(1));
  EXPECT_THAT(lines_[0], AllOf(HasSubstr("OUTCOME_UNKNOWN"), HasSubstr("commit_ms=unknown")));
}

TEST_F(SlowProposalsTest, ManyMakeALineInTenSeconds) {
  for (int i = 0; i < 1000; ++i) slow_.Note({.took = milliseconds(200)});
  EXPECT_THAT(lines_, SizeIs(1));
  clock_.Advance(SlowProposals::kBetweenLines - base::Duration(1));
  slow_.Note({.took = milliseconds(200)});
  EXPECT_THAT(lines_, SizeIs(1));
  clock_.Advance(base::Duration(1));
  slow_.Note({.took = milliseconds(200)});
  slow_.Note({.took = milliseconds(200)});
  ASSERT_THAT(lines_, SizeIs(2));
  EXPECT_THAT(lines_[1], HasSubstr("others=1000"));
}

}  // namespace
}  // namespace larder::tracker
