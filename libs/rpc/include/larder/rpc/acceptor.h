#pragma once
#include <absl/status/status.h>

#include <cstddef>
#include <memory>

namespace grpc {
class Server;
}

namespace larder::rpc {

// Takes the connections of many listening Unix sockets, on one thread, and hands them to gRPC servers: so many of each
// socket at once, and so many of all. What is one too many is closed, unread. gRPC itself takes whatever comes, until
// the process is out of descriptors. Costs a second descriptor for each connection, by which its end is seen.
// Thread-safe.
class Acceptor {
 public:
  // `most`: connections of all sockets together.
  explicit Acceptor(size_t most);
  // Every socket must have been removed.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Both are borrowed until Remove, of which there must be one. `most`: connections by this socket. Fails, and takes
  // nothing, if the kernel will not watch it.
  absl::Status Add(int listening, size_t most, grpc::Server& server);
  // No more is taken once it returns. What is open counts among all until it ends. Nothing if it was not added.
  void Remove(int listening);
  // Connections that are open now, of all sockets. One that has ended counts for a moment.
  size_t open() const;

 private:
  class Loop;
  const std::unique_ptr<Loop> loop_;
};

}  // namespace larder::rpc
