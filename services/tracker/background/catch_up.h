#pragma once
#include <functional>
#include <memory>

#include "larder/base/mutex.h"
#include "larder/raft/node.h"

namespace larder::tracker {

// Waits until a member that has started has applied what the group had committed: only then may a rollout take the next
// one away. Asks as a read does, so that it is a quorum's word and not what this member happens to know; while nobody
// can tell, it asks again. Thread-safe.
class CatchUp {
 public:
  // `done`: once, on a thread of the node, and not once Stop has returned; must neither block nor call back. Borrows
  // `node`.
  CatchUp(raft::Node& node, std::function<void()> done);
  ~CatchUp() { Stop(); }

  void Start();
  // Idempotent. What the node answers after it is ignored.
  void Stop();

 private:
  struct State {
    base::Mutex mutex;
    std::function<void()> done LARDER_GUARDED_BY(mutex);  // empty: told, or stopped
  };
  static void Ask(raft::Node& node, const std::shared_ptr<State>& state);

  raft::Node& node_;
  const std::shared_ptr<State> state_;  // shared with the question under way, which may end after this object
};

}  // namespace larder::tracker
