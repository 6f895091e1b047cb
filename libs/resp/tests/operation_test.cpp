#include "larder/resp/operation.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

using namespace larder::resp;

namespace {

ParsedOperation ParseSet(std::vector<std::string_view> options, int64_t now_ms = 0) {
  std::vector<std::string_view> words = {"SET", "k", "v"};
  words.insert(words.end(), options.begin(), options.end());
  return ParseOperation(Op::kSet, words, now_ms);
}
Set Good(const std::vector<std::string_view>& options) {
  const ParsedOperation parsed = ParseSet(options);
  EXPECT_EQ(parsed.error, "");
  return std::get<Set>(parsed.operation);
}

}  // namespace

TEST(ParseSet, UnderstandsEveryOption) {
  EXPECT_EQ(Good({}), (Set{.key = "k", .value = "v"}));
  EXPECT_EQ(Good({"nx", "GET"}), (Set{.key = "k", .value = "v", .condition = Set::Condition::kIfAbsent, .get = true}));
  EXPECT_EQ(Good({"XX"}).condition, Set::Condition::kIfPresent);
  EXPECT_EQ(Good({"KEEPTTL"}).expiry, Set::Expiry::kKeep);
  EXPECT_EQ(Good({"EX", "2"}), (Set{.key = "k", .value = "v", .expiry = Set::Expiry::kAfter, .milliseconds = 2000}));
  EXPECT_EQ(Good({"PXAT", "2"}), (Set{.key = "k", .value = "v", .expiry = Set::Expiry::kAt, .milliseconds = 2}));
}

TEST(ParseSet, RefusesOppositesAndTimesThatDoNotFit) {
  EXPECT_EQ(ParseSet({"NX", "XX"}).error, "syntax error");
  EXPECT_EQ(ParseSet({"EX", "1", "KEEPTTL"}).error, "syntax error");
  EXPECT_EQ(ParseSet({"EX"}).error, "syntax error");
  EXPECT_EQ(ParseSet({"EX", "x"}).error, "value is not an integer or out of range");
  EXPECT_EQ(ParseSet({"EX", "0"}).error, "invalid expire time in 'set' command");
  EXPECT_EQ(ParseSet({"PX", "9223372036854775807"}, 0).error, "");
  EXPECT_EQ(ParseSet({"PX", "9223372036854775807"}, 1).error, "invalid expire time in 'set' command");
}
