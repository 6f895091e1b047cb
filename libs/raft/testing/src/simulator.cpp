#include "larder/raft/testing/simulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>

#include "larder/base/status.h"
#include "testing/src/simulated_member.h"

namespace larder::raft {
namespace {

constexpr size_t kMessagesAtMost = 2000;  // on their way; more are lost
constexpr int kRounds = 800;              // of everything, until all is well again

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options) : options_(options), random_(options.seed) {
    for (int i = 1; i <= options.members; ++i) Add({static_cast<uint64_t>(i)}, first_);
  }

  SimulationResult Run() {
    for (int i = 0; i < options_.steps && laws_.violations().empty(); ++i) Step();
    if (laws_.violations().empty()) Settle();
    laws_.Finish();
    return {.violations = laws_.violations(),
            .digest = digest_,
            .acknowledged = laws_.acknowledgements(),
            .reads = reads_,
            .crashes = crashes_,
            .elections = laws_.elections()};
  }

 private:
  struct Message {
    MemberId from, to;
    std::string bytes;
  };

  static AppliedState First(int members) {
    std::vector<MemberId> voters;
    for (int i = 1; i <= members; ++i) voters.push_back({static_cast<uint64_t>(i)});
    return {.configuration = EncodeVoters(voters)};
  }

  uint64_t Draw(uint64_t below) { return random_() % below; }
  SimulatedMember& AnyMember() { return *std::next(members_.begin(), static_cast<int>(Draw(members_.size())))->second; }
  void Note(uint64_t what) { digest_ = Fnv(digest_, what); }

  void Add(MemberId id, const AppliedState& first) {
    auto member = std::make_unique<SimulatedMember>(id, first, laws_, [this, id](MemberId to, std::string bytes) {
      if (messages_.size() < kMessagesAtMost) messages_.push_back({id, to, std::move(bytes)});
    });
    member->holders = [this](LogPosition at) { return Holders(at); };
    Start(*(members_[id] = std::move(member)));
  }
  void Start(SimulatedMember& member) { member.Start(options_.seed, ++boots_); }

  std::set<uint64_t> Holders(LogPosition at) const {
    std::set<uint64_t> holders;
    for (const auto& [id, member] : members_) {
      if (member->Holds(at)) holders.insert(id.value);
    }
    return holders;
  }

  void Step() {
    const uint64_t what = Draw(1000);
    Note(what);
    if (what < 140) return Tick(AnyMember());
    if (what < 600) return Deliver();
    if (what < 740) {
      return WithRunning([&](auto& member) { member.WriteSome(stalled_.contains(member.id()) ? 0 : 1 + Draw(4)); });
    }
    if (what < 840) return WithRunning([&](auto& member) { member.ApplySome(1 + Draw(4)); });
    if (what < 930) return Propose(AnyMember());
    if (what < 970) return Read(AnyMember());
    if (what < 980) return WithRunning([&](auto& member) { member.Flush(); });
    if (what < 988) return options_.membership ? Change() : Tick(AnyMember());
    if (options_.faults) Fault();
  }

  // Of a member that is up, and not paused.
  template <typename Do>
  void WithRunning(Do act) {
    SimulatedMember& member = AnyMember();
    if (!member.running() || paused_.contains(member.id())) return;
    act(member);
    member.Process();
  }

  void Tick(SimulatedMember& member) {
    if (!member.running() || paused_.contains(member.id())) return;
    member.Tick();
    member.Process();
  }

  void Deliver() {
    if (messages_.empty()) return;
    // Mostly in order: what is far behind comes now and then.
    const size_t at = Draw(4) == 0 ? Draw(messages_.size()) : Draw(std::min<size_t>(messages_.size(), 3));
    const Message message = messages_[at];
    const uint64_t fate = options_.faults ? Draw(100) : 99;
    if (fate >= 4) messages_.erase(messages_.begin() + static_cast<ptrdiff_t>(at));  // else it comes again
    if (fate >= 94 && options_.faults) return;                                       // lost
    Arrive(message);
  }

  void Arrive(const Message& message) {
    const auto to = members_.find(message.to);
    if (cut_.contains({message.from, message.to}) || to == members_.end()) return;
    if (!to->second->running() || paused_.contains(message.to)) return;
    to->second->Step(message.bytes);
    to->second->Process();
  }

  void Propose(SimulatedMember& member) {
    if (!member.running()) return;
    const std::string long_value(Draw(20) == 0 ? 600 : 0, 'x');  // more than a message has
    const std::string command = fmt::format("k{}={}{}", Draw(4), ++commands_, long_value);
    member.replica().Propose(command, [this, command](const absl::StatusOr<std::string>& reply) {
      Note(reply.ok() ? 1 : Fnv(0, base::Reason(reply.status())));
      if (reply.ok()) laws_.Acknowledged(command, *reply);
    });
    if (!paused_.contains(member.id())) member.Process();
  }

  void Read(SimulatedMember& member) {
    if (!member.running()) return;
    member.replica().Read([this, &member, floor = laws_.seen()](const absl::Status& status) {
      Note(status.ok());
      if (!status.ok()) return;
      ++reads_;
      laws_.Read(member.id(), floor, member.machine().applied().at.index);
    });
    if (!paused_.contains(member.id())) member.Process();
  }

  void Fault() {
    SimulatedMember& member = AnyMember();
    const MemberId other = AnyMember().id();
    switch (Draw(10)) {
      case 0:
        return Crash(member);
      case 1:
      case 2:
        if (!member.running()) Start(member);
        return;
      case 3:
        if (other != member.id() && cut_.size() < 3) cut_.insert({member.id(), other});
        return;
      case 4:
        return cut_.clear();
      case 5:
        return WithRunning([&](auto& leader) { leader.replica().TransferLeader(other); });
      case 6:
        return WithRunning([&](auto& leader) { leader.replica().OnUnreachable(other); });
      case 7:
        stalled_.insert(member.id());
        return;
      case 8:
        return stalled_.clear();
      default:
        if (!paused_.erase(member.id())) paused_.insert(member.id());
    }
  }

  void Crash(SimulatedMember& member) {
    if (!member.running()) return;
    ++crashes_;
    Note(member.writing());
    member.Crash(Draw(member.writing() + 1));
    paused_.erase(member.id());
    stalled_.erase(member.id());
  }

  // Asks whoever leads. An id that was once removed never comes back.
  void Change() {
    for (auto& [id, member] : members_) {
      if (!member->running() || member->replica().status().role != Role::kLeader) continue;
      std::vector<MemberChange> changes;
      changes.reserve(2);
      const auto known = member->replica().status().members;
      const auto voters = std::ranges::count_if(known, [](const MemberStatus& one) { return !one.learner; });
      if (known.size() < 5) {
        const MemberId fresh{100 + ++added_};
        changes.push_back(
            {.what = Draw(2) == 0 ? MemberChange::What::kAddLearner : MemberChange::What::kAddVoter, .id = fresh});
        Add(fresh, first_);
      }
      if (voters > 1 && Draw(2) == 0) {
        changes.push_back({.what = MemberChange::What::kRemove, .id = known[Draw(known.size())].id});
      }
      if (changes.empty()) return;
      member->replica().ProposeChange(changes, [this](const absl::Status& status) { Note(status.ok()); });
      member->Process();
      return;
    }
  }

  // All is mended: everything goes on in turn until all members have the same state, and serve.
  void Settle() {
    cut_.clear();
    paused_.clear();
    stalled_.clear();
    for (auto& [id, member] : members_) {
      if (!member->running()) Start(*member);
    }
    uint64_t before = 0;
    for (int round = 0; round < kRounds && laws_.violations().empty(); ++round) {
      if (round == kRounds / 4) before = laws_.acknowledgements();
      if (round >= kRounds / 4 && round % 20 == 0) ProposeToLeader();
      for (auto& [id, member] : members_) {
        member->Tick();
        member->Process();
        while (member->writing() + member->applying() > 0) {
          member->WriteSome(member->writing());
          member->ApplySome(member->applying());
        }
      }
      for (const Message& message : std::exchange(messages_, {})) Arrive(message);
      if (round > kRounds / 4 && laws_.acknowledgements() > before && Alike()) return;
    }
    if (laws_.violations().empty()) laws_.Broken("all is mended, but nothing is acknowledged, or the members differ");
  }

  // Of the highest term; null: nobody leads.
  SimulatedMember* Leader() {
    SimulatedMember* leader = nullptr;
    for (auto& [id, member] : members_) {
      const NodeStatus status = member->replica().status();
      if (status.role != Role::kLeader) continue;
      if (leader == nullptr || leader->replica().status().term < status.term) leader = member.get();
    }
    return leader;
  }

  void ProposeToLeader() {
    if (SimulatedMember* leader = Leader(); leader != nullptr) Propose(*leader);
  }

  // All members that the leader knows; who was removed may never hear of it.
  bool Alike() {
    SimulatedMember* leader = Leader();
    if (leader == nullptr) return false;
    const AppliedState& state = leader->machine().applied();
    Note(state.at.index);
    return std::ranges::all_of(leader->replica().status().members, [&](const MemberStatus& member) {
      return members_.at(member.id)->machine().applied() == state;
    });
  }

  const SimulationOptions options_;
  std::mt19937_64 random_;
  uint64_t boots_ = 0, commands_ = 0, added_ = 0, reads_ = 0, crashes_ = 0;
  uint64_t digest_ = 0xcbf29ce484222325;
  const AppliedState first_ = First(options_.members);
  SimulatedLaws laws_{first_.configuration};
  std::vector<Message> messages_;
  std::set<std::pair<MemberId, MemberId>> cut_;
  std::set<MemberId> paused_;
  std::set<MemberId> stalled_;                                    // whose disk hangs
  std::map<MemberId, std::unique_ptr<SimulatedMember>> members_;  // last: who waits is answered as they end
};

}  // namespace

SimulationResult Simulate(const SimulationOptions& options) { return Simulation(options).Run(); }

}  // namespace larder::raft
