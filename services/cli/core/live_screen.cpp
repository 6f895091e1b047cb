#include "core/live_screen.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "larder/base/file.h"

namespace larder::cli {
namespace {

// xterm's: the alternate screen, without a cursor.
constexpr std::string_view kEnter = "\033[?1049h\033[?25l";
constexpr std::string_view kLeave = "\033[?25h\033[?1049l";
constexpr std::string_view kHome = "\033[H";
constexpr std::string_view kWipeLine = "\033[K";
constexpr std::string_view kWipeBelow = "\033[J";

std::string_view StyleCode(ScreenLine::Style style) {
  switch (style) {
    case ScreenLine::Style::kTitle:
      return "\033[1m";
    case ScreenLine::Style::kAlarm:
      return "\033[7m";
    case ScreenLine::Style::kPlain:
      break;
  }
  return "";
}

}  // namespace

LiveScreen::LiveScreen() {
  sigset_t resize;
  sigemptyset(&resize);
  sigaddset(&resize, SIGWINCH);  // blocked by Interrupts, in every thread
  resized_ = base::UniqueFd(::signalfd(-1, &resize, SFD_CLOEXEC | SFD_NONBLOCK));
  if (::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0) {
    termios keys = before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // Ctrl-C stays a signal
    // These would leave the terminal as it is now.
    keys.c_cc[VSUSP] = _POSIX_VDISABLE;
    keys.c_cc[VQUIT] = _POSIX_VDISABLE;
    keys.c_cc[VMIN] = 0;
    keys.c_cc[VTIME] = 0;
    has_keys_ = changed_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &keys) == 0;
  }
  base::WriteAll(STDOUT_FILENO, base::AsBytes(kEnter)).IgnoreError();  // the first Draw tells
}

LiveScreen::~LiveScreen() { Restore(); }

void LiveScreen::Restore() {
  if (restored_.exchange(true)) return;
  base::WriteAll(STDOUT_FILENO, base::AsBytes(kLeave)).IgnoreError();  // gone: nothing to restore
  if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
}

ScreenSize LiveScreen::size() const {
  winsize found = {};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &found) != 0 || found.ws_col == 0 || found.ws_row == 0) return {};
  return {.columns = found.ws_col, .rows = found.ws_row};
}

absl::Status LiveScreen::Draw(std::span<const ScreenLine> lines) {
  std::string text(kHome);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) text += "\r\n";
    // Wiped first: behind a line that fills its row there is nothing to wipe but its end.
    text += fmt::format("{}{}{}\033[0m", kWipeLine, StyleCode(lines[i].style), lines[i].text);
  }
  text += kWipeBelow;
  return base::WriteAll(STDOUT_FILENO, base::AsBytes(text));
}

LiveScreen::Event LiveScreen::Wait(base::Duration duration, int interrupted) {
  std::array<pollfd, 3> watched = {{{.fd = interrupted, .events = POLLIN},
                                    {.fd = resized_.get(), .events = POLLIN},
                                    {.fd = has_keys_ ? STDIN_FILENO : -1, .events = POLLIN}}};
  const base::SystemClock clock;
  const base::MonotonicTime end = clock.Now() + duration;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock.Now());
    const int ready = ::poll(watched.data(), watched.size(), static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready <= 0 || watched[0].revents != 0) return Event::kNone;
    if (watched[1].revents != 0) {
      signalfd_siginfo taken;
      while (::read(resized_.get(), &taken, sizeof taken) > 0) {
      }
      return Event::kResized;
    }
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) != 1) {
      watched[2].fd = -1;  // no more will come
      has_keys_ = false;
    } else if (key == 'q' || key == 'Q') {
      return Event::kQuit;
    }
  }
}

}  // namespace larder::cli
