#include "rpc/agent_rpc.h"

#include <chrono>
#include <utility>

#include "larder/base/digest.h"
#include "larder/base/status.h"

namespace larder::cache_agent {

namespace pb = larder::agent::v1;

namespace {

constexpr char kNamespaceKey[] = "larder-namespace";
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

object::ListRequest FromProto(const pb::ListRequest& request) {
  return {.prefix = request.prefix(),
          .after = request.page_token(),
          .limit = request.page_size() == 0 ? kPageSize : request.page_size()};
}

}  // namespace

// One call's session; ends with it.
class AgentRpc::Session {
 public:
  Session(object::Peer& peer, object::SessionId id) : peer_(&peer), id_(id) {}
  Session(Session&& other) noexcept : peer_(std::exchange(other.peer_, nullptr)), id_(other.id_) {}
  ~Session() {
    if (peer_ != nullptr) peer_->CloseSession(id_);
  }
  object::SessionId id() const { return id_; }

 private:
  object::Peer* peer_;
  object::SessionId id_;
};

AgentRpc::AgentRpc(object::Peer& peer, base::Executor& executor, Identify identify)
    : peer_(peer), executor_(executor), identify_(std::move(identify)) {}

absl::StatusOr<AgentRpc::Session> AgentRpc::Open(const rpc::Context& context) {
  const auto& metadata = context.client_metadata();
  const auto asked = metadata.find(kNamespaceKey);
  LARDER_ASSIGN_OR_RETURN(
      const object::SessionOwner owner,
      identify_(0, asked == metadata.end() ? std::string() : std::string(asked->second.data(), asked->second.size())));
  LARDER_ASSIGN_OR_RETURN(const object::SessionId id, peer_.OpenSession(owner));
  return Session(peer_, id);
}

rpc::Reactor* AgentRpc::Stat(rpc::Context* context, const pb::StatRequest* request, pb::StatResponse* response) {
  return rpc::Unary(context, [=, this]() -> absl::Status {
    LARDER_ASSIGN_OR_RETURN(const Session session, Open(*context));
    LARDER_ASSIGN_OR_RETURN(const object::ObjectInfo info, peer_.Stat(session.id(), request->key()));
    *response->mutable_object() = ToProto(info);
    return absl::OkStatus();
  });
}

rpc::Reactor* AgentRpc::List(rpc::Context* context, const pb::ListRequest* request, pb::ListResponse* response) {
  return rpc::Unary(context, [=, this]() -> absl::Status {
    LARDER_ASSIGN_OR_RETURN(const Session session, Open(*context));
    LARDER_ASSIGN_OR_RETURN(const object::ListPage page, peer_.List(session.id(), FromProto(*request)));
    for (const object::ObjectInfo& info : page.objects) *response->add_objects() = ToProto(info);
    if (page.more) response->set_next_page_token(page.objects.back().id.key);
    return absl::OkStatus();
  });
}

rpc::Reactor* AgentRpc::Delete(rpc::Context* context, const pb::DeleteRequest* request, pb::DeleteResponse*) {
  return rpc::UnaryOn(executor_, context, [=, this]() -> absl::Status {
    LARDER_ASSIGN_OR_RETURN(const Session session, Open(*context));
    return peer_.Delete(session.id(), request->key());
  });
}

rpc::Reactor* AgentRpc::Pin(rpc::Context* context, const pb::PinRequest* request, pb::PinResponse*) {
  return rpc::UnaryOn(executor_, context, [=, this]() -> absl::Status {
    LARDER_ASSIGN_OR_RETURN(const Session session, Open(*context));
    return peer_.SetPinned(session.id(), request->key(), request->pinned());
  });
}

}  // namespace larder::cache_agent
