#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/measure.h"
#include "src/tracker/protocol.h"

namespace larder::bench {

using Moment = std::chrono::steady_clock::time_point;

struct Endpoint {
  std::string host;  // a numeric IPv4 address
  uint16_t port;
};

struct LoadOptions {
  std::vector<Endpoint> servers;  // connections take turns
  std::function<std::unique_ptr<Protocol>()> speak;
  size_t connections = 1;
  size_t in_flight = 1;           // requests, on each connection
  bool servers_may_fail = false;  // a connection that ends is done without, and a refused request tried again
};

// Many requests under way at once, from one thread: epoll, one write a connection and wake-up. Its keys are kKeys, in
// an order of no meaning. Not thread-safe.
class Load {
 public:
  static constexpr uint32_t kKeys = 10'000;
  struct Done {
    Moment sent;
    Moment at;
  };

  // Connects, or dies.
  explicit Load(LoadOptions options);
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load();

  // Keeps all requests under way until `done`, which is told of each success, returns false, or until `end`; then
  // waits for those that still are. Dies if that takes more than 30 s, or if something fails that must not.
  void Run(Moment end, const std::function<bool(const Done&)>& done);

 private:
  struct Connection;
  void Issue(Connection& connection);
  void Flush(Connection& connection);
  void Read(Connection& connection, Moment now);
  void Drop(Connection& connection, const char* why);
  void Retry(Moment now);

  LoadOptions options_;
  int epoll_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Answer> answers_;
  const std::function<bool(const Done&)>* done_ = nullptr;
  bool issuing_ = false;
  size_t under_way_ = 0;
};

}  // namespace larder::bench
