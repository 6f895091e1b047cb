#include "src/tcp_receiver.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace larder::raft {
namespace {

constexpr size_t kReadSize = 256 * base::kKiB;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
// Before HELLO nobody may make us hold more.
constexpr uint64_t kHelloLimit = 4 * base::kKiB;

bool WatchInput(int epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

TcpReceiver::TcpReceiver(const TcpTransportOptions& options)
    : options_(options),
      own_{.cluster = options.cluster,
           .node = options.node,
           .member = options.self,
           .architecture = std::string(OwnArchitecture())} {}

absl::StatusOr<std::unique_ptr<TcpReceiver>> TcpReceiver::Start(const TcpTransportOptions& options) {
  std::unique_ptr<TcpReceiver> receiver(new TcpReceiver(options));
  LARDER_ASSIGN_OR_RETURN(receiver->listener_, base::ListenOn(options.listen));
  LARDER_ASSIGN_OR_RETURN(receiver->address_, base::LocalAddress(receiver->listener_.get()));
  receiver->epoll_.Reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!receiver->epoll_ || !WatchInput(receiver->epoll_.get(), receiver->listener_.get()) ||
      !WatchInput(receiver->epoll_.get(), receiver->wake_.get())) {
    return base::ErrnoError(errno, "make an event loop");
  }
  receiver->thread_ = std::thread([raw = receiver.get()] { raw->Run(); });
  ::pthread_setname_np(receiver->thread_.native_handle(), "larder-raft-in");
  return receiver;
}

TcpReceiver::~TcpReceiver() { Stop(); }

void TcpReceiver::Stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  base::Wake(wake_.get());
  thread_.join();
  connections_.clear();
  listener_.Reset();
}

void TcpReceiver::Run() {
  std::array<epoll_event, 64> events{};
  while (!stopping_) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), DoDue());
    for (int i = 0; i < count && !stopping_; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == listener_.get()) {
        AcceptAll();
        continue;
      }
      const auto it = connections_.find(fd);
      if (it == connections_.end()) continue;  // replaced by another in this round
      const absl::Status status = ReadSome(it->second);
      if (status.ok()) continue;
      if (!absl::IsCancelled(status)) Refuse(status);
      connections_.erase(fd);
    }
  }
}

void TcpReceiver::AcceptAll() {
  while (true) {
    base::UniqueFd fd = base::Accept(listener_.get());
    if (!fd) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) StopAccepting();
      return;
    }
    if (connections_.size() >= options_.incoming_limit) {
      Refuse(base::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_CONNECTIONS", "there are {} already",
                         connections_.size()));
      continue;
    }
    if (!WatchInput(epoll_.get(), fd.get())) continue;
    const int number = fd.get();
    connections_.emplace(number, Connection{.fd = std::move(fd),
                                            .decoder = FrameDecoder(kHelloLimit),
                                            .hello_until = base::DeadlineAfter(std::chrono::steady_clock::now(),
                                                                               options_.hello_timeout)});
  }
}

void TcpReceiver::StopAccepting() {
  Refuse(base::Error(absl::StatusCode::kResourceExhausted, "NO_DESCRIPTORS", "{}",
                     base::Message(base::ErrnoError(errno, "accept a connection"))));
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
  accept_again_ = base::DeadlineAfter(std::chrono::steady_clock::now(), kAcceptPause);
}

absl::Status TcpReceiver::ReadSome(Connection& connection) {
  std::array<std::byte, kReadSize> bytes;
  const ssize_t size = ::recv(connection.fd.get(), bytes.data(), bytes.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
  if (size <= 0) return absl::CancelledError();
  connection.decoder.Append(std::span(bytes).first(static_cast<size_t>(size)));
  while (!stopping_) {
    LARDER_ASSIGN_OR_RETURN(std::optional<Frame> frame, connection.decoder.Next());
    if (!frame) return absl::OkStatus();
    LARDER_RETURN_IF_ERROR(HandleFrame(connection, *std::move(frame)));
  }
  return absl::CancelledError();
}

absl::Status TcpReceiver::HandleFrame(Connection& connection, Frame frame) {
  if (frame.group != options_.group) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "FOREIGN_GROUP", "a frame of group {}, not {}",
                       frame.group.value, options_.group.value);
  }
  const bool greeted = connection.member != MemberId{};
  if (greeted == (frame.kind == FrameKind::kHello)) {
    return base::InvalidArgument("BAD_HELLO", "{}", greeted ? "a second HELLO" : "a message before HELLO");
  }
  if (!greeted) return HandleHello(connection, frame);
  if (frame.kind == FrameKind::kMessage) {
    options_.receive(connection.member, std::move(frame.payload));
    return absl::OkStatus();
  }
  if (!options_.receive_application) {
    return base::Error(absl::StatusCode::kDataLoss, "BAD_FRAME", "an application's bytes, and there is no application");
  }
  options_.receive_application(connection.member, std::move(frame.payload));
  return absl::OkStatus();
}

absl::Status TcpReceiver::HandleHello(Connection& connection, const Frame& frame) {
  LARDER_ASSIGN_OR_RETURN(const Hello hello, DecodeHello(frame.payload));
  LARDER_RETURN_IF_ERROR(CheckHello(own_, hello));
  // What may still come on the member's connection before is older than what comes on this one.
  std::erase_if(connections_, [&](const auto& other) { return other.second.member == hello.member; });
  connection.member = hello.member;
  connection.decoder.SetLimit(options_.frame_limit);
  return absl::OkStatus();
}

int TcpReceiver::DoDue() {
  const base::MonotonicTime now = std::chrono::steady_clock::now();
  if (accept_again_ <= now) {
    accept_again_ = base::kNoDeadline;
    if (!WatchInput(epoll_.get(), listener_.get())) accept_again_ = base::DeadlineAfter(now, kAcceptPause);
  }
  base::Deadline next = accept_again_;
  for (auto it = connections_.begin(); it != connections_.end();) {
    const Connection& connection = it->second;
    if (connection.member != MemberId{} || connection.hello_until > now) {
      if (connection.member == MemberId{}) next = std::min(next, connection.hello_until);
      ++it;
      continue;
    }
    Refuse(base::Error(absl::StatusCode::kDeadlineExceeded, "NO_HELLO", "a connection without a whole HELLO"));
    it = connections_.erase(it);
  }
  if (next == base::kNoDeadline) return -1;
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count());
}

void TcpReceiver::Refuse(const absl::Status& why) const {
  if (options_.refused) options_.refused(why);
}

}  // namespace larder::raft
