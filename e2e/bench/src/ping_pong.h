#pragma once
#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace larder::bench {

// A bare SEQPACKET socket whose other end, a process on kServerCpu, sends back what it gets.
class PingPong {
 public:
  PingPong();
  PingPong(const PingPong&) = delete;
  PingPong& operator=(const PingPong&) = delete;
  ~PingPong();
  void Exchange(uint64_t size);

 private:
  int fd_;
  pid_t pid_;
  std::vector<char> buffer_;
};

}  // namespace larder::bench
