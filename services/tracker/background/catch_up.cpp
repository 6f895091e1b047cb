#include "background/catch_up.h"

#include <utility>

#include "larder/base/status.h"

namespace larder::tracker {

CatchUp::CatchUp(raft::Node& node, std::function<void()> done) : node_(node), state_(std::make_shared<State>()) {
  base::MutexLock lock(state_->mutex);
  state_->done = std::move(done);
}

void CatchUp::Start() { Ask(node_, state_); }

void CatchUp::Stop() {
  base::MutexLock lock(state_->mutex);
  state_->done = nullptr;
}

void CatchUp::Ask(raft::Node& node, const std::shared_ptr<State>& state) {
  node.Read([&node, state](const absl::Status& status) {
    {
      base::MutexLock lock(state->mutex);
      if (!state->done) return;
      if (status.ok()) return std::exchange(state->done, nullptr)();
    }
    // Said after seconds only. All else means that the node ends.
    if (base::Reason(status) == "NO_QUORUM") Ask(node, state);
  });
}

}  // namespace larder::tracker
