#include "larder/base/sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>

namespace larder::base {
namespace {

// After a partition the kernel would wait for minutes before it sent again.
constexpr unsigned kUserTimeoutMs = 5000;

// A machine that is gone without a word is noticed after 10 + 3 * 3 s without data.
constexpr int kKeepAliveIdleSeconds = 10;
constexpr int kKeepAliveProbeSeconds = 3;
constexpr int kKeepAliveProbes = 3;

void KeepAlive(int fd) {
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepAliveIdleSeconds, sizeof kKeepAliveIdleSeconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepAliveProbeSeconds, sizeof kKeepAliveProbeSeconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kKeepAliveProbes, sizeof kKeepAliveProbes);
}

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

absl::Status Unavailable(std::string_view reason, const std::string& address, std::string_view why) {
  return Error(absl::StatusCode::kUnavailable, reason, "{}: {}", address, why);
}

absl::StatusOr<AddressList> ResolveName(const std::string& address, int flags, std::string_view reason) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    return InvalidArgument("BAD_ADDRESS", "'{}' is not HOST:PORT", address);
  }
  std::string host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const addrinfo hints{.ai_flags = flags | AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found);
  if (error == EAI_SERVICE) return InvalidArgument("BAD_ADDRESS", "'{}' has no port number", address);
  if (error != 0) return Unavailable(reason, address, ::gai_strerror(error));
  return AddressList(found, &::freeaddrinfo);
}

std::string ErrorText(int error) { return Message(ErrnoError(error, "socket")); }

UniqueFd SocketFor(const addrinfo& address) {
  return UniqueFd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// A socket that begins to connect.
UniqueFd Connecting(const addrinfo& address, int& error) {
  UniqueFd fd = SocketFor(address);
  if (!fd) {
    error = errno;
    return fd;
  }
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof kUserTimeoutMs);
  KeepAlive(fd.get());
  error = ::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  return fd;
}

int ConnectError(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

// 0 or the errno of a connect that is under way.
int AwaitConnect(int fd, std::chrono::steady_clock::time_point until, int stop) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return ETIMEDOUT;
    std::array<pollfd, 2> polled{{{.fd = fd, .events = POLLOUT}, {.fd = stop, .events = POLLIN}}};
    if (::poll(polled.data(), polled.size(), static_cast<int>(left.count())) < 0) continue;  // EINTR
    if (polled[1].revents != 0) return ECANCELED;
    if (polled[0].revents != 0) return ConnectError(fd);
  }
}

}  // namespace

absl::StatusOr<UniqueFd> ListenOn(const std::string& address) {
  LARDER_ASSIGN_OR_RETURN(const AddressList found, ResolveName(address, AI_PASSIVE, "CANNOT_LISTEN"));
  UniqueFd fd = SocketFor(*found);
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) {
    return Unavailable("CANNOT_LISTEN", address, ErrorText(errno));
  }
  return fd;
}

absl::StatusOr<UniqueFd> Dial(const std::string& address, Duration timeout, int stop) {
  LARDER_ASSIGN_OR_RETURN(const AddressList found, ResolveName(address, 0, "CANNOT_DIAL"));
  const auto until = std::chrono::steady_clock::now() + timeout;
  int error = 0;
  for (const addrinfo* next = found.get(); next != nullptr; next = next->ai_next) {
    UniqueFd fd = Connecting(*next, error);
    if (!fd) return Unavailable("CANNOT_DIAL", address, ErrorText(error));
    if (error == EINPROGRESS) error = AwaitConnect(fd.get(), until, stop);
    if (error == 0) return fd;
    if (error == ECANCELED) break;
  }
  return Unavailable("CANNOT_DIAL", address, ErrorText(error));
}

absl::StatusOr<UniqueFd> BeginDial(const std::string& address) {
  LARDER_ASSIGN_OR_RETURN(const AddressList found, ResolveName(address, AI_NUMERICHOST, "CANNOT_DIAL"));
  int error = 0;
  UniqueFd fd = Connecting(*found, error);
  if (error != 0 && error != EINPROGRESS) return Unavailable("CANNOT_DIAL", address, ErrorText(error));
  return fd;
}

absl::Status DialOutcome(int fd, const std::string& address) {
  const int error = ConnectError(fd);
  return error == 0 ? absl::OkStatus() : Unavailable("CANNOT_DIAL", address, ErrorText(error));
}

UniqueFd Accept(int listener) {
  UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd) KeepAlive(fd.get());
  return fd;
}

absl::StatusOr<std::string> LocalAddress(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      ::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return ErrnoError(errno, "name a socket");
  }
  const bool v6 = address.ss_family == AF_INET6;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", host.data(), v6 ? "]" : "", port.data());
}

UniqueFd MakeWake() {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) std::abort();
  return fd;
}

void Wake(int fd) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = ::write(fd, &one, sizeof one);
}

void ClearWake(int fd) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t size = ::read(fd, &count, sizeof count);
}

}  // namespace larder::base
