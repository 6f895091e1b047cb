#include "core/manager.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "larder/base/status.h"

namespace larder::peer_manager {
namespace {

constexpr observe::CounterDecl<> kFenced = {.name = "larder_peers_fenced_total",
                                            .help = "Registrations of silent nodes that this manager ended."};
constexpr observe::GaugeDecl<NodeState> kNodes = {
    .name = "larder_peers_nodes",
    .help = "Nodes by state: live, suspect (silent, counts for nothing), lost (fenced), draining.",
    .labels = {"state"}};
constexpr observe::GaugeDecl<> kIsLeader = {.name = "larder_peers_is_leader",
                                            .help = "1 while this manager leads, and so fences."};
constexpr observe::GaugeDecl<> kMassLoss = {
    .name = "larder_peers_mass_loss",
    .help = "1 while more than 30 % of the nodes are away that were live, and vanished within a session timeout."};
constexpr observe::GaugeDecl<> kTrackerAnswers = {
    .name = "larder_peers_tracker_answers",
    .help = "0 while no tracker with a quorum answers: nobody leads for long, and no node is fenced."};

// Between two rounds: a fraction of the shorter time that is to be kept.
constexpr int kRounds = 25;
constexpr base::Duration kShortestRound = std::chrono::milliseconds(5);
constexpr base::Duration kLongestRound = std::chrono::milliseconds(200);
constexpr size_t kFencesPerRound = 32;
// Of a session: between two readings of the tracker's nodes.
constexpr int kReadings = 5;

FenceOutcome OutcomeOf(const absl::Status& status) {
  if (status.ok()) return FenceOutcome::kFenced;
  switch (status.code()) {
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
      return FenceOutcome::kRefused;
    default:
      return FenceOutcome::kUnknown;
  }
}

}  // namespace

Manager::Manager(ManagerOptions options, Cluster& cluster, const base::Clock& clock, observe::Logger& log,
                 observe::Registry& metrics)
    : options_(std::move(options)),
      cluster_(cluster),
      clock_(clock),
      log_(log),
      fenced_(metrics.Add(kFenced)),
      members_(options_.session, options_.most_nodes),
      leadership_(options_.name, options_.leader_ttl) {
  WatchMetrics(metrics);
}

void Manager::WatchMetrics(observe::Registry& metrics) {
  watches_.push_back(metrics.AddWatch(kNodes, [this](const observe::Sample<NodeState>& sample) {
    base::MutexLock lock(mutex_);
    for (const NodeState state : kNodeStates) sample(static_cast<double>(members_.Count(state)), state);
  }));
  const auto flag = [&](const observe::GaugeDecl<>& decl, bool ManagerStatus::*field) {
    watches_.push_back(metrics.AddWatch(decl, [this, field] { return status().*field ? 1.0 : 0.0; }));
  };
  flag(kIsLeader, &ManagerStatus::leads);
  flag(kMassLoss, &ManagerStatus::mass_loss);
  flag(kTrackerAnswers, &ManagerStatus::tracker_answers);
}

// ---- sessions

BeatAnswer Manager::Answer(base::MonotonicTime now) const {
  const auto leader = leadership_.Leader(now);
  // What the leader before it fenced is known once the records were read in this term; till then nobody may count on
  // it.
  const bool leads = led_.value != 0 && read_in_ == led_ && leadership_.Leads(now);
  return {.leads = leads, .term = leader ? leader->term : Term()};
}

absl::StatusOr<Manager::Entered> Manager::Enter(SessionId session, const Introduction& said, const Beat& beat) {
  base::MutexLock lock(mutex_);
  const base::MonotonicTime now = clock_.BootNow();
  Follow(now);
  LARDER_ASSIGN_OR_RETURN(const std::optional<SessionId> replaced, members_.Enter(session, said, beat, now));
  return Entered{.answer = Answer(now), .replaced = replaced};
}

absl::StatusOr<BeatAnswer> Manager::Take(const std::string& node, SessionId session, const Beat& beat) {
  base::MutexLock lock(mutex_);
  const base::MonotonicTime now = clock_.BootNow();
  Follow(now);
  LARDER_RETURN_IF_ERROR(members_.Take(node, session, beat, now));
  return Answer(now);
}

void Manager::Leave(const std::string& node, SessionId session) {
  base::MutexLock lock(mutex_);
  members_.Leave(node, session, clock_.BootNow());
}

// ---- leadership

void Manager::Follow(base::MonotonicTime now) {
  const Term leads = leadership_.Leads(now) ? leadership_.term() : Term();
  if (leads == led_) return;
  if (led_.value != 0) {
    members_.StopLeading();
    log_.Warning("leads the peer managers no more", {{"term", led_.value}});
  }
  if (leads.value != 0) {
    members_.Lead(now);
    nodes_at_ = now;
    log_.Info("leads the peer managers", {{"term", leads.value}, {"name", options_.name}});
  }
  led_ = leads;
}

void Manager::AskForLease(Leadership::Ask ask, Term term) {
  // Every answer: what it means for the lease, and for what members may be fenced.
  const auto then = [this](const absl::Status& status, auto tell) {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = clock_.BootNow();
    NoteTracker(status);
    tell(leadership_, now);
    Follow(now);
  };
  switch (ask) {
    case Leadership::Ask::kNothing:
      return;
    case Leadership::Ask::kLook:
      return cluster_.Look([then](const absl::StatusOr<std::optional<LeaderLease>>& lease) {
        then(lease.status(), [&](Leadership& leadership, base::MonotonicTime now) { leadership.OnLooked(lease, now); });
      });
    case Leadership::Ask::kGrant:
      return cluster_.Grant(options_.name, options_.leader_ttl,
                            [this](const absl::StatusOr<Term>& granted) { OnGranted(granted); });
    case Leadership::Ask::kRenew:
      return cluster_.Renew(term, options_.leader_ttl, [then](const absl::Status& renewed) {
        then(renewed, [&](Leadership& leadership, base::MonotonicTime now) { leadership.OnRenewed(renewed, now); });
      });
  }
}

void Manager::OnGranted(const absl::StatusOr<Term>& granted) {
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = clock_.BootNow();
    NoteTracker(granted.status());
    if (!resigned_) {
      leadership_.OnGranted(granted, now);
      Follow(now);
    }
    if (!resigned_ || !granted.ok()) {
      lease_changes_ = false;
      lease_settled_.NotifyAll();
      return;
    }
  }
  GiveBack(*granted);
}

void Manager::GiveBack(Term term) {
  cluster_.Release(term, [this](const absl::Status&) {
    base::MutexLock lock(mutex_);
    lease_changes_ = false;
    lease_settled_.NotifyAll();
  });
}

void Manager::Resign(base::Deadline deadline) {
  Term term;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = clock_.BootNow();
    resigned_ = true;
    if (leadership_.Leads(now)) {
      term = leadership_.term();
      lease_changes_ = true;
    }
    leadership_.Lose();
    Follow(now);
  }
  if (term.value != 0) GiveBack(term);
  base::MutexLock lock(mutex_);
  while (lease_changes_ && lease_settled_.WaitUntil(mutex_, deadline)) {
  }
}

// ---- rounds

base::Duration Manager::Round() {
  Leadership::Ask ask = Leadership::Ask::kNothing;
  Term term;
  std::vector<NodeRef> fences;
  bool ask_nodes = false;
  Term led;
  base::MonotonicTime asked;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = asked = clock_.BootNow();
    ask = leadership_.Next(now);
    lease_changes_ = lease_changes_ || ask == Leadership::Ask::kGrant;
    Follow(now);
    term = leadership_.term();
    members_.Advance(now);
    if (members_.mass_loss() != mass_loss_told_) {
      mass_loss_told_ = members_.mass_loss();
      log_.Warning(mass_loss_told_ ? "many nodes vanished at once" : "the nodes that vanished at once are few again",
                   {{"live", members_.Count(NodeState::kLive)}, {"suspect", members_.Count(NodeState::kSuspect)}});
    }
    if (led_.value != 0) fences = members_.TakeFences(kFencesPerRound, now);
    ask_nodes = !asking_nodes_ && now >= nodes_at_;
    asking_nodes_ = asking_nodes_ || ask_nodes;
    led = led_;
  }
  AskForLease(ask, term);
  for (const NodeRef& node : fences) {
    cluster_.Fence(node, term, [this, node, term](const absl::Status& outcome) { OnFenced(node, term, outcome); });
  }
  if (ask_nodes) cluster_.Nodes([this, led, asked](const auto& nodes) { OnNodes(nodes, led, asked); });
  return std::clamp(std::min(options_.session, options_.leader_ttl) / kRounds, kShortestRound, kLongestRound);
}

void Manager::OnFenced(const NodeRef& node, Term term, const absl::Status& outcome) {
  base::MutexLock lock(mutex_);
  const base::MonotonicTime now = clock_.BootNow();
  if (outcome.ok()) {
    fenced_.Increment();
    log_.Warning("node fenced", {{"node", node.node}, {"node_epoch", node.epoch.value}, {"term", term.value}});
  } else {
    log_.Debug("node not fenced", {{"node", node.node}, {"node_epoch", node.epoch.value}, {"error", outcome}});
  }
  if (base::Reason(outcome) == "TOKEN_STALE" && leadership_.term() == term) {
    leadership_.Lose();
    return Follow(now);
  }
  // Of an earlier term it is told for what it did only: what of this term is under way is not the same order.
  const FenceOutcome result = OutcomeOf(outcome);
  if (result != FenceOutcome::kFenced && term != led_) return;
  if (!members_.EndFence(node, result, now)) return;
  // The tracker refuses what comes of this term once another began, and that begins with a reading of its records.
  log_.Warning("gives its term up: an order to fence may yet be done",
               {{"node", node.node}, {"node_epoch", node.epoch.value}, {"term", term.value}});
  leadership_.Lose();
  Follow(now);
}

// ---- the tracker's records

void Manager::OnNodes(const absl::StatusOr<std::vector<TrackedNode>>& nodes, Term term, base::MonotonicTime asked) {
  base::MutexLock lock(mutex_);
  const base::MonotonicTime now = clock_.BootNow();
  asking_nodes_ = false;
  NoteTracker(nodes.status());
  if (nodes.ok()) read_in_ = term;
  // A term that began meanwhile begins with a reading of its own.
  nodes_at_ = term == led_ ? now + options_.session / kReadings : now;
  if (!nodes.ok()) return;
  tracked_at_ = now;
  members_.OnTracked(*nodes, asked, now);
}

void Manager::NoteTracker(const absl::Status& answer) {
  // A refusal is an answer.
  const bool answers = answer.code() != absl::StatusCode::kUnavailable &&
                       answer.code() != absl::StatusCode::kDeadlineExceeded &&
                       answer.code() != absl::StatusCode::kCancelled;
  if (std::exchange(tracker_answers_, answers) == answers) return;
  if (answers) {
    log_.Info("the tracker answers");
  } else {
    log_.Warning("no tracker answers: nobody is fenced", {{"error", answer}});
  }
}

// ---- questions

absl::StatusOr<Place> Manager::Serving(const NodeRef& node) const {
  base::MutexLock lock(mutex_);
  return members_.Serving(node);
}

std::vector<NodeView> Manager::List(const std::string& after, size_t most) const {
  base::MutexLock lock(mutex_);
  return members_.List(after, most, clock_.BootNow());
}

ManagerStatus Manager::status() const {
  base::MutexLock lock(mutex_);
  const base::MonotonicTime now = clock_.BootNow();
  ManagerStatus status = {.leads = leadership_.Leads(now),
                          .may_fence = leadership_.Leads(now) && members_.MayFence(now),
                          .leader = leadership_.Leader(now),
                          .tracker_answers = tracker_answers_,
                          .mass_loss = members_.mass_loss()};
  if (tracked_at_) status.since_tracked = now - *tracked_at_;
  for (const NodeState state : kNodeStates) status.nodes[static_cast<size_t>(state)] = members_.Count(state);
  return status;
}

}  // namespace larder::peer_manager
