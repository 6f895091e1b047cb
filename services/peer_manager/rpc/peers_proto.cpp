#include "rpc/peers_proto.h"

#include <chrono>
#include <string>

#include "larder/base/status.h"
#include "larder/rpc/address.h"

namespace larder::peer_manager {
namespace {

constexpr size_t kMaxName = 253;
constexpr size_t kMaxText = 512;
constexpr int kMaxFetching = 256;

int64_t Milliseconds(base::Duration time) { return std::chrono::floor<std::chrono::milliseconds>(time).count(); }

absl::Status CheckNode(std::string_view field, const std::string& node) {
  if (!node.empty() && node.size() <= kMaxName && node.find('\0') == std::string::npos) return absl::OkStatus();
  return base::InvalidArgument("BAD_FIELD", "{} is no name: it has 1 to {} bytes, no NUL", field, kMaxName);
}

absl::Status CheckText(std::string_view field, const std::string& text) {
  if (text.size() <= kMaxText) return absl::OkStatus();
  return base::InvalidArgument("BAD_FIELD", "hello.{} has {} bytes, more than {}", field, text.size(), kMaxText);
}

v1::NodeState ToProto(NodeState state) {
  switch (state) {
    case NodeState::kLive:
      return v1::NODE_STATE_LIVE;
    case NodeState::kSuspect:
      return v1::NODE_STATE_SUSPECT;
    case NodeState::kLost:
      return v1::NODE_STATE_LOST;
    case NodeState::kDraining:
      return v1::NODE_STATE_DRAINING;
  }
  return v1::NODE_STATE_UNSPECIFIED;
}

void Fill(v1::Load& proto, const Load& load) {
  proto.set_uplink_bytes_per_second(load.uplink_per_second);
  proto.set_upload_queue(load.upload_queue);
  proto.set_memory_used_bytes(load.memory_used);
  proto.set_memory_free_bytes(load.memory_free);
  proto.set_disk_used_bytes(load.disk_used);
  proto.set_disk_free_bytes(load.disk_free);
}

}  // namespace

absl::StatusOr<Introduction> FromProto(const v1::Hello& hello) {
  LARDER_RETURN_IF_ERROR(CheckNode("hello.node", hello.node()));
  if (!hello.address().empty() && !rpc::ParseHostPort(hello.address()).ok()) {
    return base::InvalidArgument("BAD_FIELD", "hello.address '{}' is not HOST:PORT", hello.address());
  }
  LARDER_RETURN_IF_ERROR(CheckText("address", hello.address()));
  LARDER_RETURN_IF_ERROR(CheckText("zone", hello.zone()));
  LARDER_RETURN_IF_ERROR(CheckText("rack", hello.rack()));
  return Introduction{.node = hello.node(),
                      .incarnation = hello.incarnation(),
                      .place = {.address = hello.address(), .zone = hello.zone(), .rack = hello.rack()},
                      .capacity = {.memory = hello.capacity().memory_bytes(), .disk = hello.capacity().disk_bytes()}};
}

Load FromProto(const v1::Load& load) {
  return {.uplink_per_second = load.uplink_bytes_per_second(),
          .upload_queue = load.upload_queue(),
          .memory_used = load.memory_used_bytes(),
          .memory_free = load.memory_free_bytes(),
          .disk_used = load.disk_used_bytes(),
          .disk_free = load.disk_free_bytes()};
}

Beat BeatOf(const v1::SessionRequest& request) {
  return {.epoch = {request.node_epoch()},
          .load = FromProto(request.has_hello() ? request.hello().load() : request.beat().load())};
}

absl::StatusOr<SwarmDesk::Call> FromProto(const v1::JoinRequest& request) {
  LARDER_RETURN_IF_ERROR(CheckNode("node", request.node()));
  if (request.fetching_size() > kMaxFetching) {
    return base::InvalidArgument("BAD_FIELD", "{} objects are fetched, and {} may be named at most",
                                 request.fetching_size(), kMaxFetching);
  }
  SwarmDesk::Call call = {.node = {request.node(), {request.node_epoch()}},
                          .sequence = request.sequence(),
                          .wait = request.wait(),
                          .fetching = {}};
  for (const v1::Fetching& fetching : request.fetching()) {
    if (!object::CheckNamespace(fetching.namespace_()).ok() || !object::CheckKey(fetching.key()).ok()) {
      return base::InvalidArgument("BAD_FIELD", "fetching names no object: '{}' in namespace '{}'", fetching.key(),
                                   fetching.namespace_());
    }
    call.fetching.push_back({.id = {fetching.namespace_(), fetching.key()},
                             .epoch = {fetching.epoch()},
                             .percent = fetching.percent(),
                             .parents = fetching.parents(),
                             .known = {fetching.known()}});
  }
  return call;
}

v1::JoinResponse ToProto(const SwarmDesk::Told& told) {
  v1::JoinResponse response;
  for (const SwarmNews& news : told) {
    v1::Swarm& swarm = *response.add_swarms();
    swarm.set_namespace_(news.id.ns);
    swarm.set_key(news.id.key);
    swarm.set_version(news.version.value);
    for (const SwarmMember& member : news.members) {
      v1::SwarmMember& proto = *swarm.add_members();
      proto.set_node(member.node.node);
      proto.set_node_epoch(member.node.epoch.value);
      proto.set_epoch(member.epoch.value);
      proto.set_address(member.place.address);
      proto.set_zone(member.place.zone);
      proto.set_rack(member.place.rack);
      proto.set_percent(member.percent);
    }
  }
  return response;
}

v1::SessionResponse ToProto(const BeatAnswer& answer, uint64_t sequence, base::Duration session) {
  v1::SessionResponse response;
  response.set_sequence(sequence);
  response.set_leads(answer.leads);
  response.set_term(answer.term.value);
  response.set_session_ms(Milliseconds(session));
  return response;
}

v1::Node ToProto(const NodeView& node) {
  v1::Node proto;
  proto.set_name(node.name);
  proto.set_node_epoch(node.epoch.value);
  proto.set_incarnation(node.incarnation);
  proto.set_state(ToProto(node.state));
  proto.set_state_ms(Milliseconds(node.in_state));
  proto.set_connected(node.connected);
  proto.set_draining(node.draining);
  proto.set_quarantined(node.quarantined);
  proto.set_address(node.place.address);
  proto.set_zone(node.place.zone);
  proto.set_rack(node.place.rack);
  if (node.capacity) {
    proto.mutable_capacity()->set_memory_bytes(node.capacity->memory);
    proto.mutable_capacity()->set_disk_bytes(node.capacity->disk);
  }
  if (node.load) Fill(*proto.mutable_load(), *node.load);
  if (node.since_seen) proto.set_last_seen_ms(Milliseconds(*node.since_seen));
  return proto;
}

v1::StatusResponse ToProto(const ManagerStatus& status, const ManagerOptions& options, std::string_view version) {
  v1::StatusResponse response;
  response.set_version(std::string(version));
  response.set_name(options.name);
  response.set_leads(status.leads);
  if (status.leader) {
    response.set_term(status.leader->term.value);
    response.set_leader(status.leader->holder);
  }
  response.set_may_fence(status.may_fence);
  response.set_tracker_answers(status.tracker_answers);
  if (status.since_tracked) response.set_tracker_heard_ms(Milliseconds(*status.since_tracked));
  response.set_session_ms(Milliseconds(options.session));
  response.set_mass_loss(status.mass_loss);
  for (const NodeState state : kNodeStates) {
    v1::StateCount& count = *response.add_nodes();
    count.set_state(ToProto(state));
    count.set_nodes(static_cast<uint32_t>(status.nodes[static_cast<size_t>(state)]));
  }
  return response;
}

}  // namespace larder::peer_manager
