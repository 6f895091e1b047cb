#include "rpc/membership.h"

#include <algorithm>
#include <utility>

#include "larder/base/status.h"

namespace larder::cache_agent {

namespace pb = larder::peers::v1;

namespace {

absl::Status NoPeerManager() {
  return base::Error(absl::StatusCode::kUnavailable, "NO_PEER_MANAGER", "no peer manager answers this agent");
}

}  // namespace

Membership::Membership(MembershipOptions options, AskAlive ask, DialPeerManager dial, const base::Clock& clock,
                       observe::Logger& log)
    : options_(std::move(options)),
      ask_(std::move(ask)),
      clock_(clock),
      log_(log),
      board_([this] { worker_.Wake(); }),
      worker_("membership", [this] { return Round(); }) {
  for (const std::string& address : options_.managers) {
    managers_.push_back(std::make_unique<PeerManagerClient>(
        address, options_.who, board_, dial, clock_, log_,
        PeerManagerClient::Events{
            .answered = [this](const PeerManagerConversation::Answer& answer) { OnBeatAnswered(answer); },
            .doubted = [this] { Doubt(); },
            .wake = [this] { worker_.Wake(); },
            .joined = [this](const pb::JoinResponse& response) { OnJoined(response); }}));
  }
}

Membership::~Membership() { Stop(); }

void Membership::Stop() {
  worker_.Stop();
  for (const auto& manager : managers_) manager->Stop();
}

// ---- what is heard

void Membership::OnRegistered(uint64_t node_epoch) {
  fence_.OnRegistered(node_epoch);
  worker_.Wake();  // the managers are to hear of it
}

void Membership::OnFenced(uint64_t node_epoch) {
  fence_.OnFenced(node_epoch, clock_.BootNow());
  worker_.Wake();
}

void Membership::OnAlive(base::MonotonicTime sent, const absl::StatusOr<TrackerClient::Alive>& alive) {
  if (alive.ok()) fence_.OnAnswered(alive->node_epoch, sent, alive->session);
  base::MutexLock lock(mutex_);
  asking_ = false;
}

void Membership::OnBeatAnswered(const PeerManagerConversation::Answer& answer) {
  // Another manager's word binds nobody who fences.
  if (answer.leads) fence_.OnAnswered(answer.node_epoch, answer.sent, answer.session);
}

void Membership::OnJoined(const pb::JoinResponse& response) {
  const pb::Hello& who = options_.who;
  for (const pb::Swarm& swarm : response.swarms()) {
    std::vector<SwarmMember> members;
    for (const pb::SwarmMember& member : swarm.members()) {
      const bool zone = !who.zone().empty() && member.zone() == who.zone();
      const bool rack = zone && !who.rack().empty() && member.rack() == who.rack();
      members.push_back({.node = member.node(),
                         .node_epoch = member.node_epoch(),
                         .epoch = {member.epoch()},
                         .address = member.address(),
                         .distance = rack   ? swarm::Distance::kRack
                                     : zone ? swarm::Distance::kZone
                                            : swarm::Distance::kElsewhere});
    }
    options_.met({swarm.namespace_(), swarm.key()}, std::move(members));
  }
}

bool Membership::Doubt() {
  base::MutexLock lock(mutex_);
  return !std::exchange(ask_now_, true);
}

// ---- what is said

base::Duration Membership::Round() {
  const base::MonotonicTime now = clock_.BootNow();
  base::Duration wait = AskTracker(now) - now;
  if (!managers_.empty()) {
    const NodeRoom room = options_.room();
    const uint64_t node_epoch = fence_.node_epoch();
    for (const auto& manager : managers_) wait = std::min(wait, manager->Round(node_epoch, room));
  }
  LogChange(now);
  return std::max(wait, base::Duration(0));
}

base::MonotonicTime Membership::AskTracker(base::MonotonicTime now) {
  const base::MonotonicTime due = fence_.AskTrackerAt(now, !managers_.empty());
  const base::Duration timeout = fence_.session() / 10;
  {
    base::MutexLock lock(mutex_);
    // The first doubt at once; however many there are, not more often than this.
    const base::MonotonicTime doubt_due = doubted_ ? *doubted_ + timeout / 2 : now;
    const bool doubts = ask_now_ && now >= doubt_due;
    if (asking_ || (now < due && !doubts)) return ask_now_ && !asking_ ? doubt_due : std::max(due, now + timeout / 2);
    asking_ = true;
    if (std::exchange(ask_now_, false)) doubted_ = now;
  }
  fence_.OnTrackerAsked(now);
  ask_(timeout, [this, now](const absl::StatusOr<TrackerClient::Alive>& alive) { OnAlive(now, alive); });
  return now + timeout / 2;
}

void Membership::LogChange(base::MonotonicTime now) {
  const SelfFence::State state = fence_.StateAt(now);
  if (state == logged_) return;
  if (state == SelfFence::State::kFenced) {
    log_.Warning("node is a member of the cluster no more", {{"why", fence_.MayAct(now)}});
  }
  if (state == SelfFence::State::kMember) {
    log_.Info("node is a member of the cluster", {{"node_epoch", fence_.node_epoch()}});
  }
  logged_ = state;
}

// ---- what is asked

absl::Status Membership::OrAsk(absl::Status may) {
  if (!may.ok() && Doubt()) worker_.Wake();
  return may;
}

absl::Status Membership::MayAct() { return OrAsk(fence_.MayAct(clock_.BootNow())); }

absl::Status Membership::MayAsk() { return OrAsk(fence_.MayAsk(clock_.BootNow())); }

MembershipView Membership::view() const {
  const base::MonotonicTime now = clock_.BootNow();
  MembershipView view{.state = fence_.StateAt(now),
                      .why = fence_.MayAct(now),
                      .node_epoch = fence_.node_epoch(),
                      .peer_managers = managers_.size()};
  view.answering =
      static_cast<uint64_t>(std::ranges::count_if(managers_, [](const auto& manager) { return manager->connected(); }));
  return view;
}

void Membership::ListNodes(const pb::ListNodesRequest& request, base::Duration timeout,
                           const object::Done<absl::StatusOr<pb::ListNodesResponse>>& done) {
  std::vector<PeerManagerClient*> managers;
  for (const auto& manager : managers_) managers.push_back(manager.get());
  std::ranges::stable_partition(managers, [](const PeerManagerClient* manager) { return !manager->leads(); });
  ListNodesOf(std::move(managers), request, timeout, done);
}

void Membership::ListNodesOf(std::vector<PeerManagerClient*> managers, const pb::ListNodesRequest& request,
                             base::Duration timeout, const object::Done<absl::StatusOr<pb::ListNodesResponse>>& done) {
  if (managers.empty()) return done(NoPeerManager());
  PeerManagerClient* const asked = managers.back();
  managers.pop_back();
  asked->ListNodes(
      request, timeout,
      [managers = std::move(managers), request, timeout, done](absl::StatusOr<pb::ListNodesResponse> response) {
        // What is wrong with the request is so everywhere.
        if (response.ok() || absl::IsInvalidArgument(response.status())) return done(std::move(response));
        ListNodesOf(managers, request, timeout, done);
      });
}

}  // namespace larder::cache_agent
