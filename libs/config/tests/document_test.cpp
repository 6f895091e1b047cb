#include "src/document.h"

#include <gmock/gmock.h>

#include <string>

#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/config/resolve.h"

namespace larder::config {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Repeat(const std::string& text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(Document, IsFlattenedInItsOrderWithTheLineOfEachKey) {
  const auto entries = ParseDocument("b:\n  c: 'x y'\n  d:\n    - 1\n    - two\na: {}\ne:\n  - f: 1\n  - f: 2\n", "f");
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 5u);
  EXPECT_EQ((*entries)[0].path, "b.c");
  EXPECT_EQ((*entries)[0].line, 2);
  EXPECT_EQ((*entries)[0].text, "x y");
  EXPECT_EQ((*entries)[1].path, "b.d");
  EXPECT_EQ((*entries)[1].line, 3);
  EXPECT_THAT((*entries)[1].items, ElementsAre("1", "two"));
  EXPECT_EQ((*entries)[2].kind, Entry::Kind::kEmpty);
  EXPECT_EQ((*entries)[3].path, "e[0].f");
  EXPECT_EQ((*entries)[4].path, "e[1].f");
  EXPECT_EQ((*entries)[4].line, 9);
}

struct RefusedRow {
  const char* text;
  const char* message;
};

class RefusedYaml : public ::testing::TestWithParam<RefusedRow> {};

TEST_P(RefusedYaml, IsNamedWithItsLine) {
  const auto [text, message] = GetParam();
  const auto entries = ParseDocument(text, "f.yaml");
  EXPECT_THAT(entries, StatusIs(kInvalid, "BAD_YAML"));
  EXPECT_EQ(base::Message(entries.status()), message);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, RefusedYaml,
    ::testing::Values(RefusedRow{"a: 1\nb: *x\n", "f.yaml:2: the referenced anchor is not defined"},
                      RefusedRow{"a: &x 1\nb: *x\n", "f.yaml:1: anchors are not read"},
                      RefusedRow{"a: &x [1]\n", "f.yaml:1: anchors are not read"},
                      RefusedRow{"a: !secret x\n", "f.yaml:1: tags are not read"},
                      RefusedRow{"a: !!map {}\n", "f.yaml:1: tags are not read"},
                      RefusedRow{"a: 1\n---\nb: 1\n", "f.yaml:2: a second document is not read"},
                      RefusedRow{"just words\n", "f.yaml:1: the file is not a mapping of settings"},
                      RefusedRow{"- a\n", "f.yaml:1: the file is not a mapping of settings"},
                      RefusedRow{"a:\n  - [1]\n", "f.yaml:2: a: a list in a list"},
                      RefusedRow{"a:\n  - 1\n  - b: 2\n", "f.yaml:3: a: values and mappings in one list"},
                      RefusedRow{"a:\n  - b: 2\n  - 1\n", "f.yaml:3: a: values and mappings in one list"},
                      RefusedRow{"a:\n  - 1\n  -\n", "f.yaml:1: a: an item is empty"},
                      RefusedRow{"? [a]\n: 1\n", "f.yaml:1: a key is a list"},
                      RefusedRow{"? {a: 1}\n: 1\n", "f.yaml:1: a key is a mapping"},
                      RefusedRow{"~: 1\n", "f.yaml:1: a key is empty"},
                      RefusedRow{"a: 1\n\"b c\": 1\n",
                                 "f.yaml:2: \"b c\" is not a key: letters, digits, `_`, `-` and dots"},
                      RefusedRow{"a: 1\n b: 2\n", "f.yaml:2: illegal map value"},
                      RefusedRow{"a: [1\n", "f.yaml:2: end of sequence flow not found"},
                      RefusedRow{"a: \"\\q\"\n", "f.yaml:1: unknown escape character: q"},
                      RefusedRow{"a: 1\nb: \x01\n", "f.yaml:2: not UTF-8 text, or a control character"},
                      RefusedRow{"a: 1\n\xFF\xFE", "f.yaml:2: not UTF-8 text, or a control character"}));

TEST(HostileYaml, OverOneMebibyteIsRefusedUnread) {
  EXPECT_THAT(ParseDocument("#" + std::string(kMaxFileBytes - 1, 'x'), "f"), IsOk());
  EXPECT_THAT(ParseDocument("#" + std::string(kMaxFileBytes, 'x'), "f"), StatusIs(kInvalid, "CONFIG_TOO_LARGE"));
}

TEST(HostileYaml, DeepNestingIsRefusedAtTheSeventeenthLevel) {
  const auto nested = [](size_t levels) { return Repeat("{a: ", levels) + "1" + Repeat("}", levels); };
  EXPECT_THAT(ParseDocument(nested(16), "f"), IsOk());
  EXPECT_THAT(ParseDocument(nested(17), "f"), StatusIs(kInvalid, "BAD_YAML"));
}

// What makes parsers quadratic, recursive or greedy, close to the size limit. Each must come back with an error.
class GreedyYaml : public ::testing::TestWithParam<const char*> {};

TEST_P(GreedyYaml, IsRefused) {
  const std::string unit = GetParam();
  const std::string text = Repeat(unit, kMaxFileBytes / unit.size());
  EXPECT_THAT(ParseDocument(text, "f"), StatusIs(kInvalid));
  EXPECT_THAT(ParseDocument("a: " + text.substr(3), "f"), StatusIs(kInvalid));
}

INSTANTIATE_TEST_SUITE_P(Rows, GreedyYaml,
                         ::testing::Values("[", "{", "[\n", "{\n", "{a: ", "- ", "? ", "! ", "!", "&a ", "*a ", "a: ",
                                           "a: &a [*a]\n", "]", "'", "\"", "|\n", "%YAML 1.2\n", "---\n", "a: b\n"));

TEST(HostileYaml, ManyKeysAreRefusedEvenIfEachIsShort) {
  std::string text = "a:\n";
  for (int i = 0; i < 20000; ++i) text += " k" + std::to_string(i) + ": 1\n";
  EXPECT_THAT(ParseDocument(text, "f"), StatusIs(kInvalid, "CONFIG_TOO_LARGE"));
  EXPECT_THAT(ParseDocument("a: [" + Repeat("1,", 20000) + "]", "f"), StatusIs(kInvalid, "CONFIG_TOO_LARGE"));
}

TEST(HostileYaml, LongPathsAreRefused) {
  EXPECT_THAT(ParseDocument(std::string(513, 'k') + ": 1\n", "f"), StatusIs(kInvalid, "BAD_YAML"));
  EXPECT_THAT(ParseDocument(std::string(300, 'k') + ": {" + std::string(300, 'k') + ": 1}\n", "f"),
              StatusIs(kInvalid, "BAD_YAML"));
}

TEST(HostileYaml, AnAliasBombIsRefusedAtItsFirstAnchor) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string alias = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + Repeat(alias + ", ", 8) + alias + "]\n";
  }
  const auto entries = ParseDocument(bomb, "f");
  EXPECT_EQ(base::Message(entries.status()), "f:1: anchors are not read");
}

}  // namespace
}  // namespace larder::config
