#pragma once
#include <sys/epoll.h>

#include <functional>
#include <memory>
#include <random>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/base/status.h"
#include "larder/base/unique_fd.h"
#include "src/turns.h"

namespace larder::transport::uds {

// One thread that waits on many descriptors (epoll, level-triggered). Each belongs to a group, and groups take turns by
// the time that they had, so that who has many descriptors, or asks for much, does not hold up others for long. It
// looks for who else waits after each turn, not after each group had one: who asks seldom waits for the turn under way
// alone.
class EventLoop {
 public:
  using Handler = std::function<void(uint32_t events)>;
  using Group = Turns::Group;

  // `tick` runs on the loop's thread about every `period` of real time; when it returns false, not before a descriptor
  // was ready or a task was posted. `clock` measures turns.
  EventLoop(std::function<bool()> tick, base::Duration period, const base::Clock& clock);
  ~EventLoop();
  absl::Status Start();
  // Joins. What was posted before runs; not from the loop's thread. Idempotent.
  void Stop();

  // Any thread; runs `task` on the loop's thread, or never once stopped.
  void Post(std::function<void()> task) LARDER_EXCLUDES(mutex_);

  // The loop's thread only. The descriptor stays the caller's and must be removed before it is closed.
  absl::Status Add(int fd, uint32_t events, Handler handler, Group group = 0);
  void Modify(int fd, uint32_t events);  // nothing if it was not added
  void Remove(int fd);
  // It is another group's from now on; nothing if it was not added.
  void Move(int fd, Group group);

 private:
  void Run();
  // Handles ready descriptors of the group whose turn it is; what is left is ready at the next turn, too.
  void RunTurn(std::span<const epoll_event> ready);
  // Whether there was anything.
  bool RunPosted() LARDER_EXCLUDES(mutex_);

  std::function<bool()> tick_;
  base::Duration period_;
  const base::Clock& clock_;
  base::UniqueFd epoll_;
  base::UniqueFd wake_;
  std::thread thread_;
  // A descriptor's number is soon another's: events tell by the serial whose they are.
  struct Watched {
    uint32_t serial = 0;
    std::shared_ptr<Handler> handler;
    Group group = 0;
  };
  const Watched* WatchedOf(const epoll_event& event) const;
  static uint64_t Token(int fd, uint32_t serial) { return uint64_t{serial} << 32 | static_cast<uint32_t>(fd); }
  std::unordered_map<int, Watched> watched_;
  uint32_t next_serial_ = 0;
  Turns turns_;
  std::minstd_rand chance_;  // who of a group is first
  // Of one turn, kept for their memory: who waits, and what for; then what is handled.
  std::vector<Group> waiting_;
  std::vector<epoll_event> events_;
  base::Mutex mutex_;
  std::vector<std::function<void()>> posted_ LARDER_GUARDED_BY(mutex_);
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace larder::transport::uds
