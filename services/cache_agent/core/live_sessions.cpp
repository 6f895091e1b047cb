#include "core/live_sessions.h"

#include <sys/random.h>

#include "larder/base/status.h"

namespace larder::cache_agent {

absl::StatusOr<object::SessionToken> LiveSessions::Issue(object::SessionId session, const object::SessionOwner& owner) {
  object::SessionToken token;
  // So few bytes come at once or not at all.
  if (::getrandom(token.bytes.data(), token.bytes.size(), 0) != static_cast<ssize_t>(token.bytes.size())) {
    return base::Error(absl::StatusCode::kInternal, "NO_RANDOMNESS", "the kernel gives no random bytes for a token");
  }
  base::MutexLock lock(mutex_);
  sessions_[token] = {.id = session, .owner = owner};
  return token;
}

void LiveSessions::Revoke(const object::SessionToken& token) {
  base::MutexLock lock(mutex_);
  sessions_.erase(token);
}

std::optional<LiveSessions::Session> LiveSessions::Find(const object::SessionToken& token) const {
  base::MutexLock lock(mutex_);
  const auto found = sessions_.find(token);
  if (found == sessions_.end()) return std::nullopt;
  return found->second;
}

}  // namespace larder::cache_agent
