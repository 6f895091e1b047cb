#include "src/serve_loop.h"

#include <pthread.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "larder/base/sockets.h"
#include "larder/base/status.h"

namespace larder::swarm {
namespace {

constexpr uint64_t kListener = 0;
constexpr uint64_t kInbox = 1;
constexpr auto kCheckEvery = std::chrono::milliseconds(250);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

}  // namespace

ServeInbox::ServeInbox() : wake_(base::MakeWake()) {}

void ServeInbox::PiecesChanged(uint64_t connection) {
  {
    base::MutexLock lock(mutex_);
    if (!changed_.empty() && changed_.back() == connection) return;
    changed_.push_back(connection);
  }
  base::Wake(wake_.get());
}

void ServeInbox::Stop() {
  stopping_ = true;
  base::Wake(wake_.get());
}

std::vector<uint64_t> ServeInbox::TakeChanged() {
  base::ClearWake(wake_.get());
  base::MutexLock lock(mutex_);
  return std::exchange(changed_, {});
}

absl::Status ServeLoop::Start() {
  epoll_.Reset(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kInbox}};
  if (!epoll_ || !WatchListener() || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, inbox_->fd(), &event) != 0) {
    return base::ErrnoError(errno, "make an event loop");
  }
  thread_ = std::thread([this] { Run(); });
  ::pthread_setname_np(thread_.native_handle(), "larder-pieces");
  return absl::OkStatus();
}

bool ServeLoop::WatchListener() {
  epoll_event event{.events = EPOLLIN | EPOLLEXCLUSIVE, .data = {.u64 = kListener}};
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_, &event) == 0;
}

void ServeLoop::Stop() {
  if (!thread_.joinable()) return;
  inbox_->Stop();
  thread_.join();
  connections_.clear();
}

void ServeLoop::Run() {
  std::array<epoll_event, 64> events{};
  while (!inbox_->stopping()) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), WaitMilliseconds());
    for (int i = 0; i < count && !inbox_->stopping(); ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 == kListener) {
        AcceptAll();
      } else if (event.data.u64 == kInbox) {
        TakeInbox();
      } else {
        Handle(event.data.u64, event.events);
      }
    }
    SendLimited();
    CheckTimeouts();
  }
  const absl::Status stopping = base::Error(absl::StatusCode::kUnavailable, "STOPPING", "this node stops");
  for (auto& [id, served] : connections_) served->connection.SendError(stopping);
}

void ServeLoop::AcceptAll() {
  while (true) {
    base::UniqueFd fd = base::Accept(listener_);
    if (fd) {
      Add(std::move(fd));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      Ended(base::ErrnoError(errno, "accept a child"));
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_, nullptr);
      accept_again_ = base::DeadlineAfter(state_.parts.clock.Now(), kAcceptPause);
    }
    return;
  }
}

void ServeLoop::Add(base::UniqueFd fd) {
  if (state_.pending.fetch_add(1) >= state_.options.pending_limit) {
    --state_.pending;
    Ended(base::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_PENDING", "{} connections without a ticket",
                      state_.options.pending_limit));
    return;
  }
  const uint64_t id = next_id_++;
  auto served = std::make_unique<Served>(std::move(fd), state_, [inbox = inbox_, id] { inbox->PiecesChanged(id); });
  epoll_event event{.events = EPOLLIN, .data = {.u64 = id}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, served->connection.fd(), &event) != 0) return;
  if (connections_.empty()) next_check_ = state_.parts.clock.Now() + kCheckEvery;
  connections_.emplace(id, std::move(served));
}

void ServeLoop::Handle(uint64_t id, uint32_t events) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;  // ended in this round
  ParentConnection& connection = found->second->connection;
  absl::Status status;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) status = connection.Read();
  if (status.ok() && (events & EPOLLOUT) != 0) status = connection.Send();
  Settle(id, status);
}

void ServeLoop::Settle(uint64_t id, const absl::Status& status) {
  const auto found = connections_.find(id);
  Served& served = *found->second;
  if (!status.ok()) {
    if (!absl::IsCancelled(status)) {
      const std::string reason = base::Reason(status);
      if (reason == "BAD_FRAME") ++state_.malformed;
      if (reason == "BAD_TICKET" || reason == "TICKET_EXPIRED") ++state_.bad_tickets;
      served.connection.SendError(status);
      Ended(status);
    }
    connections_.erase(found);
    return;
  }
  const base::Deadline again = served.connection.try_again();
  if (again != base::kNoDeadline && !std::exchange(served.limited, true)) limited_.emplace_back(again, id);
  if (served.connection.sending() == served.watches_output) return;
  served.watches_output = !served.watches_output;
  const uint32_t output = served.watches_output ? uint32_t{EPOLLOUT} : 0;
  epoll_event event{.events = EPOLLIN | output, .data = {.u64 = id}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, served.connection.fd(), &event);
}

void ServeLoop::TakeInbox() {
  for (const uint64_t id : inbox_->TakeChanged()) {
    const auto found = connections_.find(id);
    if (found != connections_.end()) Settle(id, found->second->connection.TellPieces());
  }
}

void ServeLoop::SendLimited() {
  const base::MonotonicTime now = state_.parts.clock.Now();
  const auto due = std::partition(limited_.begin(), limited_.end(), [&](const auto& wait) { return wait.first > now; });
  std::vector<std::pair<base::Deadline, uint64_t>> ready(due, limited_.end());
  limited_.erase(due, limited_.end());
  for (const auto& [at, id] : ready) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) continue;
    found->second->limited = false;
    // Another try may have come first, and succeeded, or found the socket full.
    if (found->second->connection.try_again() != base::kNoDeadline) Settle(id, found->second->connection.Send());
  }
}

void ServeLoop::CheckTimeouts() {
  const base::MonotonicTime now = state_.parts.clock.Now();
  if (now >= accept_again_) {
    accept_again_ = WatchListener() ? base::kNoDeadline : base::DeadlineAfter(now, kAcceptPause);
  }
  if (connections_.empty() || now < next_check_) return;
  next_check_ = now + kCheckEvery;
  std::vector<std::pair<uint64_t, absl::Status>> late;
  for (const auto& [id, served] : connections_) {
    if (absl::Status status = served->connection.CheckTimeouts(); !status.ok())
      late.emplace_back(id, std::move(status));
  }
  for (const auto& [id, status] : late) Settle(id, status);
}

int ServeLoop::WaitMilliseconds() const {
  base::Deadline next = accept_again_;
  if (!connections_.empty()) next = std::min<base::Deadline>(next, next_check_);
  for (const auto& [at, id] : limited_) next = std::min(next, at);
  if (next == base::kNoDeadline) return -1;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - state_.parts.clock.Now());
  return static_cast<int>(std::clamp<int64_t>(wait.count(), 0, kCheckEvery.count()));
}

void ServeLoop::Ended(const absl::Status& why) {
  if (state_.options.ended) state_.options.ended(why);
}

}  // namespace larder::swarm
