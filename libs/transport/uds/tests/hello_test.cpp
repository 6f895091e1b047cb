// What HELLO tells whoever decides who a caller is, and what it gives the caller.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "tests/agent_side.h"

namespace larder::transport::uds {
namespace {

constexpr object::SessionToken kToken = {{std::byte{1}, std::byte{2}, std::byte{3}}};

class Hello : public AgentSide, public object::SessionTokens {
 protected:
  void Change(object::ListenSettings& settings) override {
    settings.identify = [this](const object::CallerProcess& caller, const std::string&) { return Identify(caller); };
    settings.tokens = this;
    settings.socket_mode = 0660;
  }
  absl::StatusOr<object::SessionOwner> Identify(const object::CallerProcess& caller) {
    pollfd exit{.fd = caller.pidfd, .events = POLLIN};
    base::MutexLock lock(mutex_);
    pid_ = caller.pid;
    pidfd_lives_ = caller.pidfd >= 0 && ::poll(&exit, 1, 0) == 0;
    return object::SessionOwner{.ns = "team-a", .pid = caller.pid};
  }
  absl::StatusOr<object::SessionToken> Issue(object::SessionId session, const object::SessionOwner& owner) override {
    base::MutexLock lock(mutex_);
    if (no_randomness_) return base::Error(absl::StatusCode::kInternal, "NO_RANDOMNESS", "none");
    issued_for_ = {session, owner.ns};
    return kToken;
  }
  void Revoke(const object::SessionToken& token) override {
    base::MutexLock lock(mutex_);
    revoked_ = token;
    sessions_when_revoked_ = peer_->usage().sessions;
  }
  // The session and the token of HELLO's reply.
  absl::StatusOr<std::pair<object::SessionId, object::SessionToken>> Greet(int fd) {
    LARDER_ASSIGN_OR_RETURN(const std::vector<std::byte> reply, Ask(fd, Op::kHello, HelloOf("")));
    base::ByteReader in(reply);
    const object::SessionId session{in.U64()};
    object::SessionToken token;
    std::ranges::copy(in.Raw(token.bytes.size()), token.bytes.begin());
    return std::pair(session, token);
  }

  int32_t pid_ LARDER_GUARDED_BY(mutex_) = 0;
  bool pidfd_lives_ LARDER_GUARDED_BY(mutex_) = false;
  bool no_randomness_ LARDER_GUARDED_BY(mutex_) = false;
  std::pair<object::SessionId, std::string> issued_for_ LARDER_GUARDED_BY(mutex_);
  std::optional<object::SessionToken> revoked_ LARDER_GUARDED_BY(mutex_);
  uint64_t sessions_when_revoked_ LARDER_GUARDED_BY(mutex_) = 0;
};

class HelloWithoutTokens : public Hello {
 protected:
  void Change(object::ListenSettings& settings) override {
    Hello::Change(settings);
    settings.tokens = nullptr;
  }
};

TEST_F(Hello, ShowsTheProcessThatConnected) {
  ASSERT_THAT(Greet(Connect().get()), IsOk());
  base::MutexLock lock(mutex_);
  EXPECT_EQ(pid_, ::getpid());
  EXPECT_TRUE(pidfd_lives_);
}

TEST_F(Hello, GivesTheSessionsTokenWhichEndsBeforeTheSession) {
  {
    const base::UniqueFd fd = Connect();
    LARDER_ASSERT_OK_AND_ASSIGN(const auto greeting, Greet(fd.get()));
    EXPECT_EQ(greeting.second, kToken);
    base::MutexLock lock(mutex_);
    EXPECT_EQ(issued_for_, std::pair(greeting.first, std::string("team-a")));
    EXPECT_EQ(revoked_, std::nullopt);
  }
  listener_->Stop(base::kNoDeadline);
  base::MutexLock lock(mutex_);
  EXPECT_EQ(revoked_, kToken);
  EXPECT_EQ(sessions_when_revoked_, 1u);
  EXPECT_EQ(peer_->usage().sessions, 0u);
}

TEST_F(Hello, GivesTheChannelItsToken) {
  LARDER_ASSERT_OK_AND_ASSIGN(const auto channel, Dial(dir_.path(), {}));
  EXPECT_EQ(channel->token(), base::AsText(kToken.bytes));
}

TEST_F(HelloWithoutTokens, GivesZerosWhichAreNoToken) {
  LARDER_ASSERT_OK_AND_ASSIGN(const auto greeting, Greet(Connect().get()));
  EXPECT_EQ(greeting.second, object::SessionToken());
  LARDER_ASSERT_OK_AND_ASSIGN(const auto channel, Dial(dir_.path(), {}));
  EXPECT_EQ(channel->token(), "");
}

TEST_F(Hello, WithoutATokenToGiveOpensNoSession) {
  {
    base::MutexLock lock(mutex_);
    no_randomness_ = true;
  }
  const base::UniqueFd fd = Connect();
  EXPECT_THAT(Greet(fd.get()), StatusIs(absl::StatusCode::kInternal, "NO_RANDOMNESS"));
  EXPECT_THAT(Receive(fd.get()), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_TRUE(Eventually([&] { return peer_->usage().sessions == 0; }));
}

TEST_F(Hello, IsForWhomTheSocketsModeLetsIn) {
  EXPECT_EQ(std::filesystem::status(dir_ / std::string(kSocketName)).permissions(), std::filesystem::perms{0660});
}

}  // namespace
}  // namespace larder::transport::uds
