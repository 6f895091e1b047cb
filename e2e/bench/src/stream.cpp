#include "src/stream.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "src/server.h"

namespace larder::bench {

Stream::Stream(const std::string& path) : fd_(ConnectUnix(path, SOCK_STREAM)), buffer_(1 << 16) {
  if (fd_ < 0) Die("cannot connect to " + path);
}

Stream::~Stream() { ::close(fd_); }

void Stream::Send(std::string_view head, const char* bytes, uint64_t size, std::string_view tail) {
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

std::string Stream::Line() {
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

void Stream::Bytes(char* out, uint64_t size) {
  const uint64_t had = std::min<uint64_t>(size, end_ - begin_);
  std::memcpy(out, buffer_.data() + begin_, had);
  begin_ += had;
  for (uint64_t at = had; at < size;) {
    const ssize_t got = ::read(fd_, out + at, size - at);
    if (got <= 0) Die("a rival closed the connection");
    at += static_cast<uint64_t>(got);
  }
}

void Stream::Fill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const ssize_t got = ::read(fd_, buffer_.data() + end_, buffer_.size() - end_);
  if (got <= 0) Die("a rival closed the connection");
  end_ += static_cast<size_t>(got);
}

}  // namespace larder::bench
