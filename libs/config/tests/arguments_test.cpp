#include "larder/config/arguments.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "tests/sample.h"

namespace larder::config {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

absl::StatusOr<Arguments> Parse(const std::vector<std::string>& args) {
  static const std::vector<Setting>* const kSettings =
      new std::vector<Setting>(Loader<Sample>(SampleNaming()).Settings());
  std::vector<Setting> with_flags;
  for (const Setting& setting : *kSettings) {
    if (setting.path.find('<') == std::string::npos) with_flags.push_back(setting);
  }
  return ParseArguments({.name = "sample", .summary = "A sample.", .version = "1"}, "LARDER_SAMPLE_", with_flags, args);
}

TEST(Arguments, AreOneFlagPerSetting) {
  const auto parsed = Parse({"--node-name", "a b", "--arena=1GiB", "--config=/x.yaml", "--offset", "-3"});
  ASSERT_THAT(parsed, IsOk());
  EXPECT_FALSE(parsed->exit_text);
  EXPECT_FALSE(parsed->print_config);
  EXPECT_EQ(parsed->config_file, "/x.yaml");
  EXPECT_THAT(parsed->flags, ElementsAre(Pair("arena", "1GiB"), Pair("node.name", "a b"), Pair("offset", "-3")));
}

TEST(Arguments, ValuesAreTakenAsTheyAre) {
  for (const std::string value : {"[::1]:80", "[a,b]", "a=b", "{}", "\"q\"", " ", "-", "ab,c"}) {
    for (const std::vector<std::string>& args :
         {std::vector<std::string>{"--node-name", value}, std::vector<std::string>{"--node-name=" + value}}) {
      const auto parsed = Parse(args);
      ASSERT_THAT(parsed, IsOk()) << value;
      EXPECT_THAT(parsed->flags, ElementsAre(Pair("node.name", value)));
    }
  }
  const auto empty = Parse({"--node-name", ""});
  ASSERT_THAT(empty, IsOk());
  EXPECT_THAT(empty->flags, ElementsAre(Pair("node.name", "")));
}

TEST(Arguments, AFlagOfTrueOrFalseNeedsNoValueAndTakesNoWord) {
  for (const auto& [arg, text] : std::vector<std::pair<std::string, std::string>>{
           {"--verify", "true"}, {"--verify=false", "false"}, {"--verify=maybe", "maybe"}}) {
    const auto parsed = Parse({arg});
    ASSERT_THAT(parsed, IsOk()) << arg;
    EXPECT_THAT(parsed->flags, ElementsAre(Pair("verify", text)));
  }
  EXPECT_THAT(Parse({"--verify", "false"}), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_VALUE"));
}

TEST(Arguments, AListMayBeRepeatedAndNothingElse) {
  const auto parsed = Parse({"--tracker", "a:1,b:2", "--tracker=[::1]"});
  ASSERT_THAT(parsed, IsOk());
  EXPECT_THAT(parsed->flags, ElementsAre(Pair("tracker", "a:1,b:2,[::1]")));
  EXPECT_EQ(base::Message(Parse({"--arena", "1", "--arena", "2"}).status()), "--arena: given twice");
  EXPECT_EQ(base::Message(Parse({"--verify", "--verify"}).status()), "--verify: given twice");
  EXPECT_EQ(base::Message(Parse({"--config=a", "--config=b"}).status()), "--config: given twice");
}

TEST(Arguments, WhatIsNoFlagIsRefusedWithTheNearest) {
  const struct {
    std::vector<std::string> args;
    const char* reason;
    const char* message;
  } rows[] = {
      {{"--node-nam", "x"}, "UNKNOWN_KEY", "--node-nam: unknown flag (did you mean --node-name?)"},
      {{"--node_name=x"}, "UNKNOWN_KEY", "--node_name: unknown flag (did you mean --node-name?)"},
      {{"--xyzzy-plugh"}, "UNKNOWN_KEY", "--xyzzy-plugh: unknown flag"},
      {{"-x"}, "UNKNOWN_KEY", "-x: unknown flag"},
      {{"word"}, "BAD_VALUE", "\"word\": stray argument"},
      {{"--verify", "word"}, "BAD_VALUE", "\"word\": stray argument"},
      {{"--", "--arena"}, "UNKNOWN_KEY", "--: unknown flag"},
      {{"--arena"}, "BAD_VALUE", ""},
      {{"--arena="}, "BAD_VALUE", "--arena=: has no value (an empty one: --arena \"\")"},
      {{"--arena=", "--verify"}, "BAD_VALUE", "--arena=: has no value (an empty one: --arena \"\")"},
      {{"--arena", "--verify"}, "BAD_VALUE", "--arena: has no value"},
      {{"--print-config=xml"}, "BAD_VALUE", "--print-config: \"xml\" is neither yaml nor json"},
  };
  for (const auto& row : rows) {
    const auto parsed = Parse(row.args);
    EXPECT_THAT(parsed, StatusIs(absl::StatusCode::kInvalidArgument, row.reason)) << row.args.front();
    EXPECT_THAT(base::Message(parsed.status()), HasSubstr(row.message));
  }
}

TEST(Arguments, PrintConfigKnowsYamlAndJson) {
  EXPECT_EQ(Parse({"--print-config"})->print_config, Format::kYaml);
  EXPECT_EQ(Parse({"--print-config=yaml"})->print_config, Format::kYaml);
  EXPECT_EQ(Parse({"--print-config=json"})->print_config, Format::kJson);
}

TEST(Arguments, HelpShowsEachFlagWithItsDefaultAndHelp) {
  const auto parsed = Parse({"--arena", "nonsense", "-h"});
  ASSERT_THAT(parsed, IsOk());
  ASSERT_TRUE(parsed->exit_text);
  EXPECT_THAT(*parsed->exit_text, HasSubstr("A sample."));
  EXPECT_THAT(*parsed->exit_text, HasSubstr("--arena SIZE"));
  EXPECT_THAT(*parsed->exit_text, HasSubstr("Memory for objects. (default 1GiB; 64MiB to 1TiB)"));
  EXPECT_THAT(*parsed->exit_text, HasSubstr("Where state is kept. (required)"));
  EXPECT_THAT(*parsed->exit_text, HasSubstr("How callers are known. (default csi; open, cgroup, csi)"));
  EXPECT_THAT(*parsed->exit_text, HasSubstr("LARDER_SAMPLE_DATA_DIR"));
}

}  // namespace
}  // namespace larder::config
