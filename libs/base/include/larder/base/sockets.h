#pragma once
#include <absl/status/statusor.h>

#include <string>

#include "larder/base/clock.h"
#include "larder/base/status.h"
#include "larder/base/unique_fd.h"

namespace larder::base {

// TCP. An `address` is HOST:PORT, an IPv6 address in brackets; INVALID_ARGUMENT (BAD_ADDRESS) if it is none. ListenOn
// and Dial resolve its name, which may take as long as the resolver does.

// A listening, non-blocking socket. UNAVAILABLE (CANNOT_LISTEN).
absl::StatusOr<UniqueFd> ListenOn(const std::string& address);
// Connects, non-blocking and without delay of small writes, within `timeout`, or until `stop` can be read. UNAVAILABLE
// (CANNOT_DIAL).
absl::StatusOr<UniqueFd> Dial(const std::string& address, Duration timeout, int stop);
// Begins to connect, and does not wait: the socket can be written to once the outcome is known. HOST is a number, not a
// name. UNAVAILABLE (CANNOT_DIAL).
absl::StatusOr<UniqueFd> BeginDial(const std::string& address);
// What came of it.
absl::Status DialOutcome(int fd, const std::string& address);
// The next connection, non-blocking; none, with errno, if there is none.
UniqueFd Accept(int listener);
// HOST:PORT that the socket is bound to.
absl::StatusOr<std::string> LocalAddress(int fd);
// For waking a thread that polls; any thread. Ends the process if there are no descriptors left to make one.
UniqueFd MakeWake();
void Wake(int fd);
void ClearWake(int fd);

}  // namespace larder::base
