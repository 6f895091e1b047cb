#pragma once
#include <sys/socket.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "larder/base/unique_fd.h"

// A client that knows only bytes; the socket blocks.
class Client {
 public:
  explicit Client(larder::base::UniqueFd fd) : fd_(std::move(fd)) {}

  // False: the server has closed.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // What comes until it ends with `end`, or until the server closes.
  std::string ReadUntil(std::string_view end) {
    std::string received;
    while (!received.ends_with(end) && ReadSome(received)) {
    }
    return received;
  }
  std::string ReadToEnd() {
    std::string received;
    while (ReadSome(received)) {
    }
    return received;
  }

 private:
  bool ReadSome(std::string& received) {
    std::array<char, 65536> part;
    const ssize_t got = recv(fd_.get(), part.data(), part.size(), 0);
    if (got > 0) received.append(part.data(), static_cast<size_t>(got));
    return got > 0;
  }

  larder::base::UniqueFd fd_;
};
