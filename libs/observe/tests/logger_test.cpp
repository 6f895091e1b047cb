#include "larder/observe/logger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

#include "larder/base/status.h"
#include "larder/base/testing/manual_clock.h"

namespace larder::observe {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LoggerTest : public ::testing::Test {
 protected:
  LogOptions Options(LogFormat format) {
    return {
        .format = format, .service = "tracker", .output = [this](std::string_view line) { lines_.emplace_back(line); }};
  }
  base::ManualClock clock_;
  std::vector<std::string> lines_;
};

TEST_F(LoggerTest, WritesATextLineAnEvent) {
  Logger log(Options(LogFormat::kText), clock_);
  clock_.Advance(1500ms);
  log.Info("agent serving", {{"socket", "/run/larder"}, {"objects", 3}, {"first", true}});
  EXPECT_THAT(lines_, ElementsAre("2024-01-01T00:00:01.500Z INFO tracker: agent serving socket=/run/larder objects=3 "
                                  "first=true"));
}

TEST_F(LoggerTest, WritesAJsonObjectAnEvent) {
  Logger log(Options(LogFormat::kJson), clock_);
  log.Warning("slow disk", {{"device", std::string("sda")}, {"seconds", 0.5}, {"size", size_t{7}}, {"delta", -1}});
  EXPECT_THAT(lines_, ElementsAre(R"({"time":"2024-01-01T00:00:00.000Z","level":"warning","service":"tracker",)"
                                  R"("event":"slow disk","device":"sda","seconds":0.5,"size":7,"delta":-1})"));
}

TEST_F(LoggerTest, KeepsOneLineWhateverAValueHolds) {
  Logger text(Options(LogFormat::kText), clock_);
  Logger json(Options(LogFormat::kJson), clock_);
  const std::string nasty = "a \"b\"\n\x01\xFFü";
  text.Info("put", {{"key", nasty}, {"empty", ""}});
  json.Info("put", {{"key", nasty}});
  EXPECT_THAT(lines_, ElementsAre(HasSubstr(R"(key="a \"b\"\n\u0001\ufffdü" empty="")"),
                                  HasSubstr(R"("key":"a \"b\"\n\u0001\ufffdü"})")));
}

TEST_F(LoggerTest, WritesNoNumberThatJsonDoesNotKnow) {
  Logger log(Options(LogFormat::kJson), clock_);
  log.Info("rate", {{"bytes", std::numeric_limits<double>::infinity()}});
  EXPECT_THAT(lines_, ElementsAre(HasSubstr(R"("bytes":null)")));
}

TEST_F(LoggerTest, ShowsAnErrorsCodeReasonAndMessage) {
  Logger log(Options(LogFormat::kJson), clock_);
  log.Error("upload failed", {{"error", base::InvalidArgument("BAD_KEY", "empty segment")}});
  log.Error("upload failed", {{"error", absl::UnavailableError("no route")}});
  EXPECT_THAT(lines_, ElementsAre(HasSubstr(R"("error":"INVALID_ARGUMENT (BAD_KEY): empty segment")"),
                                  HasSubstr(R"("error":"UNAVAILABLE: no route")")));
}

TEST_F(LoggerTest, DropsWhatIsBelowTheLevelOfTheMoment) {
  Logger log(Options(LogFormat::kText), clock_);
  log.Debug("hidden");
  EXPECT_THAT(lines_, IsEmpty());
  log.SetLevel(LogLevel::kDebug);
  log.Debug("shown");
  log.SetLevel(LogLevel::kError);
  log.Warning("hidden");
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("DEBUG tracker: shown")));
}

TEST_F(LoggerTest, NeverMixesTheLinesOfTwoThreads) {
  Logger log(Options(LogFormat::kText), clock_);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < 100; ++n) log.Info("tick");
      });
    }
  }
  EXPECT_EQ(lines_, std::vector<std::string>(400, "2024-01-01T00:00:00.000Z INFO tracker: tick"));
}

}  // namespace
}  // namespace larder::observe
