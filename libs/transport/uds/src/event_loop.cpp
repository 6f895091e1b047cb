#include "src/event_loop.h"

#include <pthread.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

namespace larder::transport::uds {
namespace {

constexpr auto kShare = std::chrono::microseconds(20);  // of a turn, and one event at least
constexpr size_t kReady = 256;                          // descriptors looked at for a turn

}  // namespace

EventLoop::EventLoop(std::function<bool()> tick, base::Duration period, const base::Clock& clock)
    : tick_(std::move(tick)), period_(period), clock_(clock) {}
EventLoop::~EventLoop() { Stop(); }

absl::Status EventLoop::Start() {
  epoll_.Reset(::epoll_create1(EPOLL_CLOEXEC));
  wake_.Reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_ || !wake_) return base::ErrnoError(errno, "make an event loop");
  LARDER_RETURN_IF_ERROR(Add(wake_.get(), EPOLLIN, [this](uint32_t) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t size = ::read(wake_.get(), &count, sizeof count);
  }));
  thread_ = std::thread([this] { Run(); });
  ::pthread_setname_np(thread_.native_handle(), "larder-uds");
  return absl::OkStatus();
}

void EventLoop::Stop() {
  if (!thread_.joinable()) return;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  Post([] {});
  thread_.join();
}

void EventLoop::Post(std::function<void()> task) {
  {
    base::MutexLock lock(mutex_);
    posted_.push_back(std::move(task));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = ::write(wake_.get(), &one, sizeof one);
}

absl::Status EventLoop::Add(int fd, uint32_t events, Handler handler, Group group) {
  const uint32_t serial = next_serial_++;
  epoll_event event{.events = events, .data = {.u64 = Token(fd, serial)}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return base::ErrnoError(errno, "wait on a descriptor");
  watched_[fd] = {.serial = serial, .handler = std::make_shared<Handler>(std::move(handler)), .group = group};
  return absl::OkStatus();
}

void EventLoop::Modify(int fd, uint32_t events) {
  const auto it = watched_.find(fd);
  if (it == watched_.end()) return;
  epoll_event event{.events = events, .data = {.u64 = Token(fd, it->second.serial)}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::Remove(int fd) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  watched_.erase(fd);
}

void EventLoop::Move(int fd, Group group) {
  if (const auto it = watched_.find(fd); it != watched_.end()) it->second.group = group;
}

const EventLoop::Watched* EventLoop::WatchedOf(const epoll_event& event) const {
  const auto it = watched_.find(static_cast<int>(event.data.u64 & 0xFFFFFFFF));
  return it != watched_.end() && it->second.serial == event.data.u64 >> 32 ? &it->second : nullptr;
}

void EventLoop::RunTurn(std::span<const epoll_event> ready) {
  waiting_.clear();
  events_.clear();
  for (const epoll_event& event : ready) {
    const Watched* watched = WatchedOf(event);
    if (watched == nullptr) continue;
    waiting_.push_back(watched->group);
    events_.push_back(event);
  }
  if (waiting_.empty()) return;
  const Group group = turns_.Next(waiting_);
  size_t count = 0;
  for (size_t i = 0; i < waiting_.size(); ++i) {
    if (waiting_[i] == group) events_[count++] = events_[i];
  }
  events_.resize(count);
  // The kernel tells of them in much the same order; and counting would give a group that has each second turn the
  // same.
  const size_t first = chance_();
  const base::MonotonicTime begun = clock_.Now();
  base::MonotonicTime now = begun;
  for (size_t i = 0; i < events_.size() && now - begun < kShare; ++i) {
    const epoll_event& event = events_[(first + i) % events_.size()];
    const Watched* watched = WatchedOf(event);
    if (watched == nullptr) continue;  // removed in this turn
    const std::shared_ptr<Handler> handler = watched->handler;
    (*handler)(event.events);
    now = clock_.Now();
  }
  turns_.Took(group, now - begun);
}

bool EventLoop::RunPosted() {
  std::vector<std::function<void()>> tasks;
  {
    base::MutexLock lock(mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
  return !tasks.empty();
}

void EventLoop::Run() {
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> next_tick = Clock::now() + period_;
  std::array<epoll_event, kReady> events{};
  while (true) {
    int wait = -1;
    if (next_tick) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next_tick - Clock::now());
      wait = static_cast<int>(std::max<int64_t>(0, left.count()));
    }
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), wait);
    RunTurn(std::span(events).first(static_cast<size_t>(std::max(0, count))));
    const bool posted = RunPosted();
    const auto now = Clock::now();
    if (!next_tick && (count > 0 || posted)) next_tick = now + period_;
    if (next_tick && now >= *next_tick) {
      next_tick.reset();
      if (tick_()) next_tick = now + period_;
    }
    base::MutexLock lock(mutex_);
    if (stopping_ && posted_.empty()) return;
  }
}

}  // namespace larder::transport::uds
