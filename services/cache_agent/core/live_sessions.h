#pragma once
#include <cstring>
#include <optional>
#include <unordered_map>

#include "larder/base/mutex.h"
#include "larder/object/caller.h"

namespace larder::cache_agent {

// The sessions that clients have by their connections, by the tokens that name them elsewhere. Thread-safe.
class LiveSessions final : public object::SessionTokens {
 public:
  struct Session {
    object::SessionId id;
    object::SessionOwner owner;
  };

  absl::StatusOr<object::SessionToken> Issue(object::SessionId session, const object::SessionOwner& owner) override
      LARDER_EXCLUDES(mutex_);
  void Revoke(const object::SessionToken& token) override LARDER_EXCLUDES(mutex_);
  // None for a token that was never given, or whose session has ended. It may end at any time after this.
  std::optional<Session> Find(const object::SessionToken& token) const LARDER_EXCLUDES(mutex_);

 private:
  // Tokens are random: any part of them is a hash.
  struct Hash {
    size_t operator()(const object::SessionToken& token) const noexcept {
      size_t hash = 0;
      std::memcpy(&hash, token.bytes.data(), sizeof hash);
      return hash;
    }
  };
  mutable base::Mutex mutex_;
  std::unordered_map<object::SessionToken, Session, Hash> sessions_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::cache_agent
