#include "core/alive_nodes.h"

#include <chrono>
#include <string_view>

#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::tracker {
namespace {

std::string Text(base::Duration time) {
  return base::FormatDuration(std::chrono::ceil<std::chrono::milliseconds>(time));
}

}  // namespace

bool AliveNodes::Lead(uint64_t term, base::MonotonicTime now) {
  if (term <= term_) return term == term_;
  term_ = term;
  leads_since_ = now;
  forgot_at_ = now;
  answered_.clear();
  fencing_.clear();
  return true;
}

absl::Status AliveNodes::Answer(const NodeRef& node, base::MonotonicTime now) {
  if (fencing_.contains(KeyOf(node))) {
    return base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED",
                       "node epoch {} of node {} is being fenced (register again)", node.epoch.value, node.node);
  }
  if (now - forgot_at_ >= session_) {
    std::erase_if(answered_, [&](const auto& item) { return now - item.second >= session_; });
    forgot_at_ = now;
  }
  answered_[KeyOf(node)] = now;
  return absl::OkStatus();
}

void AliveNodes::Forget(const NodeRef& node, base::MonotonicTime at) {
  const auto answered = answered_.find(KeyOf(node));
  if (answered != answered_.end() && answered->second == at) answered_.erase(answered);
}

absl::Status AliveNodes::BeginFence(const NodeRef& node, base::MonotonicTime now) {
  const auto answered = answered_.find(KeyOf(node));
  const auto refuse = [&](std::string_view why, base::MonotonicTime since) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "NODE_ALIVE",
                       "node {} is not fenced: {} {} ago; nothing was done (ask again in {})", node.node, why,
                       Text(now - since), Text(session_ - (now - since)));
  };
  if (answered != answered_.end() && now - answered->second < session_) {
    return refuse("it was told that it is alive", answered->second);
  }
  if (now - leads_since_ < session_) return refuse("this leader knows of nodes only since", leads_since_);
  fencing_.insert(KeyOf(node));
  return absl::OkStatus();
}

void AliveNodes::EndFence(const NodeRef& node, uint64_t term) {
  if (term != term_) return;
  if (const auto one = fencing_.find(KeyOf(node)); one != fencing_.end()) fencing_.erase(one);
}

}  // namespace larder::tracker
