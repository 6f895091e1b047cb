#pragma once
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <utility>

#include "larder/observe/registry.h"
#include "larder/resp/server.h"
#include "tests/client.h"

// A server under test, and clients of it.
class TestServer {
 public:
  TestServer(larder::resp::Commands& commands, larder::resp::ServerOptions options = {},
             const larder::resp::Authenticator* authenticator = nullptr)
      : server_(std::move(options), commands, authenticator, clock_, registry_) {
    const absl::Status started = server_.Start();
    EXPECT_TRUE(started.ok()) << started;
  }
  Client Connect() {
    larder::base::UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server_.port())};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return Client(std::move(fd));
  }
  larder::resp::Server& server() { return server_; }
  const larder::observe::Registry& registry() const { return registry_; }
  const larder::base::Clock& clock() const { return clock_; }

 private:
  larder::base::SystemClock clock_;
  larder::observe::Registry registry_;
  larder::resp::Server server_;
};
