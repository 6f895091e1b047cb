#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/server.h"

namespace larder::bench {

// A rival key-value store over its Unix socket, spoken to with as little of a client as can be.
class Store {
 public:
  virtual ~Store() = default;
  virtual void Set(const std::string& key, const char* bytes, uint64_t size) = 0;
  // Into `out`, which has room for it; its size.
  virtual uint64_t Get(const std::string& key, char* out) = 0;
};

std::unique_ptr<Store> StartRedis(const std::string& dir);
std::unique_ptr<Store> StartMemcached(const std::string& dir);

// A bare SEQPACKET socket whose other end, a process on kServerCpu, sends back what it gets.
class PingPong {
 public:
  PingPong();
  ~PingPong();
  void Exchange(uint64_t size);

 private:
  int fd_;
  pid_t pid_;
  std::vector<char> buffer_;
};

}  // namespace larder::bench
