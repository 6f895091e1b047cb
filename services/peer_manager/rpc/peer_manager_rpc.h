#pragma once
#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/manager.h"
#include "core/swarm_desk.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/observe/registry.h"
#include "larder/peers/v1/peers.grpc.pb.h"
#include "larder/rpc/unary.h"
#include "rpc/session_stream.h"

namespace larder::peer_manager {

// larder.peers.v1.PeerManager over a manager. Thread-safe.
class PeerManagerRpc final : public peers::v1::PeerManager::CallbackService {
 public:
  // Borrows all but the limit, until the server that has it has stopped.
  PeerManagerRpc(Manager& manager, SwarmDesk& swarms, size_t most_sessions, const base::Clock& clock,
                 observe::Registry& metrics);

  // Ends sessions of which nothing came for a session's time. To be called now and then.
  void Sweep() LARDER_EXCLUDES(mutex_);
  // Ends all sessions, and refuses new ones: UNAVAILABLE (STOPPING). Waits a little, until `deadline` at most, for the
  // agents to take the answers that are on their way, and cancels what they do not take. Before the server stops.
  void Stop(base::Deadline deadline) LARDER_EXCLUDES(mutex_);

  grpc::ServerBidiReactor<peers::v1::SessionRequest, peers::v1::SessionResponse>* Session(
      rpc::Context* context) override LARDER_EXCLUDES(mutex_);
  rpc::Reactor* Join(rpc::Context* context, const peers::v1::JoinRequest* request,
                     peers::v1::JoinResponse* response) override;
  rpc::Reactor* ListNodes(rpc::Context* context, const peers::v1::ListNodesRequest* request,
                          peers::v1::ListNodesResponse* response) override;
  rpc::Reactor* Status(rpc::Context* context, const peers::v1::StatusRequest* request,
                       peers::v1::StatusResponse* response) override;

 private:
  std::vector<std::shared_ptr<SessionStream>> Sessions() LARDER_EXCLUDES(mutex_);
  void EndReplaced(SessionId session) LARDER_EXCLUDES(mutex_);
  // Why a new session cannot be.
  absl::Status Refusal() const LARDER_REQUIRES(mutex_);

  Manager& manager_;
  SwarmDesk& swarms_;
  const size_t most_sessions_;
  const base::Clock& clock_;
  base::Mutex mutex_;
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
  uint64_t last_id_ LARDER_GUARDED_BY(mutex_) = 0;
  std::map<SessionId, std::shared_ptr<SessionStream>> sessions_ LARDER_GUARDED_BY(mutex_);
  base::CondVar gone_;                    // a session is
  const observe::Registry::Watch watch_;  // last: it reads the above
};

}  // namespace larder::peer_manager
