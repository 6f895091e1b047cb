#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <fstream>

#include "core/completion.h"
#include "core/help.h"
#include "larder/base/testing/temp_dir.h"
#include "verbs/all.h"

// What derives from the verbs' declarations: help and completion.
namespace larder::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// What bash offers for the last of `words`.
std::string Offered(const std::string& words) {
  const base::TempDir dir;
  std::ofstream(dir / "larder.bash") << BashCompletion(AllVerbs());
  const std::string command = "cd " + dir.path().native() + " && bash --norc -c 'source ./larder.bash && COMP_WORDS=(" +
                              words + ") && COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) && _larder && echo ${COMPREPLY[@]}'";
  std::string output;
  FILE* const pipe = ::popen(command.c_str(), "r");
  std::array<char, 4096> part;
  while (std::fgets(part.data(), part.size(), pipe) != nullptr) output += part.data();
  EXPECT_EQ(::pclose(pipe), 0);
  return output;
}

TEST(BashCompletion, OffersVerbs) {
  EXPECT_EQ(Offered("larder im"), "import\n");
  EXPECT_EQ(Offered("larder -e x -q unp"), "unpin\n");
  EXPECT_EQ(Offered(R"(larder config "")"), "show check\n");
}

TEST(BashCompletion, OffersFlagsOfTheVerb) {
  EXPECT_EQ(Offered("larder import --ov"), "--overwrite\n");
  EXPECT_EQ(Offered("larder stat --w"), "--wait\n");
  EXPECT_THAT(Offered("larder config check --"), AllOf(HasSubstr("--as"), Not(HasSubstr("--wait"))));
}

TEST(BashCompletion, OffersChoicesAndFiles) {
  EXPECT_EQ(Offered("larder list -o j"), "json\n");
  EXPECT_EQ(Offered("larder completion z"), "zsh\n");
  EXPECT_EQ(Offered("larder import lard"), "larder.bash\n");
  EXPECT_EQ(Offered("larder export k -O lard"), "larder.bash\n");
}

TEST(Completion, NamesEveryVerbAndFlagInEveryShell) {
  const std::vector<Verb> verbs = AllVerbs();
  for (const std::string& script : {BashCompletion(verbs), ZshCompletion(verbs), FishCompletion(verbs)}) {
    for (const Verb& verb : verbs) {
      EXPECT_THAT(script, HasSubstr(verb.name.substr(verb.name.find(' ') + 1)));
      for (const Flag& flag : verb.flags) EXPECT_THAT(script, HasSubstr(flag.name.substr(2)));
    }
  }
}

TEST(Help, OfAllNamesEveryVerbAndTheExitCodes) {
  const std::string help = HelpOfAll(AllVerbs(), "");
  for (const Verb& verb : AllVerbs()) EXPECT_THAT(help, HasSubstr("\n  " + verb.name + " "));
  EXPECT_THAT(help, AllOf(HasSubstr("--endpoint"), HasSubstr("Example:"), HasSubstr("10 interrupted")));
}

TEST(Help, OfAGroupNamesItsVerbsOnly) {
  EXPECT_THAT(HelpOfAll(AllVerbs(), "config"), AllOf(HasSubstr("config check FILE"), Not(HasSubstr("unpin"))));
}

TEST(Help, OfAVerbHasUsageFlagsAndAnExample) {
  EXPECT_THAT(HelpOf(ImportVerb()), AllOf(HasSubstr("Usage: larder import FILE|- [FLAGS]"), HasSubstr("--key KEY"),
                                          HasSubstr("-r, --recursive"), HasSubstr("Example:\n  larder import ")));
}

TEST(Help, ShowsAVerbsOwnMeaningOfACommonFlagOnce) {
  const std::string help = HelpOf(DevVerb());
  EXPECT_EQ(help.find("--config FILE"), help.rfind("--config FILE"));
  EXPECT_THAT(help, HasSubstr("one section for each service"));
}

}  // namespace
}  // namespace larder::cli
