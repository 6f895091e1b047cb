#include "core/served_state.h"

#include <utility>

#include "larder/base/status.h"

namespace larder::tracker {

ServedState::ServedState(std::unique_ptr<TrackerState> state, std::string first)
    : state_(std::move(state)), applied_(state_->applied()), mark_{.at = applied_.at, .now = state_->now()} {
  if (applied_.at == raft::LogPosition{}) applied_.configuration = std::move(first);
}

absl::Status ServedState::Apply(std::span<const raft::Command> commands, const raft::AppliedState& after,
                                std::vector<std::string>& replies) {
  LARDER_RETURN_IF_ERROR(state_->Apply(commands, after, replies));
  applied_ = after;
  if (!state_->record_changes().empty()) records_.Add(state_->record_changes());
  std::shared_ptr<const std::vector<std::function<void()>>> told;
  {
    base::MutexLock lock(mutex_);
    mark_ = {.at = after.at, .now = state_->now()};
    told = told_;
  }
  for (const std::function<void()>& tell : *told) tell();
  return absl::OkStatus();
}

void ServedState::OnApplied(std::function<void()> applied) {
  base::MutexLock lock(mutex_);
  std::vector<std::function<void()>> told = *told_;
  told.push_back(std::move(applied));
  told_ = std::make_shared<const std::vector<std::function<void()>>>(std::move(told));
}

ServedState::Mark ServedState::mark() const {
  base::MutexLock lock(mutex_);
  return mark_;
}

}  // namespace larder::tracker
