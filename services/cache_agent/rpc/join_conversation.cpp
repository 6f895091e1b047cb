#include "rpc/join_conversation.h"

#include <algorithm>
#include <utility>

namespace larder::cache_agent {

namespace pb = larder::peers::v1;

void JoinConversation::Forget() {
  told_.reset();
  told_some_ = false;
  known_.clear();
}

void JoinConversation::OnLinkLost() {
  open_.reset();
  not_before_ = {};
  Forget();
}

pb::JoinRequest JoinConversation::Request(const FetchBoard::View& view) const {
  pb::JoinRequest request;
  request.set_node(node_);
  request.set_node_epoch(node_epoch_);
  request.set_sequence(sequence_);
  for (const auto& [id, entry] : view.entries) {
    pb::Fetching& fetching = *request.add_fetching();
    fetching.set_namespace_(id.ns);
    fetching.set_key(id.key);
    fetching.set_epoch(entry.epoch.value);
    fetching.set_percent(entry.percent);
    fetching.set_parents(entry.parents);
    if (const auto known = known_.find(id); known != known_.end()) fetching.set_known(known->second);
  }
  return request;
}

JoinConversation::Step JoinConversation::Next(base::MonotonicTime now, uint64_t node_epoch, base::Duration session,
                                              const FetchBoard& board) {
  Step step{.send = {}, .again = session};
  if (node_epoch == 0) return step;
  session_ = session;
  if (std::exchange(node_epoch_, node_epoch) != node_epoch) Forget();
  const FetchBoard::View view = board.view();
  const bool news = told_ != view.revision;
  // What waits there is answered when something newer comes.
  if (open_ && (!open_->wait || !news)) return step;
  if (view.entries.empty() && !told_some_) return step;
  if (now < not_before_) {
    step.again = not_before_ - now;
    return step;
  }
  std::erase_if(known_, [&](const auto& item) { return !view.entries.contains(item.first); });
  ++sequence_;
  step.send = Request(view);
  step.send->set_wait(!news);
  open_ = {.sequence = sequence_, .revision = view.revision, .wait = !news, .empty = view.entries.empty()};
  told_some_ = true;
  return step;
}

bool JoinConversation::OnAnswered(uint64_t sequence, const absl::StatusOr<pb::JoinResponse>& answer,
                                  base::MonotonicTime now) {
  if (!open_ || open_->sequence != sequence) return false;
  const Open asked = *std::exchange(open_, std::nullopt);
  if (!answer.ok()) {
    not_before_ = now + session_ / 20;
    Forget();
    return false;
  }
  told_ = asked.revision;
  told_some_ = !asked.empty;
  for (const pb::Swarm& swarm : answer->swarms()) known_[{swarm.namespace_(), swarm.key()}] = swarm.version();
  return true;
}

}  // namespace larder::cache_agent
