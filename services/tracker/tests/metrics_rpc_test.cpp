#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "rpc/request_metrics.h"

namespace larder::tracker {
namespace {

using testing::HasSubstr;
using testing::Not;

class RequestMetricsTest : public testing::Test {
 protected:
  static std::string Line(const std::string& op, const std::string& code, int count) {
    return "larder_tracker_requests_total{op=\"" + op + "\",code=\"" + code + "\"} " + std::to_string(count) + "\n";
  }

  observe::Registry registry_;
  RequestMetrics metrics_{registry_};
};

v1::Command OneOf(int number) {
  v1::Command command;
  command.GetReflection()->MutableMessage(&command, v1::Command::descriptor()->FindFieldByNumber(number));
  return command;
}

TEST_F(RequestMetricsTest, EachOpHasANameOfItsOwn) {
  std::set<std::string_view> names;
  const auto& commands = *v1::Command::descriptor();
  for (int i = 0; i < commands.field_count(); ++i) {
    const auto name = LabelText(OpOf(OneOf(commands.field(i)->number())));
    EXPECT_EQ(name, commands.field(i)->name());
    names.insert(name);
    EXPECT_LT(commands.field(i)->number(), static_cast<int>(Op::kLocate)) << "collides with a question";
  }
  for (auto op = static_cast<int>(Op::kLocate); op <= static_cast<int>(Op::kNodeAlive); ++op) {
    names.insert(LabelText(static_cast<Op>(op)));
  }
  names.insert(LabelText(OpOf(v1::Command())));
  EXPECT_EQ(names.size(), static_cast<size_t>(commands.field_count()) + 12 + 1);
  EXPECT_TRUE(names.contains("unknown"));
}

TEST_F(RequestMetricsTest, CountsEachCommandOfABatchByItsOwnOutcome) {
  const Op seal = OpOf(OneOf(v1::Command::kSealFieldNumber));
  const Op rename = OpOf(OneOf(v1::Command::kRenameFieldNumber));
  const std::vector<Op> ops = {seal, seal, seal, rename, seal};
  const Refusal refusal{.code = absl::StatusCode::kAborted};
  metrics_.Applied(ops, std::vector<Reply>{Sealed{}, Sealed{}, refusal, Done{}, Sealed{}});
  const std::string text = registry_.Render();
  EXPECT_THAT(text, HasSubstr(Line("seal", "OK", 3)));
  EXPECT_THAT(text, HasSubstr(Line("seal", "ABORTED", 1)));
  EXPECT_THAT(text, HasSubstr(Line("rename", "OK", 1)));
}

// A repeat under a request id gets the answer of the first, whatever it asks for itself.
TEST_F(RequestMetricsTest, CountsNoMoreThanWasAnswered) {
  const Op seal = OpOf(OneOf(v1::Command::kSealFieldNumber));
  metrics_.Applied(std::vector<Op>{seal, seal}, std::vector<Reply>{Sealed{}});
  metrics_.Applied(std::vector<Op>{seal}, std::vector<Reply>{Sealed{}, Sealed{}});
  EXPECT_THAT(registry_.Render(), HasSubstr(Line("seal", "OK", 2)));
}

TEST_F(RequestMetricsTest, CountsAllOfABatchThatFails) {
  const Op seal = OpOf(OneOf(v1::Command::kSealFieldNumber));
  const Op rename = OpOf(OneOf(v1::Command::kRenameFieldNumber));
  metrics_.Failed(std::vector<Op>{seal, rename, rename}, absl::StatusCode::kUnavailable);
  metrics_.Done(Op::kListEndedTickets, absl::StatusCode::kOk);
  const std::string text = registry_.Render();
  EXPECT_THAT(text, HasSubstr(Line("seal", "UNAVAILABLE", 1)));
  EXPECT_THAT(text, HasSubstr(Line("rename", "UNAVAILABLE", 2)));
  EXPECT_THAT(text, HasSubstr(Line("list_ended_tickets", "OK", 1)));
  EXPECT_THAT(text, Not(HasSubstr("op=\"seal\",code=\"OK\"")));
}

}  // namespace
}  // namespace larder::tracker
