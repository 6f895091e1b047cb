#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/leadership.h"
#include "core/members.h"
#include "core/node.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/observe/logger.h"
#include "larder/observe/registry.h"

namespace larder::peer_manager {

struct ManagerOptions {
  std::string name;             // as it holds the lease; of no other manager
  base::Duration session{};     // T_s
  base::Duration leader_ttl{};  // of the lease
  size_t most_nodes = 0;        // more are taken of the tracker's word only
};

// What a hello or beat is answered with.
struct BeatAnswer {
  bool leads = false;  // the node may count on its registration for half of T_s from when it asked
  Term term;           // of the leader; 0: unknown
};

struct ManagerStatus {
  bool leads = false;
  bool may_fence = false;
  std::optional<LeaderLease> leader;  // empty: nobody, or unknown
  bool tracker_answers = false;
  std::optional<base::Duration> since_tracked;  // since the tracker told of its nodes; empty: it never did
  bool mass_loss = false;
  std::array<size_t, kNodeStates.size()> nodes{};  // by state
};

// Members and Leadership, put to work: what agents say comes in, what they ask for goes out to the tracker. Knows no
// gRPC. Thread-safe, but for Resign.
class Manager {
 public:
  // Borrows all of them. `cluster` must end what is under way there before this is destroyed.
  Manager(ManagerOptions options, Cluster& cluster, const base::Clock& clock, observe::Logger& log,
          observe::Registry& metrics);

  // What is due now: looks, renewals, fences, the tracker's records. Returns when to come again. On one thread.
  base::Duration Round() LARDER_EXCLUDES(mutex_);
  // Leads no more, and lets another at once: gives the lease back, or what is being granted once it is, waiting for
  // that until `deadline`. After the last Round.
  void Resign(base::Deadline deadline) LARDER_EXCLUDES(mutex_);

  struct Entered {
    BeatAnswer answer;
    std::optional<SessionId> replaced;  // is to be ended
  };
  // As those of Members.
  absl::StatusOr<Entered> Enter(SessionId session, const Introduction& said, const Beat& beat) LARDER_EXCLUDES(mutex_);
  absl::StatusOr<BeatAnswer> Take(const std::string& node, SessionId session, const Beat& beat) LARDER_EXCLUDES(mutex_);
  void Leave(const std::string& node, SessionId session) LARDER_EXCLUDES(mutex_);

  // As of Members.
  absl::StatusOr<Place> Serving(const NodeRef& node) const LARDER_EXCLUDES(mutex_);
  std::vector<NodeView> List(const std::string& after, size_t most) const LARDER_EXCLUDES(mutex_);
  ManagerStatus status() const LARDER_EXCLUDES(mutex_);
  const ManagerOptions& options() const { return options_; }

 private:
  BeatAnswer Answer(base::MonotonicTime now) const LARDER_REQUIRES(mutex_);
  // Members and the log hear of leadership that came or went.
  void Follow(base::MonotonicTime now) LARDER_REQUIRES(mutex_);
  void AskForLease(Leadership::Ask ask, Term term);
  void OnGranted(const absl::StatusOr<Term>& granted) LARDER_EXCLUDES(mutex_);
  void GiveBack(Term term) LARDER_EXCLUDES(mutex_);
  void OnFenced(const NodeRef& node, Term term, const absl::Status& outcome) LARDER_EXCLUDES(mutex_);
  // `term`: in which it was asked, at `asked`.
  void OnNodes(const absl::StatusOr<std::vector<TrackedNode>>& nodes, Term term, base::MonotonicTime asked)
      LARDER_EXCLUDES(mutex_);
  void NoteTracker(const absl::Status& answer) LARDER_REQUIRES(mutex_);
  void WatchMetrics(observe::Registry& metrics);

  const ManagerOptions options_;
  Cluster& cluster_;
  const base::Clock& clock_;
  observe::Logger& log_;
  observe::Counter& fenced_;

  mutable base::Mutex mutex_;
  Members members_ LARDER_GUARDED_BY(mutex_);
  Leadership leadership_ LARDER_GUARDED_BY(mutex_);
  Term led_ LARDER_GUARDED_BY(mutex_);  // what members and log know of; 0: it does not lead
  bool resigned_ LARDER_GUARDED_BY(mutex_) = false;
  bool lease_changes_ LARDER_GUARDED_BY(mutex_) = false;  // is being granted, or given back
  base::CondVar lease_settled_;
  bool mass_loss_told_ LARDER_GUARDED_BY(mutex_) = false;
  Term read_in_ LARDER_GUARDED_BY(mutex_);  // the term in which the tracker's records were read anew
  bool asking_nodes_ LARDER_GUARDED_BY(mutex_) = false;
  base::MonotonicTime nodes_at_ LARDER_GUARDED_BY(mutex_){};  // to be asked for
  std::optional<base::MonotonicTime> tracked_at_ LARDER_GUARDED_BY(mutex_);
  bool tracker_answers_ LARDER_GUARDED_BY(mutex_) = false;
  std::vector<observe::Registry::Watch> watches_;  // last: they read the above
};

}  // namespace larder::peer_manager
