#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/cluster_registry.h"
#include "larder/base/clock.h"
#include "larder/base/random.h"
#include "larder/object/peer.h"
#include "larder/tracker/v1/tracker.pb.h"
#include "rpc/command_batches.h"
#include "rpc/locate_batches.h"

namespace larder::cache_agent {

// Who talks to the trackers, and how patiently.
struct TrackerOptions {
  std::string node;           // its name
  std::string piece_address;  // HOST:PORT where others fetch pieces; may be empty
  std::string zone;           // may be empty
  std::string rack;           // may be empty
  uint64_t incarnation = 0;   // grows with each start of the agent
  // The cluster's for piece tickets, unless it has one.
  std::string offered_piece_key = base::RandomBytes(32);
  // Of the right to create; renewed each third of it while there is any.
  base::Duration lease = std::chrono::seconds(30);
  // After it somebody who waits is told why nobody answered. A tracker itself looks for a quorum for 3 s: its word
  // should come first.
  base::Duration patience = std::chrono::milliseconds(3500);
  // A tracker that owes an answer and says nothing for so long is asked whether it lives, and left after as long again.
  base::Duration silence = std::chrono::milliseconds(500);
  CommandBatches::Limits commands;
  LocateBatches::Limits locates;
  size_t lists = 256;  // queued or under way
};

// What becomes of this node's registrations; under no lock. Each may be empty.
struct NodeEvents {
  object::Done<Registration> registered;
  object::Done<uint64_t> fenced;  // the tracker says that the one of this node epoch is over; the next is asked for
};

// What is said on links to trackers, one after the other: the node's registration and the client session first, then
// commands, questions and the renewal of rights. Says also when a link should be given up. No I/O, no threads: the
// caller's lock, and the caller's clock, are around it.
class TrackerConversation final : CommandBatches::Observer {
 public:
  struct ListQuestion {
    tracker::v1::ListRequest request;
    base::Deadline deadline;
    object::Done<absl::StatusOr<ClusterPage>> done;
  };
  // What is to be done now.
  struct Step {
    std::vector<tracker::v1::StreamRequest> send;
    std::vector<std::shared_ptr<ListQuestion>> lists;  // to be asked; then OnListed
    Completions completions;                           // under no lock
    bool leave = false;                                // end this link; then OnLinkLost
  };

  TrackerConversation(TrackerOptions options, NodeEvents events);

  // RESOURCE_EXHAUSTED (TRACKER_BUSY): too much is asked already. Deadlines are set here.
  absl::Status Ask(AskedCommand asked, base::MonotonicTime now);
  absl::Status Locate(std::vector<object::ObjectId> ids, base::MonotonicTime now, LocateBatches::Located done);
  absl::Status List(ListQuestion question, base::MonotonicTime now);
  CommandBatches& commands() { return commands_; }

  void OnLink(base::MonotonicTime now);
  void OnReceived(tracker::v1::StreamResponse response, base::MonotonicTime now);
  void OnListed(const std::shared_ptr<ListQuestion>& question, absl::StatusOr<tracker::v1::ListResponse> response,
                base::MonotonicTime now);
  void OnLinkLost(const absl::Status& why);
  // A question beside the stream, whether the node is alive in that node epoch, ended with an error.
  void OnAliveFailed(uint64_t node_epoch, const absl::Status& why);
  // The registration in force; 0: none.
  uint64_t node_epoch() const { return node_epoch_; }

  Step Next(base::MonotonicTime now);
  // Whether anybody waits for anything, or should: Next is to be called again within tens of milliseconds.
  bool busy() const;
  // Tells all who wait.
  Completions GiveUpAll(const absl::Status& why);

 private:
  void OnResult(const AskedCommand& asked, const tracker::v1::Result& result) override;
  void OnSessionLost(uint64_t session) override;

  void OnAnswer(uint64_t kind, uint64_t number, tracker::v1::StreamResponse response, base::MonotonicTime now);
  void OnHandshake(const tracker::v1::StreamResponse& response, base::MonotonicTime now);
  void Note(const absl::Status& failure);
  bool Registered() const { return session_ != 0 && node_epoch_ != 0; }
  void EndRegistration();
  void SayHello(base::MonotonicTime now, Step& step);
  void Renew(base::MonotonicTime now);
  // Whether the link should be given up: it owes an answer and says nothing.
  bool IsDead(base::MonotonicTime now, Step& step);
  // Looks at all who wait, so that it is done no sooner than somebody may be due.
  void Expire(base::MonotonicTime now, const absl::Status& nobody);
  absl::Status Nobody() const;
  size_t in_flight() const {
    return commands_.in_flight() + locates_.in_flight() + (open_lists_ - lists_.size()) + (hello_sent_ ? 1 : 0);
  }

  const TrackerOptions options_;
  const NodeEvents events_;
  CommandBatches commands_;
  LocateBatches locates_;
  std::deque<std::shared_ptr<ListQuestion>> lists_;  // not asked now
  size_t open_lists_ = 0;
  base::MonotonicTime lists_not_before_;
  base::MonotonicTime expire_at_ = base::kNoDeadline;
  Completions completions_;

  bool linked_ = false;
  bool leaving_ = false;  // once all is answered: another tracker may do better
  bool probing_ = false;
  base::MonotonicTime quiet_since_;  // while it owes an answer
  absl::Status trouble_;             // the last one, until something succeeds

  uint64_t session_ = 0;
  uint64_t node_epoch_ = 0;
  bool was_registered_ = false;  // since the start
  bool hello_sent_ = false;
  int hello_failures_ = 0;
  base::MonotonicTime hello_not_before_;

  std::unordered_set<uint64_t> rights_;  // to create, of this node epoch
  base::MonotonicTime renew_at_;
};

}  // namespace larder::cache_agent
