#pragma once
#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <optional>

#include "larder/base/clock.h"
#include "larder/base/mutex.h"

namespace larder::cache_agent {

// Whether this node may act as a member of the cluster. Whoever fences a node has not heard from it for a session
// (T_s); the node itself counts on an answer for half of one from when it *sent* what was answered. So it stops first,
// however long the way was and whatever the other's clock says. One answer suffices, of a tracker or of a peer manager.
//
// Tested when something is to be done, so that a node that was stopped or asleep finds out before it acts:
// - MayAct: what nobody else checks, so what a node that the cluster has given up must not do: take copies in, count
//   towards `replicated`, upload, free staged bytes.
// - MayAsk: a create that is to be acknowledged by the cluster, so that nobody writes what cannot be for now.
// Not tested: what the tracker commits in this node's name (it checks the node epoch as it does), so the
// acknowledgement `tracked`, however late it comes here; what is done at anybody's wish (delete, pin); local hits,
// `local` creates and pieces, which depend on nobody.
//
// Pure: times are the caller's, of base::Clock::BootNow. Thread-safe.
class SelfFence {
 public:
  // T_s until somebody tells it.
  static constexpr base::Duration kDefaultSession = std::chrono::seconds(10);

  enum class State : uint8_t {
    kJoining,  // not registered yet, or nobody has answered in this node epoch
    kMember,
    kFenced,  // the last answer is too old, or the tracker says that the registration is over
  };

  // The node was registered. What was answered in an earlier node epoch counts no more.
  void OnRegistered(uint64_t node_epoch) LARDER_EXCLUDES(mutex_);
  // What was sent at `sent`, in that node epoch, was answered: it is in force, for `session` from some later time.
  void OnAnswered(uint64_t node_epoch, base::MonotonicTime sent, base::Duration session) LARDER_EXCLUDES(mutex_);
  // The tracker says that this registration is over: until the next one, nothing counts.
  void OnFenced(uint64_t node_epoch, base::MonotonicTime now) LARDER_EXCLUDES(mutex_);

  // UNAVAILABLE (NODE_FENCED) says since when, and what to do.
  absl::Status MayAct(base::MonotonicTime now) const LARDER_EXCLUDES(mutex_);
  // The same, but OK also while the node joins: the tracker knows.
  absl::Status MayAsk(base::MonotonicTime now) const LARDER_EXCLUDES(mutex_);
  State StateAt(base::MonotonicTime now) const LARDER_EXCLUDES(mutex_);
  // Of the registration; 0: none, or it is over.
  uint64_t node_epoch() const LARDER_EXCLUDES(mutex_);
  base::Duration session() const LARDER_EXCLUDES(mutex_);

  // The tracker is asked now whether the node is alive.
  void OnTrackerAsked(base::MonotonicTime now) LARDER_EXCLUDES(mutex_);
  // When it is to be asked again; with peer managers only if they are silent. At once after a registration, and more
  // often while the node is no member, or it did not answer.
  base::MonotonicTime AskTrackerAt(base::MonotonicTime now, bool managers) const LARDER_EXCLUDES(mutex_);

 private:
  State StateNow(base::MonotonicTime now) const LARDER_REQUIRES(mutex_);
  // Whether it is of the latest registration that is known; a later one is the latest from now on.
  bool IsCurrent(uint64_t node_epoch) LARDER_REQUIRES(mutex_);
  absl::Status WhyFenced(base::MonotonicTime now) const LARDER_REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  uint64_t node_epoch_ LARDER_GUARDED_BY(mutex_) = 0;
  base::Duration session_ LARDER_GUARDED_BY(mutex_) = kDefaultSession;
  // Of this node epoch, as the next three.
  std::optional<base::MonotonicTime> until_ LARDER_GUARDED_BY(mutex_);  // the deadline; none: nobody has answered
  base::MonotonicTime answered_ LARDER_GUARDED_BY(mutex_){};            // when the latest that was answered was sent
  std::optional<base::MonotonicTime> over_since_ LARDER_GUARDED_BY(mutex_);
  std::optional<base::MonotonicTime> asked_ LARDER_GUARDED_BY(mutex_);  // the tracker, last
};

}  // namespace larder::cache_agent
