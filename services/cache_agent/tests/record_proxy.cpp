#include "tests/record_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestRecord = 128 * 1024;
constexpr size_t kMostFds = 64;

sockaddr_un AddressOf(const fs::path& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

base::UniqueFd NewSocket() { return base::UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)); }

}  // namespace

RecordProxy::RecordProxy(const fs::path& client_dir, fs::path agent_dir, Look look)
    : agent_dir_(std::move(agent_dir)), look_(std::move(look)), listener_(NewSocket()) {
  fs::create_directories(client_dir);
  const sockaddr_un here = AddressOf(client_dir / "data.sock");
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0 ||
      ::listen(listener_.get(), 1) != 0) {
    throw std::system_error(errno, std::generic_category(), client_dir.string());
  }
  thread_ = std::thread([this] { Run(); });
}

RecordProxy::~RecordProxy() {
  ::shutdown(listener_.get(), SHUT_RDWR);  // nobody may have come
  thread_.join();
}

void RecordProxy::Run() {
  const base::UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const base::UniqueFd agent = NewSocket();
  const sockaddr_un there = AddressOf(agent_dir_ / "data.sock");
  if (!client || ::connect(agent.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0) return;
  std::array<pollfd, 2> ready = {pollfd{.fd = client.get(), .events = POLLIN},
                                 pollfd{.fd = agent.get(), .events = POLLIN}};
  while (::poll(ready.data(), ready.size(), -1) > 0) {
    if (ready[0].revents != 0 && !PassOn(client.get(), agent.get(), From::kClient)) return;
    if (ready[1].revents != 0 && !PassOn(agent.get(), client.get(), From::kAgent)) return;
  }
}

bool RecordProxy::PassOn(int from, int to, From side) {
  static thread_local std::vector<std::byte> record(kLargestRecord);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostFds)> control{};
  iovec part = {record.data(), record.size()};
  msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.data(), .msg_controllen = control.size()};
  const ssize_t size = ::recvmsg(from, &message, MSG_CMSG_CLOEXEC);
  if (size <= 0) return false;
  bytes_ += static_cast<uint64_t>(size);
  part.iov_len = static_cast<size_t>(size);
  const bool passes = !look_ || look_(side, std::span(record).first(part.iov_len)) == Verdict::kPass;
  const bool sent = passes && ::sendmsg(to, &message, MSG_NOSIGNAL) == size;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    for (size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      ::close(fd);
      ++fds_;
    }
  }
  return sent;
}

}  // namespace larder::cache_agent
