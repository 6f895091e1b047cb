#include "tests/raw_hello.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "larder/base/codec.h"
#include "larder/base/status.h"

namespace larder::cache_agent {
namespace {

constexpr size_t kHeaderSize = 32;
constexpr uint16_t kVersion = 1;
constexpr uint16_t kHello = 1;
constexpr uint64_t kRequestId = 1;

absl::Status Lost() { return base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "the agent hung up"); }

}  // namespace

absl::StatusOr<base::UniqueFd> ConnectRaw(const std::filesystem::path& socket_dir) {
  const std::string path = socket_dir / "data.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return base::ErrnoError(errno, "connect to " + path);
  }
  return fd;
}

absl::StatusOr<Greeting> SayHello(int fd, const std::string& ns) {
  const base::ByteWriter hello = base::ByteWriter().Str(ns).U64(0).Str("by hand");
  base::ByteWriter record;
  record.Raw(base::AsBytes("LRD1")).U16(kVersion).U16(kHello).U64(kRequestId);
  record.U32(static_cast<uint32_t>(hello.size())).U32(0).U64(0).Raw(hello.bytes());
  if (::send(fd, record.bytes().data(), record.size(), MSG_NOSIGNAL) < 0) return Lost();
  std::array<std::byte, 4096> reply;
  const ssize_t size = ::recv(fd, reply.data(), reply.size(), 0);
  if (size < static_cast<ssize_t>(kHeaderSize)) return Lost();
  base::ByteReader in(base::ByteSpan(reply).first(static_cast<size_t>(size)));
  in.Raw(20);  // magic, version, op, request id, length
  const uint32_t code = in.U32();
  in.U64();
  if (code != 0) {
    const std::string_view reason = in.Str();
    return base::MakeError(static_cast<absl::StatusCode>(code), reason, in.Str());
  }
  in.U64();  // session
  Greeting greeting;
  greeting.token = base::AsText(in.Raw(16));
  in.Raw(12);  // lease TTL, inline limit, piece limit
  greeting.ns = in.Str();
  return in.ok() ? absl::StatusOr<Greeting>(greeting) : Lost();
}

}  // namespace larder::cache_agent
