#include "src/rivals.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "src/measure.h"

namespace larder::bench {
namespace {

constexpr uint64_t kLargestItem = 256ull << 20;

// A stream of lines and counted bytes.
class Stream {
 public:
  explicit Stream(const std::string& path) : fd_(ConnectUnix(path, SOCK_STREAM)), buffer_(1 << 16) {
    if (fd_ < 0) Die("cannot connect to " + path);
  }
  ~Stream() { ::close(fd_); }

  void Send(std::string_view head, const char* bytes, uint64_t size, std::string_view tail) {
    iovec parts[3] = {{const_cast<char*>(head.data()), head.size()},
                      {const_cast<char*>(bytes), size},
                      {const_cast<char*>(tail.data()), tail.size()}};
    for (int next = 0; next < 3;) {
      const ssize_t result = ::writev(fd_, parts + next, 3 - next);
      if (result < 0) Die("a rival closed the connection");
      auto sent = static_cast<size_t>(result);
      while (next < 3 && sent >= parts[next].iov_len) sent -= parts[next++].iov_len;
      if (next < 3) {
        parts[next].iov_base = static_cast<char*>(parts[next].iov_base) + sent;
        parts[next].iov_len -= sent;
      }
    }
  }
  // Without its end of line.
  std::string Line() {
    while (true) {
      const auto begin = buffer_.begin() + static_cast<ptrdiff_t>(begin_),
                 end = buffer_.begin() + static_cast<ptrdiff_t>(end_);
      const auto at = std::find(begin, end, '\n');
      if (at != end) {
        std::string line(begin, at);
        begin_ += line.size() + 1;
        if (!line.empty() && line.back() == '\r') line.pop_back();
        return line;
      }
      Fill();
    }
  }
  void Bytes(char* out, uint64_t size) {
    const uint64_t had = std::min<uint64_t>(size, end_ - begin_);
    std::memcpy(out, buffer_.data() + begin_, had);
    begin_ += had;
    for (uint64_t at = had; at < size;) {
      const ssize_t got = ::read(fd_, out + at, size - at);
      if (got <= 0) Die("a rival closed the connection");
      at += static_cast<uint64_t>(got);
    }
  }

 private:
  void Fill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    const ssize_t got = ::read(fd_, buffer_.data() + end_, buffer_.size() - end_);
    if (got <= 0) Die("a rival closed the connection");
    end_ += static_cast<size_t>(got);
  }
  int fd_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;
};

class Redis final : public Store {
 public:
  explicit Redis(const std::string& socket)
      : server_({"redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no",
                 "--proto-max-bulk-len", "1gb", "--client-query-buffer-limit", "2gb"},
                socket, SOCK_STREAM),
        stream_(socket) {}
  void Set(const std::string& key, const char* bytes, uint64_t size) override {
    stream_.Send(fmt::format("*3\r\n$3\r\nSET\r\n${}\r\n{}\r\n${}\r\n", key.size(), key, size), bytes, size, "\r\n");
    if (stream_.Line() != "+OK") Die("redis refused a SET");
  }
  uint64_t Get(const std::string& key, char* out) override {
    stream_.Send(fmt::format("*2\r\n$3\r\nGET\r\n${}\r\n{}\r\n", key.size(), key), nullptr, 0, "");
    const uint64_t size = std::stoull(stream_.Line().substr(1));
    stream_.Bytes(out, size);
    stream_.Line();
    return size;
  }

 private:
  Server server_;
  Stream stream_;
};

class Memcached final : public Store {
 public:
  explicit Memcached(const std::string& socket)
      : server_({"memcached", "-u", "root", "-s", socket, "-a", "0700", "-m", "4096", "-t", "1", "-I",
                 std::to_string(kLargestItem)},
                socket, SOCK_STREAM),
        stream_(socket) {}
  void Set(const std::string& key, const char* bytes, uint64_t size) override {
    stream_.Send(fmt::format("set {} 0 0 {}\r\n", key, size), bytes, size, "\r\n");
    if (stream_.Line() != "STORED") Die("memcached refused a set");
  }
  uint64_t Get(const std::string& key, char* out) override {
    stream_.Send(fmt::format("get {}\r\n", key), nullptr, 0, "");
    const std::string line = stream_.Line();
    const uint64_t size = std::stoull(line.substr(line.rfind(' ') + 1));
    stream_.Bytes(out, size);
    stream_.Line();
    stream_.Line();  // END
    return size;
  }

 private:
  Server server_;
  Stream stream_;
};

}  // namespace

std::unique_ptr<Store> StartRedis(const std::string& dir) { return std::make_unique<Redis>(dir + "/redis.sock"); }
std::unique_ptr<Store> StartMemcached(const std::string& dir) {
  return std::make_unique<Memcached>(dir + "/memcached.sock");
}

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
