#include "core/live_sessions.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "larder/base/testing/status_matchers.h"

namespace larder::cache_agent {
namespace {

TEST(LiveSessions, AreFoundByTheirTokensUntilTheyEnd) {
  LiveSessions sessions;
  LARDER_ASSERT_OK_AND_ASSIGN(const object::SessionToken first, sessions.Issue({1}, {.ns = "team-a", .pid = 7}));
  LARDER_ASSERT_OK_AND_ASSIGN(const object::SessionToken second, sessions.Issue({2}, {.ns = "team-b"}));
  EXPECT_NE(first, second);
  EXPECT_EQ(sessions.Find(first)->id, object::SessionId{1});
  EXPECT_EQ(sessions.Find(first)->owner.ns, "team-a");
  EXPECT_EQ(sessions.Find(first)->owner.pid, 7);
  EXPECT_EQ(sessions.Find(second)->id, object::SessionId{2});
  sessions.Revoke(first);
  EXPECT_FALSE(sessions.Find(first).has_value());
  EXPECT_TRUE(sessions.Find(second).has_value());
  sessions.Revoke(first);
}

TEST(LiveSessions, AreNotFoundByATokenThatDiffersInAnyByte) {
  LiveSessions sessions;
  LARDER_ASSERT_OK_AND_ASSIGN(const object::SessionToken token, sessions.Issue({1}, {.ns = "team-a"}));
  for (size_t i = 0; i < token.bytes.size(); ++i) {
    object::SessionToken other = token;
    other.bytes.at(i) ^= std::byte{1};
    EXPECT_FALSE(sessions.Find(other).has_value()) << i;
  }
  EXPECT_FALSE(sessions.Find({}).has_value()) << "zeros are no token";
}

}  // namespace
}  // namespace larder::cache_agent
