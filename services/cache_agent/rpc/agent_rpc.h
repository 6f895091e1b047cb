#pragma once
#include "core/identity.h"
#include "larder/agent/v1/agent.grpc.pb.h"
#include "larder/base/executor.h"
#include "larder/object/peer.h"
#include "larder/rpc/unary.h"

namespace larder::cache_agent {

// larder.agent.v1.Agent over a peer. Each call has a session of its own, in its caller's namespace.
class AgentRpc final : public larder::agent::v1::Agent::CallbackService {
 public:
  // Borrows both. `executor` runs the calls that may wait for a disk.
  AgentRpc(object::Peer& peer, base::Executor& executor, Identify identify);

  rpc::Reactor* Stat(rpc::Context* context, const larder::agent::v1::StatRequest* request,
                     larder::agent::v1::StatResponse* response) override;
  rpc::Reactor* List(rpc::Context* context, const larder::agent::v1::ListRequest* request,
                     larder::agent::v1::ListResponse* response) override;
  rpc::Reactor* Delete(rpc::Context* context, const larder::agent::v1::DeleteRequest* request,
                       larder::agent::v1::DeleteResponse* response) override;
  rpc::Reactor* Pin(rpc::Context* context, const larder::agent::v1::PinRequest* request,
                    larder::agent::v1::PinResponse* response) override;

 private:
  class Session;
  absl::StatusOr<Session> Open(const rpc::Context& context);

  object::Peer& peer_;
  base::Executor& executor_;
  const Identify identify_;
};

}  // namespace larder::cache_agent
