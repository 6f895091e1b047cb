#include "rpc/peer_manager_rpc.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "larder/base/status.h"
#include "larder/rpc/happens_before.h"
#include "larder/rpc/process.h"
#include "rpc/peers_proto.h"

namespace larder::peer_manager {
namespace {

constexpr uint32_t kMaxPage = 1000;
// For an answer to reach an agent that reads.
constexpr base::Duration kGrace = std::chrono::milliseconds(500);

constexpr observe::GaugeDecl<> kSessions = {.name = "larder_peers_sessions",
                                            .help = "Sessions of agents with this manager."};

absl::Status Stopping() { return base::Error(absl::StatusCode::kUnavailable, "STOPPING", "this manager is stopping"); }

}  // namespace

PeerManagerRpc::PeerManagerRpc(Manager& manager, SwarmDesk& swarms, size_t most_sessions, const base::Clock& clock,
                               observe::Registry& metrics)
    : manager_(manager),
      swarms_(swarms),
      most_sessions_(most_sessions),
      clock_(clock),
      watch_(metrics.AddWatch(kSessions, [this] { return static_cast<double>(Sessions().size()); })) {}

std::vector<std::shared_ptr<SessionStream>> PeerManagerRpc::Sessions() {
  std::vector<std::shared_ptr<SessionStream>> open;
  base::MutexLock lock(mutex_);
  for (const auto& [id, session] : sessions_) open.push_back(session);
  return open;
}

void PeerManagerRpc::Sweep() {
  const base::MonotonicTime now = clock_.BootNow();
  for (const auto& session : Sessions()) session->Sweep(now);
}

void PeerManagerRpc::Stop(base::Deadline deadline) {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  for (const auto& session : Sessions()) session->End(Stopping());
  const base::Deadline until = std::min(deadline, std::chrono::steady_clock::now() + kGrace);
  {
    base::MutexLock lock(mutex_);
    while (!sessions_.empty() && gone_.WaitUntil(mutex_, until)) {
    }
  }
  for (const auto& session : Sessions()) session->Cancel();
}

absl::Status PeerManagerRpc::Refusal() const {
  if (stopping_) return Stopping();
  if (sessions_.size() < most_sessions_) return absl::OkStatus();
  return base::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_SESSIONS",
                     "{} sessions are open, and this manager takes no more (raise sessions.max)", most_sessions_);
}

grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* PeerManagerRpc::Session(rpc::Context* context) {
  std::shared_ptr<SessionStream> session;
  absl::Status refusal;
  {
    base::MutexLock lock(mutex_);
    refusal = Refusal();
    const SessionId id{++last_id_};
    session = std::make_shared<SessionStream>(
        manager_, id, *context, clock_,
        SessionStream::Events{.replaced = [this](SessionId gone) { EndReplaced(gone); },
                              .gone =
                                  [this](SessionStream& gone) {
                                    std::shared_ptr<SessionStream> last;
                                    base::MutexLock inner(mutex_);
                                    last = std::move(sessions_.extract(gone.id()).mapped());
                                    gone_.NotifyAll();
                                  }});
    rpc::ReactorMade(session.get());
    sessions_.emplace(id, session);
  }
  if (refusal.ok()) {
    session->Begin();
  } else {
    session->End(refusal);
  }
  return session.get();
}

void PeerManagerRpc::EndReplaced(SessionId session) {
  std::shared_ptr<SessionStream> replaced;
  {
    base::MutexLock lock(mutex_);
    if (const auto found = sessions_.find(session); found != sessions_.end()) replaced = found->second;
  }
  if (replaced == nullptr) return;
  replaced->End(base::Error(absl::StatusCode::kAborted, "SESSION_REPLACED", "the node began another session"));
}

rpc::Reactor* PeerManagerRpc::Join(rpc::Context* context, const v1::JoinRequest* request, v1::JoinResponse* response) {
  absl::StatusOr<SwarmDesk::Call> call = FromProto(*request);
  return rpc::UnaryLater(context, [&](const rpc::PendingCall& pending) {
    if (!call.ok()) return pending.End([status = call.status()] { return status; });
    swarms_.Join(*std::move(call), [pending, response](const absl::StatusOr<SwarmDesk::Told>& told) {
      pending.End([&] {
        if (told.ok()) *response = ToProto(*told);
        return told.status();
      });
    });
  });
}

rpc::Reactor* PeerManagerRpc::ListNodes(rpc::Context* context, const v1::ListNodesRequest* request,
                                        v1::ListNodesResponse* response) {
  return rpc::Unary(context, [=, this]() -> absl::Status {
    const uint32_t limit = request->page_size() == 0 ? kMaxPage : request->page_size();
    if (limit > kMaxPage) {
      return base::InvalidArgument("BAD_LIMIT", "a page has 1 to {} nodes, not {}", kMaxPage, limit);
    }
    for (const NodeView& node : manager_.List(request->page_token(), limit)) *response->add_nodes() = ToProto(node);
    const int count = response->nodes_size();
    if (count == static_cast<int>(limit)) response->set_next_page_token(response->nodes(count - 1).name());
    return absl::OkStatus();
  });
}

rpc::Reactor* PeerManagerRpc::Status(rpc::Context* context, const v1::StatusRequest*, v1::StatusResponse* response) {
  return rpc::Unary(context, [=, this]() -> absl::Status {
    *response = ToProto(manager_.status(), manager_.options(), rpc::Version());
    return absl::OkStatus();
  });
}

}  // namespace larder::peer_manager
