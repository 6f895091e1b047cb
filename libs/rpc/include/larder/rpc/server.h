#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "larder/base/clock.h"
#include "larder/base/unique_fd.h"
#include "larder/observe/logger.h"
#include "larder/rpc/channel.h"

namespace grpc {
class ResourceQuota;
class Service;
}  // namespace grpc

namespace larder::rpc {

class Acceptor;

// What clients may take, before anything is known about them. The defaults are for those who mean well.
struct ServerLimits {
  int message_bytes = kMaxMessageBytes;  // received
  int streams = 1000;                    // calls of one connection at once
  size_t connections = 0;                // by `unix_path` at once; needs an acceptor. 0: no limit
  // Bounds the memory of all servers that share it; those who use most are cut off. Borrowed until Start has returned.
  const grpc::ResourceQuota* quota = nullptr;
};

struct ServerOptions {
  std::string address;              // HOST:PORT, port 0 for any free one; empty: no TCP
  std::filesystem::path unix_path;  // empty: no Unix socket. Its folder must exist
  unsigned unix_mode = 0660;        // who may connect
  // A listening Unix socket that somebody else bound: its connections are served, too. Costs a thread.
  base::UniqueFd listening;
  // Reflection costs a thread; a server that is one of many does without.
  bool reflection = true;
  // Takes what connects to `unix_path`, and bounds how much that is, of all servers that share it. Borrowed until Stop.
  Acceptor* acceptor = nullptr;
  ServerLimits limits = {};
};

// A gRPC server with the health service (grpc.health.v1) and reflection, on TCP, Unix sockets or both. Receives
// messages of at most ServerLimits::message_bytes. Start and Stop from one thread; the rest is thread-safe.
class Server {
 public:
  Server(ServerOptions options, observe::Logger& log);
  ~Server();  // stops at once, cancelling calls in flight
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Before Start. Borrowed; must live until Stop has returned.
  void Add(grpc::Service& service);
  // Listens and serves. The socket is bound beside its path and renamed over it, so one that a killed process left
  // behind never stops a start, and clients see the old or the new, never none. INVALID_ARGUMENT (BAD_ADDRESS,
  // NO_ADDRESS, PATH_TOO_LONG) or FAILED_PRECONDITION (CANNOT_LISTEN) if the port is taken or the socket cannot be
  // made; nothing listens then. Once only.
  absl::Status Start();
  // Says NOT_SERVING to health checks, refuses new calls, lets those in flight end until `deadline`, then cancels them
  // and waits for their handlers, which must heed that. Removes the socket unless a successor has taken its path.
  // Idempotent.
  void Stop(base::Deadline deadline);
  // The TCP port listened on; 0 without one.
  uint16_t port() const;
  // What health checks hear; serving after Start. For a drain, before Stop.
  void SetServing(bool serving);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::rpc
