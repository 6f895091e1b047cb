#include "src/event_loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "larder/base/status.h"

namespace larder::resp {
namespace {

// Names of what is no connection; ids of connections begin at 1.
constexpr uint64_t kInboxKey = ~uint64_t{0};
constexpr uint64_t kListenerKey = kInboxKey - 1;
// How exactly time limits are kept.
constexpr base::Duration kCheckEvery = std::chrono::milliseconds(100);

absl::Status Watch(int epoll, int fd, uint64_t key, uint32_t events) {
  epoll_event event = {.events = events, .data = {.u64 = key}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) return base::ErrnoError(errno, "epoll_ctl");
  return absl::OkStatus();
}

}  // namespace

absl::Status Inbox::Open() {
  wake_ = base::UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return wake_ ? absl::OkStatus() : base::ErrnoError(errno, "eventfd");
}

void Inbox::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));  // fails only if it is readable
}

void Inbox::Put(base::UniqueFd socket) {
  base::MutexLock lock(mutex_);
  content_.sockets.push_back(std::move(socket));
  Wake();
}

void Inbox::Put(Answer answer) {
  base::MutexLock lock(mutex_);
  content_.answers.push_back(std::move(answer));
  if (content_.answers.size() == 1) Wake();
}

void Inbox::Stop(base::Deadline deadline) {
  base::MutexLock lock(mutex_);
  content_.stop = true;
  content_.deadline = deadline;
  Wake();
}

Inbox::Content Inbox::Take() {
  base::MutexLock lock(mutex_);
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_.get(), &count, sizeof(count));  // only resets it
  return std::exchange(content_, {});
}

EventLoop::~EventLoop() {
  if (!thread_.joinable()) return;
  inbox_->Stop(base::Deadline::min());
  Join();
}

void EventLoop::Join() {
  if (thread_.joinable()) thread_.join();
}

void EventLoop::Accept(base::UniqueFd listener, std::vector<std::shared_ptr<Inbox>> loops) {
  listener_ = std::move(listener);
  loops_ = std::move(loops);
}

absl::Status EventLoop::Start() {
  LARDER_RETURN_IF_ERROR(inbox_->Open());
  epoll_ = base::UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return base::ErrnoError(errno, "epoll_create1");
  LARDER_RETURN_IF_ERROR(Watch(epoll_.get(), inbox_->fd(), kInboxKey, EPOLLIN));
  if (listener_) LARDER_RETURN_IF_ERROR(Watch(epoll_.get(), listener_.get(), kListenerKey, EPOLLIN));
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

int EventLoop::WaitMilliseconds() const {
  if (stopping_) return 10;  // until the deadline, which nobody wakes us for
  return connections_.empty() ? -1 : static_cast<int>(kCheckEvery / std::chrono::milliseconds(1));
}

void EventLoop::Run() {
  std::array<epoll_event, 256> events;
  while (!stopping_ || (!connections_.empty() && shared_.clock.Now() < deadline_)) {
    const int ready = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), WaitMilliseconds());
    for (int i = 0; i < ready; ++i) {
      const uint64_t key = events[i].data.u64;
      if (key == kListenerKey) {
        AcceptAll();
      } else if (key != kInboxKey) {
        Handle(static_cast<int64_t>(key), events[i].events);
      }
    }
    TakeInbox();
    CloseLate();
  }
  for (size_t i = 0; i < connections_.size(); ++i) shared_.metrics.Disconnected();
  shared_.clients -= connections_.size();
  connections_.clear();
}

void EventLoop::TakeInbox() {
  Inbox::Content content = inbox_->Take();
  for (base::UniqueFd& socket : content.sockets) Welcome(std::move(socket));
  for (Inbox::Answer& answer : content.answers) {
    shared_.metrics.Answered(answer.op, answer.reply.code);
    const auto found = connections_.find(answer.connection);
    if (found == connections_.end()) continue;  // its client is gone
    Connection& connection = *found->second;
    Settle(answer.connection, connection, connection.Finish(answer.ticket, std::move(answer.reply.bytes)));
  }
  if (!content.stop) return;
  stopping_ = true;
  deadline_ = content.deadline;
  listener_.Reset();
  std::vector<int64_t> ids;
  for (const auto& [id, connection] : connections_) ids.push_back(id);
  for (const int64_t id : ids) Settle(id, *connections_.at(id), connections_.at(id)->Drain());
}

void EventLoop::AcceptAll() {
  while (true) {
    base::UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;  // none left; or out of descriptors, then they wait in the backlog
    if (shared_.clients.fetch_add(1) >= shared_.options.max_clients) {
      --shared_.clients;
      constexpr std::string_view kRefusal = "-ERR max number of clients reached\r\n";
      [[maybe_unused]] const ssize_t sent = send(socket.get(), kRefusal.data(), kRefusal.size(), MSG_NOSIGNAL);
      continue;
    }
    loops_[next_loop_++ % loops_.size()]->Put(std::move(socket));
  }
}

void EventLoop::Welcome(base::UniqueFd socket) {
  const int64_t id = shared_.next_id++;
  const int one = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  const int fd = socket.get();
  auto execute = [&commands = shared_.commands, inbox = inbox_, id](Call call, uint64_t ticket) {
    const Op op = call.op;
    commands.Execute(std::move(call), [inbox, id, ticket, op](Reply reply) {
      inbox->Put(Inbox::Answer{id, ticket, op, std::move(reply)});
    });
  };
  auto connection = std::make_unique<Connection>(std::move(socket), id, shared_.options, shared_.authenticator,
                                                 shared_.clock, shared_.metrics, std::move(execute));
  connection->events = EPOLLIN;
  if (stopping_ || !Watch(epoll_.get(), fd, static_cast<uint64_t>(id), EPOLLIN).ok()) {
    --shared_.clients;
    return;
  }
  shared_.metrics.Connected();
  connections_.emplace(id, std::move(connection));
}

void EventLoop::Handle(int64_t id, uint32_t events) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  bool alive = (events & (EPOLLERR | EPOLLHUP)) == 0;
  if (alive && (events & EPOLLOUT) != 0) alive = connection.Writable();
  if (alive && (events & EPOLLIN) != 0 && connection.wants_read()) alive = connection.Readable();
  Settle(id, connection, alive);
}

void EventLoop::Settle(int64_t id, Connection& connection, bool alive) {
  if (!alive) {
    connections_.erase(id);
    --shared_.clients;
    shared_.metrics.Disconnected();
    return;
  }
  const uint32_t wanted = (connection.wants_read() ? EPOLLIN : 0u) | (connection.wants_write() ? EPOLLOUT : 0u);
  if (wanted == connection.events) return;
  connection.events = wanted;
  epoll_event event = {.events = wanted, .data = {.u64 = static_cast<uint64_t>(id)}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd(), &event);
}

void EventLoop::CloseLate() {
  const base::MonotonicTime now = shared_.clock.Now();
  if (now < next_check_) return;
  next_check_ = now + kCheckEvery;
  std::vector<int64_t> late;
  for (const auto& [id, connection] : connections_) {
    if (!connection->InTime()) late.push_back(id);
  }
  for (const int64_t id : late) Settle(id, *connections_.at(id), false);
}

}  // namespace larder::resp
