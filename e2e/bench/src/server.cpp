#include "src/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "src/measure.h"

namespace larder::bench {
namespace {

pid_t Start(const std::vector<std::string>& arguments, int cpu) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (cpu != kAnyCpu) PinTo(cpu);
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd <= 2; ++fd) ::dup2(null, fd);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

}  // namespace

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

int ConnectTcp(const std::string& host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) Die(host + " is no IPv4 address");
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0) {
    return fd;
  }
  if (fd >= 0) ::close(fd);
  return -1;
}

std::string ProgramPath(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

std::string NewNet() {
  std::random_device random;
  return fmt::format("127.{}.{}", std::uniform_int_distribution(1, 254)(random),
                     std::uniform_int_distribution(0, 255)(random));
}

Server::Server(const std::vector<std::string>& arguments, int cpu, const std::function<bool()>& ready)
    : pid_(Start(arguments, cpu)) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!ready()) {
    int status = 0;
    const bool ended = ::waitpid(pid_, &status, WNOHANG) == pid_;
    if (!ended && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (!ended) End(SIGKILL);
    Die(arguments.front() + " did not start (is its package installed?)");
  }
}

Server::Server(const std::vector<std::string>& arguments, const std::string& socket, int socket_type)
    : Server(arguments, kServerCpu, [&] {
        const int fd = ConnectUnix(socket, socket_type);
        if (fd >= 0) ::close(fd);
        return fd >= 0;
      }) {}

Server::~Server() { End(SIGTERM); }

void Server::Kill() { End(SIGKILL); }

void Server::End(int signal) {
  if (pid_ == 0) return;
  ::kill(pid_, signal);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void RunToEnd(const std::vector<std::string>& arguments) {
  int status = 0;
  const pid_t pid = Start(arguments, kAnyCpu);
  if (::waitpid(pid, &status, 0) != pid || status != 0) Die(arguments.front() + " failed");
}

}  // namespace larder::bench
