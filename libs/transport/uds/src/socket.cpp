#include "src/socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "larder/base/status.h"

namespace larder::transport::uds {
namespace {

constexpr size_t kMaxFds = 64;
constexpr time_t kConnectSeconds = 1;

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return base::InvalidArgument("PATH_TOO_LONG", "the socket path '{}' has {} bytes; the system allows {}", path,
                                 path.size(), sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

absl::Status Lost() {
  return base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "the connection to the agent has ended");
}
absl::Status WouldBlock() {
  return base::Error(absl::StatusCode::kUnavailable, "WOULD_BLOCK", "the socket is not ready");
}

absl::Status SocketError(int error) {
  if (error == EAGAIN || error == EWOULDBLOCK) return WouldBlock();
  if (error == EPIPE || error == ECONNRESET || error == ENOTCONN) return Lost();
  return base::ErrnoError(error, "socket");
}

}  // namespace

absl::StatusOr<base::UniqueFd> ConnectTo(const std::string& path) {
  LARDER_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd) return base::ErrnoError(errno, "open a socket");
  // Where many wait to be accepted, in turn; but an agent that is stopped would hold us for ever.
  const timeval limit{.tv_sec = kConnectSeconds, .tv_usec = 0}, none{};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
    return base::ErrnoError(errno, "open a socket");
  }
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error == ENOENT || error == ECONNREFUSED || error == EAGAIN) {
      return base::Error(absl::StatusCode::kUnavailable, "NO_AGENT",
                         "no agent listens at {} (is it running, is the directory mounted?)", path);
    }
    return base::ErrnoError(error, "connect to " + path);
  }
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none) != 0) {
    return base::ErrnoError(errno, "open a socket");
  }
  return fd;
}

absl::StatusOr<base::UniqueFd> ListenAt(const std::string& path, unsigned mode) {
  const std::string aside = path + "." + std::to_string(::getpid());
  LARDER_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(aside));
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return base::ErrnoError(errno, "open a socket");
  ::unlink(aside.c_str());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return base::ErrnoError(errno, "bind " + aside);
  }
  if (::chmod(aside.c_str(), mode) != 0 || ::listen(fd.get(), 1024) != 0 ||
      ::rename(aside.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(aside.c_str());
    return base::ErrnoError(error, "listen at " + path);
  }
  return fd;
}

absl::Status SendRecord(int fd, std::span<const base::ByteSpan> parts, std::span<const int> fds, bool wait) {
  std::array<iovec, 4> iov{};
  size_t count = 0;
  for (const base::ByteSpan part : parts) {
    if (!part.empty()) iov.at(count++) = {const_cast<std::byte*>(part.data()), part.size()};
  }
  msghdr message{};
  message.msg_iov = iov.data();
  message.msg_iovlen = count;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxFds)> control{};
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  while (::sendmsg(fd, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)) < 0) {
    if (errno != EINTR) return SocketError(errno);
  }
  return absl::OkStatus();
}

absl::StatusOr<Received> ReceiveRecord(int fd, base::MutableByteSpan buffer, bool wait) {
  iovec iov{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxFds)> control;
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  while ((size = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_TRUNC | (wait ? 0 : MSG_DONTWAIT))) < 0) {
    // ECONNRESET is told once, before the records that were sent ahead of the end: those first.
    if (errno != EINTR && errno != ECONNRESET) return SocketError(errno);
  }
  if (size == 0) return Lost();
  Received received;
  received.size = std::min(static_cast<size_t>(size), buffer.size());
  received.truncated = (message.msg_flags & MSG_TRUNC) != 0;
  received.fds_truncated = (message.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int received_fd = -1;
      std::memcpy(&received_fd, CMSG_DATA(header) + i * sizeof(int), sizeof received_fd);
      received.fds.emplace_back(received_fd);
    }
  }
  return received;
}

}  // namespace larder::transport::uds
