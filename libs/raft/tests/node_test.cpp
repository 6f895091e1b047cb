#include "larder/raft/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>

#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/raft/membership.h"
#include "larder/raft/testing/memory_log_store.h"
#include "larder/raft/testing/memory_network.h"
#include "tests/log_decorator.h"

namespace larder::raft {
namespace {

using base::IsOk;
using base::IsOkAndHolds;
using base::StatusIs;

// Counts: a command is a number to add, the reply the sum.
class Counter final : public StateMachine {
 public:
  explicit Counter(AppliedState first) : applied_(std::move(first)) {}
  const AppliedState& applied() const override { return applied_; }
  absl::Status Apply(std::span<const Command> commands, const AppliedState& after,
                     std::vector<std::string>& replies) override {
    for (const Command& command : commands) {
      sum += std::stoull(std::string(base::AsText(command.payload)));
      if (answers) replies.push_back(std::to_string(sum));
    }
    applied_ = after;
    return absl::OkStatus();
  }
  absl::Status Flush() override { return absl::OkStatus(); }
  std::atomic<uint64_t> sum = 0;
  std::atomic<bool> answers = true;

 private:
  AppliedState applied_;
};

// One write with entries, once asked, waits until it may go on.
class HeldLog final : public LogDecorator {
 public:
  absl::Status Write(std::span<const LogWrite> writes) override {
    const bool entries = std::ranges::any_of(writes, [](const LogWrite& write) { return !write.entries.empty(); });
    if (entries && hold.exchange(false)) {
      begun.set_value();
      go_on.get_future().wait();
    }
    return LogDecorator::Write(writes);
  }

  std::atomic<bool> hold = false;
  std::promise<void> begun;
  std::promise<void> go_on;
};

struct Member {
  MemoryLogStore log;
  std::unique_ptr<Counter> machine;
  std::unique_ptr<Node> node;
  std::promise<absl::Status> died;
  std::array<std::atomic<uint64_t>, 5> stages{};  // how often each was told of
  std::vector<NodeStatus> told;                   // of its standing; complete once the node has stopped
};

class Nodes : public testing::Test {
 protected:
  void TearDown() override {
    for (auto& [id, member] : members_) Stop(id);
  }
  void StartAll(uint64_t count) {
    std::vector<MemberId> voters;
    for (uint64_t id = 1; id <= count; ++id) voters.push_back({id});
    first_ = {.configuration = EncodeVoters(voters)};
    for (const MemberId id : voters) {
      members_[id].machine = std::make_unique<Counter>(first_);
      Start(id);
    }
  }
  void Start(MemberId id) {
    Member& member = members_[id];
    auto node = Node::Start({.self = id,
                             .seed = 1,
                             .boot = ++boots_,
                             .tick = std::chrono::milliseconds(5),
                             .on_fatal = [&member](absl::Status why) { member.died.set_value(std::move(why)); },
                             .on_standing = [&member](const NodeStatus& now) { member.told.push_back(now); },
                             .on_stage =
                                 [&member](Stage stage, base::Duration took) {
                                   if (took >= base::Duration::zero()) ++member.stages[static_cast<size_t>(stage)];
                                 }},
                            member.log, *member.machine, network_.For(id));
    ASSERT_THAT(node.status(), IsOk());
    member.node = *std::move(node);
    network_.Attach(id, member.node.get());
  }
  void Stop(MemberId id) {
    network_.Detach(id);
    if (members_[id].node != nullptr) members_[id].node->Stop();
  }
  static absl::StatusOr<std::string> Propose(Node& node, std::string command) {
    std::promise<absl::StatusOr<std::string>> reply;
    node.Propose(std::move(command), [&](absl::StatusOr<std::string> got) { reply.set_value(std::move(got)); });
    return reply.get_future().get();
  }
  static absl::Status Read(Node& node) {
    std::promise<absl::Status> reply;
    node.Read([&](absl::Status got) { reply.set_value(std::move(got)); });
    return reply.get_future().get();
  }
  // Whoever takes a command; `command` is taken once.
  MemberId ProposeSomewhere(const std::string& command) {
    while (true) {
      for (auto& [id, member] : members_) {
        if (member.node->status().role != Role::kLeader || member.node->status().self != id) continue;
        if (Propose(*member.node, command).ok()) return id;
      }
      std::this_thread::yield();
    }
  }

  MemoryNetwork network_;
  AppliedState first_;
  uint64_t boots_ = 0;
  std::map<MemberId, Member> members_;
};

TEST_F(Nodes, OneAloneServesAtOnce) {
  StartAll(1);
  Node& node = *members_[{1}].node;
  EXPECT_THAT(Read(node), IsOk());
  EXPECT_THAT(Propose(node, "2"), IsOkAndHolds("2"));
  EXPECT_THAT(Propose(node, "3"), IsOkAndHolds("5"));
  EXPECT_THAT(Propose(node, ""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(node.status().role, Role::kLeader);
}

TEST_F(Nodes, EachStageIsToldOf) {
  StartAll(1);
  for (int i = 0; i < 10; ++i) EXPECT_THAT(Propose(*members_[{1}].node, "1"), IsOk());
  Stop({1});
  for (const auto& stage : members_[{1}].stages) EXPECT_GE(stage, 10u);
}

TEST_F(Nodes, WhatOneTookAllHaveAndEachReadSeesIt) {
  StartAll(3);
  uint64_t sum = 0;
  for (int i = 1; i <= 20; ++i) {
    ProposeSomewhere(std::to_string(i));
    sum += i;
    for (auto& [id, member] : members_) {
      ASSERT_THAT(Read(*member.node), IsOk()) << id.value;
      EXPECT_EQ(member.machine->sum, sum) << id.value;
    }
  }
}

TEST_F(Nodes, OnlyTheLeaderTakesCommands) {
  StartAll(3);
  const MemberId leader = ProposeSomewhere("1");
  for (auto& [id, member] : members_) {
    if (id == leader) continue;
    EXPECT_THAT(Propose(*member.node, "1"), StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
  }
}

TEST_F(Nodes, AnotherLeadsWhenTheLeaderIsGone) {
  StartAll(3);
  const MemberId first = ProposeSomewhere("1");
  network_.Cut(first);
  Node& old = *members_[first].node;
  MemberId next;
  do {
    for (auto& [id, member] : members_) {
      if (id != first && member.node->status().role == Role::kLeader) next = id;
    }
    std::this_thread::yield();
  } while (next.value == 0);
  EXPECT_THAT(Propose(*members_[next].node, "1"), IsOkAndHolds("2"));
  EXPECT_THAT(Read(old), StatusIs(absl::StatusCode::kUnavailable, "NO_QUORUM")) << "it may not know of the second";
  network_.Mend();
  EXPECT_THAT(Read(old), IsOk());
  EXPECT_EQ(members_[first].machine->sum, 2u);
}

TEST_F(Nodes, WithoutAQuorumAllIsAnsweredInBoundedTime) {
  StartAll(3);
  const MemberId leader = ProposeSomewhere("1");
  for (auto& [id, member] : members_) network_.Cut(id);
  Node& node = *members_[leader].node;
  const absl::Status proposed = Propose(node, "1").status();
  EXPECT_EQ(base::Reason(proposed) == "OUTCOME_UNKNOWN" || base::Reason(proposed) == "NOT_LEADER", true) << proposed;
  EXPECT_THAT(Read(node), StatusIs(absl::StatusCode::kUnavailable, "NO_QUORUM"));
}

TEST_F(Nodes, AFailedWriteIsNeverTriedAgain) {
  StartAll(1);
  Member& member = members_[{1}];
  EXPECT_THAT(Propose(*member.node, "1"), IsOkAndHolds("1"));
  member.log.FailNextWrite(base::Error(absl::StatusCode::kInternal, "EIO", "the disk is gone"));
  EXPECT_THAT(Propose(*member.node, "1"), StatusIs(absl::StatusCode::kUnavailable, "OUTCOME_UNKNOWN"));
  EXPECT_THAT(member.died.get_future().get(), StatusIs(absl::StatusCode::kInternal, "EIO"));
  EXPECT_THAT(Propose(*member.node, "1"), StatusIs(absl::StatusCode::kUnavailable, "STOPPED"));
  EXPECT_EQ(member.log.extent().last.index, 2u);
  EXPECT_EQ(member.machine->sum, 1u);
}

// Else an answer would go to who asked something else.
TEST_F(Nodes, AMachineThatDoesNotAnswerEndsIt) {
  StartAll(1);
  Member& member = members_[{1}];
  member.machine->answers = false;
  EXPECT_THAT(Propose(*member.node, "1"), StatusIs(absl::StatusCode::kUnavailable, "OUTCOME_UNKNOWN"));
  EXPECT_THAT(member.died.get_future().get(), StatusIs(absl::StatusCode::kInternal, "WRONG_REPLIES"));
}

TEST_F(Nodes, ARestartGoesOnFromTheLog) {
  StartAll(3);
  for (int i = 0; i < 10; ++i) ProposeSomewhere("1");
  for (auto& [id, member] : members_) Stop(id);
  for (auto& [id, member] : members_) {
    member.machine = std::make_unique<Counter>(first_);  // nothing of it was flushed
    Start(id);
  }
  ProposeSomewhere("1");
  for (auto& [id, member] : members_) {
    EXPECT_THAT(Read(*member.node), IsOk());
    EXPECT_EQ(member.machine->sum, 11u);
  }
}

TEST_F(Nodes, WhoWaitsWhenItStopsIsAnswered) {
  StartAll(3);
  const MemberId leader = ProposeSomewhere("1");
  for (auto& [id, member] : members_) network_.Cut(id);
  Node& node = *members_[leader].node;
  std::promise<absl::StatusOr<std::string>> proposed;
  std::promise<absl::Status> read;
  node.Propose("1", [&](absl::StatusOr<std::string> reply) { proposed.set_value(std::move(reply)); });
  node.Read([&](absl::Status status) { read.set_value(std::move(status)); });
  Stop(leader);
  EXPECT_THAT(proposed.get_future().get(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(read.get_future().get(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Read(node), StatusIs(absl::StatusCode::kUnavailable, "STOPPED"));
}

// The writer tells on its own thread then, while the loop's may do the same.
TEST_F(Nodes, WhatIsWrittenAfterTheLoopEndedLeavesItsStateAlone) {
  HeldLog log;
  const std::vector<MemberId> voters = {{1}};
  Counter machine({.configuration = EncodeVoters(voters)});
  std::atomic<int> appended = 0;
  auto node = Node::Start({.self = {1},
                           .seed = 1,
                           .boot = 1,
                           .tick = std::chrono::milliseconds(5),
                           .on_stage =
                               [&](Stage stage, auto) {
                                 if (stage == Stage::kAppend) ++appended;
                               }},
                          log, machine, network_.For({1}));
  ASSERT_THAT(node.status(), IsOk());
  ASSERT_THAT(Read(**node), IsOk());
  const int before = appended;
  log.hold = true;
  // Answered by the loop when it has ended.
  (*node)->Propose("1", [&](const absl::StatusOr<std::string>& reply) {
    EXPECT_THAT(reply.status(), StatusIs(absl::StatusCode::kUnavailable));
    log.go_on.set_value();
  });
  log.begun.get_future().wait();
  (*node)->Stop();
  EXPECT_EQ(appended, before);
}

// A member alone on a log, which tells of what is slow.
struct Watched {
  explicit Watched(Transport& transport, base::Duration slow) {
    const std::vector<MemberId> voters = {{1}};
    machine = std::make_unique<Counter>(AppliedState{.configuration = EncodeVoters(voters)});
    auto started = Node::Start({.self = {1},
                                .seed = 1,
                                .boot = 1,
                                .tick = std::chrono::milliseconds(5),
                                .on_slow = [this](const SlowProposal& proposal) { told.push_back(proposal); },
                                .slow = slow},
                               log, *machine, transport);
    EXPECT_THAT(started.status(), IsOk());
    node = *std::move(started);
  }
  HeldLog log;
  std::unique_ptr<Counter> machine;
  std::vector<SlowProposal> told;  // complete once the node has stopped
  std::unique_ptr<Node> node;
};

TEST_F(Nodes, WhereTheTimeOfASlowProposalWentIsTold) {
  Watched alone(network_.For({1}), base::Duration(1));
  ASSERT_THAT(Propose(*alone.node, "1"), IsOk());
  alone.log.hold = true;
  std::promise<absl::StatusOr<std::string>> reply;
  alone.node->Propose("1", [&](absl::StatusOr<std::string> got) { reply.set_value(std::move(got)); });
  alone.log.begun.get_future().wait();
  const auto held_at = std::chrono::steady_clock::now();
  EXPECT_THAT(Read(*alone.node), IsOk()) << "the loop goes on, so the time passes at the disk";
  const auto held_for = std::chrono::steady_clock::now() - held_at;
  alone.log.go_on.set_value();
  ASSERT_THAT(reply.get_future().get(), IsOk());
  alone.node->Stop();
  ASSERT_EQ(alone.told.size(), 2u);
  for (const SlowProposal& proposal : alone.told) {
    EXPECT_THAT(proposal.outcome, IsOk());
    ASSERT_TRUE(proposal.append && proposal.commit && proposal.apply && proposal.reply);
    EXPECT_GT(*proposal.append, base::Duration::zero());
    EXPECT_EQ(proposal.queue + *proposal.commit + *proposal.apply + *proposal.reply, proposal.took);
  }
  // The first was applied with the entry that began the term, which may have taken longer.
  const SlowProposal& held = alone.told.back();
  EXPECT_GE(*held.append, held_for);
  EXPECT_GE(*held.commit, *held.append) << "nobody else has it";
}

TEST_F(Nodes, OfASlowProposalThatFailedItIsToldHowLongItWaitedForTheLoop) {
  Watched alone(network_.For({1}), base::Duration(1));
  ASSERT_THAT(Read(*alone.node), IsOk()) << "it leads: else the proposal is refused at once";
  alone.log.hold = true;
  alone.node->Propose("1", [&](const absl::StatusOr<std::string>&) { alone.log.go_on.set_value(); });
  alone.log.begun.get_future().wait();
  alone.node->Stop();
  ASSERT_EQ(alone.told.size(), 1u);
  EXPECT_THAT(alone.told[0].outcome, StatusIs(absl::StatusCode::kUnavailable, "OUTCOME_UNKNOWN"));
  EXPECT_LE(alone.told[0].queue, alone.told[0].took);
  EXPECT_FALSE(alone.told[0].append || alone.told[0].commit || alone.told[0].apply || alone.told[0].reply);
}

TEST_F(Nodes, WhatIsNotSlowIsNotTold) {
  Watched alone(network_.For({1}), std::chrono::hours(1));
  ASSERT_THAT(Propose(*alone.node, "1"), IsOk());
  alone.node->Stop();
  EXPECT_EQ(alone.told.size(), 0u);
}

TEST_F(Nodes, AJointConfigurationIsLeftWhenItIsApplied) {
  StartAll(3);
  const MemberId leader = ProposeSomewhere("1");
  const MemberId gone{leader.value % 3 + 1};
  Node& node = *members_[leader].node;
  std::promise<absl::Status> changed;
  node.ChangeMembers(
      {{.what = MemberChange::What::kRemove, .id = gone}, {.what = MemberChange::What::kAddLearner, .id = {9}}},
      [&](absl::Status status) { changed.set_value(std::move(status)); });
  ASSERT_THAT(changed.get_future().get(), IsOk());
  const auto has = [&](MemberId id) {
    return std::ranges::any_of(node.status().members, [&](const MemberStatus& member) { return member.id == id; });
  };
  while (has(gone) || !has({9}) || node.status().joint) std::this_thread::yield();
  EXPECT_THAT(Propose(node, "1"), IsOkAndHolds("2"));
}

TEST_F(Nodes, LeadershipMovesWhereItIsSent) {
  StartAll(3);
  const MemberId first = ProposeSomewhere("1");
  const MemberId next{first.value % 3 + 1};
  // A member that has not caught up is not taken: all have read what there is.
  ASSERT_THAT(Read(*members_[next].node), IsOk());
  members_[first].node->TransferLeader(next);
  while (members_[next].node->status().role != Role::kLeader) std::this_thread::yield();
  EXPECT_THAT(Propose(*members_[next].node, "1"), IsOkAndHolds("2"));
  for (auto& [id, member] : members_) Stop(id);
  const auto led = [this](MemberId id) {
    return std::ranges::find(members_[id].told, Role::kLeader, &NodeStatus::role);
  };
  ASSERT_NE(led(first), members_[first].told.end());
  EXPECT_EQ(std::next(led(first))->role, Role::kFollower) << "each is told that it leads, and no more";
  EXPECT_NE(led(next), members_[next].told.end());
}

TEST_F(Nodes, FollowersAreToldWhoLeads) {
  StartAll(3);
  const MemberId leader = ProposeSomewhere("1");
  const MemberId follower{leader.value % 3 + 1};
  ASSERT_THAT(Read(*members_[follower].node), IsOk());  // which it could not, knowing nobody
  Stop(follower);
  const std::vector<NodeStatus>& told = members_[follower].told;
  EXPECT_TRUE(std::ranges::any_of(told, [](const NodeStatus& now) { return now.leader != MemberId{}; }));
}

}  // namespace
}  // namespace larder::raft
