#pragma once
#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "larder/base/clock.h"
#include "larder/observe/registry.h"
#include "larder/resp/commands.h"

namespace larder::resp {

struct ServerOptions {
  std::string host = "127.0.0.1";  // a numeric IPv4 address
  uint16_t port = 0;               // 0: any free one
  size_t threads = 1;
  size_t max_clients = 10'000;            // one more gets Redis's error and is closed
  size_t max_bulk = size_t{16} << 20;     // bytes of one argument
  size_t max_request = size_t{64} << 20;  // bytes of one request; a longer one closes the connection
  size_t max_pipeline = 1024;             // requests in flight per connection; no more are read meanwhile
  size_t pause_output = size_t{1} << 20;  // so many bytes not read by the client: no more requests are read
  size_t max_output = size_t{64} << 20;   // so many: the connection is closed
  base::Duration auth_timeout = std::chrono::seconds(3);    // to authenticate, where that is required
  base::Duration write_timeout = std::chrono::seconds(30);  // with replies to send and nothing taken: closed
};

// Serves Redis clients over TCP: event loops that parse, answer connection commands and hand data commands to
// `commands`. Replies of a connection are sent in the order of its requests. Start and Stop are one thread's.
class Server {
 public:
  // Borrows all; `authenticator` may be null. The registry gets this library's metrics.
  Server(ServerOptions options, Commands& commands, const Authenticator* authenticator, const base::Clock& clock,
         observe::Registry& registry);
  ~Server();  // Stop, without waiting
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens; clients are served once it returns. An error of the system (EADDRINUSE) as base::ErrnoError has it, and
  // nothing is left behind. Once only.
  absl::Status Start();
  // Accepts and reads no more, sends the replies of what was read, and closes; what is not done by `deadline` is cut.
  // A reply that comes later is dropped, so `commands` need not be idle. Idempotent.
  void Stop(base::Deadline deadline);
  // The port listened on; 0 before Start succeeded.
  uint16_t port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::resp
