#include "larder/resp/request_parser.h"

#include <gmock/gmock.h>

#include <string>
#include <string_view>
#include <vector>

#include "larder/resp/number.h"

using namespace larder::resp;
using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;

namespace {

struct Parsed {
  std::vector<std::vector<std::string>> requests;
  std::string error;
  size_t left = 0;  // bytes of a request that is not whole
};

// Feeds `bytes` in two parts, or in as many as there are bytes, as a connection would.
Parsed Parse(std::string bytes, size_t split, const ParserLimits& limits = {}, bool byte_by_byte = false) {
  RequestParser parser;
  Parsed parsed;
  std::string buffer;
  const auto feed = [&](std::string_view part) {
    buffer += part;
    while (parsed.error.empty()) {
      const ParseResult result = parser.Next(buffer, limits);
      if (result == ParseResult::kNeedMore) break;
      if (result == ParseResult::kError) {
        parsed.error = parser.error();
        break;
      }
      if (result == ParseResult::kRequest) {
        parsed.requests.emplace_back(parser.arguments().begin(), parser.arguments().end());
      }
      buffer = buffer.substr(parser.consumed());  // moves the bytes, which the parser must not mind
    }
  };
  if (byte_by_byte) {
    for (const char c : bytes) feed({&c, 1});
  } else {
    feed(std::string_view(bytes).substr(0, split));
    feed(std::string_view(bytes).substr(split));
  }
  parsed.left = buffer.size();
  return parsed;
}

Parsed ParseWhole(const std::string& bytes, const ParserLimits& limits = {}) {
  return Parse(bytes, bytes.size(), limits);
}

std::string ErrorOf(const std::string& bytes, bool authenticated = true) {
  return ParseWhole(bytes, {.authenticated = authenticated}).error;
}

}  // namespace

TEST(RequestParser, FindsTheSameRequestsWhereverTheStreamIsSplit) {
  const std::string stream =
      "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nb\0\r\n"s
      "PING\r\n"
      "\r\n"
      "*0\r\n"
      "*-1\r\n"
      "set \"a\\x41\\n\" 'it\\'s'  \n"
      "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n";
  const auto expected = ElementsAre(ElementsAre("SET", "k", "a\r\nb\0"s), ElementsAre("PING"),
                                    ElementsAre("set", "aA\n", "it's"), ElementsAre("ECHO", ""));
  for (size_t split = 0; split <= stream.size(); ++split) {
    SCOPED_TRACE(split);
    const Parsed parsed = Parse(stream, split);
    EXPECT_THAT(parsed.requests, expected);
    EXPECT_EQ(parsed.error, "");
    EXPECT_EQ(parsed.left, 0u);
  }
  EXPECT_THAT(Parse(stream, 0, {}, true).requests, expected);
}

TEST(RequestParser, ArgumentsAreViewsIntoTheBufferAndTheRestIsLeftAlone) {
  std::string buffer = "*1\r\n$4\r\nPING\r\n*1\r\n";
  RequestParser parser;
  ASSERT_EQ(parser.Next(buffer, {}), ParseResult::kRequest);
  EXPECT_EQ(parser.arguments().front().data(), buffer.data() + 8);
  EXPECT_EQ(parser.consumed(), 14u);
}

TEST(RequestParser, SaysHowManyBytesALongArgumentNeeds) {
  std::string buffer = "*1\r\n$1000\r\nx";
  RequestParser parser;
  ASSERT_EQ(parser.Next(buffer, {}), ParseResult::kNeedMore);
  EXPECT_EQ(parser.expected(), 11u + 1000 + 2);
}

TEST(RequestParser, AnUnfinishedRequestAsksForMore) {
  for (const std::string part :
       {"*", "*1", "*1\r", "*1\r\n", "*1\r\n$", "*1\r\n$4\r\nPIN", "*1\r\n$4\r\nPING\r", "PING"}) {
    const Parsed parsed = ParseWhole(part);
    EXPECT_THAT(parsed.requests, IsEmpty()) << part;
    EXPECT_EQ(parsed.error, "") << part;
    EXPECT_EQ(parsed.left, part.size()) << part;
  }
}

TEST(RequestParser, ErrorsAreRedisOwn) {
  EXPECT_EQ(ErrorOf("*x\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*+1\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*01\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*2147483648\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*1\r\n:1\r\n"), "Protocol error: expected '$', got ':'");
  EXPECT_EQ(ErrorOf("*1\r\n$-1\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("*1\r\n$16777217\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("*1\r\n$99999999999999999999\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("set \"a\r\n"), "Protocol error: unbalanced quotes in request");
  EXPECT_EQ(ErrorOf("set \"a\"b\r\n"), "Protocol error: unbalanced quotes in request");
  EXPECT_EQ(ErrorOf(std::string(kMaxLine + 1, 'a')), "Protocol error: too big inline request");
  EXPECT_EQ(ErrorOf("*" + std::string(kMaxLine + 1, '1')), "Protocol error: too big mbulk count string");
  EXPECT_EQ(ErrorOf("*1\r\n$" + std::string(kMaxLine + 1, '1')), "Protocol error: too big bulk count string");
}

TEST(RequestParser, BeforeAuthenticationOnlySmallRequestsAreTaken) {
  EXPECT_EQ(ErrorOf("*11\r\n", false), "Protocol error: unauthenticated multibulk length");
  EXPECT_EQ(ErrorOf("*1\r\n$16385\r\n", false), "Protocol error: unauthenticated bulk length");
  EXPECT_EQ(ErrorOf("*10\r\n$16384\r\n", false), "");
  EXPECT_EQ(ErrorOf("*11\r\n$16385\r\n", true), "");
}

TEST(RequestParser, WhatCameBeforeAnErrorIsStillARequest) {
  const Parsed parsed = ParseWhole("PING\r\n*1\r\n!");
  EXPECT_THAT(parsed.requests, ElementsAre(ElementsAre("PING")));
  EXPECT_EQ(parsed.error, "");  // the line is not whole
  EXPECT_EQ(ErrorOf("PING\r\n*1\r\n!\r\n"), "Protocol error: expected '$', got '!'");
}

TEST(ParseInteger, TakesOnlyTheShortestSpelling) {
  EXPECT_EQ(ParseInteger("0"), 0);
  EXPECT_EQ(ParseInteger("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(ParseInteger("9223372036854775807"), INT64_MAX);
  for (const std::string_view bad : {"", "-", "-0", "+1", "01", " 1", "1 ", "1.0", "9223372036854775808"}) {
    EXPECT_EQ(ParseInteger(bad), std::nullopt) << bad;
  }
}
