#pragma once
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "larder/base/mutex.h"
#include "larder/base/sockets.h"
#include "larder/raft/tcp_transport.h"
#include "src/frames.h"

namespace larder::raft {

// The way to one other member: a queue, and a thread that dials, and writes what its senders cannot write at once.
class TcpSender {
 public:
  // `options` outlives it.
  TcpSender(const TcpTransportOptions& options, MemberId to, std::string address);
  ~TcpSender();
  // Any thread. False: it did not fit. Of a message that is dropped so, the sender's own thread tells.
  bool Send(FrameKind kind, std::string payload) LARDER_EXCLUDES(mutex_);
  void SetAddress(std::string address) LARDER_EXCLUDES(mutex_);
  // The thread ends soon.
  void BeginStop();
  // BeginStop, and waits. Not from a callback.
  void Stop();

 private:
  struct Queued {
    FrameKind kind = FrameKind::kMessage;
    std::string payload;
  };
  struct Outgoing {
    FrameKind kind = FrameKind::kMessage;
    FrameHeader header;
    std::string payload;
    size_t size() const { return header.size() + payload.size(); }
  };

  uint64_t& BytesOf(FrameKind kind) LARDER_REQUIRES(mutex_) {
    return kind == FrameKind::kApplication ? application_bytes_ : message_bytes_;
  }
  void Run();
  // Until the connection is lost or the thread has to end.
  void Serve(int fd);
  // Writes what can be written at once; false if the connection is lost.
  bool WriteSome(int fd);
  // Sends may use `fd` themselves from then on, if nothing is left to the thread.
  void TakeQueued(int fd) LARDER_EXCLUDES(mutex_);
  // Writes to idle_fd_. False: not all of it, and it is to be queued, whole; begun_ says how much of it is written.
  bool SendAtOnce(FrameKind kind, std::string& payload) LARDER_REQUIRES(mutex_);
  void TellDropped() LARDER_EXCLUDES(mutex_);
  // Tells so, if anything was: what a connection had taken may be lost, too.
  void DropAll(bool served) LARDER_EXCLUDES(mutex_);
  void AwaitBackoff();

  const TcpTransportOptions& options_;
  const MemberId to_;
  const base::UniqueFd wake_ = base::MakeWake();
  const base::UniqueFd stop_ = base::MakeWake();  // readable from BeginStop on; ends a dial
  std::atomic<bool> stopping_ = false;
  base::Mutex mutex_;
  std::string address_ LARDER_GUARDED_BY(mutex_);
  std::deque<Queued> queue_ LARDER_GUARDED_BY(mutex_);
  // Of queue_ and writing_: what the application sent, and the rest.
  uint64_t application_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  uint64_t message_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  bool dropped_ LARDER_GUARDED_BY(mutex_) = false;
  int idle_fd_ LARDER_GUARDED_BY(mutex_) = -1;  // the connection, while all that was sent is on it
  size_t begun_ LARDER_GUARDED_BY(mutex_) = 0;  // bytes of the first in queue_ that are
  // The thread's own.
  std::deque<Outgoing> writing_;
  size_t written_ = 0;  // of the first
  int failures_ = 0;
  std::thread thread_;
};

}  // namespace larder::raft
