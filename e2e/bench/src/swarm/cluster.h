#pragma once
#include <memory>
#include <string>
#include <vector>

#include "larder/client/client.h"
#include "src/server.h"

namespace larder::bench {

// A tracker, agents with a client of each, and maybe a peer manager, as processes on all processors, each on an address
// of its own. Not thread-safe, its clients are.
class Cluster {
 public:
  struct Options {
    std::string dir;  // made; for sockets and what the processes keep
    size_t agents = 0;
    bool peer_manager = true;        // without one agents fetch from complete copies only
    std::vector<std::string> flags;  // of each agent
  };
  // Ready once the peer manager, if there is one, counts all agents among the living.
  explicit Cluster(const Options& options);

  client::Client& Of(size_t agent) { return *agents_[agent]->client; }
  pid_t pid(size_t agent) const { return agents_[agent]->server.pid(); }
  // Bytes of pieces that the agent has sent to others.
  double Sent(size_t agent) const;
  // Deletes the object, and waits until no agent has anything of it.
  void Delete(const std::string& key);

 private:
  struct Agent {
    Server server;
    std::unique_ptr<client::Client> client;
  };
  std::string HostOf(size_t number) const;

  const std::string net_;
  std::unique_ptr<Server> tracker_;
  std::unique_ptr<Server> manager_;
  std::vector<std::unique_ptr<Agent>> agents_;
};

}  // namespace larder::bench
