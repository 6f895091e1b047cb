#include "rpc/peer_manager_conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::cache_agent {
namespace {

namespace pb = larder::peers::v1;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::Duration kSession = seconds(10);

base::MonotonicTime At(base::Duration since_start) { return base::MonotonicTime(std::chrono::hours(1)) + since_start; }

pb::SessionResponse Answered(uint64_t sequence, bool leads = true, base::Duration session = kSession) {
  pb::SessionResponse response;
  response.set_sequence(sequence);
  response.set_leads(leads);
  response.set_session_ms(session / milliseconds(1));
  return response;
}

class PeerManagerConversationTest : public testing::Test {
 protected:
  PeerManagerConversationTest() {
    room_.capacity.set_memory_bytes(100);
    room_.load.set_memory_used_bytes(40);
    talk_.OnLink();
  }
  static pb::Hello Who() {
    pb::Hello who;
    who.set_node("n");
    who.set_incarnation(3);
    who.set_zone("z");
    return who;
  }
  PeerManagerConversation::Step Next(base::Duration at, uint64_t node_epoch = 5) {
    return talk_.Next(At(at), node_epoch, room_);
  }

  NodeRoom room_;
  PeerManagerConversation talk_{Who()};
};

TEST_F(PeerManagerConversationTest, SaysHelloAndThenABeatEachFifthOfASession) {
  const auto hello = Next(seconds(0));
  ASSERT_TRUE(hello.send.has_value());
  EXPECT_EQ(hello.send->sequence(), 1u);
  EXPECT_EQ(hello.send->node_epoch(), 5u);
  EXPECT_EQ(hello.send->hello().node(), "n");
  EXPECT_EQ(hello.send->hello().incarnation(), 3u);
  EXPECT_EQ(hello.send->hello().zone(), "z");
  EXPECT_EQ(hello.send->hello().capacity().memory_bytes(), 100u);
  EXPECT_EQ(hello.send->hello().load().memory_used_bytes(), 40u);
  EXPECT_EQ(hello.again, seconds(2));
  talk_.OnReceived(Answered(1));

  EXPECT_FALSE(Next(milliseconds(1999)).send.has_value());
  room_.load.set_memory_used_bytes(50);
  const auto beat = Next(seconds(2));
  ASSERT_TRUE(beat.send.has_value());
  EXPECT_EQ(beat.send->sequence(), 2u);
  EXPECT_EQ(beat.send->beat().load().memory_used_bytes(), 50u);
}

TEST_F(PeerManagerConversationTest, KeepsToTheSessionThatItIsTold) {
  Next(seconds(0));
  talk_.OnReceived(Answered(1, true, seconds(5)));
  EXPECT_EQ(Next(milliseconds(400)).again, milliseconds(600));
  EXPECT_TRUE(Next(seconds(1)).send.has_value());
}

TEST_F(PeerManagerConversationTest, TellsAtOnceThatTheNodeWasRegisteredAnewOrIsNoMore) {
  Next(seconds(0));
  const auto over = Next(milliseconds(100), 0);
  ASSERT_TRUE(over.send.has_value());
  EXPECT_EQ(over.send->node_epoch(), 0u);
  const auto anew = Next(milliseconds(200), 6);
  ASSERT_TRUE(anew.send.has_value());
  EXPECT_EQ(anew.send->node_epoch(), 6u);
}

TEST_F(PeerManagerConversationTest, AnAnswerTellsWhenWhatItAnswersWasSentAndInWhichRegistration) {
  Next(seconds(0), 5);
  Next(seconds(1), 6);
  const auto first = talk_.OnReceived(Answered(1, false));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->node_epoch, 5u);
  EXPECT_EQ(first->sent, At(seconds(0)));
  EXPECT_EQ(first->session, kSession);
  EXPECT_FALSE(first->leads);
  EXPECT_TRUE(talk_.connected());
  EXPECT_FALSE(talk_.leads());
  const auto second = talk_.OnReceived(Answered(2));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->node_epoch, 6u);
  EXPECT_EQ(second->sent, At(seconds(1)));
  EXPECT_TRUE(second->leads);
  EXPECT_TRUE(talk_.leads());
}

TEST_F(PeerManagerConversationTest, WhatAnswersNothingThatIsOpenCountsForNothing) {
  EXPECT_FALSE(talk_.OnReceived(Answered(1)).has_value()) << "nothing was said";
  Next(seconds(0));
  EXPECT_FALSE(talk_.OnReceived(Answered(2)).has_value());
  EXPECT_FALSE(talk_.OnReceived(Answered(1, true, seconds(0))).has_value()) << "no session";
  EXPECT_FALSE(talk_.connected());
  EXPECT_TRUE(talk_.OnReceived(Answered(1)).has_value());
  EXPECT_FALSE(talk_.OnReceived(Answered(1)).has_value()) << "a second time";
}

TEST_F(PeerManagerConversationTest, AManagerThatAnswersNothingForHalfASessionIsLeft) {
  Next(seconds(0));
  Next(seconds(2));
  Next(seconds(4));
  EXPECT_EQ(Next(milliseconds(4500)).again, milliseconds(500));
  EXPECT_FALSE(Next(milliseconds(4999)).leave);
  EXPECT_TRUE(Next(seconds(5)).leave);
}

TEST_F(PeerManagerConversationTest, OnTheNextLinkItBeginsAnewAndForgetsWhatWasOpen) {
  Next(seconds(0));
  talk_.OnReceived(Answered(1));
  Next(seconds(2));
  talk_.OnLinkLost();
  EXPECT_FALSE(talk_.connected());
  EXPECT_FALSE(talk_.leads());
  EXPECT_FALSE(Next(seconds(3)).send.has_value()) << "there is no link";
  talk_.OnLink();
  const auto hello = Next(seconds(9));
  ASSERT_TRUE(hello.send.has_value());
  EXPECT_TRUE(hello.send->has_hello());
  EXPECT_EQ(hello.send->sequence(), 1u);
  EXPECT_FALSE(hello.leave);
  EXPECT_FALSE(talk_.OnReceived(Answered(2)).has_value());
}

}  // namespace
}  // namespace larder::cache_agent
