#include "core/members.h"

#include <algorithm>
#include <utility>

#include "larder/base/status.h"

namespace larder::peer_manager {
namespace {

// An agent beats each fifth of a session.
constexpr int kBeats = 5;

bool Serves(NodeState state) { return state == NodeState::kLive || state == NodeState::kDraining; }

absl::Status Fenced(const std::string& node, NodeEpoch epoch, const char* how) {
  return base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED", "node epoch {} of node {} {}", epoch.value, node,
                     how);
}

absl::Status Stale(const std::string& node, NodeEpoch known, NodeEpoch said) {
  return base::Error(absl::StatusCode::kFailedPrecondition, "NODE_EPOCH_STALE",
                     "node {} registered again: it is at epoch {}, not {}", node, known.value, said.value);
}

}  // namespace

Members::Member& Members::Make(const std::string& node, base::MonotonicTime now) {
  const auto made = members_.try_emplace(node);
  Member& member = made.first->second;
  if (made.second) {
    member.state_since = now;
    ++counts_[static_cast<size_t>(member.state)];
  }
  return member;
}

Members::Member* Members::Find(const std::string& node) {
  const auto found = members_.find(node);
  return found == members_.end() ? nullptr : &found->second;
}

// ---- sessions

absl::Status Members::Check(const std::string& node, const Member& member, NodeEpoch said) const {
  if (said.value == 0) return absl::OkStatus();
  if (said < member.epoch) return Stale(node, member.epoch, said);
  if (said <= member.fenced) return Fenced(node, said, "is over (register again)");
  if (said == member.epoch && member.fence) {
    return Fenced(node, said, "is being fenced (ask the tracker whether it still holds)");
  }
  return absl::OkStatus();
}

void Members::SetEpoch(Member& member, NodeEpoch epoch, base::MonotonicTime now) {
  member.epoch = epoch;
  member.epoch_at = member.counts_from = now;
  member.fence.reset();
  member.not_before = {};
}

void Members::Learn(Member& member, NodeEpoch epoch, base::MonotonicTime now) {
  if (epoch > member.epoch) SetEpoch(member, epoch, now);
}

void Members::SetIncarnation(Member& member, uint64_t incarnation, base::MonotonicTime now) {
  if (incarnation == member.incarnation) return;
  member.incarnation = incarnation;
  member.incarnation_at = now;
}

void Members::Hear(Member& member, const Beat& beat, base::MonotonicTime now) {
  Learn(member, beat.epoch, now);
  member.beaten = beat.epoch;
  member.load = beat.load;
  member.seen = now;
  if (beat.epoch.value != 0) member.counts_from = now;
}

absl::StatusOr<std::optional<SessionId>> Members::Enter(SessionId session, const Introduction& said, const Beat& beat,
                                                        base::MonotonicTime now) {
  if (Find(said.node) == nullptr && members_.size() >= most_) {
    return base::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_SESSIONS",
                       "this manager knows {} nodes, and takes no more (raise sessions.max)", most_);
  }
  Member& member = Make(said.node, now);
  if (said.incarnation < member.incarnation) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "INCARNATION_STALE",
                       "incarnation {} of node {} came after {}", member.incarnation, said.node, said.incarnation);
  }
  LARDER_RETURN_IF_ERROR(Check(said.node, member, beat.epoch));
  const SessionId before = std::exchange(member.session, session);
  SetIncarnation(member, said.incarnation, now);
  member.place = said.place;
  member.capacity = said.capacity;
  Hear(member, beat, now);
  Judge(said.node, member, now);
  return before.value == 0 ? std::nullopt : std::optional(before);
}

absl::Status Members::Take(const std::string& node, SessionId session, const Beat& beat, base::MonotonicTime now) {
  Member* member = Find(node);
  if (member == nullptr || member->session != session) {
    return base::Error(absl::StatusCode::kAborted, "SESSION_REPLACED", "node {} began another session", node);
  }
  LARDER_RETURN_IF_ERROR(Check(node, *member, beat.epoch));
  Hear(*member, beat, now);
  Judge(node, *member, now);
  return absl::OkStatus();
}

void Members::Leave(const std::string& node, SessionId session, base::MonotonicTime now) {
  Member* member = Find(node);
  if (member == nullptr || member->session != session) return;
  member->session = {};
  Judge(node, *member, now);
}

// ---- the tracker's records

void Members::OnTracked(std::span<const TrackedNode> nodes, base::MonotonicTime asked, base::MonotonicTime now) {
  was_read_ = true;
  for (auto& [name, member] : members_) member.tracked_epoch = {};
  for (const TrackedNode& tracked : nodes) {
    Member& member = Make(tracked.name, now);
    member.tracked = true;
    member.tracked_epoch = tracked.epoch;
    Learn(member, tracked.epoch, now);
    if (tracked.epoch < member.epoch && member.epoch_at < asked) SetEpoch(member, tracked.epoch, now);
    if (tracked.fenced) member.fenced = std::max(member.fenced, tracked.epoch);
    if (member.epoch <= member.fenced) member.fence.reset();
    member.draining = tracked.draining;
    member.quarantined = tracked.quarantined;
    // What the agent itself said last is newer, unless another start of it registered since.
    if (!member.capacity || tracked.incarnation > member.incarnation) {
      member.place = tracked.place;
      SetIncarnation(member, std::max(member.incarnation, tracked.incarnation), now);
    }
    if (tracked.incarnation < member.incarnation && member.incarnation_at < asked) {
      SetIncarnation(member, tracked.incarnation, now);
    }
    if (!member.capacity) member.seen = now - tracked.since_seen;
  }
  for (auto& [name, member] : members_) Judge(name, member, now);
  ForgetStrangers();
}

void Members::ForgetStrangers() {
  std::erase_if(members_, [&](const auto& item) {
    const Member& member = item.second;
    if (member.tracked || member.session.value != 0 || member.fence) return false;
    --counts_[static_cast<size_t>(member.state)];
    mass_loss_.Back(item.first);
    return true;
  });
}

// ---- fencing

void Members::Lead(base::MonotonicTime now) { leads_since_ = now; }

void Members::StopLeading() {
  leads_since_.reset();
  for (auto& [name, member] : members_) member.fence.reset();
}

bool Members::MayFence(base::MonotonicTime now) const { return leads_since_ && now - *leads_since_ >= session_; }

bool Members::FenceIsDue(const Member& member, base::MonotonicTime now) const {
  if (member.epoch <= member.fenced) return false;  // over, or never registered
  if (member.fence) return !member.fence->asked && now >= member.fence->again;
  return now >= member.not_before && now - member.counts_from >= session_;
}

std::vector<NodeRef> Members::TakeFences(size_t most, base::MonotonicTime now) {
  std::vector<NodeRef> due;
  if (!MayFence(now)) return due;
  auto next = members_.upper_bound(last_fenced_);
  for (size_t left = members_.size(); left > 0 && due.size() < most; --left, ++next) {
    if (next == members_.end()) next = members_.begin();
    auto& [name, member] = *next;
    if (!FenceIsDue(member, now)) continue;
    if (!member.fence) member.fence = Fence{};
    member.fence->asked = true;
    due.push_back({name, member.epoch});
  }
  if (!due.empty()) last_fenced_ = due.back().node;
  return due;
}

bool Members::EndFence(const NodeRef& fenced, FenceOutcome outcome, base::MonotonicTime now) {
  Member* member = Find(fenced.node);
  if (member == nullptr) return false;
  if (outcome == FenceOutcome::kFenced) member->fenced = std::max(member->fenced, fenced.epoch);
  bool in_doubt = false;
  if (fenced.epoch == member->epoch && member->fence) {
    Fence& fence = *member->fence;
    fence.asked = false;
    fence.again = member->not_before = now + session_ / kBeats;
    in_doubt = fence.may_be_done && outcome == FenceOutcome::kRefused;
    if (outcome == FenceOutcome::kUnknown) fence.may_be_done = true;
    if (outcome == FenceOutcome::kFenced || !fence.may_be_done) member->fence.reset();
  }
  Judge(fenced.node, *member, now);
  return in_doubt;
}

// ---- states

NodeState Members::StateOf(const Member& member, base::MonotonicTime now) const {
  if (member.epoch.value != 0 && member.epoch <= member.fenced) return NodeState::kLost;
  // The tracker's word, as far as it gave any.
  const bool known = !was_read_ || member.beaten <= member.tracked_epoch;
  const bool registered = member.epoch.value != 0 && member.beaten == member.epoch && known;
  // Two beats are missed, and the second is late by half of one.
  const bool beats = member.session.value != 0 && now - *member.seen < (2 * session_ + session_ / 2) / kBeats;
  if (!registered || !beats || member.fence) return NodeState::kSuspect;
  return member.draining ? NodeState::kDraining : NodeState::kLive;
}

void Members::Judge(const std::string& node, Member& member, base::MonotonicTime now) {
  const NodeState state = StateOf(member, now);
  if (state == member.state) return;
  --counts_[static_cast<size_t>(member.state)];
  ++counts_[static_cast<size_t>(state)];
  if (Serves(state)) mass_loss_.Back(node);
  if (Serves(member.state) && !Serves(state)) mass_loss_.Vanished(node, now);
  member.state = state;
  member.state_since = now;
}

void Members::Advance(base::MonotonicTime now) {
  for (auto& [name, member] : members_) Judge(name, member, now);
  mass_loss_.Look(Count(NodeState::kLive) + Count(NodeState::kDraining), now);
}

absl::StatusOr<Place> Members::Serving(const NodeRef& node) const {
  const auto found = members_.find(node.node);
  if (found != members_.end() && node.epoch < found->second.epoch)
    return Stale(node.node, found->second.epoch, node.epoch);
  const bool serves = found != members_.end() && node.epoch == found->second.epoch && Serves(found->second.state) &&
                      !found->second.quarantined;
  if (serves) return found->second.place;
  return base::Error(absl::StatusCode::kUnavailable, "NODE_NOT_LIVE",
                     "node {} is not live in node epoch {}, as far as this manager knows", node.node, node.epoch.value);
}

std::vector<NodeView> Members::List(const std::string& after, size_t most, base::MonotonicTime now) const {
  std::vector<NodeView> views;
  for (auto found = members_.upper_bound(after); found != members_.end() && views.size() < most; ++found) {
    const auto& [name, member] = *found;
    views.push_back({.name = name,
                     .epoch = member.epoch,
                     .incarnation = member.incarnation,
                     .state = member.state,
                     .in_state = now - member.state_since,
                     .connected = member.session.value != 0,
                     .draining = member.draining,
                     .quarantined = member.quarantined,
                     .place = member.place,
                     .capacity = member.capacity,
                     .load = member.load});
    if (member.seen) views.back().since_seen = now - *member.seen;
  }
  return views;
}

}  // namespace larder::peer_manager
