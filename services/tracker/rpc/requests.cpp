#include "rpc/requests.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "rpc/command_proto.h"
#include "rpc/record_proto.h"
#include "rpc/reply_proto.h"

namespace larder::tracker {

void Requests::Apply(const v1::ApplyRequest& request, Applied done) {
  std::vector<Op> ops;
  ops.reserve(static_cast<size_t>(request.commands_size()));
  for (const v1::Command& command : request.commands()) ops.push_back(OpOf(command));
  absl::StatusOr<Proposal> proposal = FromProto(request);
  if (!proposal.ok()) {
    metrics_.Failed(ops, proposal.status().code());
    return done(proposal.status());
  }
  consensus_.Propose(*proposal, [this, ops = std::move(ops),
                                 done = std::move(done)](const absl::StatusOr<std::vector<Reply>>& replies) {
    if (!replies.ok()) {
      metrics_.Failed(ops, replies.status().code());
      return done(replies.status());
    }
    metrics_.Applied(ops, *replies);
    done(ToProto(*replies));
  });
}

void Requests::NodeAlive(const v1::NodeAliveRequest& request,
                         std::function<void(absl::StatusOr<v1::NodeAliveResponse>)> done) {
  consensus_.NodeAlive(FromProto(request.node()), [this, done = std::move(done)](const absl::Status& status) {
    metrics_.Done(Op::kNodeAlive, status.code());
    if (!status.ok()) return done(status);
    v1::NodeAliveResponse response;
    response.set_session_ms(std::chrono::duration_cast<std::chrono::milliseconds>(consensus_.node_session()).count());
    done(std::move(response));
  });
}

void Requests::Read(bool stale_ok, Answerer answer) {
  SnapshotReads::Run run = [this, answer = std::move(answer)](const absl::Status& status, Reader* snapshot) {
    if (!status.ok()) return answer(status, nullptr, {});
    // What is left of a TTL goes on while nothing is applied, where a leader can tell.
    const LogTime applied = AppliedTime(*snapshot);
    answer(status, snapshot, std::max(applied, consensus_.LeaderTime().value_or(applied)));
  };
  if (stale_ok) {
    consensus_.ReadStale(std::move(run));
  } else {
    consensus_.Read(std::move(run));
  }
}

}  // namespace larder::tracker
