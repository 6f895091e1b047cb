#include "rpc/agent_rpc.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "core/identity.h"
#include "larder/base/digest.h"
#include "larder/base/status.h"
#include "rpc/status_proto.h"

namespace larder::cache_agent {

namespace pb = larder::agent::v1;

namespace {

constexpr char kNamespaceKey[] = "larder-namespace";
constexpr char kTokenKey[] = "larder-session-bin";
constexpr uint32_t kPageSize = 1000;

pb::ObjectState ToProto(object::ObjectState state) {
  switch (state) {
    case object::ObjectState::kCreating:
      return pb::OBJECT_STATE_CREATING;
    case object::ObjectState::kSealed:
      return pb::OBJECT_STATE_SEALED;
    case object::ObjectState::kDeleted:
      return pb::OBJECT_STATE_DELETED;
  }
  return pb::OBJECT_STATE_UNSPECIFIED;
}

pb::Object ToProto(const object::ObjectInfo& info) {
  pb::Object object;
  object.set_namespace_(info.id.ns);
  object.set_key(info.id.key);
  object.set_state(ToProto(info.state));
  object.set_epoch(info.epoch.value);
  object.set_size_bytes(info.size);
  object.set_digest(base::FormatDigest(info.digest));
  object.set_piece_length_bytes(info.meta.piece_length);
  if (info.ttl_left) object.set_ttl_left_ms(std::chrono::ceil<std::chrono::milliseconds>(*info.ttl_left).count());
  object.set_wanted_replicas(info.meta.wanted_replicas);
  object.set_pinned(info.pinned);
  object.set_tier(info.tier);
  object.set_application(info.meta.application);
  for (const std::string& tag : info.meta.tags) object.add_tags(tag);
  return object;
}

pb::Placement ToProto(const object::Placement& placement) {
  pb::Placement proto;
  for (const object::Placement::Location& location : placement.locations) {
    pb::Location& one = *proto.add_locations();
    one.set_node(location.node);
    one.set_kind(location.kind);
    one.set_live(location.live);
    one.set_last_seen_ms(std::chrono::floor<std::chrono::milliseconds>(location.last_seen).count());
  }
  proto.set_live_replicas(placement.live_replicas);
  if (placement.staged_age) {
    proto.set_staged_age_ms(std::chrono::floor<std::chrono::milliseconds>(*placement.staged_age).count());
  }
  proto.set_creator(placement.creator);
  proto.set_conflict(placement.conflict);
  return proto;
}

std::optional<std::string> Metadata(const rpc::Context& context, const char* key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return std::nullopt;
  return std::string(found->second.data(), found->second.size());
}

absl::Status NoSession() {
  return base::Error(absl::StatusCode::kUnauthenticated, "NO_SESSION",
                     "no connection to data.sock has the session of this call's {}, or it has ended: connect, and send "
                     "the token of the new HELLO",
                     kTokenKey);
}

// A session may end while a call acts in it: the same as before the call.
absl::Status OrNoSession(const absl::Status& status) {
  return base::Reason(status) == "NO_SESSION" ? NoSession() : status;
}

object::ListRequest FromProto(const pb::ListRequest& request) {
  return {.prefix = request.prefix(),
          .after = request.page_token(),
          .limit = request.page_size() == 0 ? kPageSize : request.page_size(),
          .local = request.local()};
}

}  // namespace

// The session of one call: its own, which ends with it, or that of a connection.
class AgentRpc::Session {
 public:
  static Session Own(object::Peer& peer, object::SessionId id) { return Session(&peer, id); }
  static Session Joined(object::SessionId id) { return Session(nullptr, id); }
  Session(Session&& other) noexcept : closes_(std::exchange(other.closes_, nullptr)), id_(other.id_) {}
  ~Session() {
    if (closes_ != nullptr) closes_->CloseSession(id_);
  }
  object::SessionId id() const { return id_; }

 private:
  Session(object::Peer* closes, object::SessionId id) : closes_(closes), id_(id) {}

  object::Peer* closes_;
  object::SessionId id_;
};

AgentRpc::AgentRpc(object::Peer& peer, base::Executor& executor, const StatusReader& status,
                   const LiveSessions& sessions, object::Identify without_token, object::TransportObserver& observer,
                   const NodeList& nodes)
    : peer_(peer),
      executor_(executor),
      status_(status),
      sessions_(sessions),
      without_token_(std::move(without_token)),
      observer_(observer),
      nodes_(nodes) {}

absl::StatusOr<AgentRpc::Caller> AgentRpc::CallerOf(const rpc::Context& context) {
  const std::string asked_ns = Metadata(context, kNamespaceKey).value_or("");
  const std::optional<std::string> token = Metadata(context, kTokenKey);
  absl::StatusOr<Caller> caller = token ? ByToken(*token, asked_ns) : ByWord(asked_ns);
  if (absl::IsPermissionDenied(caller.status())) observer_.Denied("denied");
  if (absl::IsUnauthenticated(caller.status())) observer_.Denied("no_session");
  return caller;
}

absl::StatusOr<AgentRpc::Caller> AgentRpc::ByToken(std::string_view text, const std::string& asked_ns) const {
  object::SessionToken token;
  if (text.size() != token.bytes.size()) return NoSession();
  std::ranges::copy(base::AsBytes(text), token.bytes.begin());
  const std::optional<LiveSessions::Session> session = sessions_.Find(token);
  if (!session) return NoSession();
  LARDER_RETURN_IF_ERROR(CheckAsked(asked_ns, session->owner.ns, "the session"));
  return Caller{.owner = session->owner, .session = session->id};
}

absl::StatusOr<AgentRpc::Caller> AgentRpc::ByWord(const std::string& asked_ns) const {
  LARDER_ASSIGN_OR_RETURN(object::SessionOwner owner, without_token_({}, asked_ns));
  return Caller{.owner = std::move(owner)};
}

absl::StatusOr<AgentRpc::Session> AgentRpc::Open(const rpc::Context& context) {
  LARDER_ASSIGN_OR_RETURN(const Caller caller, CallerOf(context));
  if (caller.session) return Session::Joined(*caller.session);
  LARDER_ASSIGN_OR_RETURN(const object::SessionId id, peer_.OpenSession(caller.owner));
  return Session::Own(peer_, id);
}

rpc::Reactor* AgentRpc::InSession(rpc::Context* context, const InSessionCall& begin) {
  return rpc::UnaryLater(context, [&](rpc::PendingCall call) {
    absl::StatusOr<Session> opened = Open(*context);
    if (!opened.ok()) return call.End([&] { return opened.status(); });
    // Until it is answered.
    const auto session = std::make_shared<const Session>(*std::move(opened));
    begin(session->id(),
          [session, call](const std::function<absl::Status()>& end) { call.End([&] { return OrNoSession(end()); }); });
  });
}

rpc::Reactor* AgentRpc::Stat(rpc::Context* context, const pb::StatRequest* request, pb::StatResponse* response) {
  return InSession(context, [=, this](object::SessionId session, const EndCall& end) {
    peer_.Stat(session, request->key(), [=](const absl::StatusOr<object::ObjectStat>& stat) {
      end([&]() -> absl::Status {
        LARDER_RETURN_IF_ERROR(stat.status());
        *response->mutable_object() = ToProto(stat->info);
        if (stat->placement) *response->mutable_placement() = ToProto(*stat->placement);
        return absl::OkStatus();
      });
    });
  });
}

rpc::Reactor* AgentRpc::List(rpc::Context* context, const pb::ListRequest* request, pb::ListResponse* response) {
  return InSession(context, [=, this](object::SessionId session, const EndCall& end) {
    peer_.List(session, FromProto(*request), [=](const absl::StatusOr<object::ListPage>& page) {
      end([&]() -> absl::Status {
        LARDER_RETURN_IF_ERROR(page.status());
        for (const object::ObjectInfo& info : page->objects) *response->add_objects() = ToProto(info);
        if (page->more) response->set_next_page_token(page->objects.back().id.key);
        return absl::OkStatus();
      });
    });
  });
}

void AgentRpc::OnExecutor(const EndCall& end, std::function<void()> work) {
  if (executor_.Submit(std::move(work))) return;
  end([] { return base::Error(absl::StatusCode::kUnavailable, "STOPPING", "the agent is stopping: connect again"); });
}

rpc::Reactor* AgentRpc::Delete(rpc::Context* context, const pb::DeleteRequest* request, pb::DeleteResponse*) {
  return InSession(context, [=, this](object::SessionId session, const EndCall& end) {
    OnExecutor(end, [&peer = peer_, session, key = request->key(), end] {
      peer.Delete(session, key, [end](const absl::Status& deleted) { end([&] { return deleted; }); });
    });
  });
}

rpc::Reactor* AgentRpc::Pin(rpc::Context* context, const pb::PinRequest* request, pb::PinResponse*) {
  return InSession(context, [=, this](object::SessionId session, const EndCall& end) {
    OnExecutor(end, [&peer = peer_, session, key = request->key(), pinned = request->pinned(), end] {
      peer.SetPinned(session, key, pinned, [end](const absl::Status& set) { end([&] { return set; }); });
    });
  });
}

rpc::Reactor* AgentRpc::ListNodes(rpc::Context* context, const pb::ListNodesRequest* request,
                                  pb::ListNodesResponse* response) {
  return rpc::UnaryLater(context, [&](rpc::PendingCall call) {
    const absl::StatusOr<Caller> caller = CallerOf(*context);
    if (!caller.ok()) return call.End([&] { return caller.status(); });
    nodes_.List(*request, [call, response](const absl::StatusOr<pb::ListNodesResponse>& listed) {
      call.End([&]() -> absl::Status {
        LARDER_RETURN_IF_ERROR(listed.status());
        *response = *listed;
        return absl::OkStatus();
      });
    });
  });
}

rpc::Reactor* AgentRpc::Status(rpc::Context* context, const pb::StatusRequest*, pb::StatusResponse* response) {
  return rpc::UnaryLater(context, [&](rpc::PendingCall call) {
    const absl::StatusOr<Caller> caller = CallerOf(*context);
    if (!caller.ok()) return call.End([&] { return caller.status(); });
    const auto end = [call](const std::function<absl::Status()>& handle) { call.End(handle); };
    OnExecutor(end, [&status = status_, ns = caller->owner.ns, call, response] {
      call.End([&] {
        *response = ToProto(status.ReadFor(ns), ns);
        return absl::OkStatus();
      });
    });
  });
}

}  // namespace larder::cache_agent
