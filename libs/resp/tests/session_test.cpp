#include "larder/resp/session.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

using namespace larder::resp;

namespace {

class OneUser final : public Authenticator {
 public:
  bool Required() const override { return true; }
  bool Check(std::string_view user, std::string_view password, std::string& name_space) const override {
    name_space = "team";
    return user == "ann" && password == "secret";
  }
};

Outcome Ask(Session& session, const std::vector<std::string_view>& words) { return session.Handle(words, 0); }

}  // namespace

TEST(Session, AnswersNothingButTheHandshakeBeforeAuth) {
  const OneUser users;
  Session session(7, &users);
  EXPECT_FALSE(session.authenticated());
  EXPECT_EQ(Ask(session, {"PING"}).reply.bytes, "-NOAUTH Authentication required.\r\n");
  EXPECT_EQ(Ask(session, {"PING"}).reply.code, absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Ask(session, {"GET", "k"}).reply.bytes, "-NOAUTH Authentication required.\r\n");
  EXPECT_TRUE(Ask(session, {"HELLO", "3"}).reply.bytes.starts_with("-NOAUTH HELLO must be called"));
  EXPECT_EQ(Ask(session, {"AUTH", "ann", "wrong"}).reply.bytes,
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  EXPECT_EQ(Ask(session, {"AUTH", "ann", "secret"}).reply.bytes, "+OK\r\n");
  EXPECT_EQ(Ask(session, {"PING"}).reply.bytes, "+PONG\r\n");
}

TEST(Session, ACallCarriesNamespaceDatabaseAndProtocol) {
  const OneUser users;
  Session session(7, &users);
  EXPECT_TRUE(Ask(session, {"HELLO", "3", "AUTH", "ann", "secret"}).reply.bytes.starts_with("%7\r\n"));
  EXPECT_EQ(Ask(session, {"SELECT", "5"}).reply.bytes, "+OK\r\n");
  const Outcome outcome = Ask(session, {"GET", "k"});
  ASSERT_TRUE(outcome.call);
  EXPECT_EQ(outcome.call->name_space, "team");
  EXPECT_EQ(outcome.call->database, 5);
  EXPECT_EQ(outcome.call->protocol, Protocol::kResp3);
}

TEST(Session, ResetForgetsEverything) {
  const OneUser users;
  Session session(7, &users);
  Ask(session, {"HELLO", "3", "AUTH", "ann", "secret", "SETNAME", "me"});
  EXPECT_EQ(Ask(session, {"RESET"}).reply.bytes, "+RESET\r\n");
  EXPECT_FALSE(session.authenticated());
  EXPECT_EQ(session.protocol(), Protocol::kResp2);
}

TEST(Session, SetinfoIsTakenAsNewerClientsSendIt) {
  Session session(7, nullptr);
  EXPECT_EQ(Ask(session, {"CLIENT", "SETINFO", "LIB-NAME", "redis-py"}).reply.bytes, "+OK\r\n");
  EXPECT_EQ(Ask(session, {"CLIENT", "SETINFO", "lib-ver", "5 0"}).reply.bytes,
            "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n");
  EXPECT_EQ(Ask(session, {"CLIENT", "SETINFO", "x", "y"}).reply.bytes, "-ERR Unrecognized option 'x'\r\n");
}

TEST(Session, CommandListsWhatThereIs) {
  Session session(7, nullptr);
  EXPECT_EQ(Ask(session, {"COMMAND", "COUNT"}).reply.bytes, ":" + std::to_string(CommandTable().size()) + "\r\n");
  EXPECT_TRUE(
      Ask(session, {"COMMAND", "INFO", "get", "nope"}).reply.bytes.starts_with("*2\r\n*10\r\n$3\r\nget\r\n:2\r\n"));
  EXPECT_TRUE(Ask(session, {"COMMAND", "INFO", "nope"}).reply.bytes.ends_with("*-1\r\n"));
  EXPECT_TRUE(Ask(session, {"COMMAND", "DOCS", "get"}).reply.bytes.starts_with("*2\r\n$3\r\nget\r\n*6\r\n"));
}
