#pragma once
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "src/must.h"

namespace larder::bench {

inline constexpr int kAnyCpu = -1;

// A server process of this benchmark's own, with its output thrown away; ended with the object, or with this process.
class Server {
 public:
  // Starts `arguments` (program first, found by PATH) on processor `cpu`, or where the caller runs (kAnyCpu), and waits
  // until it is `ready`; dies, saying why, if that takes more than 20 s.
  Server(const std::vector<std::string>& arguments, int cpu, const std::function<bool()>& ready);
  // On kServerCpu, ready when `socket` can be connected to.
  Server(const std::vector<std::string>& arguments, const std::string& socket, int socket_type);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();
  pid_t pid() const { return pid_; }

  // SIGKILL, and waits for the end.
  void Kill();

 private:
  void End(int signal);
  pid_t pid_;  // 0: it has ended
};

// Runs `arguments` on the processor of the caller, with its output thrown away, and waits for its end; dies if it
// fails.
void RunToEnd(const std::vector<std::string>& arguments);

// Where this build's programs lie.
std::string ProgramPath(const std::string& name);

// A net of loopback at random, that hardly anybody uses, so that ports need not be found: "127.x.y".
std::string NewNet();

// A stream or SEQPACKET connection to `path`, or -1.
int ConnectUnix(const std::string& path, int type);
// A TCP connection to a numeric IPv4 address, or -1.
int ConnectTcp(const std::string& host, uint16_t port);

}  // namespace larder::bench
