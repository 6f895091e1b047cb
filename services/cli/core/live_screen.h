#pragma once
#include <absl/status/status.h>
#include <termios.h>

#include <atomic>
#include <span>

#include "core/top_screen.h"
#include "larder/base/clock.h"
#include "larder/base/unique_fd.h"

namespace larder::cli {

// The terminal at stdout as a screen of its own, and keys from stdin if that is the terminal, too. What was there
// before comes back at the end of its life. Not thread-safe, but for Restore. One at a time.
class LiveScreen {
 public:
  LiveScreen();
  ~LiveScreen();  // restores
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  ScreenSize size() const;
  bool has_keys() const { return has_keys_; }
  // CANCELLED (STDOUT_CLOSED) and other errors of a write, if the terminal is gone.
  absl::Status Draw(std::span<const ScreenLine> lines);

  enum class Event : uint8_t { kNone, kQuit, kResized };
  // Waits for one, at most `duration`; kNone as well once `interrupted` is readable.
  Event Wait(base::Duration duration, int interrupted);

  // Any thread; once is enough.
  void Restore();

 private:
  termios before_ = {};  // of stdin, if it was changed
  bool changed_ = false;
  bool has_keys_ = false;
  base::UniqueFd resized_;
  std::atomic<bool> restored_ = false;
};

}  // namespace larder::cli
