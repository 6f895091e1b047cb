#include "src/ping_pong.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/measure.h"
#include "src/server.h"

namespace larder::bench {

PingPong::PingPong() : buffer_(1 << 16) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) Die("cannot make a socket pair");
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(ends[0]);
    PinTo(kServerCpu);
    while (true) {
      const ssize_t got = ::recv(ends[1], buffer_.data(), buffer_.size(), 0);
      if (got <= 0) ::_exit(0);
      if (::send(ends[1], buffer_.data(), static_cast<size_t>(got), MSG_NOSIGNAL) != got) ::_exit(0);
    }
  }
  ::close(ends[1]);
  fd_ = ends[0];
}

PingPong::~PingPong() {
  ::close(fd_);
  ::waitpid(pid_, nullptr, 0);
}

void PingPong::Exchange(uint64_t size) {
  if (::send(fd_, buffer_.data(), size, MSG_NOSIGNAL) != static_cast<ssize_t>(size) ||
      ::recv(fd_, buffer_.data(), buffer_.size(), 0) != static_cast<ssize_t>(size)) {
    Die("the ping-pong broke");
  }
}

}  // namespace larder::bench
