#include "src/tcp_sender.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "larder/base/backoff.h"

namespace larder::raft {
namespace {

constexpr size_t kFramesAtOnce = 128;
constexpr uint64_t kSmallFrame = 1024;  // heartbeats, what answers them, and few small entries
constexpr auto kFirstBackoff = std::chrono::milliseconds(20);
constexpr auto kLongestBackoff = std::chrono::seconds(1);

}  // namespace

TcpSender::TcpSender(const TcpTransportOptions& options, MemberId to, std::string address)
    : options_(options), to_(to), address_(std::move(address)), thread_([this] { Run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "larder-raft-out");
}

TcpSender::~TcpSender() { Stop(); }

bool TcpSender::Send(FrameKind kind, std::string payload) {
  const uint64_t size = kFrameHeaderSize + payload.size();
  const bool application = kind == FrameKind::kApplication;
  bool fits = false;
  {
    base::MutexLock lock(mutex_);
    uint64_t& queued = BytesOf(kind);
    fits = payload.size() <= options_.frame_limit &&
           queued + size <= (application ? options_.application_limit : options_.queue_limit);
    if (fits) {
      if (idle_fd_ >= 0 && size <= kSmallFrame && SendAtOnce(kind, payload)) return true;
      queued += size;
      queue_.push_back({.kind = kind, .payload = std::move(payload)});
      idle_fd_ = -1;
    } else if (!application) {
      dropped_ = true;
    }
  }
  base::Wake(wake_.get());
  return fits;
}

bool TcpSender::SendAtOnce(FrameKind kind, std::string& payload) {
  FrameHeader header = HeaderOf(options_.group, kind, base::AsBytes(payload));
  std::array<iovec, 2> parts{
      {{.iov_base = header.data(), .iov_len = header.size()}, {.iov_base = payload.data(), .iov_len = payload.size()}}};
  const msghdr message{.msg_iov = parts.data(), .msg_iovlen = parts.size()};
  const ssize_t sent = ::sendmsg(idle_fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent == static_cast<ssize_t>(header.size() + payload.size())) return true;
  // Full, or lost, which the thread sees to.
  begun_ = static_cast<size_t>(std::max<ssize_t>(0, sent));
  return false;
}

void TcpSender::SetAddress(std::string address) {
  base::MutexLock lock(mutex_);
  address_ = std::move(address);
}

void TcpSender::BeginStop() {
  stopping_ = true;
  base::Wake(stop_.get());
  base::Wake(wake_.get());
}

void TcpSender::Stop() {
  BeginStop();
  if (thread_.joinable()) thread_.join();
}

void TcpSender::Run() {
  while (!stopping_) {
    std::string address;
    {
      base::MutexLock lock(mutex_);
      address = address_;
    }
    const auto begun = std::chrono::steady_clock::now();
    const auto fd = base::Dial(address, options_.dial_timeout, stop_.get());
    if (fd.ok()) Serve(fd->get());
    // Who closes at once, as one of another cluster does, is not dialled again at once.
    failures_ = std::chrono::steady_clock::now() - begun > 2 * kLongestBackoff ? 0 : failures_ + 1;
    DropAll(fd.ok());
    AwaitBackoff();
  }
}

void TcpSender::Serve(int fd) {
  const Hello hello{.cluster = options_.cluster,
                    .node = options_.node,
                    .member = options_.self,
                    .architecture = std::string(OwnArchitecture())};
  std::string payload = EncodeHello(hello);
  const FrameHeader header = HeaderOf(options_.group, FrameKind::kHello, base::AsBytes(payload));
  writing_.push_back({.kind = FrameKind::kHello, .header = header, .payload = std::move(payload)});
  {
    base::MutexLock lock(mutex_);
    BytesOf(FrameKind::kHello) += writing_.front().size();
  }
  while (!stopping_) {
    TakeQueued(fd);
    TellDropped();
    const short events = writing_.empty() ? POLLIN : POLLIN | POLLOUT;
    std::array<pollfd, 2> polled{{{.fd = fd, .events = events}, {.fd = wake_.get(), .events = POLLIN}}};
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;  // EINTR
    if (polled[1].revents != 0) base::ClearWake(wake_.get());
    // The other side never says anything: what can be read is the end.
    if ((polled[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) return;
    if ((polled[0].revents & POLLOUT) != 0 && !WriteSome(fd)) return;
  }
}

void TcpSender::TakeQueued(int fd) {
  std::deque<Queued> taken;
  {
    base::MutexLock lock(mutex_);
    taken.swap(queue_);
    idle_fd_ = taken.empty() && writing_.empty() ? fd : -1;
    if (begun_ != 0) written_ = std::exchange(begun_, 0);
  }
  for (Queued& queued : taken) {
    const FrameHeader header = HeaderOf(options_.group, queued.kind, base::AsBytes(queued.payload));
    writing_.push_back({.kind = queued.kind, .header = header, .payload = std::move(queued.payload)});
  }
}

bool TcpSender::WriteSome(int fd) {
  std::array<iovec, 2 * kFramesAtOnce> parts;
  size_t count = 0;
  size_t skip = written_;
  for (Outgoing& frame : writing_) {
    if (count == parts.size()) break;
    const size_t of_header = std::min(skip, frame.header.size());
    const size_t of_payload = skip - of_header;
    parts[count++] = {.iov_base = frame.header.data() + of_header, .iov_len = frame.header.size() - of_header};
    parts[count++] = {.iov_base = frame.payload.data() + of_payload, .iov_len = frame.payload.size() - of_payload};
    skip = 0;
  }
  const msghdr message{.msg_iov = parts.data(), .msg_iovlen = count};
  const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  written_ += static_cast<size_t>(sent);
  base::MutexLock lock(mutex_);
  while (!writing_.empty() && written_ >= writing_.front().size()) {
    written_ -= writing_.front().size();
    BytesOf(writing_.front().kind) -= writing_.front().size();
    writing_.pop_front();
  }
  return true;
}

void TcpSender::TellDropped() {
  {
    base::MutexLock lock(mutex_);
    if (!std::exchange(dropped_, false)) return;
  }
  if (!stopping_ && options_.unreachable) options_.unreachable(to_);
}

void TcpSender::DropAll(bool served) {
  {
    base::MutexLock lock(mutex_);
    dropped_ = dropped_ || served || !queue_.empty();
    queue_.clear();
    application_bytes_ = message_bytes_ = 0;
    idle_fd_ = -1;
    begun_ = 0;
  }
  writing_.clear();
  written_ = 0;
  TellDropped();
}

void TcpSender::AwaitBackoff() {
  if (failures_ == 0) return;
  const auto until = std::chrono::steady_clock::now() +
                     base::BackoffDelay(failures_ - 1, kFirstBackoff, kLongestBackoff, base::BackoffRandom());
  while (!stopping_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    pollfd polled{.fd = wake_.get(), .events = POLLIN};
    if (::poll(&polled, 1, static_cast<int>(left.count())) > 0) base::ClearWake(wake_.get());
    TellDropped();
  }
}

}  // namespace larder::raft
