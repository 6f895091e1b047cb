#include "larder/rpc/address.h"

#include <fmt/format.h>

#include <charconv>

#include "larder/base/status.h"

namespace larder::rpc {

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  const auto bad = [&] {
    return base::InvalidArgument("BAD_ADDRESS", "'{}' is no address: write HOST:PORT or [IPV6]:PORT", text);
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad();
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || host.find_first_of("[]/ ") != std::string_view::npos) return bad();
  if (!bracketed && host.find(':') != std::string_view::npos) return bad();
  HostPort address = {.host = std::string(host)};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (error != std::errc() || end != digits.data() + digits.size()) return bad();
  return address;
}

std::string FormatHostPort(const HostPort& address) {
  const bool ipv6 = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", address.host, ipv6 ? "]" : "", address.port);
}

absl::Status CheckHostPort(const std::string& text) { return ParseHostPort(text).status(); }

}  // namespace larder::rpc
