#include "larder/config/loader.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "tests/sample.h"

namespace larder::config {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LoaderTest : public ::testing::Test {
 protected:
  void Write(const std::string& text) { ASSERT_THAT(base::WriteFileAtomically(file_, text), IsOk()); }
  void WriteAndLoad(const std::string& text) {
    Write(text);
    ASSERT_THAT(loader_.Load({.file = file_}), IsOk());
  }
  absl::StatusOr<Outcome> Run(std::vector<const char*> args, Environment env = {}) {
    args.insert(args.begin(), "sample");
    return loader_.LoadArguments(program_, static_cast<int>(args.size()), args.data(), std::move(env));
  }
  static std::vector<std::string> Paths(const std::vector<Change>& changes) {
    std::vector<std::string> paths;
    for (const Change& change : changes) paths.push_back(change.path);
    return paths;
  }

  const Program program_ = {.name = "sample", .summary = "A sample.", .version = "1.2.3"};
  base::TempDir dir_;
  const std::string file_ = (dir_ / "sample.yaml").string();
  Loader<Sample> loader_{SampleNaming()};
};

TEST_F(LoaderTest, HoldsTheDefaultsBeforeTheFirstLoadAndAfterAFailedOne) {
  EXPECT_EQ(loader_.config().arena, base::kGiB);
  Write("arena: 2GiB\nverify: maybe\n");
  EXPECT_THAT(loader_.Load({.file = file_}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(loader_.config().arena, base::kGiB);
}

TEST_F(LoaderTest, TakesOtherDefaultsAndAnotherDeclaration) {
  Sample defaults;
  defaults.arena = 256 * base::kMiB;
  std::string extra = "e";
  Loader<Sample> loader(SampleNaming(), defaults, [&extra](Binder& b, Sample& c) {
    Declare(b, c);
    b.Text("extra", &extra, {.help = "More."});
  });
  ASSERT_THAT(loader.Load({.flags = {{"extra", "f"}}}), IsOk());
  EXPECT_EQ(loader.config().arena, 256 * base::kMiB);
  EXPECT_EQ(extra, "f");
  EXPECT_EQ(loader.Settings().back().path, "extra");
}

TEST_F(LoaderTest, RunsWithTheSettingsOfTheCommandLine) {
  Write("node: {name: n}\n");
  const auto outcome = Run({"--config", file_.c_str(), "--arena=65MiB"}, {{"LARDER_SAMPLE_VERIFY", "false"}});
  ASSERT_THAT(outcome, IsOk());
  EXPECT_EQ(outcome->next, Outcome::Next::kRun);
  EXPECT_EQ(loader_.config().node_name, "n");
  EXPECT_EQ(loader_.config().arena, 65 * base::kMiB);
  EXPECT_FALSE(loader_.config().verify);
}

TEST_F(LoaderTest, HelpVersionAndPrintConfigAreTextsToExitWith) {
  const auto help = Run({"--help"});
  ASSERT_THAT(help, IsOk());
  EXPECT_EQ(help->next, Outcome::Next::kExitOk);
  EXPECT_THAT(help->text, HasSubstr("--lease-grace"));
  const auto version = Run({"--version"});
  ASSERT_THAT(version, IsOk());
  EXPECT_EQ(version->text, "sample 1.2.3\n");
  const auto printed = Run({"--print-config", "--arena", "65MiB"});
  ASSERT_THAT(printed, IsOk());
  EXPECT_EQ(printed->next, Outcome::Next::kExitOk);
  EXPECT_THAT(printed->text, HasSubstr("arena: 65MiB  # --arena\n"));
  EXPECT_THAT(printed->text, HasSubstr("verify: true  # default\n"));
  const auto json = Run({"--print-config=json"});
  ASSERT_THAT(json, IsOk());
  EXPECT_THAT(json->text, HasSubstr("\"source\": \"default\""));
}

TEST_F(LoaderTest, AWrongCommandLineOrSettingIsAnErrorNotAnExit) {
  EXPECT_THAT(Run({"--arnea", "65MiB"}), StatusIs(absl::StatusCode::kInvalidArgument, "UNKNOWN_KEY"));
  const auto value = Run({"--listen-port", "x"});
  EXPECT_EQ(base::Message(value.status()), "--listen-port: \"x\" is not an integer");
  EXPECT_THAT(loader_.LoadArguments(program_, 0, nullptr, {}), IsOk());
}

TEST_F(LoaderTest, ReloadReportsWhatChangedAndTakesItOver) {
  WriteAndLoad("arena: 1GiB\nlease: {grace: 10s}\nquotas: {a: {bytes: 1k}}\n");
  Write("arena: 1024MiB\nlease: {grace: 20s}\nquotas: {a: {bytes: 2k}}\n");
  const auto changes = loader_.Reload();
  ASSERT_THAT(changes, IsOk());
  EXPECT_THAT(Paths(*changes), ElementsAre("lease.grace", "quotas.a.bytes"));
  EXPECT_EQ(changes->front().before.text, "10s");
  EXPECT_EQ(changes->front().after.text, "20s");
  EXPECT_EQ(loader_.config().grace, std::chrono::seconds(20));
  EXPECT_EQ(loader_.config().quotas.at("a").bytes, 2000u);
}

TEST_F(LoaderTest, ReloadGoesBackToTheDefaultOfASettingThatIsGone) {
  WriteAndLoad("arena: 2GiB\n");
  Write("");
  ASSERT_THAT(loader_.Reload(), IsOk());
  EXPECT_EQ(loader_.config().arena, base::kGiB);
}

TEST_F(LoaderTest, ReloadKeepsFlagsAndVariablesInForce) {
  Write("arena: 1GiB\nverify: true\n");
  ASSERT_THAT(loader_.Load({.file = file_, .env = {{"LARDER_SAMPLE_VERIFY", "false"}}, .flags = {{"arena", "3GiB"}}}),
              IsOk());
  Write("arena: 2GiB\nverify: yes\n");
  const auto changes = loader_.Reload();
  ASSERT_THAT(changes, IsOk());
  EXPECT_THAT(*changes, IsEmpty());
  EXPECT_EQ(loader_.config().arena, 3 * base::kGiB);
  EXPECT_FALSE(loader_.config().verify);
}

TEST_F(LoaderTest, AReloadThatIsRefusedChangesNothing) {
  WriteAndLoad("arena: 1GiB\n");
  const struct {
    const char* text;
    absl::StatusCode code;
    const char* reason;
  } rows[] = {
      {"arena: 2GiB\nverify: maybe\n", absl::StatusCode::kInvalidArgument, "BAD_VALUE"},
      {"arena: 2GiB\nnode: {name: other}\n", absl::StatusCode::kFailedPrecondition, "NOT_RELOADABLE"},
      {"arena: 2GiB\nquotas: {a: {}}\n", absl::StatusCode::kFailedPrecondition, "NOT_RELOADABLE"},
      {"arena: 2GiB\nlimits: {least: 11}\n", absl::StatusCode::kInvalidArgument, "BAD_LIMITS"},
      {"arena: 2GiB\n: [", absl::StatusCode::kInvalidArgument, "BAD_YAML"},
  };
  for (const auto& row : rows) {
    Write(row.text);
    EXPECT_THAT(loader_.Reload(), StatusIs(row.code, row.reason)) << row.text;
    EXPECT_EQ(loader_.config().arena, base::kGiB) << row.text;
    EXPECT_THAT(loader_.config().node_name, IsEmpty());
  }
  Write("arena: 2GiB\n");
  const auto changes = loader_.Reload();
  ASSERT_THAT(changes, IsOk());
  EXPECT_THAT(Paths(*changes), ElementsAre("arena"));
}

TEST_F(LoaderTest, AReloadThatNeedsARestartNamesEverySuchSetting) {
  WriteAndLoad("");
  Write("arena: 2GiB\nnode: {name: other}\nidentity: open\n");
  EXPECT_EQ(base::Message(loader_.Reload().status()), "identity, node.name: cannot change without a restart");
}

TEST_F(LoaderTest, AReloadThatItsApplierRefusesChangesNothing) {
  WriteAndLoad("arena: 1GiB\n");
  Write("arena: 2GiB\n");
  uint64_t seen = 0;
  const auto refuse = [&seen](const Sample& config, const std::vector<Change>& changes) {
    seen = config.arena;
    EXPECT_THAT(Paths(changes), ElementsAre("arena"));
    return base::Error(absl::StatusCode::kResourceExhausted, "ENOMEM", "no memory");
  };
  EXPECT_THAT(loader_.Reload(refuse), StatusIs(absl::StatusCode::kResourceExhausted, "ENOMEM"));
  EXPECT_EQ(seen, 2 * base::kGiB);
  EXPECT_EQ(loader_.config().arena, base::kGiB);
}

TEST_F(LoaderTest, AReloadWithoutChangesDoesNotCallItsApplier) {
  WriteAndLoad("arena: 1GiB\n");
  EXPECT_THAT(loader_.Reload([](const Sample&, const std::vector<Change>&) -> absl::Status {
    return base::Error(absl::StatusCode::kInternal, "CALLED", "called");
  }),
              IsOk());
}

TEST_F(LoaderTest, AFailedLoadLeavesTheInputsOfTheLastGoodOneToReload) {
  WriteAndLoad("arena: 2GiB\n");
  EXPECT_THAT(loader_.Load({.file = (dir_ / "absent.yaml").string()}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(loader_.Reload(), IsOk());
  EXPECT_EQ(loader_.config().arena, 2 * base::kGiB);
}

TEST_F(LoaderTest, EntriesThatComeAndGoAreChanges) {
  Loader<Sample> loader(SampleNaming(), {}, [](Binder& b, Sample& c) {
    b.Each(
        "quotas", &c.quotas,
        [](Binder& b, Sample::Quota& quota) { b.Bytes("bytes", &quota.bytes, {.help = "Most.", .reloadable = true}); },
        {});
  });
  Write("quotas: {a: {bytes: 1k}}\n");
  ASSERT_THAT(loader.Load({.file = file_}), IsOk());
  Write("quotas: {b: {bytes: 1k}}\n");
  const auto changes = loader.Reload();
  ASSERT_THAT(changes, IsOk());
  ASSERT_THAT(Paths(*changes), ElementsAre("quotas.a.bytes", "quotas.b.bytes"));
  EXPECT_EQ((*changes)[0].after, Value{});
  EXPECT_EQ((*changes)[1].before, Value{});
  EXPECT_FALSE(loader.config().quotas.contains("a"));
  EXPECT_TRUE(loader.config().quotas.contains("b"));
}

}  // namespace
}  // namespace larder::config
