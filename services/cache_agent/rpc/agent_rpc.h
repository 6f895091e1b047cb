#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/agent_status.h"
#include "core/live_sessions.h"
#include "larder/agent/v1/agent.grpc.pb.h"
#include "larder/base/executor.h"
#include "larder/object/caller.h"
#include "larder/object/peer.h"
#include "larder/object/registries.h"
#include "larder/rpc/unary.h"
#include "rpc/node_list.h"

namespace larder::cache_agent {

// larder.agent.v1.Agent over a peer. A call that carries the token of a live session acts in it; one without has a
// session of its own, which ends with it.
class AgentRpc final : public larder::agent::v1::Agent::CallbackService {
 public:
  // Borrows all; the peer and `status` are used until `executor` has run what it was given, which is also after the end
  // of this service. It runs the calls that may wait for a disk; `without_token` says whose calls are those
  // without; `observer` hears of the refused ones: "denied", "no_session".
  AgentRpc(object::Peer& peer, base::Executor& executor, const StatusReader& status, const LiveSessions& sessions,
           object::Identify without_token, object::TransportObserver& observer, const NodeList& nodes);

  rpc::Reactor* Stat(rpc::Context* context, const larder::agent::v1::StatRequest* request,
                     larder::agent::v1::StatResponse* response) override;
  rpc::Reactor* List(rpc::Context* context, const larder::agent::v1::ListRequest* request,
                     larder::agent::v1::ListResponse* response) override;
  rpc::Reactor* Delete(rpc::Context* context, const larder::agent::v1::DeleteRequest* request,
                       larder::agent::v1::DeleteResponse* response) override;
  rpc::Reactor* Pin(rpc::Context* context, const larder::agent::v1::PinRequest* request,
                    larder::agent::v1::PinResponse* response) override;
  rpc::Reactor* ListNodes(rpc::Context* context, const larder::agent::v1::ListNodesRequest* request,
                          larder::agent::v1::ListNodesResponse* response) override;
  rpc::Reactor* Status(rpc::Context* context, const larder::agent::v1::StatusRequest* request,
                       larder::agent::v1::StatusResponse* response) override;

 private:
  class Session;
  struct Caller {
    object::SessionOwner owner;
    std::optional<object::SessionId> session;  // its token's
  };
  // Whose a call is. UNAUTHENTICATED (NO_SESSION), PERMISSION_DENIED (FOREIGN_NAMESPACE, NO_TOKEN), INVALID_ARGUMENT
  // (BAD_NAMESPACE).
  absl::StatusOr<Caller> CallerOf(const rpc::Context& context);
  absl::StatusOr<Caller> ByToken(std::string_view token, const std::string& asked_ns) const;
  absl::StatusOr<Caller> ByWord(const std::string& asked_ns) const;
  // The session that a call acts in. Errors as CallerOf's, and of object::Peer::OpenSession.
  absl::StatusOr<Session> Open(const rpc::Context& context);
  // Ends a call with what a function returns; once, on any thread.
  using EndCall = std::function<void(const std::function<absl::Status()>&)>;
  using InSessionCall = std::function<void(object::SessionId, const EndCall&)>;
  // A call in the session of its caller, which lasts until the call is ended.
  rpc::Reactor* InSession(rpc::Context* context, const InSessionCall& begin);
  // What may wait for a disk. `work` may run when this service, and its server, are gone: it needs neither.
  void OnExecutor(const EndCall& end, std::function<void()> work);

  object::Peer& peer_;
  base::Executor& executor_;
  const StatusReader& status_;
  const LiveSessions& sessions_;
  const object::Identify without_token_;
  object::TransportObserver& observer_;
  const NodeList& nodes_;
};

}  // namespace larder::cache_agent
