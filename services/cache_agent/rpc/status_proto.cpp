#include "rpc/status_proto.h"

#include <chrono>

#include "larder/base/status.h"
#include "larder/rpc/process.h"

namespace larder::cache_agent {

namespace pb = larder::agent::v1;

namespace {

int64_t Milliseconds(base::Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

void Fill(pb::ArenaUse& arena, const AgentStatus& status) {
  arena.set_limit_bytes(status.arena.limit);
  arena.set_free_bytes(status.arena.free);
  arena.set_live_bytes(status.arena.live);
  arena.set_quarantined_bytes(status.arena.quarantined);
  arena.set_allocated_bytes(status.arena.allocated);
  arena.set_window_bytes(status.arena.windows);
  arena.set_wasted_bytes(status.arena.wasted);
  arena.set_reserved_bytes(status.arena.reserved);
  arena.set_recycles(status.recycles);
}

void Fill(pb::StatusCounters& counters, const AgentStatus& status) {
  for (size_t op = 0; op < kOps; ++op) {
    pb::RequestCount& count = *counters.add_requests();
    count.set_op(std::string(LabelText(static_cast<Op>(op))));
    count.set_ok(status.requests.requests[op].ok);
    count.set_failed(status.requests.requests[op].failed);
  }
  counters.set_hits(status.requests.hits);
  counters.set_misses(status.requests.misses);
  counters.set_bytes_in(status.requests.bytes_in);
  counters.set_bytes_out(status.requests.bytes_out);
  counters.set_leases_closed(status.peer.reclaimed_closed);
  counters.set_leases_lapsed(status.peer.reclaimed_lapsed);
  counters.set_connections_denied(status.denied);
  counters.set_evicted_room(status.peer.evicted_room);
  counters.set_evicted_quota(status.peer.evicted_quota);
  counters.set_damaged(status.peer.damaged);
}

void Fill(pb::NamespaceUse& use, const std::string& ns, const AgentStatus::Namespace& found) {
  use.set_namespace_(ns);
  use.set_objects(found.objects);
  use.set_bytes(found.bytes);
  use.set_limit_bytes(found.limit);
  use.set_evict_last(found.evict_last);
}

void Fill(pb::DiskUse& disk, const AgentStatus::Disk& found) {
  disk.set_data_dir(found.data_dir);
  disk.set_total_bytes(found.space.total);
  disk.set_free_bytes(found.space.free);
  disk.set_used_bytes(found.used);
  disk.set_limit_bytes(found.limit);
}

pb::MembershipState StateOf(SelfFence::State state) {
  switch (state) {
    case SelfFence::State::kJoining:
      return pb::MEMBERSHIP_STATE_JOINING;
    case SelfFence::State::kMember:
      return pb::MEMBERSHIP_STATE_MEMBER;
    case SelfFence::State::kFenced:
      return pb::MEMBERSHIP_STATE_FENCED;
  }
  return pb::MEMBERSHIP_STATE_UNSPECIFIED;
}

void Fill(pb::MembershipStatus& membership, const MembershipView& view) {
  membership.set_state(StateOf(view.state));
  membership.set_why(base::Message(view.why));
  membership.set_node_epoch(view.node_epoch);
  membership.set_peer_managers(static_cast<uint32_t>(view.peer_managers));
  membership.set_peer_managers_connected(static_cast<uint32_t>(view.answering));
}

}  // namespace

pb::StatusResponse ToProto(const AgentStatus& status, const std::string& ns) {
  pb::StatusResponse response;
  response.set_version(std::string(rpc::Version()));
  response.set_node(status.node);
  response.set_namespace_(ns);
  response.set_identity(std::string(status.identity));
  response.set_store(status.store);
  response.set_uptime_ms(static_cast<uint64_t>(Milliseconds(status.uptime)));
  response.set_wall_time_ms(Milliseconds(status.wall_time.time_since_epoch()));
  Fill(*response.mutable_arena(), status);
  response.set_objects(status.peer.objects);
  response.set_object_bytes(status.peer.bytes);
  response.set_create_leases(status.peer.create_leases);
  response.set_read_leases(status.peer.read_leases);
  response.set_sessions(status.peer.sessions);
  response.set_connections(status.connections);
  Fill(*response.mutable_counters(), status);
  for (const auto& [name, use] : status.namespaces) Fill(*response.add_namespaces(), name, use);
  if (status.disk) Fill(*response.mutable_disk(), *status.disk);
  response.mutable_open_files()->set_limit(status.open_files.limit);
  response.mutable_open_files()->set_used(status.open_files.used);
  if (status.membership) Fill(*response.mutable_membership(), *status.membership);
  return response;
}

}  // namespace larder::cache_agent
