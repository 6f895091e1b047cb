#include "src/inode_watch.h"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>

namespace larder::arena {

InodeWatch::InodeWatch() : inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}

std::optional<int> InodeWatch::Add(int fd) {
  if (!inotify_) return std::nullopt;
  const int watch = ::inotify_add_watch(inotify_.get(), fmt::format("/proc/self/fd/{}", fd).c_str(), IN_DELETE_SELF);
  return watch < 0 ? std::nullopt : std::optional(watch);
}

std::vector<int> InodeWatch::Ended() {
  std::vector<int> ended;
  if (!inotify_) return ended;
  alignas(inotify_event) std::array<char, 4096> events;
  for (ssize_t got; (got = ::read(inotify_.get(), events.data(), events.size())) > 0;) {
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
      if ((event->mask & IN_DELETE_SELF) != 0) ended.push_back(event->wd);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  return ended;
}

}  // namespace larder::arena
