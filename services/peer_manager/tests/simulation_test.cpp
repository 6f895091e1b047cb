// Two managers, a tracker and agents with clocks that do not run alike, over links that delay, lose and break, as
// managers die: no registration is ended that its agent may count on, and who fetches what is known a beat after.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/manager.h"
#include "core/swarm_desk.h"
#include "larder/base/status.h"

namespace larder::peer_manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::Duration kSession = seconds(10);
constexpr base::Duration kTtl = seconds(5);
constexpr base::Duration kRound = milliseconds(200);
constexpr int kAgents = 6;
constexpr int kManagers = 2;

// Events in the order of their times, and of their making.
class World {
 public:
  explicit World(uint32_t seed) : random_(seed) {}
  base::Duration now() const { return now_; }
  void After(base::Duration wait, std::function<void()> event) { events_.emplace(now_ + wait, std::move(event)); }
  void RunUntil(base::Duration end) {
    while (!events_.empty() && events_.begin()->first <= end) {
      const auto next = events_.extract(events_.begin());
      now_ = next.key();
      next.mapped()();
    }
    now_ = end;
  }
  uint32_t Below(uint32_t bound) { return random_() % bound; }
  bool OneIn(uint32_t bound) { return Below(bound) == 0; }
  // Of a message: mostly short.
  base::Duration Delay() { return milliseconds(!calm_ && OneIn(20) ? Below(4000) : Below(kShortDelay)); }
  bool Loses() { return !calm_ && OneIn(50); }
  // No message is lost or late from now on.
  void Calm() { calm_ = true; }
  static constexpr uint32_t kShortDelay = 200;  // ms

 private:
  std::mt19937 random_;
  bool calm_ = false;
  base::Duration now_{};
  std::multimap<base::Duration, std::function<void()>> events_;
};

// Runs fast or slow by some thousandths, and shows another time.
class SkewedClock final : public base::Clock {
 public:
  explicit SkewedClock(World& world) : world_(world), offset_(seconds(world.Below(100'000))), skew_(world.Below(41)) {}
  base::MonotonicTime BootNow() const override {
    return base::MonotonicTime(offset_ + world_.now() * (980 + static_cast<int>(skew_)) / 1000);
  }
  base::MonotonicTime Now() const override { return BootNow(); }
  base::WallTime WallNow() const override { return base::WallTime(world_.now()); }

 private:
  World& world_;
  const base::Duration offset_;
  const uint32_t skew_;
};

// What the trackers' registry does with leases and nodes. Their own leader may go over to another tracker: what it was
// told then is done later, if its term still holds, and its successor ends no registration for a session.
class SimulatedTracker {
 public:
  explicit SimulatedTracker(World& world) : world_(world) {}

  uint64_t Register(const std::string& node) {
    nodes_[node] = {.name = node, .epoch = {++last_id_}};
    return last_id_;
  }
  absl::StatusOr<std::optional<LeaderLease>> Look() {
    if (!InForce()) return std::nullopt;
    return LeaderLease{.holder = holder_, .term = term_, .left = until_ - world_.now()};
  }
  absl::StatusOr<Term> Grant(const std::string& holder) {
    if (InForce() && holder_ != holder) return base::MakeError(absl::StatusCode::kAborted, "HELD", "");
    holder_ = holder;
    term_ = {++last_id_};
    until_ = world_.now() + kTtl;
    return term_;
  }
  absl::Status Renew(Term term) {
    if (!Holds(term)) return Stale();
    until_ = world_.now() + kTtl;
    return absl::OkStatus();
  }
  absl::Status Release(Term term) {
    if (!Holds(term)) return Stale();
    until_ = {};
    return absl::OkStatus();
  }
  absl::Status Fence(const NodeRef& ref, Term term) {
    if (unsteady_ && world_.OneIn(4)) {
      leads_since_ = world_.now();
      world_.After(milliseconds(world_.Below(8000)), [this, ref, term] { (void)Apply(ref, term); });
      return absl::UnavailableError("the leader left");
    }
    if (world_.now() - std::max(leads_since_, answered_[ref.node]) < kSession) {
      return base::MakeError(absl::StatusCode::kFailedPrecondition, "NODE_ALIVE", "");
    }
    return Apply(ref, term);
  }
  // The node asks. What it may do then is not the managers' business.
  bool IsAlive(const std::string& node) {
    if (IsFenced(node)) return false;
    answered_[node] = world_.now();
    return true;
  }
  // Its leader stays from now on.
  void Calm() { unsteady_ = false; }
  absl::StatusOr<std::vector<TrackedNode>> Nodes() {
    std::vector<TrackedNode> nodes;
    for (const auto& [name, node] : nodes_) nodes.push_back(node);
    return nodes;
  }
  bool IsFenced(const std::string& node) { return nodes_[node].fenced; }

  std::function<void(const NodeRef&)> on_fence;

 private:
  absl::Status Apply(const NodeRef& ref, Term term) {
    if (!Holds(term)) return Stale();
    TrackedNode& node = nodes_[ref.node];
    if (node.epoch != ref.epoch) return base::MakeError(absl::StatusCode::kAborted, "EPOCH_STALE", "");
    if (!std::exchange(node.fenced, true)) on_fence(ref);
    return absl::OkStatus();
  }
  bool InForce() const { return world_.now() < until_; }
  bool Holds(Term term) const { return InForce() && term == term_; }
  static absl::Status Stale() { return base::MakeError(absl::StatusCode::kAborted, "TOKEN_STALE", ""); }

  World& world_;
  uint64_t last_id_ = 0;
  std::string holder_;
  Term term_;
  base::Duration until_{};
  std::map<std::string, TrackedNode> nodes_;
  bool unsteady_ = true;
  base::Duration leads_since_{};
  std::map<std::string, base::Duration> answered_;
};

// The tracker as one manager sees it: what it asks may be done late, and answered later, or not in time.
class SlowCluster final : public Cluster {
 public:
  SlowCluster(World& world, SimulatedTracker& tracker) : world_(world), tracker_(tracker) {}
  ~SlowCluster() override { *there_ = false; }

  void Look(Done<absl::StatusOr<std::optional<LeaderLease>>> done) override {
    Ask<absl::StatusOr<std::optional<LeaderLease>>>([&tracker = tracker_] { return tracker.Look(); }, std::move(done));
  }
  void Grant(const std::string& holder, base::Duration, Done<absl::StatusOr<Term>> done) override {
    Ask<absl::StatusOr<Term>>([&tracker = tracker_, holder] { return tracker.Grant(holder); }, std::move(done));
  }
  void Renew(Term term, base::Duration, Done<absl::Status> done) override {
    Ask<absl::Status>([&tracker = tracker_, term] { return tracker.Renew(term); }, std::move(done));
  }
  void Release(Term term, Done<absl::Status> done) override {
    Ask<absl::Status>([&tracker = tracker_, term] { return tracker.Release(term); }, std::move(done));
  }
  void Fence(const NodeRef& node, Term term, Done<absl::Status> done) override {
    Ask<absl::Status>([&tracker = tracker_, node, term] { return tracker.Fence(node, term); }, std::move(done));
  }
  void Nodes(Done<absl::StatusOr<std::vector<TrackedNode>>> done) override {
    Ask<absl::StatusOr<std::vector<TrackedNode>>>([&tracker = tracker_] { return tracker.Nodes(); }, std::move(done));
  }

 private:
  template <typename Answer>
  void Ask(std::function<Answer()> act, Done<Answer> done) {
    constexpr base::Duration kPatience = milliseconds(1500);
    const base::Duration there = world_.Delay();
    const base::Duration back = world_.Delay();
    // What is done at the tracker is done whether or not the manager still is.
    auto answer = std::make_shared<Answer>(absl::DeadlineExceededError("no answer in time"));
    const bool in_time = there + back <= kPatience;
    world_.After(there, [act = std::move(act), answer, in_time] {
      Answer made = act();
      if (in_time) *answer = std::move(made);
    });
    world_.After(std::min(there + back, kPatience), [done = std::move(done), answer, alive = there_] {
      if (*alive) done(*answer);
    });
  }

  World& world_;
  SimulatedTracker& tracker_;
  const std::shared_ptr<bool> there_ = std::make_shared<bool>(true);
};

// A manager's process: dies, and comes back as another.
struct ManagerProcess {
  explicit ManagerProcess(World& world) : clock(world) {}
  void Start(World& world, SimulatedTracker& tracker, std::string name) {
    cluster = std::make_unique<SlowCluster>(world, tracker);
    metrics = std::make_unique<observe::Registry>();
    manager = std::make_unique<Manager>(
        ManagerOptions{.name = std::move(name), .session = kSession, .leader_ttl = kTtl, .most_nodes = 100}, *cluster,
        clock, log, *metrics);
    desk = std::make_unique<SwarmDesk>(*manager, 100, clock, *metrics);
    ++life;
  }
  void Die() {
    cluster.reset();
    desk.reset();
    manager.reset();
    ++life;
  }

  SkewedClock clock;
  observe::Logger log{{.output = [](std::string_view) {}}, clock};
  std::unique_ptr<observe::Registry> metrics;
  std::unique_ptr<SlowCluster> cluster;
  std::unique_ptr<Manager> manager;
  std::unique_ptr<SwarmDesk> desk;
  int life = 0;
};

// One agent with a session to each manager. Counts on its registration as peers.proto says.
class SimulatedAgent {
 public:
  SimulatedAgent(World& world, SimulatedTracker& tracker, std::array<ManagerProcess*, kManagers> managers,
                 std::string name)
      : world_(world), tracker_(tracker), managers_(managers), name_(std::move(name)), clock_(world) {
    epoch_ = tracker_.Register(name_);
  }

  bool CountsOn(NodeEpoch epoch) const { return epoch.value == epoch_ && clock_.BootNow() < counts_until_; }
  bool silent() const { return silent_; }
  void SetSilent(bool silent) { silent_ = silent; }
  void SetCut(int manager, bool cut) { links_[manager].cut = cut; }
  const std::string& name() const { return name_; }
  // Keys, and who else fetches each of them as a manager said last.
  const std::set<std::string>& fetches() const { return fetches_; }
  using Named = std::map<std::string, std::set<std::string>>;
  const Named& named(int manager) const { return links_[manager].named; }
  void StayAtThese() { stays_ = true; }

  void BeatAll() {
    if (!stays_ && world_.OneIn(3)) {
      const std::string key = world_.OneIn(2) ? "x" : "y";
      if (fetches_.erase(key) == 0) fetches_.insert(key);
    }
    if (!silent_) {
      for (int i = 0; i < kManagers; ++i) {
        Say(i);
        Join(i);
      }
    }
    world_.After(kSession / 5, [this] { BeatAll(); });
  }

 private:
  struct Link {
    SessionId session;  // 0: none
    int life = -1;      // of the manager that has it
    bool cut = false;
    base::Duration last_arrival{};  // a stream keeps the order
    Named named;
  };

  void Join(int to) {
    SwarmDesk::Call call = {.node = {name_, {epoch_}}, .sequence = ++joins_};
    for (const std::string& key : fetches_) call.fetching.push_back({.id = {"team", key}, .epoch = {1}});
    if (links_[to].cut || world_.Loses()) return;
    world_.After(std::max(links_[to].last_arrival - world_.now(), world_.Delay()), [this, to, call] {
      if (!managers_[to]->desk) return;
      managers_[to]->desk->Join(call, [this, to](const absl::StatusOr<SwarmDesk::Told>& told) {
        Named& named = links_[to].named;
        named.clear();
        for (const SwarmNews& news : told.value_or(SwarmDesk::Told())) {
          for (const SwarmMember& member : news.members) named[news.id.key].insert(member.node.node);
        }
      });
    });
  }

  void Say(int to) {
    Link& link = links_[to];
    const base::MonotonicTime sent = clock_.BootNow();
    const uint64_t epoch = epoch_;
    if (link.cut || world_.Loses()) return Break(to);
    link.last_arrival = std::max(link.last_arrival, world_.now() + world_.Delay());
    world_.After(link.last_arrival - world_.now(), [this, to, sent, epoch] { Arrive(to, sent, epoch); });
  }
  void Break(int to) {
    ManagerProcess& process = *managers_[to];
    Link& link = links_[to];
    if (link.session.value != 0 && link.life == process.life && process.manager && world_.OneIn(2)) {
      process.manager->Leave(name_, link.session);
    }
    link.session = {};
  }
  void Arrive(int to, base::MonotonicTime sent, uint64_t epoch) {
    ManagerProcess& process = *managers_[to];
    Link& link = links_[to];
    if (!process.manager) return;
    absl::StatusOr<BeatAnswer> answer;
    if (link.session.value == 0 || link.life != process.life) {
      const SessionId session{++last_session_};
      const auto entered =
          process.manager->Enter(session, {.node = name_, .place = {.address = name_ + ":1"}}, {.epoch = {epoch}});
      if (entered.ok()) link.session = session;
      link.life = process.life;
      answer = entered.ok() ? absl::StatusOr<BeatAnswer>(entered->answer) : entered.status();
    } else {
      answer = process.manager->Take(name_, link.session, {.epoch = {epoch}});
    }
    world_.After(world_.Delay(), [this, to, sent, epoch, answer] { Answered(to, sent, epoch, answer); });
  }
  void Answered(int to, base::MonotonicTime sent, uint64_t epoch, const absl::StatusOr<BeatAnswer>& answer) {
    if (epoch != epoch_) return;
    if (answer.ok()) {
      if (answer->leads) counts_until_ = std::max(counts_until_, sent + kSession / 2);
      return;
    }
    links_[to].session = {};
    // It asks the tracker, and registers again if that says so, too.
    if (tracker_.IsAlive(name_)) return;
    epoch_ = tracker_.Register(name_);
    counts_until_ = {};
  }

  World& world_;
  SimulatedTracker& tracker_;
  const std::array<ManagerProcess*, kManagers> managers_;
  const std::string name_;
  const SkewedClock clock_;
  uint64_t epoch_ = 0;
  uint64_t last_session_ = 0;
  base::MonotonicTime counts_until_{};
  bool silent_ = false;
  std::set<std::string> fetches_;
  bool stays_ = false;
  uint64_t joins_ = 0;
  std::array<Link, kManagers> links_;
};

class Simulation {
 public:
  explicit Simulation(uint32_t seed) : world_(seed), tracker_(world_), first_(world_), second_(world_) {
    for (int i = 0; i < kManagers; ++i) {
      Start(i);
      Rounds(i);
    }
    for (int i = 0; i < kAgents; ++i) {
      agents_.push_back(std::make_unique<SimulatedAgent>(world_, tracker_, managers_, "node-" + std::to_string(i)));
      agents_.back()->BeatAll();
    }
    tracker_.on_fence = [this](const NodeRef& node) {
      ++fenced_;
      for (const auto& agent : agents_) {
        if (agent->name() == node.node && agent->CountsOn(node.epoch)) ++broken_promises_;
      }
    };
    Meddle();
  }

  void Run(base::Duration time) { world_.RunUntil(world_.now() + time); }
  // From now on nobody dies or is cut off, and only the first agent is silent.
  void Calm() {
    calm_ = true;
    world_.Calm();
    tracker_.Calm();
    for (int i = 0; i < kManagers; ++i) {
      if (!managers_[i]->manager) Start(i);
    }
    for (const auto& agent : agents_) {
      agent->SetSilent(agent == agents_.front());
      for (int i = 0; i < kManagers; ++i) agent->SetCut(i, false);
    }
  }
  void RestartFirstManager() {
    managers_[0]->Die();
    Start(0);
  }
  void LeaveFetchesAsTheyAre() {
    for (const auto& agent : agents_) agent->StayAtThese();
  }
  // Every manager has told every agent that is alive of all others that are, and of nobody else; and keeps no more.
  void ExpectAllKnowWhoFetchesWhat() {
    for (int i = 0; i < kManagers; ++i) {
      size_t fetches = 0;
      for (const auto& agent : agents_) {
        if (agent->silent()) continue;
        SimulatedAgent::Named others;
        for (const auto& other : agents_) {
          if (other == agent || other->silent()) continue;
          for (const std::string& key : other->fetches()) {
            if (agent->fetches().contains(key)) others[key].insert(other->name());
          }
        }
        fetches += agent->fetches().size();
        EXPECT_EQ(agent->named(i), others) << agent->name() << " at manager " << i;
      }
      EXPECT_THAT(managers_[i]->metrics->Render(),
                  testing::HasSubstr("larder_peers_swarm_members " + std::to_string(fetches) + "\n"));
    }
  }
  int fenced() const { return fenced_; }
  int broken_promises() const { return broken_promises_; }
  // As each manager shows the first agent, and counts those that are live.
  void ExpectAllShowWhoIsAlive() {
    EXPECT_TRUE(tracker_.IsFenced("node-0"));
    for (ManagerProcess* process : managers_) {
      const auto nodes = process->manager->List("", 100);
      ASSERT_EQ(nodes.size(), size_t{kAgents});
      EXPECT_EQ(nodes[0].state, NodeState::kLost);
    }
  }

 private:
  void Start(int i) { managers_[i]->Start(world_, tracker_, "manager-" + std::to_string(++started_)); }
  void Rounds(int i) {
    if (managers_[i]->manager) {
      managers_[i]->manager->Round();
      managers_[i]->desk->Round();
    }
    world_.After(kRound, [this, i] { Rounds(i); });
  }
  // Something happens every few seconds.
  void Meddle() {
    if (!calm_) {
      SimulatedAgent& agent = *agents_[world_.Below(kAgents)];
      const int i = static_cast<int>(world_.Below(kManagers));
      switch (world_.Below(5)) {
        case 0:
          agent.SetSilent(!agent.silent());
          break;
        case 1:
          agent.SetCut(i, world_.OneIn(2));
          break;
        case 2:
          agent.SetCut(i, false);
          break;
        case 3:
          if (managers_[i]->manager) {
            managers_[i]->Die();
          } else {
            Start(i);
          }
          break;
        default:
          if (!managers_[i]->manager) Start(i);
          break;
      }
    }
    world_.After(milliseconds(500 + world_.Below(6000)), [this] { Meddle(); });
  }

  World world_;
  SimulatedTracker tracker_;
  ManagerProcess first_, second_;
  const std::array<ManagerProcess*, kManagers> managers_ = {&first_, &second_};
  std::vector<std::unique_ptr<SimulatedAgent>> agents_;
  bool calm_ = false;
  int started_ = 0;
  int fenced_ = 0;
  int broken_promises_ = 0;
};

TEST(Simulation, NoRegistrationIsEndedThatItsAgentCountsOnAndTheSilentOnesAre) {
  int fenced = 0;
  for (uint32_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Simulation simulation(seed);
    simulation.Run(std::chrono::minutes(10));
    ASSERT_EQ(simulation.broken_promises(), 0);
    simulation.Calm();
    // A leader's end, a session, another for what was asked for in vain; and all that again in another term.
    simulation.Run(4 * kTtl + 6 * kSession);
    simulation.ExpectAllShowWhoIsAlive();
    ASSERT_EQ(simulation.broken_promises(), 0);
    fenced += simulation.fenced();
  }
  EXPECT_GT(fenced, 500) << "it has to happen to be right";
}

TEST(Simulation, WhoFetchesWhatIsKnownABeatAfterWhateverHappened) {
  for (uint32_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Simulation simulation(seed);
    simulation.Run(std::chrono::minutes(2));
    simulation.Calm();
    simulation.Run(4 * kTtl + 2 * kSession);  // who was cut off is live again
    simulation.LeaveFetchesAsTheyAre();
    simulation.RestartFirstManager();
    // A slow clock's beat, the call on its way, and one more beat: whoever came first hears of the others then.
    simulation.Run(2 * (kSession / 5 + milliseconds(2 * World::kShortDelay)));
    simulation.ExpectAllKnowWhoFetchesWhat();
  }
}

}  // namespace
}  // namespace larder::peer_manager
