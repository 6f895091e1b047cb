#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace larder::rpc {

// Where to listen or dial over TCP: "0.0.0.0:7410", "tracker-0.tracker:7410", "[::1]:0".
struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};

// INVALID_ARGUMENT (BAD_ADDRESS) unless `text` is HOST:PORT with a host and a port of 0 to 65535. Does not resolve.
// Pure.
absl::StatusOr<HostPort> ParseHostPort(std::string_view text);
// The form that ParseHostPort reads; an IPv6 address in brackets.
std::string FormatHostPort(const HostPort& address);
// ParseHostPort as a check of a setting.
absl::Status CheckHostPort(const std::string& text);

}  // namespace larder::rpc
