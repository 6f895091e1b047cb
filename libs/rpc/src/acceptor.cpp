#include "larder/rpc/acceptor.h"

#include <fcntl.h>
#include <grpcpp/server.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <map>
#include <span>
#include <thread>
#include <utility>

#include "larder/base/mutex.h"
#include "larder/base/sockets.h"
#include "larder/base/status.h"
#include "larder/base/unique_fd.h"

namespace larder::rpc {
namespace {

// After a connection could not be taken, which waits on.
constexpr int kAcceptPauseMs = 100;
constexpr size_t kEvents = 64;

}  // namespace

class Acceptor::Loop {
 public:
  explicit Loop(size_t most) : most_(most) {
    Watch(wake_.get(), EPOLLIN, kWake);
    thread_ = std::thread([this] { Run(); });
  }
  ~Loop() {
    base::Wake(wake_.get());
    thread_.join();
  }

  absl::Status Add(int listening, size_t most, grpc::Server& server) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (!Watch(listening, EPOLLIN, ++numbers_)) return base::ErrnoError(errno, "watch a listening socket");
    sockets_[numbers_] = {.listening = listening, .most = most, .server = &server};
    return absl::OkStatus();
  }
  void Remove(int listening) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    const auto is_it = [listening](const auto& socket) { return socket.second.listening == listening; };
    if (std::erase_if(sockets_, is_it) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listening, nullptr);
  }
  size_t open() const LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return connections_.size();
  }

 private:
  struct Socket {
    int listening = -1;
    size_t most = 0;
    grpc::Server* server = nullptr;
    size_t open = 0;
  };
  // A second descriptor of one that gRPC has. It is never read, only watched until both sides are shut.
  struct Connection {
    base::UniqueFd fd;
    uint64_t socket = 0;  // by which it came; it may have been removed
  };
  // Of what is watched: descriptors are used again.
  static constexpr uint64_t kWake = 0;

  bool Watch(int fd, uint32_t events, uint64_t number) const {
    epoll_event event = {.events = events, .data = {.u64 = number}};
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }

  void Run() {
    std::array<epoll_event, kEvents> events = {};
    while (true) {
      const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
      bool pause = false;
      for (const epoll_event& event : std::span(events).first(static_cast<size_t>(std::max(count, 0)))) {
        if (event.data.u64 == kWake) return;
        pause = !Handle(event.data.u64) || pause;
      }
      // Without descriptors a socket can be read on and on.
      pollfd wait = {.fd = wake_.get(), .events = POLLIN, .revents = 0};
      if (pause) ::poll(&wait, 1, kAcceptPauseMs);
    }
  }

  // False: no connection could be taken, though there is one.
  bool Handle(uint64_t number) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (const auto socket = sockets_.find(number); socket != sockets_.end()) return AcceptOne(number, socket->second);
    if (const auto ended = connections_.extract(number); !ended.empty()) {
      const auto socket = sockets_.find(ended.mapped().socket);
      if (socket != sockets_.end()) --socket->second.open;
    }
    return true;
  }

  bool AcceptOne(uint64_t number, Socket& socket) LARDER_REQUIRES(mutex_) {
    base::UniqueFd fd(::accept4(socket.listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
    if (socket.open >= socket.most || connections_.size() >= most_) return true;  // and it is closed
    base::UniqueFd watched(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!watched || !Watch(watched.get(), 0, ++numbers_)) return false;
    ++socket.open;
    connections_[numbers_] = {.fd = std::move(watched), .socket = number};
    grpc::AddInsecureChannelFromFd(socket.server, fd.Release());  // gRPC shuts and closes it
    return true;
  }

  const size_t most_;
  const base::UniqueFd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  const base::UniqueFd wake_ = base::MakeWake();
  mutable base::Mutex mutex_;
  uint64_t numbers_ LARDER_GUARDED_BY(mutex_) = kWake;
  std::map<uint64_t, Socket> sockets_ LARDER_GUARDED_BY(mutex_);
  std::map<uint64_t, Connection> connections_ LARDER_GUARDED_BY(mutex_);
  std::thread thread_;
};

Acceptor::Acceptor(size_t most) : loop_(std::make_unique<Loop>(most)) {}
Acceptor::~Acceptor() = default;
absl::Status Acceptor::Add(int listening, size_t most, grpc::Server& server) {
  return loop_->Add(listening, most, server);
}
void Acceptor::Remove(int listening) { loop_->Remove(listening); }
size_t Acceptor::open() const { return loop_->open(); }

}  // namespace larder::rpc
