#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/record_counts.h"
#include "core/registry.h"
#include "larder/base/mutex.h"
#include "larder/raft/state_machine.h"

namespace larder::tracker {

// The replicated state as a running member has it: tells other threads how far it is.
class ServedState final : public raft::StateMachine {
 public:
  struct Mark {
    raft::LogPosition at;  // the last entry applied
    LogTime now;           // its log time
  };

  // `first`: the configuration of a state that nothing was applied to.
  ServedState(std::unique_ptr<TrackerState> state, std::string first);

  const raft::AppliedState& applied() const override { return applied_; }
  absl::Status Apply(std::span<const raft::Command> commands, const raft::AppliedState& after,
                     std::vector<std::string>& replies) override LARDER_EXCLUDES(mutex_);
  absl::Status Flush() override { return state_->Flush(); }

  // `applied` is called after each Apply, on its thread, without a lock, when snapshots hold what was applied. It must
  // be quick, and live as long as anything may be applied. Any thread; before that, to miss nothing.
  void OnApplied(std::function<void()> applied) LARDER_EXCLUDES(mutex_);

  // How many objects there are: told of what Apply changes. Any thread.
  RecordCounts& records() { return records_; }
  // Any thread.
  Mark mark() const LARDER_EXCLUDES(mutex_);

 private:
  const std::unique_ptr<TrackerState> state_;
  raft::AppliedState applied_;
  RecordCounts records_;
  mutable base::Mutex mutex_;
  Mark mark_ LARDER_GUARDED_BY(mutex_);
  // Shared with an Apply that tells them. Never null.
  std::shared_ptr<const std::vector<std::function<void()>>> told_ LARDER_GUARDED_BY(mutex_) =
      std::make_shared<std::vector<std::function<void()>>>();
};

}  // namespace larder::tracker
