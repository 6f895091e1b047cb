#pragma once
#include <atomic>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/base/unique_fd.h"
#include "src/parent_connection.h"

namespace larder::swarm {

// What other threads tell a loop. Outlives it, for the sake of late callers. Thread-safe.
class ServeInbox {
 public:
  ServeInbox();
  int fd() const { return wake_.get(); }  // readable when there is something
  void PiecesChanged(uint64_t connection) LARDER_EXCLUDES(mutex_);
  void Stop() LARDER_EXCLUDES(mutex_);
  std::vector<uint64_t> TakeChanged() LARDER_EXCLUDES(mutex_);
  bool stopping() const { return stopping_; }

 private:
  const base::UniqueFd wake_;
  std::atomic<bool> stopping_ = false;
  base::Mutex mutex_;
  std::vector<uint64_t> changed_ LARDER_GUARDED_BY(mutex_);
};

// One thread that accepts children from a listener, which several loops share, and serves them.
class ServeLoop {
 public:
  ServeLoop(ServerState& state, int listener) : state_(state), listener_(listener) {}
  ~ServeLoop() { Stop(); }
  absl::Status Start();
  void Stop();  // joins; idempotent

 private:
  void Run();
  void AcceptAll();
  void Add(base::UniqueFd fd);
  void Handle(uint64_t id, uint32_t events);
  // Ends the connection, or waits for what it wants now.
  void Settle(uint64_t id, const absl::Status& status);
  void TakeInbox();
  void CheckTimeouts();
  void SendLimited();
  int WaitMilliseconds() const;
  void Ended(const absl::Status& why);
  bool WatchListener();

  struct Served {
    explicit Served(base::UniqueFd fd, ServerState& state, std::function<void()> changed)
        : connection(std::move(fd), state, std::move(changed)) {}
    ParentConnection connection;
    bool watches_output = false;
    bool limited = false;  // is in limited_
  };

  ServerState& state_;
  const int listener_;
  const std::shared_ptr<ServeInbox> inbox_ = std::make_shared<ServeInbox>();
  base::UniqueFd epoll_;
  std::unordered_map<uint64_t, std::unique_ptr<Served>> connections_;
  std::vector<std::pair<base::Deadline, uint64_t>> limited_;  // which wait for the rate limit
  uint64_t next_id_ = 2;
  base::MonotonicTime next_check_;
  base::Deadline accept_again_ = base::kNoDeadline;
  std::thread thread_;
};

}  // namespace larder::swarm
