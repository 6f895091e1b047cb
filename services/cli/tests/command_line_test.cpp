#include "core/command_line.h"

#include <gmock/gmock.h>

#include "larder/base/testing/status_matchers.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class CommandLine : public ::testing::Test {
 protected:
  absl::StatusOr<Command> Parse(std::vector<std::string> args) { return ParseCommandLine(verbs_, args); }
  std::string Refusal(std::vector<std::string> args) {
    const auto command = Parse(std::move(args));
    EXPECT_THAT(command, StatusIs(absl::StatusCode::kInvalidArgument));
    return base::Message(command.status());
  }
  const std::vector<Verb> verbs_ = AllVerbs();
};

TEST_F(CommandLine, TakesCommonFlagsBeforeAndAfterTheVerb) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Command command, Parse({"-e", "import", "--timeout=5s", "stat", "k", "-ojson"}));
  EXPECT_EQ(command.verb->name, "stat");
  EXPECT_EQ(command.arguments.Text("--endpoint"), "import");
  EXPECT_EQ(command.arguments.Text("--timeout"), "5s");
  EXPECT_EQ(command.arguments.Text("--output"), "json");
  EXPECT_THAT(command.arguments.operands, ElementsAre("k"));
}

TEST_F(CommandLine, KeysMayBeNamedLikeVerbsAndLists) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Command command, Parse({"delete", "list", "delete", "[a,b]", "{}"}));
  EXPECT_THAT(command.arguments.operands, ElementsAre("list", "delete", "[a,b]", "{}"));
}

TEST_F(CommandLine, AfterTwoDashesAllAreOperands) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Command command, Parse({"delete", "-q", "a", "--", "-b", "--overwrite", "--"}));
  EXPECT_THAT(command.arguments.operands, ElementsAre("a", "-b", "--overwrite", "--"));
}

TEST_F(CommandLine, AValueMayBeginWithOneDash) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Command command, Parse({"export", "k", "--range", "-5", "-O", "-"}));
  EXPECT_EQ(command.arguments.Text("--range"), "-5");
  EXPECT_EQ(command.arguments.Text("--out"), "-");
}

TEST_F(CommandLine, ADashAloneIsAnOperand) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Command command, Parse({"import", "-"}));
  EXPECT_THAT(command.arguments.operands, ElementsAre("-"));
}

TEST_F(CommandLine, RepeatableFlagsKeepTheirOrder) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Command command,
                              Parse({"import", "f", "--tag", "b", "--tag", "a", "--tag", "[c]"}));
  EXPECT_THAT(command.arguments.All("--tag"), ElementsAre("b", "a", "[c]"));
}

TEST_F(CommandLine, LettersMayBeJoined) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Command command, Parse({"import", "-qr", "dir"}));
  EXPECT_TRUE(command.arguments.Has("--quiet"));
  EXPECT_TRUE(command.arguments.Has("--recursive"));
}

TEST_F(CommandLine, AVerbOfAGroupHasTwoWords) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Command command, Parse({"config", "check", "f.yaml"}));
  EXPECT_EQ(command.verb->name, "config check");
  EXPECT_THAT(Refusal({"config", "chek"}), HasSubstr("did you mean config check?"));
  EXPECT_THAT(Refusal({"config"}), HasSubstr("see larder config --help"));
}

TEST_F(CommandLine, AVerbsOwnFlagReplacesTheCommonOneOfItsName) {
  LARDER_ASSERT_OK_AND_ASSIGN(const Command command, Parse({"dev", "--config", "dev.yaml"}));
  EXPECT_TRUE(Declares(*command.verb, "--config"));
  EXPECT_EQ(command.arguments.Text("--config"), "dev.yaml");
}

TEST_F(CommandLine, WhatIsUnknownNamesTheNearest) {
  EXPECT_EQ(Refusal({"imprt", "f"}), "unknown verb imprt (did you mean import?)");
  EXPECT_EQ(Refusal({"import", "f", "--overwrit"}), "import: unknown flag --overwrit (did you mean --overwrite?)");
  EXPECT_THAT(Refusal({"--endpont", "x", "list"}), HasSubstr("did you mean --endpoint?"));
  EXPECT_THAT(Refusal({"list", "-z"}), HasSubstr("unknown flag -z"));
}

TEST_F(CommandLine, FlagsOfWhatDoesNotExistYetAreUnknown) {
  EXPECT_THAT(Refusal({"import", "f", "--resume"}), HasSubstr("unknown flag --resume"));
  EXPECT_THAT(Refusal({"list", "--staged"}), HasSubstr("unknown flag --staged"));
}

TEST_F(CommandLine, RefusesMissingAndRepeatedValues) {
  EXPECT_THAT(Refusal({"import", "f", "--key"}), HasSubstr("--key"));
  EXPECT_THAT(Refusal({"import", "f", "--key="}), HasSubstr("--key= has no value"));
  EXPECT_THAT(Refusal({"import", "f", "--key", "--overwrite"}), HasSubstr("--key has no value (it takes KEY)"));
  EXPECT_THAT(Refusal({"import", "f", "--key", "a", "--key", "b"}), HasSubstr("--key is given twice"));
}

TEST_F(CommandLine, CountsOperands) {
  EXPECT_THAT(Refusal({"stat"}), HasSubstr("usage: larder stat KEY"));
  EXPECT_THAT(Refusal({"stat", "a", "b"}), HasSubstr("too many operands"));
  EXPECT_THAT(Refusal({"delete"}), HasSubstr("an operand is missing"));
  EXPECT_THAT(Parse({"list"}), IsOk());
}

TEST_F(CommandLine, HelpAndVersionNeedNothingElse) {
  EXPECT_TRUE(Parse({"--help"})->help);
  EXPECT_TRUE(Parse({"import", "-h"})->help);
  EXPECT_EQ(Parse({"config", "--help"})->group, "config");
  EXPECT_TRUE(Parse({"--version"})->version);
}

TEST(Verbs, HaveASummaryAnExampleAndFlagsOfTheirOwn) {
  for (const Verb& verb : AllVerbs()) {
    EXPECT_FALSE(verb.summary.empty()) << verb.name;
    EXPECT_THAT(verb.example, HasSubstr("larder " + verb.name)) << verb.name;
    std::vector<std::string> seen;
    for (const Flag* flag : FlagsOf(verb)) {
      EXPECT_THAT(seen, Not(Contains(flag->name))) << verb.name;
      seen.push_back(flag->name);
      if (flag->letter == 0) continue;
      EXPECT_THAT(seen, Not(Contains(std::string(1, flag->letter)))) << verb.name;
      seen.push_back(std::string(1, flag->letter));
    }
  }
}

}  // namespace
}  // namespace larder::cli
