#pragma once
#include <absl/status/status.h>

#include <memory>
#include <string>

#include "larder/base/clock.h"
#include "larder/base/stop_stack.h"
#include "larder/base/worker.h"
#include "larder/peer_manager/config.h"
#include "larder/rpc/process.h"
#include "larder/rpc/run_service.h"

namespace larder::rpc {
class Server;
}

namespace larder::peer_manager {

class Manager;
class PeerManagerRpc;
class SwarmDesk;
class TrackerCluster;

// One manager: who is alive, as it hears it, and fencing while it leads. The one place where its parts are put
// together. Several may live in one process, each with a Process of its own. One thread calls it.
class App {
 public:
  using Config = peer_manager::Config;
  static constexpr rpc::ServiceInfo kInfo = {.service = "peer_manager",
                                             .binary = "larder-peer-manager",
                                             .summary = "Knows which nodes are alive, and fences those that are not.",
                                             .admin_port = 7429};

  // Wires, starts nothing. Borrows `process`.
  App(const Config& config, rpc::Process& process);
  ~App();  // stops

  // Once only. What the listener says. A failure leaves nothing running once Stop or the destructor has run. Needs no
  // tracker: until one answers, nobody leads.
  absl::Status Start();
  // Not ready, fences nobody, gives leadership back, ends sessions. Idempotent.
  void Stop(base::Deadline deadline);

  // Where it listens, HOST:PORT; after Start.
  std::string grpc_address() const;

 private:
  void FollowTracker();
  absl::Status ListenForCalls();

  const Config config_;
  rpc::Process& process_;
  std::unique_ptr<TrackerCluster> cluster_;
  std::unique_ptr<Manager> manager_;
  std::unique_ptr<SwarmDesk> swarms_;
  std::unique_ptr<PeerManagerRpc> rpc_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<base::Worker> rounds_;
  base::StopStack stops_;  // last, so unwound first
};

}  // namespace larder::peer_manager
