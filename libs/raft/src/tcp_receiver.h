#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>

#include "larder/base/sockets.h"
#include "larder/raft/tcp_transport.h"
#include "src/frames.h"

namespace larder::raft {

// Accepts the other members' connections and reads their frames, all on one thread.
class TcpReceiver {
 public:
  // `options` outlives it.
  static absl::StatusOr<std::unique_ptr<TcpReceiver>> Start(const TcpTransportOptions& options);
  ~TcpReceiver();
  const std::string& address() const { return address_; }
  // Ends the thread and all connections. Not from a callback.
  void Stop();

 private:
  struct Connection {
    base::UniqueFd fd;
    FrameDecoder decoder;
    MemberId member;  // none before HELLO
    base::Deadline hello_until;
  };

  explicit TcpReceiver(const TcpTransportOptions& options);
  void Run();
  void AcceptAll();
  // Until there may be a descriptor again: a connection that cannot be accepted would wake the thread without end.
  void StopAccepting();
  // Reads once, and handles the frames that are whole. An error, and the end of the stream as CANCELLED, ends it.
  absl::Status ReadSome(Connection& connection);
  absl::Status HandleFrame(Connection& connection, Frame frame);
  absl::Status HandleHello(Connection& connection, const Frame& frame);
  // Ends those without HELLO in time, accepts again; how long until the next is due, in milliseconds, -1: nothing is.
  int DoDue();
  void Refuse(const absl::Status& why) const;

  const TcpTransportOptions& options_;
  const Hello own_;
  std::string address_;
  base::UniqueFd listener_;
  base::UniqueFd epoll_;
  const base::UniqueFd wake_ = base::MakeWake();
  std::atomic<bool> stopping_ = false;
  // The thread's own.
  std::unordered_map<int, Connection> connections_;
  base::Deadline accept_again_ = base::kNoDeadline;
  std::thread thread_;
};

}  // namespace larder::raft
