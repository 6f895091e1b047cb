#include "src/fetch_loop.h"

#include <pthread.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "larder/base/sockets.h"
#include "larder/base/status.h"

namespace larder::swarm {
namespace {

constexpr uint64_t kInbox = 0;

}  // namespace

FetchInbox::FetchInbox() : wake_(base::MakeWake()) {}

bool FetchInbox::Post(Task task) {
  {
    base::MutexLock lock(mutex_);
    if (closed_) return false;
    tasks_.push_back(std::move(task));
  }
  base::Wake(wake_.get());
  return true;
}

std::vector<FetchInbox::Task> FetchInbox::Take() {
  base::ClearWake(wake_.get());
  base::MutexLock lock(mutex_);
  return std::exchange(tasks_, {});
}

void FetchInbox::Close() {
  {
    base::MutexLock lock(mutex_);
    closed_ = true;
  }
  base::Wake(wake_.get());
}

bool FetchInbox::closed() const {
  base::MutexLock lock(mutex_);
  return closed_;
}

absl::Status FetchLoop::Start() {
  epoll_.Reset(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kInbox}};
  if (!epoll_ || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, inbox_->fd(), &event) != 0) {
    return base::ErrnoError(errno, "make an event loop");
  }
  thread_ = std::thread([this] { Run(); });
  ::pthread_setname_np(thread_.native_handle(), "larder-fetch");
  return absl::OkStatus();
}

void FetchLoop::Stop() {
  if (!thread_.joinable()) return;
  inbox_->Close();
  thread_.join();
}

void FetchLoop::Run() {
  std::array<epoll_event, 64> events{};
  while (!inbox_->closed()) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), WaitMilliseconds());
    round_began_ = parts_.clock.Now();
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 != kInbox) Handle(event.data.u64, event.events);
    }
    RunTasks();
    DoDue();
    busy_ = Busy(parts_.clock.Now());
  }
  RunTasks();
  while (!fetches_.empty()) {
    const uint64_t fetch = fetches_.begin()->first;
    fetches_.begin()->second->machine.Cancel(base::Error(absl::StatusCode::kCancelled, "STOPPING", "this node stops"));
    Settle(fetch);
  }
}

void FetchLoop::RunTasks() {
  for (const FetchInbox::Task& task : inbox_->Take()) task(*this);
}

void FetchLoop::Begin(uint64_t fetch, FetchRequest request, Fetcher::Callbacks callbacks, uint64_t seed) {
  auto active = std::make_unique<Active>(std::move(request), options_, parts_.metrics, seed, parts_.clock.Now());
  active->callbacks = std::move(callbacks);
  active->busy = Busy(parts_.clock.Now());
  fetches_.emplace(fetch, std::move(active));
  Settle(fetch);
}

void FetchLoop::With(uint64_t fetch, const std::function<void(FetchMachine&, base::MonotonicTime)>& change) {
  const auto found = fetches_.find(fetch);
  if (found == fetches_.end()) return;
  change(found->second->machine, parts_.clock.Now());
  Settle(fetch);
}

void FetchLoop::Handle(uint64_t token, uint32_t events) {
  const auto whose = by_token_.find(token);
  if (whose == by_token_.end()) return;  // closed in this round
  const auto [fetch, parent] = whose->second;
  const bool failed = (events & (EPOLLERR | EPOLLHUP)) != 0;
  fetches_.at(fetch)->connections.at(parent).connection->OnReady((events & EPOLLIN) != 0 || failed,
                                                                 (events & EPOLLOUT) != 0);
  Settle(fetch);
}

void FetchLoop::DoDue() {
  const base::MonotonicTime now = parts_.clock.Now();
  std::vector<uint64_t> due;
  for (auto& [fetch, active] : fetches_) {
    bool any = active->machine.next() <= now;
    // What has come of a frame counts, should its parent now be left.
    if (any) {
      for (auto& [parent, connected] : active->connections) connected.connection->TellPart();
    }
    for (auto& [parent, connected] : active->connections) {
      if (connected.connection->paused_until() > now) continue;
      connected.connection->Resume();
      any = true;
    }
    if (any) due.push_back(fetch);
  }
  for (const uint64_t fetch : due) Settle(fetch);
}

void FetchLoop::Settle(uint64_t fetch) {
  Active& active = *fetches_.at(fetch);
  while (true) {
    const base::MonotonicTime now = parts_.clock.Now();
    const base::Duration busy = Busy(now);
    active.machine.OnBusy(busy - std::exchange(active.busy, busy), now);
    active.machine.Advance(now);
    const std::vector<FetchMachine::Action> actions = active.machine.TakeActions();
    if (actions.empty()) break;
    for (const FetchMachine::Action& action : actions) Do(fetch, active, action);
  }
  for (auto& [parent, connected] : active.connections) Watch(connected);
  if (!active.machine.result()) return;
  const std::unique_ptr<Active> ended = std::move(fetches_.at(fetch));
  fetches_.erase(fetch);
  ended->callbacks.done(*ended->machine.result());
}

void FetchLoop::Do(uint64_t fetch, Active& active, const FetchMachine::Action& action) {
  using Kind = FetchMachine::Action::Kind;
  switch (action.kind) {
    case Kind::kDial:
      Dial(fetch, active, action);
      return;
    case Kind::kSend:
      if (const auto found = active.connections.find(action.parent); found != active.connections.end()) {
        found->second.connection->Queue(action.text);
        found->second.connection->Send();
      }
      return;
    case Kind::kClose:
      Disconnect(active, action.parent);
      return;
    case Kind::kTell:
      if (active.callbacks.failed) active.callbacks.failed(action.failure);
      return;
  }
}

void FetchLoop::Dial(uint64_t fetch, Active& active, const FetchMachine::Action& action) {
  auto fd = base::BeginDial(action.text);
  if (!fd.ok()) {
    active.machine.OnClosed(action.parent, fd.status(), parts_.clock.Now());
    return;
  }
  Connected connected{.token = next_token_++,
                      .events = EPOLLOUT,
                      .connection = std::make_unique<ChildConnection>(
                          *std::move(fd), action.text, active.transfer_class, active.machine, action.parent, parts_)};
  epoll_event event{.events = connected.events, .data = {.u64 = connected.token}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connected.connection->fd(), &event) != 0) {
    active.machine.OnClosed(action.parent, base::ErrnoError(errno, "wait for a parent"), parts_.clock.Now());
    return;
  }
  by_token_[connected.token] = {fetch, action.parent};
  active.connections.insert_or_assign(action.parent, std::move(connected));
}

void FetchLoop::Disconnect(Active& active, FetchMachine::ParentId parent) {
  const auto found = active.connections.find(parent);
  if (found == active.connections.end()) return;
  by_token_.erase(found->second.token);
  active.connections.erase(found);
}

void FetchLoop::Watch(Connected& connected) {
  const ChildConnection& connection = *connected.connection;
  const uint32_t events =
      (connection.wants_input() ? uint32_t{EPOLLIN} : 0) | (connection.wants_output() ? uint32_t{EPOLLOUT} : 0);
  if (events == connected.events) return;
  // Who waits for nothing must not be woken by the end of its connection again and again.
  const int added = connected.events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  connected.events = events;
  epoll_event event{.events = events, .data = {.u64 = connected.token}};
  ::epoll_ctl(epoll_.get(), events == 0 ? EPOLL_CTL_DEL : added, connection.fd(), &event);
}

int FetchLoop::WaitMilliseconds() const {
  base::Deadline next = base::kNoDeadline;
  for (const auto& [fetch, active] : fetches_) {
    next = std::min(next, active->machine.next());
    for (const auto& [parent, connected] : active->connections) {
      next = std::min(next, connected.connection->paused_until());
    }
  }
  if (next == base::kNoDeadline) return -1;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - parts_.clock.Now());
  return static_cast<int>(std::clamp<int64_t>(wait.count(), 0, 60'000));
}

}  // namespace larder::swarm
