#include "larder/config/render.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "tests/sample.h"

namespace larder::config {
namespace {

using base::IsOk;
using ::testing::HasSubstr;

TEST(RenderYaml, ShowsEachSettingInItsSectionWithItsSource) {
  const base::TempDir dir;
  const std::string file = (dir / "f.yaml").string();
  ASSERT_THAT(base::WriteFileAtomically(file, "quotas:\n  team-a: {bytes: 5GiB}\n"), IsOk());
  Loader<Sample> loader(SampleNaming());
  ASSERT_THAT(loader.Load({.file = file,
                           .env = {{"LARDER_SAMPLE_NODE_NAME", "null"}},
                           .flags = {{"tracker", "a:1,b:2"}, {"limits.least", "2"}}}),
              IsOk());
  EXPECT_EQ(RenderYaml(loader.effective()),
            "data_dir: /var/lib/larder  # default\n"
            "node:\n"
            "  name: \"null\"  # LARDER_SAMPLE_NODE_NAME\n"
            "arena: 1GiB  # default\n"
            "lease:\n"
            "  grace: 30s  # default\n"
            "verify: true  # default\n"
            "listen_port: 7400  # default\n"
            "offset: 0  # default\n"
            "high_water: 0.9  # default\n"
            "identity: csi  # default\n"
            "tracker: [a:1, b:2]  # --tracker\n"
            "quotas:\n"
            "  default:\n"
            "    bytes: 1GiB  # default\n"
            "    durability: sync  # default\n"
            "  team-a:\n"
            "    bytes: 5GiB  # " +
                file +
                ":2\n"
                "    durability: sync  # default\n"
                "limits:\n"
                "  least: 2  # --limits-least\n"
                "  most: 10  # default\n");
}

TEST(RenderYaml, LoadsAgainToTheSameValuesWhateverTheTextsAre) {
  const base::TempDir dir;
  const std::string file = (dir / "f.yaml").string();
  for (const std::string text : {"",           "~",      "null",
                                 "Null",       "true",   "No",
                                 "12",         "1e3",    ".inf",
                                 "-",          "- a",    "a: b",
                                 "a:",         "a #b",   "#",
                                 "'",          "\"",     "\\",
                                 "a\nb",       "\ta",    " a ",
                                 "[a]",        "{a: b}", "&a",
                                 "*a",         "!a",     "%a",
                                 "@a",         "`a",     "|",
                                 ">",          "é €",    "\u2028",
                                 "\uFEFF",     "\u0085", "---",
                                 "...",        "a,b",    "http://h:1/p?q=1",
                                 "/a b",       "0x1F",   "1:2",
                                 "2020-01-01", "<<",     "="}) {
    Loader<Sample> loader(SampleNaming());
    ASSERT_THAT(loader.Load({.flags = {{"node.name", text}}}), IsOk()) << text;
    ASSERT_THAT(base::WriteFileAtomically(file, RenderYaml(loader.effective())), IsOk());
    Loader<Sample> again(SampleNaming());
    ASSERT_THAT(again.Load({.file = file}), IsOk()) << RenderYaml(loader.effective());
    EXPECT_EQ(again.config().node_name, text);
    ASSERT_EQ(again.effective().size(), loader.effective().size());
    for (size_t i = 0; i < again.effective().size(); ++i) {
      EXPECT_EQ(again.effective()[i].value, loader.effective()[i].value) << again.effective()[i].setting.path;
    }
  }
}

TEST(RenderYaml, AListOfOddItemsLoadsAgain) {
  const base::TempDir dir;
  const std::string file = (dir / "f.yaml").string();
  Sample defaults;
  defaults.tracker = {"a,b", "[::1]:80", "- c", "null", "x y", "{z}", "é"};
  Loader<Sample> loader(SampleNaming(), defaults);
  ASSERT_THAT(loader.Load({}), IsOk());
  ASSERT_THAT(base::WriteFileAtomically(file, RenderYaml(loader.effective())), IsOk());
  Loader<Sample> again(SampleNaming());
  ASSERT_THAT(again.Load({.file = file}), IsOk());
  EXPECT_EQ(again.config().tracker, defaults.tracker);
}

TEST(RenderYaml, ASourceCannotBreakOutOfItsComment) {
  const std::vector<EffectiveSetting> settings = {
      {.setting = {.path = "a"}, .value = {.text = "x"}, .source = {Source::Kind::kFile, "evil\nb: c:1"}}};
  EXPECT_EQ(RenderYaml(settings), "a: x  # evil?b: c:1\n");
}

TEST(RenderJson, GivesValuesInJsonsTypes) {
  Loader<Sample> loader(SampleNaming());
  ASSERT_THAT(loader.Load({.flags = {{"tracker", "a,b"}, {"node.name", "é\"x"}}}), IsOk());
  std::map<std::string, nlohmann::json> settings;
  for (const auto& setting : nlohmann::json::parse(RenderJson(loader.effective()))) settings[setting["path"]] = setting;
  EXPECT_EQ(settings["verify"]["value"], true);
  EXPECT_EQ(settings["listen_port"]["value"], 7400);
  EXPECT_EQ(settings["high_water"]["value"], 0.9);
  EXPECT_EQ(settings["arena"]["value"], "1GiB");
  EXPECT_EQ(settings["node.name"]["value"], "é\"x");
  EXPECT_EQ(settings["tracker"]["value"], nlohmann::json({"a", "b"}));
  EXPECT_EQ(settings["tracker"]["source"], "--tracker");
  EXPECT_EQ(settings["tracker"]["type"], "list");
}

TEST(RenderMarkdown, HasARowForEverySettingWithItsVariableAndFlag) {
  const std::vector<Setting> settings = Loader<Sample>(SampleNaming()).Settings();
  const std::string page = RenderMarkdown({.env_prefix = "LARDER_SAMPLE_"}, settings);
  EXPECT_EQ(static_cast<size_t>(std::ranges::count(page, '\n')), settings.size() + 2);
  EXPECT_THAT(page, HasSubstr("| `arena` | `LARDER_SAMPLE_ARENA` `--arena` | size | `1GiB` | 64MiB to 1TiB | yes | "
                              "Memory for objects. |\n"));
  EXPECT_THAT(page, HasSubstr("| `node.name` | `LARDER_SAMPLE_NODE_NAME` `--node-name` | text |  |  | no | "));
}

TEST(RenderMarkdown, LeavesFlagsOutWhereTheyHaveNamesOfTheirOwn) {
  const std::vector<Setting> settings = {{.path = "progress", .type = Type::kFlag}};
  EXPECT_THAT(RenderMarkdown({.env_prefix = "P_", .flags = false}, settings),
              HasSubstr("| `progress` | `P_PROGRESS` | true or false |"));
}

TEST(RenderMarkdown, AsksForWhatHasNoDefault) {
  const std::vector<Setting> settings = {{.path = "a", .required = true},
                                         {.path = "b", .default_value = {.text = "x"}, .required = true}};
  const std::string page = RenderMarkdown({.env_prefix = "P_"}, settings);
  EXPECT_THAT(page, HasSubstr("| `a` | `P_A` `--a` | text | required |"));
  EXPECT_THAT(page, HasSubstr("| `b` | `P_B` `--b` | text | `x` |"));
}

TEST(RenderMarkdown, GivesEntriesOfTheUsersChoosingNoOtherName) {
  const std::vector<Setting> settings = Loader<Sample>(SampleNaming()).Settings();
  EXPECT_THAT(RenderMarkdown({.env_prefix = "LARDER_SAMPLE_"}, settings),
              HasSubstr("| `quotas.<namespace>.bytes` |  | size | `1GiB` |"));
}

TEST(RenderMarkdown, KeepsATableWholeWhateverTheHelpSays) {
  const std::vector<Setting> settings = {{.path = "a", .help = "one|two\nthree"}};
  EXPECT_THAT(RenderMarkdown({.env_prefix = "P_"}, settings), HasSubstr("| one\\|two?three |\n"));
}

TEST(RenderSettingsJson, IsTheDeclaration) {
  const std::vector<Setting> settings = Loader<Sample>(SampleNaming()).Settings();
  const nlohmann::json all = nlohmann::json::parse(RenderSettingsJson(settings));
  ASSERT_EQ(all.size(), settings.size());
  EXPECT_EQ(all[2], nlohmann::json::parse(R"({"path": "arena", "type": "size", "default": "1GiB",
      "bounds": "64MiB to 1TiB", "choices": [], "help": "Memory for objects.", "reloadable": true,
      "required": false})"));
}

}  // namespace
}  // namespace larder::config
