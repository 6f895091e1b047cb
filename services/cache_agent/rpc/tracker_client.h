#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster_registry.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/base/worker.h"
#include "larder/observe/logger.h"
#include "rpc/tracker_conversation.h"
#include "rpc/tracker_link.h"

namespace larder::cache_agent {

// The trackers of a cluster, as one agent talks to them: to one of them at a time, over one stream, to the next where
// that fails. Commands of one object are done in the order of the calls. What was sent and not answered is sent again
// under its request id, so that it is done once. Rights to create are renewed while there are any; one that nobody got
// to know of, or that was abandoned while no tracker answered, is given back as soon as one does.
class TrackerClient final : public ClusterRegistry {
 public:
  // `addresses`: HOST:PORT of one or more trackers. Borrows clock and log. `events` come on a thread of the client;
  // what the registry knew of this node's copies is unconfirmed once it is registered anew.
  TrackerClient(std::vector<std::string> addresses, TrackerOptions options, DialTracker dial, const base::Clock& clock,
                observe::Logger& log, NodeEvents events = {});
  ~TrackerClient() override;  // stops

  // From one thread. What is asked before Start waits for it; after Stop, it is refused on the caller's thread.
  void Start();
  // Answers all who wait: UNAVAILABLE (NO_TRACKER), or DEADLINE_EXCEEDED (OUTCOME_UNKNOWN) for what was sent. Returns
  // when no `done` runs any more. Idempotent; not from a `done`.
  void Stop() LARDER_EXCLUDES(mutex_);

  // Beside what ClusterRegistry says: RESOURCE_EXHAUSTED (TRACKER_BUSY) if too much waits already.
  void Acquire(const object::ObjectId& id, bool overwrite, object::Done<absl::StatusOr<object::Epoch>> done) override;
  void Seal(object::Epoch epoch, const object::ObjectInfo& info,
            object::Done<absl::StatusOr<object::TrackedAs>> done) override;
  void Publish(const object::ObjectInfo& info, bool overwrite,
               object::Done<absl::StatusOr<object::TrackedAs>> done) override;
  void Abandon(const object::ObjectId& id, object::Epoch epoch, object::Done<absl::Status> done) override;
  void GiveUp(const object::ObjectId& id, const object::TrackedAs& copy, object::Done<absl::Status> done) override;
  void Offer(const object::ObjectId& id, const object::TrackedAs& copy, object::Done<absl::Status> done) override;
  void AddCopy(const object::TrackedAs& copy, object::Done<absl::Status> done) override;
  void ReportBad(const object::TrackedAs& copy, const std::string& node, uint64_t node_epoch, uint64_t version,
                 object::Done<absl::Status> done) override;
  void Delete(const object::ObjectId& id, object::Done<absl::Status> done) override;
  void SetMeta(const object::ObjectId& id, object::Epoch epoch, const MetaChange& change,
               object::Done<absl::Status> done) override;
  // UNAVAILABLE (NO_TRACKER) at once while there is no link to a tracker.
  void GetInventory(object::Done<absl::StatusOr<object::InventorySums>> done) override;
  void ConfirmBuckets(const std::vector<std::pair<uint8_t, uint64_t>>& sums,
                      object::Done<absl::StatusOr<std::vector<uint8_t>>> done) override;
  void SyncBucket(InventoryPage page, object::Done<absl::StatusOr<InventoryAnswer>> done) override;
  // INVALID_ARGUMENT (BAD_NAMESPACE, BAD_KEY, BAD_BATCH).
  void Locate(std::vector<object::ObjectId> ids,
              object::Done<absl::StatusOr<std::vector<ClusterObject>>> done) override;
  void List(const std::string& ns, const object::ListRequest& request,
            object::Done<absl::StatusOr<ClusterPage>> done) override;

  // What a tracker says of this node's registration.
  struct Alive {
    uint64_t node_epoch = 0;
    base::Duration session{};  // it is not fenced for so long
  };
  // Whether the registration is in force. UNAVAILABLE (NODE_FENCED): it is over, and the next is asked for; UNAVAILABLE
  // (NO_TRACKER) at once, also on the caller's thread, while there is none, or no link. A tracker that says nothing for
  // `timeout` is left for the next one.
  void AskAlive(base::Duration timeout, object::Done<absl::StatusOr<Alive>> done) LARDER_EXCLUDES(mutex_);
  // The nodes that the registry knows. UNAVAILABLE (NO_TRACKER) likewise.
  void ListNodes(tracker::v1::ListNodesRequest request, base::Duration timeout,
                 object::Done<absl::StatusOr<tracker::v1::ListNodesResponse>> done) LARDER_EXCLUDES(mutex_);

 private:
  // `question` puts one to the conversation; `refused` hears if it could not.
  using Question = std::function<absl::Status(TrackerConversation&, base::MonotonicTime)>;
  void Put(const Question& question, object::Done<absl::Status> refused) LARDER_EXCLUDES(mutex_);
  void Ask(AskedCommand asked);
  void GiveUp(const object::ObjectId& id, const object::TrackedAs& copy, bool gone, object::Done<absl::Status> done);
  void OnListed(const std::shared_ptr<TrackerConversation::ListQuestion>& question,
                absl::StatusOr<tracker::v1::ListResponse> response) LARDER_EXCLUDES(mutex_);
  // That question, on that link, ended so.
  void OnAliveFailed(uint64_t link, uint64_t node_epoch, const absl::Status& why) LARDER_EXCLUDES(mutex_);

  base::Duration Round() LARDER_EXCLUDES(mutex_);
  void LeaveLink() LARDER_EXCLUDES(mutex_);
  void Link() LARDER_EXCLUDES(mutex_);
  void OnReceived(uint64_t link, tracker::v1::StreamResponse response) LARDER_EXCLUDES(mutex_);
  void OnEnded(uint64_t link, const absl::Status& why) LARDER_EXCLUDES(mutex_);
  void Wake() LARDER_REQUIRES(mutex_);
  // Does what is to be done now; what it returns is to be called without the lock.
  Completions Proceed() LARDER_REQUIRES(mutex_);

  const std::vector<std::string> addresses_;
  const std::string node_;
  const base::Duration lease_;
  const base::Duration patience_;
  const DialTracker dial_;
  const base::Clock& clock_;
  observe::Logger& log_;

  base::Mutex mutex_;
  TrackerConversation conversation_ LARDER_GUARDED_BY(mutex_);
  std::unique_ptr<TrackerLink> link_ LARDER_GUARDED_BY(mutex_);
  uint64_t link_number_ LARDER_GUARDED_BY(mutex_) = 0;
  bool link_over_ LARDER_GUARDED_BY(mutex_) = false;
  absl::Status link_end_ LARDER_GUARDED_BY(mutex_);
  int link_failures_ LARDER_GUARDED_BY(mutex_) = 0;  // in a row, without a word of any
  base::MonotonicTime dial_at_ LARDER_GUARDED_BY(mutex_);
  size_t next_address_ = 0;                      // of the worker
  bool awake_ LARDER_GUARDED_BY(mutex_) = true;  // the worker looks again soon
  bool stopped_ LARDER_GUARDED_BY(mutex_) = false;
  Completions to_tell_ LARDER_GUARDED_BY(mutex_);  // by the worker
  base::Worker worker_;                            // last: it uses all of the above
};

}  // namespace larder::cache_agent
