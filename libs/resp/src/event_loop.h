#pragma once
#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/base/unique_fd.h"
#include "src/connection.h"

namespace larder::resp {

// What other threads tell an event loop. Outlives the loop for the sake of late replies. Thread-safe.
class Inbox {
 public:
  struct Answer {
    int64_t connection;
    uint64_t ticket;
    Op op;
    Reply reply;
  };
  struct Content {
    std::vector<base::UniqueFd> sockets;
    std::vector<Answer> answers;
    bool stop = false;
    base::Deadline deadline = base::kNoDeadline;  // of stop
  };

  absl::Status Open();
  int fd() const { return wake_.get(); }  // readable when there is something
  void Put(base::UniqueFd socket) LARDER_EXCLUDES(mutex_);
  void Put(Answer answer) LARDER_EXCLUDES(mutex_);
  void Stop(base::Deadline deadline) LARDER_EXCLUDES(mutex_);
  Content Take() LARDER_EXCLUDES(mutex_);

 private:
  void Wake();

  base::UniqueFd wake_;
  base::Mutex mutex_;
  Content content_ LARDER_GUARDED_BY(mutex_);
};

// What the loops of one server share.
struct Shared {
  const ServerOptions& options;
  Commands& commands;
  const Authenticator* authenticator;
  const base::Clock& clock;
  Metrics& metrics;
  std::atomic<size_t> clients = 0;
  std::atomic<int64_t> next_id = 1;
};

// One thread that serves the connections given to it.
class EventLoop {
 public:
  explicit EventLoop(Shared& shared) : shared_(shared) {}
  ~EventLoop();  // ends, without waiting for replies

  absl::Status Start();
  // As well as serving connections, accepts them from `listener`, and gives each to the next of `loops`. Before Start.
  void Accept(base::UniqueFd listener, std::vector<std::shared_ptr<Inbox>> loops);
  const std::shared_ptr<Inbox>& inbox() const { return inbox_; }
  void Join();

 private:
  void Run();
  void TakeInbox();
  void AcceptAll();
  void Welcome(base::UniqueFd socket);
  void Handle(int64_t id, uint32_t events);
  // Ends the connection, or waits for what it wants now.
  void Settle(int64_t id, Connection& connection, bool alive);
  void CloseLate();
  int WaitMilliseconds() const;

  Shared& shared_;
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  base::UniqueFd epoll_;
  base::UniqueFd listener_;
  std::vector<std::shared_ptr<Inbox>> loops_;
  size_t next_loop_ = 0;
  std::unordered_map<int64_t, std::unique_ptr<Connection>> connections_;
  bool stopping_ = false;
  base::Deadline deadline_ = base::kNoDeadline;
  base::MonotonicTime next_check_;
  std::thread thread_;
};

}  // namespace larder::resp
