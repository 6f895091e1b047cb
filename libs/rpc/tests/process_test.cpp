#include "larder/rpc/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::rpc {
namespace {

using ::testing::HasSubstr;

class ProcessTest : public ::testing::Test {
 protected:
  static ProcessOptions Options(const base::Clock* clock = nullptr) {
    return {.admin = {.host = "127.0.0.1"}, .log = {.output = [](std::string_view) {}}, .clock = clock};
  }
  static httplib::Result Get(const Process& process, const char* path) {
    return httplib::Client("127.0.0.1", process.admin_port()).Get(path);
  }
};

TEST_F(ProcessTest, ShowsReadinessConfigurationAndVersionOnItsAdminPort) {
  Process process(Options());
  ASSERT_THAT(process.Start(), base::IsOk());
  EXPECT_EQ(Get(process, "/readyz")->status, 503);
  process.SetReady(true);
  EXPECT_EQ(Get(process, "/readyz")->status, 200);
  process.SetConfigText("arena: 1GiB\n");
  EXPECT_EQ(Get(process, "/configz")->body, "arena: 1GiB\n");
  EXPECT_THAT(Get(process, "/metrics")->body,
              HasSubstr("larder_build_info{version=\"" + std::string(Version()) + "\"} 1"));
}

TEST_F(ProcessTest, LivesManyTimesInOneProcess) {
  Process one(Options());
  Process two(Options());
  ASSERT_THAT(one.Start(), base::IsOk());
  ASSERT_THAT(two.Start(), base::IsOk());
  one.SetReady(true);
  EXPECT_EQ(Get(two, "/readyz")->status, 503);
}

TEST_F(ProcessTest, UsesTheClockItIsGiven) {
  base::ManualClock clock;
  const Process process(Options(&clock));
  EXPECT_EQ(&process.clock(), &clock);
}

}  // namespace
}  // namespace larder::rpc
