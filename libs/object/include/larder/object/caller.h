#pragma once
#include <absl/status/statusor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "larder/object/ids.h"
#include "larder/object/peer.h"

namespace larder::object {

// The process that connected, as the kernel tells a transport.
struct CallerProcess {
  int32_t pid = 0;  // 0: unknown, or not in our pid namespace
  int pidfd = -1;   // of that process, the transport's own; -1: the kernel gives none, or the process may be another
};

// Whose session it will be, from what the kernel says and the namespace that is asked for (empty: none in particular).
// Called on event threads: waits for nothing. The caller's pidfd is borrowed for the call.
using Identify = std::function<absl::StatusOr<SessionOwner>(const CallerProcess& caller, const std::string& asked_ns)>;

// Names a session to calls that come another way than its connection. Who knows it acts as the session's owner: never
// logged.
struct SessionToken {
  std::array<std::byte, 16> bytes{};
  bool operator==(const SessionToken&) const = default;
};

// The tokens of the sessions that live. Thread-safe; never blocks.
class SessionTokens {
 public:
  virtual ~SessionTokens() = default;
  // A token, random and never given before, that names `session`, which is `owner`'s, until it is revoked. INTERNAL if
  // there is no randomness.
  virtual absl::StatusOr<SessionToken> Issue(SessionId session, const SessionOwner& owner) = 0;
  // Before the session is closed. Nothing if the token names none.
  virtual void Revoke(const SessionToken& token) = 0;
};

}  // namespace larder::object
