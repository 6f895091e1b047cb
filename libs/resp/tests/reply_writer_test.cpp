#include "larder/resp/reply_writer.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

using namespace larder::resp;

namespace {

template <typename Write>
std::string Written(Protocol protocol, Write write) {
  std::string out;
  ReplyWriter writer(out, protocol);
  write(writer);
  return out;
}

// What both protocols make of one reply.
template <typename Write>
void ExpectReplies(Write write, const std::string& resp2, const std::string& resp3) {
  EXPECT_EQ(Written(Protocol::kResp2, write), resp2);
  EXPECT_EQ(Written(Protocol::kResp3, write), resp3);
}

}  // namespace

TEST(ReplyWriter, WritesWhatBothProtocolsShare) {
  ExpectReplies([](ReplyWriter& w) { w.Simple("OK"); }, "+OK\r\n", "+OK\r\n");
  ExpectReplies([](ReplyWriter& w) { w.Integer(-7); }, ":-7\r\n", ":-7\r\n");
  ExpectReplies([](ReplyWriter& w) { w.Bulk("a\r\n"); }, "$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n");
  ExpectReplies([](ReplyWriter& w) { w.Array(2); }, "*2\r\n", "*2\r\n");
}

TEST(ReplyWriter, AnErrorIsOneLineWithItsWord) {
  EXPECT_EQ(Written(Protocol::kResp2, [](ReplyWriter& w) { w.Error("bad\r\nthing\r\n"); }), "-ERR bad  thing\r\n");
  EXPECT_EQ(Written(Protocol::kResp2, [](ReplyWriter& w) { w.Error("-NOAUTH no"); }), "-NOAUTH no\r\n");
}

TEST(ReplyWriter, WhatResp2LacksBecomesWhatRedisSendsInstead) {
  ExpectReplies([](ReplyWriter& w) { w.Null(); }, "$-1\r\n", "_\r\n");
  ExpectReplies([](ReplyWriter& w) { w.NullArray(); }, "*-1\r\n", "_\r\n");
  ExpectReplies([](ReplyWriter& w) { w.Map(2); }, "*4\r\n", "%2\r\n");
  ExpectReplies([](ReplyWriter& w) { w.Set(2); }, "*2\r\n", "~2\r\n");
  ExpectReplies([](ReplyWriter& w) { w.Push(2); }, "*2\r\n", ">2\r\n");
  ExpectReplies([](ReplyWriter& w) { w.Double(1.5); }, "$3\r\n1.5\r\n", ",1.5\r\n");
  ExpectReplies([](ReplyWriter& w) { w.Double(0.1); }, "$19\r\n0.10000000000000001\r\n", ",0.10000000000000001\r\n");
  ExpectReplies([](ReplyWriter& w) { w.Double(-std::numeric_limits<double>::infinity()); }, "$4\r\n-inf\r\n",
                ",-inf\r\n");
  ExpectReplies([](ReplyWriter& w) { w.Boolean(true); }, ":1\r\n", "#t\r\n");
  ExpectReplies([](ReplyWriter& w) { w.Verbatim("txt", "hi"); }, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n");
}
