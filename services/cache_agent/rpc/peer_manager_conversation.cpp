#include "rpc/peer_manager_conversation.h"

#include <algorithm>
#include <utility>

namespace larder::cache_agent {

namespace pb = larder::peers::v1;

void PeerManagerConversation::OnLinkLost() {
  linked_ = connected_ = leads_ = false;
  sequence_ = 0;
  open_.clear();
}

base::MonotonicTime PeerManagerConversation::Due(base::MonotonicTime now, uint64_t node_epoch) const {
  if (sequence_ == 0 || node_epoch != last_.node_epoch) return now;
  return last_.at + session_ / 5;
}

PeerManagerConversation::Step PeerManagerConversation::Next(base::MonotonicTime now, uint64_t node_epoch,
                                                            const NodeRoom& room) {
  Step step{.again = session_ / 5};
  if (!linked_) return step;
  const base::Duration patience = session_ / 2;
  if (!open_.empty() && now - open_.begin()->second.at >= patience) {
    step.leave = true;
    return step;
  }
  if (now >= Due(now, node_epoch)) {
    pb::SessionRequest& request = step.send.emplace();
    request.set_sequence(++sequence_);
    request.set_node_epoch(node_epoch);
    if (sequence_ == 1) {
      pb::Hello& hello = *request.mutable_hello();
      hello = who_;
      *hello.mutable_capacity() = room.capacity;
      *hello.mutable_load() = room.load;
    } else {
      *request.mutable_beat()->mutable_load() = room.load;
    }
    last_ = {.node_epoch = node_epoch, .at = now};
    open_.emplace(sequence_, last_);
  }
  const base::MonotonicTime next =
      std::min(Due(now, node_epoch), open_.empty() ? base::kNoDeadline : open_.begin()->second.at + patience);
  step.again = next - now;
  return step;
}

std::optional<PeerManagerConversation::Answer> PeerManagerConversation::OnReceived(
    const pb::SessionResponse& response) {
  const auto answered = open_.find(response.sequence());
  if (answered == open_.end() || response.session_ms() <= 0) return std::nullopt;
  const Sent sent = answered->second;
  // Answers come in the order of what they answer.
  open_.erase(open_.begin(), std::next(answered));
  connected_ = true;
  leads_ = response.leads();
  session_ = std::chrono::milliseconds(response.session_ms());
  return Answer{.node_epoch = sent.node_epoch, .sent = sent.at, .session = session_, .leads = leads_};
}

}  // namespace larder::cache_agent
