#include "larder/base/sockets.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <chrono>

#include "larder/base/mutex.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/raft/tcp_transport.h"

namespace larder::raft {
namespace {

using base::IsOk;

int Option(const base::UniqueFd& fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(fd.get(), level, name, &value, &size), 0);
  return value;
}

// Who loses power says nothing any more.
TEST(Sockets, ASilentPeerIsNoticedOnBothSides) {
  const base::UniqueFd stop = base::MakeWake();
  LARDER_ASSERT_OK_AND_ASSIGN(const base::UniqueFd listener, base::ListenOn("127.0.0.1:0"));
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string address, base::LocalAddress(listener.get()));
  LARDER_ASSERT_OK_AND_ASSIGN(const base::UniqueFd dialled, base::Dial(address, std::chrono::seconds(10), stop.get()));
  pollfd polled{.fd = listener.get(), .events = POLLIN};
  ASSERT_EQ(::poll(&polled, 1, -1), 1);
  const base::UniqueFd accepted = base::Accept(listener.get());
  ASSERT_TRUE(accepted);
  for (const base::UniqueFd* fd : {&dialled, &accepted}) {
    EXPECT_EQ(Option(*fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_LE(Option(*fd, IPPROTO_TCP, TCP_KEEPIDLE) +
                  Option(*fd, IPPROTO_TCP, TCP_KEEPINTVL) * Option(*fd, IPPROTO_TCP, TCP_KEEPCNT),
              20);
  }
}

// This process may open no more files as long as one lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const base::UniqueFd lowest(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    rlimit now = before_;
    now.rlim_cur = static_cast<rlim_t>(lowest.get());
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &now), 0);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST(Sockets, WithoutDescriptorsAcceptingPausesAndGoesOn) {
  base::Mutex mutex;
  base::CondVar changed;
  std::vector<std::string> refused;
  auto transport = TcpTransport::Listen({.listen = "127.0.0.1:0",
                                         .cluster = "blue",
                                         .node = "node",
                                         .self = {1},
                                         .hello_timeout = std::chrono::milliseconds(1),
                                         .refused = [&](const absl::Status& why) {
                                           base::MutexLock lock(mutex);
                                           refused.push_back(base::Reason(why));
                                           changed.NotifyAll();
                                         }});
  ASSERT_THAT(transport, IsOk());
  const auto await = [&](size_t count) {
    base::MutexLock lock(mutex);
    while (refused.size() < count) changed.Wait(mutex);
    return refused.back();
  };
  const std::string address = (*transport)->address();
  sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(10))))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  size_t count = 0;
  {
    const NoDescriptors none;
    ASSERT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    EXPECT_EQ(await(1), "NO_DESCRIPTORS");
    const auto begin = std::chrono::steady_clock::now();
    await(3);
    EXPECT_GT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(150)) << "it does not spin";
    base::MutexLock lock(mutex);
    count = refused.size();
  }
  // Accepted at last, and ended for it says nothing.
  while (await(++count) != "NO_HELLO") {
  }
  (*transport)->Stop();
}

}  // namespace
}  // namespace larder::raft
