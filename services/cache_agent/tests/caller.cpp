// A process that connects as it is told, a line at a time, and answers each with a line:
//   join DIR     enters the cgroup                       "ok"
//   connect DIR  to the data.sock there                  "ok", or the reason
//   hello [NS]   on that connection                      "ok NAMESPACE", or the reason
//   fork         a child goes on, once this has exited   "ok"
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "larder/base/status.h"
#include "larder/base/unique_fd.h"
#include "tests/raw_hello.h"

namespace {

using larder::base::UniqueFd;

std::string Join(const std::string& cgroup) {
  std::ofstream procs(cgroup + "/cgroup.procs");
  procs << ::getpid() << std::flush;
  return procs ? "ok" : "cannot join " + cgroup;
}

std::string Connect(UniqueFd& connection, const std::string& socket_dir) {
  auto connected = larder::cache_agent::ConnectRaw(socket_dir);
  if (!connected.ok()) return larder::base::Reason(connected.status());
  connection = *std::move(connected);
  return "ok";
}

std::string Hello(const UniqueFd& connection, const std::string& ns) {
  const auto greeting = larder::cache_agent::SayHello(connection.get(), ns);
  return greeting.ok() ? "ok " + greeting->ns : larder::base::Reason(greeting.status());
}

std::string Fork() {
  const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (::fork() != 0) ::_exit(0);
  pollfd exit{.fd = self.get(), .events = POLLIN};
  return ::poll(&exit, 1, -1) == 1 ? "ok" : "cannot wait";
}

}  // namespace

int main() {
  UniqueFd connection;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb, argument;
    words >> verb >> argument;
    std::string answer = "unknown";
    if (verb == "join") answer = Join(argument);
    if (verb == "connect") answer = Connect(connection, argument);
    if (verb == "hello") answer = Hello(connection, argument);
    if (verb == "fork") answer = Fork();
    std::cout << answer << std::endl;
  }
}
