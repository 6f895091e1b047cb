#pragma once
#include <memory>
#include <string>

#include "src/server.h"

namespace larder::bench {

// A unary gRPC call over a Unix socket with nothing around it: the agent's own Stat message, answered from a constant.
class GrpcUnary {
 public:
  // Starts this program again, as Serve. The library's threads of both sides run where the caller does.
  explicit GrpcUnary(const std::string& dir);
  ~GrpcUnary();
  void Call();
  pid_t server() const;

  // For the process that it starts: answers at `socket` until it is killed.
  static void Serve(const std::string& socket);
  static constexpr char kServeFlag[] = "--serve-grpc";

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::bench
