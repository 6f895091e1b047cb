#include "src/server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "src/measure.h"

namespace larder::bench {
namespace {

// `cpu` -1: where this process runs.
pid_t Start(const std::vector<std::string>& arguments, int cpu) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (cpu >= 0) PinTo(cpu);
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd <= 2; ++fd) ::dup2(null, fd);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

}  // namespace

void Die(const std::string& why) { throw std::runtime_error(why); }

int ConnectUnix(const std::string& path, int type) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) Die("the path " + path + " is too long for a socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

Server::Server(const std::vector<std::string>& arguments, const std::string& socket, int socket_type)
    : pid_(Start(arguments, kServerCpu)) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (true) {
    if (const int fd = ConnectUnix(socket, socket_type); fd >= 0) {
      ::close(fd);
      return;
    }
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_ || std::chrono::steady_clock::now() > until) {
      Die(arguments.front() + " did not start (is its package installed?)");
    }
    std::this_thread::yield();
  }
}

void RunToEnd(const std::vector<std::string>& arguments) {
  int status = 0;
  const pid_t pid = Start(arguments, -1);
  if (::waitpid(pid, &status, 0) != pid || status != 0) Die(arguments.front() + " failed");
}

Server::~Server() {
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
}

}  // namespace larder::bench
