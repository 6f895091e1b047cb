#include "core/interrupts.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "core/failure.h"
#include "larder/base/status.h"

namespace larder::cli {
namespace {

// The longest wait that poll(2) takes, about 24 days.
constexpr base::Duration kLongest = std::chrono::milliseconds(0x7FFFFFFF);

int PollMs(base::Duration duration) {
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(std::min(duration, kLongest)).count());
}

void Raise(int fd) {
  const uint64_t one = 1;
  // An eventfd takes this write at once, or is raised already.
  [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);
}

}  // namespace

Interrupts::Interrupts() : raised_(::eventfd(0, EFD_CLOEXEC)), quit_(::eventfd(0, EFD_CLOEXEC)) {
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGINT);
  sigaddset(&watched, SIGTERM);
  struct sigaction hangup = {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaddset(&watched, SIGHUP);  // else it runs under nohup
  signals_ = base::UniqueFd(::signalfd(-1, &watched, SFD_CLOEXEC));
  sigaddset(&watched, SIGWINCH);
  ::pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  struct sigaction ignore = {};  // whoever read our output and left is an error of a write
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, nullptr);
}

Interrupts::~Interrupts() {
  Raise(quit_.get());
  if (watcher_.joinable()) watcher_.join();
}

void Interrupts::Start(std::string what, base::Duration timeout) {
  what_ = std::move(what);
  watcher_ = std::thread([this, timeout] { Watch(timeout); });
}

void Interrupts::Watch(base::Duration timeout) {
  const absl::StatusCode cause = WaitForCause(timeout);
  if (cause == absl::StatusCode::kOk) return;
  base::Duration grace{0};
  {
    base::MutexLock lock(mutex_);
    grace = grace_;
    cause_ = cause;
    if (grace == base::Duration(0)) Force();
  }
  Raise(raised_.get());
  if (QuitWithin(grace)) return;
  base::MutexLock lock(mutex_);
  Force();
}

absl::StatusCode Interrupts::WaitForCause(base::Duration timeout) const {
  std::array<pollfd, 2> watched = {{{.fd = signals_.get(), .events = POLLIN}, {.fd = quit_.get(), .events = POLLIN}}};
  const bool timed = timeout > base::Duration(0);
  const base::Deadline deadline = timed ? base::DeadlineAfter(base::SystemClock().Now(), timeout) : base::kNoDeadline;
  for (;;) {
    const base::Duration left =
        timed ? std::max(base::Duration(0), deadline - base::SystemClock().Now()) : base::Duration::max();
    const int ready = ::poll(watched.data(), watched.size(), timed ? PollMs(left) : -1);
    if (watched[1].revents != 0) return absl::StatusCode::kOk;
    if (ready > 0) {
      signalfd_siginfo taken;
      [[maybe_unused]] const ssize_t size = ::read(signals_.get(), &taken, sizeof taken);
      return absl::StatusCode::kCancelled;
    }
    if (ready == 0 && left <= kLongest) return absl::StatusCode::kDeadlineExceeded;
  }
}

bool Interrupts::QuitWithin(base::Duration duration) const {
  pollfd quit = {.fd = quit_.get(), .events = POLLIN};
  return ::poll(&quit, 1, PollMs(duration)) > 0;
}

void Interrupts::Force() {
  if (finished_) return;
  if (clean_up_) clean_up_();
  const absl::Status why = base::Annotate(Check(), what_);
  Tell(FailureLine(why) + "\n");
  // With the lock held: the verb cannot finish, and so not report, any more.
  std::_Exit(ExitCode(why));
}

void Interrupts::Finish() {
  base::MutexLock lock(mutex_);
  finished_ = true;
}

absl::Status Interrupts::Check() const {
  switch (cause_.load()) {
    case absl::StatusCode::kOk:
      return absl::OkStatus();
    case absl::StatusCode::kDeadlineExceeded:
      return base::Error(absl::StatusCode::kDeadlineExceeded, "TIMEOUT", "not done in time (give a longer --timeout)");
    default:
      return base::Error(absl::StatusCode::kCancelled, "INTERRUPTED", "interrupted (run it again)");
  }
}

absl::Status Interrupts::Sleep(base::Duration duration) const {
  pollfd raised = {.fd = raised_.get(), .events = POLLIN};
  ::poll(&raised, 1, PollMs(duration));
  return Check();
}

Interrupts::Unwinding::Unwinding(Interrupts& interrupts, base::Duration grace, std::function<void()> clean_up)
    : interrupts_(interrupts) {
  base::MutexLock lock(interrupts_.mutex_);
  grace_before_ = std::exchange(interrupts_.grace_, grace);
  clean_up_before_ = std::exchange(interrupts_.clean_up_, std::move(clean_up));
}

Interrupts::Unwinding::~Unwinding() {
  base::MutexLock lock(interrupts_.mutex_);
  interrupts_.grace_ = grace_before_;
  interrupts_.clean_up_ = std::move(clean_up_before_);
}

}  // namespace larder::cli
