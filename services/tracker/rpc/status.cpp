#include "larder/rpc/process.h"
#include "rpc/answers.h"

namespace larder::tracker {
namespace {

v1::MemberRole RoleOf(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower:
      return v1::MEMBER_ROLE_FOLLOWER;
    case raft::Role::kCandidate:
      return v1::MEMBER_ROLE_CANDIDATE;
    case raft::Role::kLeader:
      return v1::MEMBER_ROLE_LEADER;
  }
  return v1::MEMBER_ROLE_UNSPECIFIED;
}

}  // namespace

v1::StatusResponse ToProto(const raft::NodeStatus& status) {
  v1::StatusResponse response;
  response.set_version(std::string(rpc::Version()));
  response.set_member(status.self.value);
  response.set_role(RoleOf(status.role));
  response.set_leader(status.leader.value);
  response.set_term(status.term);
  response.set_last_index(status.last_index);
  response.set_durable_index(status.durable);
  response.set_committed_index(status.committed);
  response.set_applied_index(status.applied);
  response.set_voter(status.voter);
  response.set_joint(status.joint);
  response.set_log_bytes(status.log_bytes);
  for (const raft::MemberStatus& known : status.members) {
    v1::Member& member = *response.add_members();
    member.set_id(known.id.value);
    member.set_matched_index(known.matched);
    member.set_recently_active(known.recently_active);
    member.set_learner(known.learner);
  }
  return response;
}

}  // namespace larder::tracker
