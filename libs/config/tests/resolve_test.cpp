#include "larder/config/resolve.h"

#include <gmock/gmock.h>

#include <string>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "tests/sample.h"

namespace larder::config {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class ResolveTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& text) {
    const std::string file = (dir_ / "sample.yaml").string();
    EXPECT_THAT(base::WriteFileAtomically(file, text), IsOk());
    return file;
  }
  absl::Status LoadText(const std::string& text) { return loader_.Load({.file = Write(text)}); }

  base::TempDir dir_;
  Loader<Sample> loader_{SampleNaming()};
};

TEST_F(ResolveTest, ReadsEveryTypeFromTheFile) {
  ASSERT_THAT(LoadText("node:\n  name: n1\narena: 128MiB\nlease.grace: 5m\nverify: off\nlisten_port: 80\noffset: -5\n"
                       "high_water: 0.5\nidentity: open\ntracker: [a:1, 'b:2']\nquotas:\n  team-a:\n    bytes: 5k\n"),
              IsOk());
  const Sample& config = loader_.config();
  EXPECT_EQ(config.node_name, "n1");
  EXPECT_EQ(config.arena, 128 * base::kMiB);
  EXPECT_EQ(config.grace, std::chrono::minutes(5));
  EXPECT_FALSE(config.verify);
  EXPECT_EQ(config.port, 80);
  EXPECT_EQ(config.offset, -5);
  EXPECT_EQ(config.high_water, 0.5);
  EXPECT_EQ(config.identity, Sample::Identity::kOpen);
  EXPECT_THAT(config.tracker, ElementsAre("a:1", "b:2"));
  ASSERT_TRUE(config.quotas.contains("team-a"));
  EXPECT_EQ(config.quotas.at("team-a").bytes, 5000u);
  EXPECT_EQ(config.quotas.at("team-a").durability, "sync");
  EXPECT_EQ(config.quotas.at("default").bytes, base::kGiB);
}

TEST_F(ResolveTest, ReadsASequenceOfSectionsInItsOrder) {
  ASSERT_THAT(LoadText("grants:\n  - serviceAccount: a\n    on: [x, y]\n  - on: [z]\n"), IsOk());
  const Sample& config = loader_.config();
  ASSERT_EQ(config.grants.size(), 2u);
  EXPECT_EQ(config.grants[0].account, "a");
  EXPECT_THAT(config.grants[0].on, ElementsAre("x", "y"));
  EXPECT_EQ(config.grants[1].account, "*");
  EXPECT_THAT(config.grants[1].on, ElementsAre("z"));
  ASSERT_THAT(LoadText("grants: []\n"), IsOk());
  EXPECT_THAT(loader_.config().grants, IsEmpty());
}

TEST_F(ResolveTest, ASequencesEntriesAreReloadedAndRenderedAsTheyAreWritten) {
  ASSERT_THAT(LoadText("grants:\n  - {serviceAccount: a, on: [x]}\n  - {serviceAccount: b, on: [y]}\n"), IsOk());
  EXPECT_THAT(RenderYaml(loader_.effective()),
              HasSubstr("grants:\n  - serviceAccount: a  # " + (dir_ / "sample.yaml").string() + ":2\n    on: [x]"));
  Write("grants:\n  - {serviceAccount: b, on: [y]}\n");
  LARDER_ASSERT_OK_AND_ASSIGN(const std::vector<Change> changes, loader_.Reload());
  EXPECT_FALSE(changes.empty());
  ASSERT_EQ(loader_.config().grants.size(), 1u);
  EXPECT_EQ(loader_.config().grants[0].account, "b");
}

TEST_F(ResolveTest, ListsAreCommaSeparatedOutsideOfSequences) {
  ASSERT_THAT(LoadText("tracker: a:1, b:2\n"), IsOk());
  EXPECT_THAT(loader_.config().tracker, ElementsAre("a:1", "b:2"));
  ASSERT_THAT(loader_.Load({.env = {{"LARDER_SAMPLE_TRACKER", ""}}}), IsOk());
  EXPECT_THAT(loader_.config().tracker, IsEmpty());
}

// Each row: a file, the reason, and how the message goes on after the file's name.
struct ErrorRow {
  const char* text;
  const char* reason;
  const char* message;
};

class ResolveErrors : public ResolveTest, public ::testing::WithParamInterface<ErrorRow> {};

TEST_P(ResolveErrors, NameTheFileItsLineAndTheKey) {
  const auto [text, reason, message] = GetParam();
  const absl::Status status = LoadText(text);
  EXPECT_THAT(status, StatusIs(kInvalid, reason));
  EXPECT_EQ(base::Message(status), (dir_ / "sample.yaml").string() + message);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, ResolveErrors,
    ::testing::Values(
        ErrorRow{"\n\narenna: 1GiB\n", "UNKNOWN_KEY", ":3: arenna: unknown key (did you mean arena?)"},
        ErrorRow{"node:\n  # a remark\n  nam: x\n", "UNKNOWN_KEY",
                 ":3: node.nam: unknown key (did you mean node.name?)"},
        ErrorRow{"completely_different: x\n", "UNKNOWN_KEY", ":1: completely_different: unknown key"},
        ErrorRow{"quotas:\n  team-a:\n    byte: 1k\n", "UNKNOWN_KEY",
                 ":3: quotas.team-a.byte: unknown key (did you mean quotas.team-a.bytes?)"},
        ErrorRow{"grants:\n  - on: [x]\n    serviceAcount: a\n", "UNKNOWN_KEY",
                 ":3: grants[0].serviceAcount: unknown key (did you mean grants[0].serviceAccount?)"},
        ErrorRow{"grants: [a]\n", "BAD_VALUE", ":1: grants: is a list of sections, not a value"},
        ErrorRow{"grants: a\n", "BAD_VALUE", ":1: grants: is a list of sections, not a value"},
        ErrorRow{"arena: 12 parsecs\n", "BAD_VALUE", ":1: arena: \"12 parsecs\" is not a size such as 4MiB"},
        ErrorRow{"lease:\n  grace: -1s\n", "BAD_VALUE", ":2: lease.grace: \"-1s\" is not a duration such as 30s"},
        ErrorRow{"verify: maybe\n", "BAD_VALUE", ":1: verify: \"maybe\" is neither true nor false"},
        ErrorRow{"listen_port: 80x\n", "BAD_VALUE", ":1: listen_port: \"80x\" is not an integer"},
        ErrorRow{"listen_port: 1.5\n", "BAD_VALUE", ":1: listen_port: \"1.5\" is not an integer"},
        ErrorRow{"listen_port: ''\n", "BAD_VALUE", ":1: listen_port: \"\" is not an integer"},
        ErrorRow{"high_water: .nan\n", "BAD_VALUE", ":1: high_water: \".nan\" is not a number"},
        ErrorRow{"high_water: nan\n", "BAD_VALUE", ":1: high_water: \"nan\" is not a number"},
        ErrorRow{"identity: cgruop\n", "BAD_VALUE",
                 ":1: identity: \"cgruop\" is not one of open, cgroup, csi (did you mean cgroup?)"},
        ErrorRow{"tracker: [a, '']\n", "BAD_VALUE", ":1: tracker: an item of the list is empty"},
        ErrorRow{"tracker: 'a,'\n", "BAD_VALUE", ":1: tracker: an item of the list is empty"},
        ErrorRow{"node:\n  name: localhost\n", "BAD_NAME", ":2: node.name: is everybody's name"},
        ErrorRow{"node:\n  name:\n", "BAD_VALUE", ":2: node.name: has no value, and a text is expected"},
        ErrorRow{"node:\n  name: [a]\n", "BAD_VALUE", ":2: node.name: is a list, and a single text is expected"},
        ErrorRow{"tracker:\n  - host: a\n", "BAD_VALUE", ":2: tracker[0].host: tracker is a list, not a section"},
        ErrorRow{"arena:\n  size: 1\n", "BAD_VALUE", ":2: arena.size: arena is a size, not a section"},
        ErrorRow{"node: x\n", "BAD_VALUE", ":1: node: is a section, not a value"},
        ErrorRow{"quotas: x\n", "BAD_VALUE", ":1: quotas: is a section, not a value"},
        ErrorRow{"quotas:\n  team-a: 1k\n", "BAD_VALUE", ":2: quotas.team-a: is a section, not a value"},
        ErrorRow{"quotas:\n  all: {}\n", "BAD_VALUE", ":2: quotas.all: all is not a namespace"},
        ErrorRow{"quotas:\n  - a\n", "BAD_VALUE", ":1: quotas: is a section, not a value"},
        ErrorRow{"verify: true\narena: 1MiB\n", "OUT_OF_BOUNDS",
                 ":2: arena: \"1MiB\" is out of bounds (64MiB to 1TiB)"},
        ErrorRow{"arena: 2TiB\n", "OUT_OF_BOUNDS", ":1: arena: \"2TiB\" is out of bounds (64MiB to 1TiB)"},
        ErrorRow{"lease.grace: 61m\n", "OUT_OF_BOUNDS", ":1: lease.grace: \"61m\" is out of bounds (at most 1h)"},
        ErrorRow{"listen_port: 65536\n", "OUT_OF_BOUNDS", ":1: listen_port: \"65536\" is out of bounds (0 to 65535)"},
        ErrorRow{"listen_port: 99999999999999999999\n", "OUT_OF_BOUNDS",
                 ":1: listen_port: \"99999999999999999999\" is not within 64 bits"},
        ErrorRow{"offset: -6\n", "OUT_OF_BOUNDS", ":1: offset: \"-6\" is out of bounds (at least -5)"},
        ErrorRow{"high_water: 1.01\n", "OUT_OF_BOUNDS", ":1: high_water: \"1.01\" is out of bounds (0 to 1)"},
        ErrorRow{"arena: 1GiB\nverify: true\narena: 2GiB\n", "DUPLICATE_KEY",
                 ":3: arena: given twice, first in line 1"},
        ErrorRow{"node: {name: a}\nnode:\n  name: b\n", "DUPLICATE_KEY", ":2: node: given twice, first in line 1"},
        ErrorRow{"node.name: a\nnode:\n  name: b\n", "DUPLICATE_KEY", ":3: node.name: given twice, first in line 1"}));

TEST_F(ResolveTest, EmptySectionsAndFilesAreNoMistake) {
  EXPECT_THAT(LoadText(""), IsOk());
  EXPECT_THAT(LoadText("# nothing\n"), IsOk());
  EXPECT_THAT(LoadText("---\nnode:\nlimits: {}\nquotas:\n"), IsOk());
}

TEST_F(ResolveTest, AnEntryWithoutSettingsIsThereWithItsDefaults) {
  ASSERT_THAT(LoadText("quotas:\n  team-a:\n"), IsOk());
  EXPECT_TRUE(loader_.config().quotas.contains("team-a"));
}

TEST_F(ResolveTest, ARequiredSettingMayNotEndUpEmpty) {
  const absl::Status status = LoadText("data_dir: ''\n");
  EXPECT_THAT(status, StatusIs(kInvalid, "MISSING_SETTING"));
  EXPECT_EQ(base::Message(status), "data_dir: not set (in the file, as LARDER_SAMPLE_DATA_DIR or with --data-dir)");
}

TEST_F(ResolveTest, ChecksSeeAllSettingsTogether) {
  EXPECT_THAT(LoadText("limits: {least: 11}\n"), StatusIs(kInvalid, "BAD_LIMITS"));
  EXPECT_THAT(LoadText("limits: {least: 11, most: 12}\n"), IsOk());
}

// Every subset of the four sources: the strongest one given wins and is named.
TEST_F(ResolveTest, FlagWinsOverEnvironmentOverFileOverDefault) {
  const std::string file = Write("verify: true\narena: 101MiB\n");
  const std::string other = (dir_ / "other.yaml").string();
  ASSERT_THAT(base::WriteFileAtomically(other, "verify: true\n"), IsOk());
  for (int given = 0; given < 8; ++given) {
    Inputs inputs = {.file = (given & 1) != 0 ? file : other};
    if ((given & 2) != 0) inputs.env["LARDER_SAMPLE_ARENA"] = "102MiB";
    if ((given & 4) != 0) inputs.flags["arena"] = "103MiB";
    ASSERT_THAT(loader_.Load(inputs), IsOk());
    const uint64_t expected = (given & 4) != 0   ? 103 * base::kMiB
                              : (given & 2) != 0 ? 102 * base::kMiB
                              : (given & 1) != 0 ? 101 * base::kMiB
                                                 : base::kGiB;
    const std::string source = (given & 4) != 0   ? "--arena"
                               : (given & 2) != 0 ? "LARDER_SAMPLE_ARENA"
                               : (given & 1) != 0 ? file + ":2"
                                                  : "default";
    EXPECT_EQ(loader_.config().arena, expected) << given;
    for (const EffectiveSetting& setting : loader_.effective()) {
      if (setting.setting.path == "arena") {
        EXPECT_EQ(setting.source.text(), source);
      }
    }
  }
}

TEST_F(ResolveTest, AnOverriddenValueMustBeValidToo) {
  EXPECT_THAT(loader_.Load({.file = Write("arena: 1\n"), .flags = {{"arena", "1GiB"}}}),
              StatusIs(kInvalid, "OUT_OF_BOUNDS"));
}

TEST_F(ResolveTest, AVariableInErrorIsNamedWithItsKey) {
  const absl::Status value = loader_.Load({.env = {{"LARDER_SAMPLE_LEASE_GRACE", "soon"}}});
  EXPECT_EQ(base::Message(value), "LARDER_SAMPLE_LEASE_GRACE: lease.grace: \"soon\" is not a duration such as 30s");
  const absl::Status bytes = loader_.Load({.env = {{"LARDER_SAMPLE_NODE_NAME", "a\xFF\x01"}}});
  EXPECT_EQ(base::Message(bytes),
            "LARDER_SAMPLE_NODE_NAME: node.name: \"a??\" is not UTF-8 text, or has control characters");
}

TEST_F(ResolveTest, AnUnknownVariableOfOurPrefixIsRefusedWithTheNearest) {
  const absl::Status status = loader_.Load({.env = {{"LARDER_SAMPLE_NODE_NAM", "x"}, {"PATH", "/bin"}}});
  EXPECT_THAT(status, StatusIs(kInvalid, "UNKNOWN_KEY"));
  EXPECT_EQ(base::Message(status), "LARDER_SAMPLE_NODE_NAM: unknown variable (did you mean LARDER_SAMPLE_NODE_NAME?)");
}

TEST_F(ResolveTest, AnUnknownVariableIsPassedOverWhereThePrefixIsShared) {
  Loader<Sample> shared({.env_prefix = "LARDER_", .unknown_env = UnknownEnv::kIgnore});
  ASSERT_THAT(shared.Load({.env = {{"LARDER_SAMPLE_NODE_NAME", "x"}, {"LARDER_NODE_NAME", "y"}}}), IsOk());
  EXPECT_EQ(shared.config().node_name, "y");
}

TEST_F(ResolveTest, VariablesOfAKubernetesServiceAreNotTakenForSettings) {
  for (const char* name : {"SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_GRPC", "PORT", "PORT_7400_TCP",
                           "PORT_7400_TCP_ADDR", "PORT_53_UDP_PROTO", "HEADLESS_SERVICE_HOST", "HEADLESS_PORT_1_TCP"}) {
    EXPECT_THAT(loader_.Load({.env = {{std::string("LARDER_SAMPLE_") + name, "tcp://10.0.0.1:1"}}}), IsOk()) << name;
  }
  for (const char* name : {"PORTS", "PORT_X_TCP", "SUPPORT_1_TCP", "HOST"}) {
    EXPECT_THAT(loader_.Load({.env = {{std::string("LARDER_SAMPLE_") + name, "x"}}}), StatusIs(kInvalid)) << name;
  }
  // A setting of such a name is a setting.
  ASSERT_THAT(loader_.Load({.env = {{"LARDER_SAMPLE_LISTEN_PORT", "81"}}}), IsOk());
  EXPECT_EQ(loader_.config().port, 81);
}

TEST_F(ResolveTest, EntriesOfTheDefaultsHaveVariablesAndThoseOfTheFileHaveNone) {
  const std::string file = Write("quotas: {team-a: {bytes: 1k}}\n");
  ASSERT_THAT(loader_.Load({.file = file, .env = {{"LARDER_SAMPLE_QUOTAS_DEFAULT_BYTES", "7k"}}}), IsOk());
  EXPECT_EQ(loader_.config().quotas.at("default").bytes, 7000u);
  EXPECT_THAT(loader_.Load({.file = file, .env = {{"LARDER_SAMPLE_QUOTAS_TEAM_A_BYTES", "7k"}}}),
              StatusIs(kInvalid, "UNKNOWN_KEY"));
  EXPECT_THAT(loader_.Load({.file = file, .flags = {{"quotas.team-a.bytes", "7k"}}}),
              StatusIs(kInvalid, "UNKNOWN_KEY"));
}

TEST_F(ResolveTest, AnUnknownFlagPathIsRefusedWithTheNearest) {
  const absl::Status status = loader_.Load({.flags = {{"node.nam", "x"}}});
  EXPECT_THAT(status, StatusIs(kInvalid, "UNKNOWN_KEY"));
  EXPECT_EQ(base::Message(status), "node.nam: unknown key (did you mean node.name?)");
}

TEST_F(ResolveTest, TheVariableConfigNamesTheFileUnlessAnotherIsGiven) {
  const std::string file = Write("verify: false\n");
  ASSERT_THAT(loader_.Load({.env = {{"LARDER_SAMPLE_CONFIG", file}}}), IsOk());
  EXPECT_FALSE(loader_.config().verify);
  const std::string other = (dir_ / "other.yaml").string();
  ASSERT_THAT(base::WriteFileAtomically(other, "{}\n"), IsOk());
  ASSERT_THAT(loader_.Load({.file = other, .env = {{"LARDER_SAMPLE_CONFIG", file}}}), IsOk());
  EXPECT_TRUE(loader_.config().verify);
}

TEST_F(ResolveTest, OnlyAFileThatNobodyNamedMayBeAbsent) {
  const std::string absent = (dir_ / "absent.yaml").string();
  const absl::Status status = loader_.Load({.file = absent});
  EXPECT_THAT(status, StatusIs(kInvalid, "CONFIG_UNREADABLE"));
  EXPECT_THAT(base::Message(status), AllOf(HasSubstr("--config: "), HasSubstr(absent)));
  EXPECT_THAT(loader_.Load({.file = absent, .file_may_be_absent = true}), IsOk());
  const absl::Status by_variable =
      loader_.Load({.file = "", .file_may_be_absent = true, .env = {{"LARDER_SAMPLE_CONFIG", absent}}});
  EXPECT_THAT(by_variable, StatusIs(kInvalid, "CONFIG_UNREADABLE"));
  EXPECT_THAT(base::Message(by_variable), AllOf(HasSubstr("LARDER_SAMPLE_CONFIG: "), HasSubstr(absent)));
  EXPECT_THAT(loader_.Load({.file = dir_.path().string()}), StatusIs(kInvalid, "CONFIG_UNREADABLE"));
}

TEST_F(ResolveTest, ASectionIsReadFromAFileThatSeveralServicesShare) {
  const std::string file = Write(
      "sample:\n  arena: 65MiB\ntracker:\n  raft_id: 1\nsource:\n  - node.name: a\n  - {node: {name: b}, arena: 1}\n");
  Loader<Sample> section({.env_prefix = "LARDER_SAMPLE_", .section = "sample"});
  ASSERT_THAT(section.Load({.file = file}), IsOk());
  EXPECT_EQ(section.config().arena, 65 * base::kMiB);
  Loader<Sample> first({.env_prefix = "LARDER_SOURCE_", .section = "source[0]"});
  ASSERT_THAT(first.Load({.file = file}), IsOk());
  EXPECT_EQ(first.config().node_name, "a");
  Loader<Sample> second({.env_prefix = "LARDER_SOURCE_", .section = "source[1]"});
  const absl::Status status = second.Load({.file = file});
  EXPECT_EQ(base::Message(status), file + ":7: arena: \"1\" is out of bounds (64MiB to 1TiB)");
}

TEST_F(ResolveTest, SectionsAreListedAndAnUnknownOneIsRefused) {
  const std::string file = Write("cache_agent:\nforest_source:\n  - a: 1\n  - b: 2\n    c: 3\n");
  const std::vector<std::string> known = {"cache_agent", "forest_source"};
  const auto sections = Sections(file, known);
  ASSERT_THAT(sections, IsOk());
  EXPECT_THAT(*sections, ElementsAre("cache_agent", "forest_source[0]", "forest_source[1]"));
  Write("cache_agent: {}\ncache_agnt:\n  arena: 1\n");
  const auto unknown = Sections(file, known);
  EXPECT_THAT(unknown, StatusIs(kInvalid, "UNKNOWN_KEY"));
  EXPECT_EQ(base::Message(unknown.status()), file + ":3: cache_agnt: unknown section (did you mean cache_agent?)");
  Write("cache_agent: 3\n");
  EXPECT_THAT(Sections(file, known), StatusIs(kInvalid, "BAD_VALUE"));
}

TEST(ProcessEnvironmentTest, HoldsThisProcessesVariables) {
  EXPECT_THAT(ProcessEnvironment(), ::testing::Contains(::testing::Key(std::string("PATH"))));
}

}  // namespace
}  // namespace larder::config
