#include "core/settings.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "core/interrupts.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;

class SettingsTest : public ::testing::Test {
 protected:
  std::string Make(const std::string& name, const std::string& content) {
    std::filesystem::create_directories((dir_ / name).parent_path());
    std::ofstream(dir_ / name) << content;
    return (dir_ / name).native();
  }
  base::TempDir dir_;
  Arguments given_;
  config::Environment env_;
};

TEST_F(SettingsTest, HaveDefaults) {
  LARDER_ASSERT_OK_AND_ASSIGN(const LoadedSettings loaded, LoadSettings(ListVerb(), given_, env_));
  EXPECT_EQ(loaded.settings.endpoint, "uds:///run/larder");
  EXPECT_EQ(loaded.settings.format, Format::kTable);
  EXPECT_TRUE(loaded.settings.progress);
}

TEST_F(SettingsTest, AFlagWinsOverAVariableOverTheFile) {
  env_["LARDER_CONFIG"] = Make("larder.yaml", "endpoint: uds:///file\nnamespace: from-file\noutput: wide\n");
  env_["LARDER_ENDPOINT"] = "uds:///variable";
  env_["LARDER_NAMESPACE"] = "from-variable";
  given_.Add("--endpoint", "uds:///flag");
  LARDER_ASSERT_OK_AND_ASSIGN(const LoadedSettings loaded, LoadSettings(ListVerb(), given_, env_));
  EXPECT_EQ(loaded.settings.endpoint, "uds:///flag");
  EXPECT_EQ(loaded.settings.ns, "from-variable");
  EXPECT_EQ(loaded.settings.format, Format::kWide);
}

TEST_F(SettingsTest, TheFileInTheHomeIsReadIfItIsThere) {
  env_["HOME"] = dir_.path().native();
  EXPECT_THAT(LoadSettings(ListVerb(), given_, env_), IsOk());
  Make(".config/larder/larder.yaml", "timeout: 5s\n");
  EXPECT_EQ(LoadSettings(ListVerb(), given_, env_)->settings.timeout, std::chrono::seconds(5));
}

TEST_F(SettingsTest, AFileThatWasNamedMustBeThere) {
  given_.Add("--config", (dir_ / "none").native());
  EXPECT_THAT(LoadSettings(ListVerb(), given_, env_), StatusIs(StatusCode::kInvalidArgument, "CONFIG_UNREADABLE"));
}

TEST_F(SettingsTest, DevsConfigIsNotTheCommandLines) {
  given_.Add("--config", Make("dev.yaml", "cache_agent: {arena: 64MiB}\n"));
  EXPECT_THAT(LoadSettings(DevVerb(), given_, env_), IsOk());
}

TEST_F(SettingsTest, VariablesOfServicesAreNotOurs) {
  env_["LARDER_CACHE_AGENT_ARENA"] = "64MiB";
  EXPECT_THAT(LoadSettings(ListVerb(), given_, env_), IsOk());
}

TEST_F(SettingsTest, RefusesABadNamespace) {
  given_.Add("--namespace", "No_Label");
  EXPECT_THAT(LoadSettings(ListVerb(), given_, env_), StatusIs(StatusCode::kInvalidArgument, "BAD_NAMESPACE"));
}

TEST(InterruptsTest, ASignalMakesTheCheckFailWhileAVerbUnwinds) {
  Interrupts interrupts;
  interrupts.Start("test", base::Duration(0));
  const Interrupts::Unwinding unwinding(interrupts, std::chrono::seconds(60));
  EXPECT_THAT(interrupts.Check(), IsOk());
  ::kill(::getpid(), SIGINT);
  EXPECT_THAT(interrupts.Sleep(std::chrono::seconds(60)), StatusIs(StatusCode::kCancelled, "INTERRUPTED"));
}

TEST(InterruptsTest, ATimeoutMakesTheCheckFail) {
  Interrupts interrupts;
  const Interrupts::Unwinding unwinding(interrupts, std::chrono::seconds(60));
  interrupts.Start("test", std::chrono::milliseconds(1));
  EXPECT_THAT(interrupts.Sleep(std::chrono::seconds(60)), StatusIs(StatusCode::kDeadlineExceeded, "TIMEOUT"));
}

TEST(InterruptsTest, AfterTheVerbHasFinishedASignalChangesNothing) {
  Interrupts interrupts;
  interrupts.Start("test", base::Duration(0));
  interrupts.Finish();
  ::kill(::getpid(), SIGINT);
  EXPECT_THAT(interrupts.Sleep(std::chrono::seconds(60)), StatusIs(StatusCode::kCancelled));
}

TEST(InterruptsDeathTest, WithNothingToUndoASignalEndsTheProcess) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        Interrupts interrupts;
        interrupts.Start("list", base::Duration(0));
        ::kill(::getpid(), SIGTERM);
        interrupts.Sleep(std::chrono::seconds(60)).IgnoreError();
        for (;;) ::pause();
      },
      ::testing::ExitedWithCode(10), "larder: list: interrupted");
}

TEST(InterruptsDeathTest, AVerbThatDoesNotReturnIsEndedAndCleanedUpAfter) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        Interrupts interrupts;
        const Interrupts::Unwinding unwinding(interrupts, std::chrono::milliseconds(10),
                                              [] { std::fputs("cleaned up\n", stderr); });
        interrupts.Start("export", std::chrono::milliseconds(1));
        for (;;) ::pause();
      },
      ::testing::ExitedWithCode(8), "cleaned up");
}

}  // namespace
}  // namespace larder::cli
