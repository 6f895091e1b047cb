#pragma once
#include <memory>
#include <string>

#include "larder/client/client.h"
#include "src/must.h"
#include "src/server.h"

namespace larder::bench {

// The agent under test and a client of it.
class Agent {
 public:
  // Its sockets and its configuration lie in `dir`, which is made. `evict_last`: the oldest objects give way, instead
  // of a refusal, when `arena` is full.
  Agent(const std::string& dir, const std::string& arena, bool evict_last = false);
  client::Client& client() { return *client_; }
  const std::string& endpoint() const { return endpoint_; }
  pid_t pid() const { return server_.pid(); }

  void Put(const std::string& key, const char* bytes, uint64_t size);
  // In place: the bytes are made where the agent takes them from.
  void PutInPlace(const std::string& key, const char* bytes, uint64_t size);
  std::unique_ptr<object::ObjectReader> Get(const std::string& key) { return Must(client_->Get(key)); }

 private:
  std::string endpoint_;
  Server server_;
  std::unique_ptr<client::Client> client_;
};

// Of every byte; ends the benchmark if the agent streams what it should share.
uint64_t SumOf(object::ObjectReader& reader);

}  // namespace larder::bench
