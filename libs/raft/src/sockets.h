#pragma once
#include <absl/status/statusor.h>

#include <string>

#include "larder/base/clock.h"
#include "larder/base/status.h"
#include "larder/base/unique_fd.h"

namespace larder::raft {

// Both resolve the name in `address`, HOST:PORT, an IPv6 address in brackets, which may take as long as the resolver
// does. INVALID_ARGUMENT (BAD_ADDRESS) if it is none.

// A listening, non-blocking socket. UNAVAILABLE (CANNOT_LISTEN).
absl::StatusOr<base::UniqueFd> ListenOn(const std::string& address);
// Connects, non-blocking and without delay of small writes, within `timeout`, or until `stop` can be read. UNAVAILABLE
// (CANNOT_DIAL).
absl::StatusOr<base::UniqueFd> Dial(const std::string& address, base::Duration timeout, int stop);
// The next connection, non-blocking; none, with errno, if there is none.
base::UniqueFd Accept(int listener);
// HOST:PORT that the socket is bound to.
absl::StatusOr<std::string> LocalAddress(int fd);
// For waking a thread that polls; any thread. Ends the process if there are no descriptors left to make one.
base::UniqueFd MakeWake();
void Wake(int fd);
void ClearWake(int fd);

}  // namespace larder::raft
