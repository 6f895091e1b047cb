#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>

#include "larder/base/clock.h"
#include "larder/object/peer.h"
#include "larder/peers/v1/peers.pb.h"

namespace larder::cache_agent {

// A session with one peer manager, and questions beside it. Thread-safe.
class PeerManagerLink {
 public:
  // Called on the link's threads, never from within a call of the link, one at a time.
  struct Events {
    std::function<void(peers::v1::SessionResponse)> received;
    std::function<void(const absl::Status&)> ended;  // once, unless it was destroyed before
  };

  // Ends it. Waits for an event that is on its way; none comes afterwards. So no lock that they take may be held.
  virtual ~PeerManagerLink() = default;
  // Queues, in this order. What is sent after the end is dropped.
  virtual void Send(peers::v1::SessionRequest request) = 0;
  // `done` comes in any case, on a thread of the link's, before the link is destroyed. UNAVAILABLE or
  // DEADLINE_EXCEEDED without a reason: nobody answered.
  virtual void ListNodes(peers::v1::ListNodesRequest request, base::Duration timeout,
                         object::Done<absl::StatusOr<peers::v1::ListNodesResponse>> done) = 0;
  // Likewise.
  virtual void Join(peers::v1::JoinRequest request, base::Duration timeout,
                    object::Done<absl::StatusOr<peers::v1::JoinResponse>> done) = 0;
};

// Begins a link to HOST:PORT. Never fails: the link ends.
using DialPeerManager =
    std::function<std::unique_ptr<PeerManagerLink>(const std::string& address, PeerManagerLink::Events events)>;

// Links over gRPC.
std::unique_ptr<PeerManagerLink> DialPeerManagerByGrpc(const std::string& address, PeerManagerLink::Events events);

}  // namespace larder::cache_agent
