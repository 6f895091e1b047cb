#include "core/swarm_desk.h"

#include <set>

#include "larder/base/status.h"

namespace larder::peer_manager {
namespace {

constexpr observe::GaugeDecl<> kSwarms = {.name = "larder_peers_swarms",
                                          .help = "Objects that live nodes fetch now from each other."};
constexpr observe::GaugeDecl<> kMembers = {.name = "larder_peers_swarm_members",
                                           .help = "Fetches of such objects, of all nodes together."};
constexpr observe::CounterDecl<> kJoins = {.name = "larder_peers_joins_total",
                                           .help = "Fetches that nodes told this manager of."};

// Of a session: as long as a call waits; between two looks at who is live.
constexpr int kWaits = 5;
constexpr int kLooks = 20;

absl::Status Stopping() { return base::Error(absl::StatusCode::kUnavailable, "STOPPING", "this manager is stopping"); }

}  // namespace

SwarmDesk::SwarmDesk(const Manager& manager, size_t most, const base::Clock& clock, observe::Registry& metrics)
    : manager_(manager),
      session_(manager.options().session),
      clock_(clock),
      joins_(metrics.Add(kJoins)),
      swarms_(most) {
  const auto watch = [&](const observe::GaugeDecl<>& decl, size_t (Swarms::*count)() const) {
    watches_.push_back(metrics.AddWatch(decl, [this, count] {
      base::MutexLock lock(mutex_);
      return static_cast<double>((swarms_.*count)());
    }));
  };
  watch(kSwarms, &Swarms::swarms);
  watch(kMembers, &Swarms::members);
}

SwarmDesk::~SwarmDesk() { Stop(); }

SwarmDesk::Told SwarmDesk::NewsFor(const std::string& node) const {
  return swarms_.NewsFor(node, [this](const NodeRef& member) { return manager_.Serving(member).ok(); });
}

void SwarmDesk::TellNews(const std::string& node, Answers& out) {
  const auto caller = callers_.find(node);
  if (caller == callers_.end() || caller->second.waiting == nullptr) return;
  Told news = NewsFor(node);
  if (!news.empty()) out.emplace_back(std::exchange(caller->second.waiting, nullptr), std::move(news));
}

void SwarmDesk::Join(Call call, Answer answer) {
  Answers out;
  {
    base::MutexLock lock(mutex_);
    const absl::Status taken = Take(call, answer, clock_.BootNow(), out);
    if (!taken.ok()) out.emplace_back(std::move(answer), base::Detached(taken));
  }
  for (auto& [then, told] : out) then(std::move(told));
}

absl::Status SwarmDesk::Take(Call& call, Answer& answer, base::MonotonicTime now, Answers& out) {
  if (stopped_) return Stopping();
  LARDER_ASSIGN_OR_RETURN(Place place, manager_.Serving(call.node));
  const std::string name = call.node.node;
  const auto known = callers_.find(name);
  if (known != callers_.end() && known->second.node == call.node && call.sequence <= known->second.sequence) {
    // What overtook it says more.
    out.emplace_back(std::move(answer), Told());
    return absl::OkStatus();
  }
  const uint64_t joined = swarms_.joined();
  LARDER_ASSIGN_OR_RETURN(
      const std::set<std::string> others,
      swarms_.Announce({.node = call.node, .place = std::move(place), .fetching = std::move(call.fetching)}));
  joins_.Increment(swarms_.joined() - joined);
  Caller& caller = callers_[name];
  if (caller.waiting != nullptr) out.emplace_back(std::exchange(caller.waiting, nullptr), Told());
  caller = {.node = std::move(call.node), .sequence = call.sequence, .heard = now, .waiting = nullptr};
  if (call.wait) {
    caller.waiting = std::move(answer);
    TellNews(name, out);
  } else {
    out.emplace_back(std::move(answer), NewsFor(name));
  }
  for (const std::string& other : others) TellNews(other, out);
  return absl::OkStatus();
}

void SwarmDesk::Round() {
  Answers out;
  {
    base::MutexLock lock(mutex_);
    const base::MonotonicTime now = clock_.BootNow();
    const bool look = now >= look_at_;
    if (look) look_at_ = now + session_ / kLooks;
    for (auto next = callers_.begin(); next != callers_.end();) {
      const auto caller = next++;
      Caller& it = caller->second;
      const base::Duration silent = now - it.heard;
      if (it.waiting != nullptr && silent >= session_ / kWaits) {
        out.emplace_back(std::exchange(it.waiting, nullptr), Told());
      }
      const absl::Status live = look ? manager_.Serving(it.node).status() : absl::OkStatus();
      if (live.ok() && silent < session_ / 2) continue;
      if (it.waiting != nullptr) out.emplace_back(std::move(it.waiting), base::Detached(live));
      swarms_.Leave(caller->first);
      callers_.erase(caller);
    }
  }
  for (auto& [then, told] : out) then(std::move(told));
}

void SwarmDesk::Stop() {
  std::map<std::string, Caller> callers;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    for (const auto& [name, caller] : callers_) swarms_.Leave(name);
    callers.swap(callers_);
  }
  for (const auto& [name, caller] : callers) {
    if (caller.waiting != nullptr) caller.waiting(Stopping());
  }
}

}  // namespace larder::peer_manager
