#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/observe/logger.h"
#include "rpc/join_conversation.h"
#include "rpc/peer_manager_conversation.h"
#include "rpc/peer_manager_link.h"

namespace larder::cache_agent {

// One peer manager, as an agent talks to it: a session for as long as it answers, begun anew with pauses that grow
// while it does not. Round and Stop come from one thread; the rest from any.
class PeerManagerClient {
 public:
  // Called on a link's thread, under no lock.
  struct Events {
    std::function<void(const PeerManagerConversation::Answer&)> answered;
    // It says that the registration is over, or may be: the tracker knows.
    std::function<void()> doubted;
    std::function<void()> wake;  // a Round is due
    // Who else fetches what is fetched here.
    std::function<void(const peers::v1::JoinResponse&)> joined;
  };

  // `address`: HOST:PORT. `board`: what the manager is told that this node fetches. Borrows board, clock and log.
  PeerManagerClient(std::string address, peers::v1::Hello who, const FetchBoard& board, DialPeerManager dial,
                    const base::Clock& clock, observe::Logger& log, Events events);
  ~PeerManagerClient();  // stops

  // Says what is due; how long until the next is, unless it wakes before. `node_epoch` 0: the node is not registered.
  base::Duration Round(uint64_t node_epoch, const NodeRoom& room) LARDER_EXCLUDES(mutex_);
  // Ends the session. No event comes once it returns, and nothing is said any more. Idempotent.
  void Stop() LARDER_EXCLUDES(mutex_);

  bool connected() const LARDER_EXCLUDES(mutex_);
  bool leads() const LARDER_EXCLUDES(mutex_);
  // `done` comes on a thread of the link's; at once with UNAVAILABLE (NO_PEER_MANAGER) while there is none.
  void ListNodes(peers::v1::ListNodesRequest request, base::Duration timeout,
                 object::Done<absl::StatusOr<peers::v1::ListNodesResponse>> done) LARDER_EXCLUDES(mutex_);

 private:
  void LeaveLink(base::MonotonicTime now) LARDER_EXCLUDES(mutex_);
  void Link(base::MonotonicTime now) LARDER_EXCLUDES(mutex_);
  void OnReceived(uint64_t link, const peers::v1::SessionResponse& response) LARDER_EXCLUDES(mutex_);
  // Says, and asks, what is due about fetches; how long until the next is.
  base::Duration JoinSwarms(base::MonotonicTime now, uint64_t node_epoch) LARDER_REQUIRES(mutex_);
  void OnJoined(uint64_t link, uint64_t sequence, const absl::StatusOr<peers::v1::JoinResponse>& answer)
      LARDER_EXCLUDES(mutex_);
  void OnEnded(uint64_t link, const absl::Status& why) LARDER_EXCLUDES(mutex_);

  const std::string address_;
  const FetchBoard& board_;
  const DialPeerManager dial_;
  const base::Clock& clock_;
  observe::Logger& log_;
  const Events events_;

  mutable base::Mutex mutex_;
  PeerManagerConversation conversation_ LARDER_GUARDED_BY(mutex_);
  JoinConversation joins_ LARDER_GUARDED_BY(mutex_);
  std::unique_ptr<PeerManagerLink> link_ LARDER_GUARDED_BY(mutex_);
  uint64_t link_number_ LARDER_GUARDED_BY(mutex_) = 0;
  bool over_ LARDER_GUARDED_BY(mutex_) = false;  // the link is to be left
  absl::Status why_over_ LARDER_GUARDED_BY(mutex_);
  int failures_ LARDER_GUARDED_BY(mutex_) = 0;  // in a row, without an answer
  base::MonotonicTime dial_at_ LARDER_GUARDED_BY(mutex_){};
  bool stopped_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace larder::cache_agent
