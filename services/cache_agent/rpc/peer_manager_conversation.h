#pragma once
#include <cstdint>
#include <map>
#include <optional>

#include "core/self_fence.h"
#include "larder/base/clock.h"
#include "larder/peers/v1/peers.pb.h"

namespace larder::cache_agent {

// What a node could hold, and what it holds and does now.
struct NodeRoom {
  peers::v1::Capacity capacity;
  peers::v1::Load load;
};

// What is said in sessions with one peer manager, one after the other: hello, then a beat each fifth of T_s, and one
// whenever the node was registered anew. No I/O, no threads: the caller's lock, and the caller's clock
// (base::Clock::BootNow), are around it.
class PeerManagerConversation {
 public:
  // A beat that was answered.
  struct Answer {
    uint64_t node_epoch = 0;  // in which it was sent; 0: in none
    base::MonotonicTime sent;
    base::Duration session{};  // T_s
    bool leads = false;        // the node may count on it
  };
  struct Step {
    std::optional<peers::v1::SessionRequest> send;
    bool leave = false;      // nothing was answered for half of T_s: end this link; then OnLinkLost
    base::Duration again{};  // after which Next is to be called, at the latest
  };

  // `who`: without capacity and load.
  explicit PeerManagerConversation(peers::v1::Hello who) : who_(std::move(who)) {}

  void OnLink() { linked_ = true; }
  void OnLinkLost();
  // `node_epoch`: the registration in force; 0: none.
  Step Next(base::MonotonicTime now, uint64_t node_epoch, const NodeRoom& room);
  // None: it answers nothing that is open.
  std::optional<Answer> OnReceived(const peers::v1::SessionResponse& response);

  // This session was answered; and the last answer said that the manager leads.
  bool connected() const { return connected_; }
  bool leads() const { return connected_ && leads_; }
  base::Duration session() const { return session_; }  // T_s

 private:
  struct Sent {
    uint64_t node_epoch = 0;
    base::MonotonicTime at;
  };
  // When the next is to be said.
  base::MonotonicTime Due(base::MonotonicTime now, uint64_t node_epoch) const;

  const peers::v1::Hello who_;
  base::Duration session_ = SelfFence::kDefaultSession;
  bool linked_ = false;
  bool connected_ = false;
  bool leads_ = false;
  uint64_t sequence_ = 0;          // of the last that was sent in this session
  Sent last_;                      // likewise
  std::map<uint64_t, Sent> open_;  // not answered, by sequence
};

}  // namespace larder::cache_agent
