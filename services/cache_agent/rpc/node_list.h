#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>

#include "larder/agent/v1/agent.pb.h"
#include "larder/base/clock.h"
#include "larder/object/peer.h"
#include "larder/peers/v1/peers.pb.h"
#include "larder/tracker/v1/tracker.pb.h"

namespace larder::cache_agent {

// A node as whoever knows it tells of it. Pure. The tracker knows marks and registrations, not who is alive: a node
// that it has not fenced is in no known state.
agent::v1::Node ToNode(const peers::v1::Node& told);
agent::v1::Node ToNode(const tracker::v1::Node& told);

// The cluster's nodes, from the peer managers, or where none answers from a tracker. Thread-safe.
class NodeList {
 public:
  // Membership::ListNodes and TrackerClient::ListNodes.
  using AskManagers = std::function<void(const peers::v1::ListNodesRequest&, base::Duration timeout,
                                         object::Done<absl::StatusOr<peers::v1::ListNodesResponse>>)>;
  using AskTracker = std::function<void(tracker::v1::ListNodesRequest, base::Duration timeout,
                                        object::Done<absl::StatusOr<tracker::v1::ListNodesResponse>>)>;
  // Of an agent that is alone.
  NodeList() = default;
  NodeList(AskManagers managers, AskTracker tracker) : managers_(std::move(managers)), tracker_(std::move(tracker)) {}

  // A list that one of both began is continued there. Errors as of Agent.ListNodes; `done` comes on any thread.
  void List(const agent::v1::ListNodesRequest& request,
            object::Done<absl::StatusOr<agent::v1::ListNodesResponse>> done) const;

 private:
  void AskTheTracker(uint32_t page_size, const std::string& page_token,
                     const object::Done<absl::StatusOr<agent::v1::ListNodesResponse>>& done) const;

  const AskManagers managers_;  // both empty without a cluster
  const AskTracker tracker_;
};

}  // namespace larder::cache_agent
