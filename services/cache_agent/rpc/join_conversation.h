#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/fetch_board.h"
#include "larder/base/clock.h"
#include "larder/peers/v1/peers.pb.h"

namespace larder::cache_agent {

// What one peer manager is told of this node's fetches, and asked about them (PeerManager.Join): a call at a time, but
// that one which waits for news gives way to one that tells some. No I/O, no threads: the caller's lock, and the
// caller's clock (base::Clock::BootNow), are around it.
class JoinConversation {
 public:
  struct Step {
    std::optional<peers::v1::JoinRequest> send;
    base::Duration again{};  // after which Next is to be called, at the latest
  };

  explicit JoinConversation(std::string node) : node_(std::move(node)) {}

  // Another manager may answer on the next link: it knows nothing.
  void OnLinkLost();
  // `node_epoch`: the registration in force; 0: none. `session`: T_s.
  Step Next(base::MonotonicTime now, uint64_t node_epoch, base::Duration session, const FetchBoard& board);
  // The answer to the call of that sequence; true: it is the open one's, and its swarms are news.
  bool OnAnswered(uint64_t sequence, const absl::StatusOr<peers::v1::JoinResponse>& answer, base::MonotonicTime now);

 private:
  struct Open {
    uint64_t sequence = 0;
    uint64_t revision = 0;  // of the board
    bool wait = false;
    bool empty = false;  // nothing was fetched
  };
  // It is to be told everything again.
  void Forget();
  peers::v1::JoinRequest Request(const FetchBoard::View& view) const;

  const std::string node_;
  uint64_t sequence_ = 0;  // of the last call
  uint64_t node_epoch_ = 0;
  base::Duration session_{};
  std::optional<Open> open_;
  std::optional<uint64_t> told_;                // the revision that it knows; none: it may know nothing
  bool told_some_ = false;                      // it knows of fetches
  std::map<object::ObjectId, uint64_t> known_;  // versions of what it told
  base::MonotonicTime not_before_{};            // the next call
};

}  // namespace larder::cache_agent
