#pragma once
#include <absl/status/status.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/base/unique_fd.h"

namespace larder::cli {

// SIGINT, SIGTERM, SIGHUP and --timeout, as something that a verb can ask for. One thread takes the signals. A verb
// that has nothing to undo is ended at once; one that holds an Unwinding is given some time to see Check() fail and
// return. One per process. Thread-safe.
class Interrupts {
 public:
  // Time to undo what a verb began.
  static constexpr base::Duration kGrace = std::chrono::seconds(2);

  // Blocks the signals in the calling thread, and so in all that it starts: construct it first. SIGWINCH, too, which a
  // LiveScreen takes. SIGPIPE is ignored.
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Begins to watch. `what` names the verb in the message of a forced end. `timeout` zero: none.
  void Start(std::string what, base::Duration timeout);

  // The verb has returned: what it did counts, whatever comes now. Call it before its result is reported.
  void Finish() LARDER_EXCLUDES(mutex_);

  // OK; CANCELLED (INTERRUPTED) after a signal; DEADLINE_EXCEEDED (TIMEOUT) after the timeout.
  absl::Status Check() const;
  // Readable once Check() fails, for poll(2).
  int fd() const { return raised_.get(); }
  // Waits, at most `duration`; then Check().
  absl::Status Sleep(base::Duration duration) const;

  // While it lives, the verb has `grace` to return after an interrupt. `clean_up` runs if that was not enough and the
  // process is ended by force.
  class Unwinding {
   public:
    explicit Unwinding(Interrupts& interrupts, base::Duration grace = kGrace, std::function<void()> clean_up = nullptr);
    ~Unwinding();
    Unwinding(const Unwinding&) = delete;
    Unwinding& operator=(const Unwinding&) = delete;

   private:
    Interrupts& interrupts_;
    base::Duration grace_before_;
    std::function<void()> clean_up_before_;
  };

 private:
  void Watch(base::Duration timeout) LARDER_EXCLUDES(mutex_);
  // Blocks; kOk when there is nothing to watch any more.
  absl::StatusCode WaitForCause(base::Duration timeout) const;
  // Ends the process, unless the verb has finished.
  void Force() LARDER_REQUIRES(mutex_);
  bool QuitWithin(base::Duration duration) const;

  base::UniqueFd signals_;
  base::UniqueFd raised_;
  base::UniqueFd quit_;
  std::string what_;
  std::atomic<absl::StatusCode> cause_ = absl::StatusCode::kOk;
  base::Mutex mutex_;
  bool finished_ LARDER_GUARDED_BY(mutex_) = false;
  base::Duration grace_ LARDER_GUARDED_BY(mutex_){0};
  std::function<void()> clean_up_ LARDER_GUARDED_BY(mutex_);
  std::thread watcher_;
};

}  // namespace larder::cli
