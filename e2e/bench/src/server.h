#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

namespace larder::bench {

// A server process of this benchmark's own, on kServerCpu, with its output thrown away; ended with the object.
class Server {
 public:
  // Starts `arguments` (program first, found by PATH) and waits until `socket` can be connected to; dies, saying why,
  // if that takes more than 20 s.
  Server(const std::vector<std::string>& arguments, const std::string& socket, int socket_type);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

// Runs `arguments` on the processor of the caller, with its output thrown away, and waits for its end; dies if it
// fails.
void RunToEnd(const std::vector<std::string>& arguments);

// A stream or SEQPACKET connection to `path`, or -1.
int ConnectUnix(const std::string& path, int type);
// Ends the benchmark: an exception that main reports, so that servers end and files go.
[[noreturn]] void Die(const std::string& why);

}  // namespace larder::bench
