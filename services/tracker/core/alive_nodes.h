#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/cluster_commands.h"
#include "larder/base/clock.h"

namespace larder::tracker {

// Which nodes a leader has told that they are alive, so that it fences none that still counts on it. A node counts on
// an answer for half a session from when it asked; a leader fences it no sooner than a whole one after. What an earlier
// leader answered is not known here, so a new one treats all nodes as just answered. Nothing of it is in the log: it is
// about who asked this member, not about the registry.
//
// Pure: the time is the caller's (base::Clock::BootNow). One thread at a time.
class AliveNodes {
 public:
  explicit AliveNodes(base::Duration session) : session_(session) {}

  // This member leads in `term`, and is seen to at `now`: as soon as it can be seen, since a session counts from here.
  // In a later term than before, all is forgotten; an earlier one changes nothing. False: not the latest term.
  bool Lead(uint64_t term, base::MonotonicTime now);

  // The node is about to be told that it is alive, if the registry, asked after this, knows it: from now on it is not
  // fenced. UNAVAILABLE (NODE_FENCED) if that is under way.
  absl::Status Answer(const NodeRef& node, base::MonotonicTime now);
  // The registry does not know the node that was to be told so `at` that time.
  void Forget(const NodeRef& node, base::MonotonicTime at);

  // OK: it may be fenced, and is not told that it is alive until EndFence. FAILED_PRECONDITION (NODE_ALIVE).
  absl::Status BeginFence(const NodeRef& node, base::MonotonicTime now);
  // It was fenced and that is applied, or it certainly was not; of a fence that began in `term`. Without this, it is
  // under way as long as the term is.
  void EndFence(const NodeRef& node, uint64_t term);

 private:
  using Key = std::pair<std::string, NodeEpoch>;
  static Key KeyOf(const NodeRef& node) { return {node.node, node.epoch}; }

  const base::Duration session_;
  uint64_t term_ = 0;
  base::MonotonicTime leads_since_{};
  base::MonotonicTime forgot_at_{};
  std::map<Key, base::MonotonicTime> answered_;  // within a session or two
  std::multiset<Key> fencing_;
};

}  // namespace larder::tracker
