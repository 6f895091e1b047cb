#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/fetch_board.h"
#include "core/membership_metrics.h"
#include "core/self_fence.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/base/worker.h"
#include "larder/observe/logger.h"
#include "larder/peers/v1/peers.pb.h"
#include "rpc/peer_manager_client.h"
#include "rpc/tracker_client.h"

namespace larder::cache_agent {

struct MembershipOptions {
  peers::v1::Hello who;               // without capacity and load
  std::vector<std::string> managers;  // HOST:PORT of each peer manager; none: the tracker alone is asked
  std::function<NodeRoom()> room;     // called on the membership's thread
  // Others that fetch an object that is on the board, and were not named before; on a thread of a link's, under no
  // lock.
  std::function<void(const object::ObjectId&, std::vector<SwarmMember>)> met;
};

// Keeps this node a member of its cluster: beats to every peer manager, asks the tracker where no manager that leads
// answers, and so knows whether the node may act. Thread-safe, but for Start and Stop, which come from one thread.
class Membership {
 public:
  // TrackerClient::AskAlive.
  using AskAlive = std::function<void(base::Duration timeout, object::Done<absl::StatusOr<TrackerClient::Alive>> done)>;

  // Borrows clock and log.
  Membership(MembershipOptions options, AskAlive ask, DialPeerManager dial, const base::Clock& clock,
             observe::Logger& log);
  ~Membership();  // stops

  // What the tracker says of this node's registrations (NodeEvents). Also before Start.
  void OnRegistered(uint64_t node_epoch);
  void OnFenced(uint64_t node_epoch);

  void Start() { worker_.Start(); }
  // Does what is due, as a thread does after Start; how long until the next is, unless something happens before. One
  // thread, and none that called Start.
  base::Duration Round() LARDER_EXCLUDES(mutex_);
  // Ends all sessions. Whoever answers AskAlive may still do so. Idempotent.
  void Stop();

  // As of SelfFence, which says who is to ask for which. When they refuse, the tracker is asked without delay, so that
  // a node that slept refuses for no longer than it must.
  absl::Status MayAct();
  absl::Status MayAsk();
  MembershipView view() const;
  // What this node fetches, of which the managers are told.
  FetchBoard& board() { return board_; }

  // Of a manager that leads, or else of any that answers. UNAVAILABLE (NO_PEER_MANAGER): none does.
  void ListNodes(const peers::v1::ListNodesRequest& request, base::Duration timeout,
                 const object::Done<absl::StatusOr<peers::v1::ListNodesResponse>>& done);

 private:
  // Asks the tracker if that is due; when it is next.
  base::MonotonicTime AskTracker(base::MonotonicTime now) LARDER_EXCLUDES(mutex_);
  void OnAlive(base::MonotonicTime sent, const absl::StatusOr<TrackerClient::Alive>& alive) LARDER_EXCLUDES(mutex_);
  void OnJoined(const peers::v1::JoinResponse& response);
  void OnBeatAnswered(const PeerManagerConversation::Answer& answer);
  // True: nobody did so since the tracker was asked last.
  bool Doubt() LARDER_EXCLUDES(mutex_);
  absl::Status OrAsk(absl::Status may) LARDER_EXCLUDES(mutex_);
  void LogChange(base::MonotonicTime now);
  // Asks the last of them, then those before.
  static void ListNodesOf(std::vector<PeerManagerClient*> managers, const peers::v1::ListNodesRequest& request,
                          base::Duration timeout,
                          const object::Done<absl::StatusOr<peers::v1::ListNodesResponse>>& done);

  const MembershipOptions options_;
  const AskAlive ask_;
  const base::Clock& clock_;
  observe::Logger& log_;
  SelfFence fence_;
  FetchBoard board_;
  std::vector<std::unique_ptr<PeerManagerClient>> managers_;
  base::Mutex mutex_;
  bool asking_ LARDER_GUARDED_BY(mutex_) = false;  // the tracker, now
  bool ask_now_ LARDER_GUARDED_BY(mutex_) = false;
  std::optional<base::MonotonicTime> doubted_ LARDER_GUARDED_BY(mutex_);  // when it was last asked for that
  SelfFence::State logged_ = SelfFence::State::kJoining;                  // of the worker
  base::Worker worker_;                                                   // last: it uses all of the above
};

}  // namespace larder::cache_agent
