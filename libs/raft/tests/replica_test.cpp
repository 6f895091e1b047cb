// What the replica adds to the engine, each with the disk, the state machine and the network held where it matters.
#include "src/replica.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "larder/base/testing/status_matchers.h"
#include "src/passed_ticks.h"
#include "tests/raw_message.h"
#include "tests/replicas.h"

namespace larder::raft {
namespace {

using base::IsOk;
using base::StatusIs;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using What = MemberChange::What;

// One voter that leads.
std::unique_ptr<HeldReplica> Alone(ReplicaOptions options = {}) {
  auto one = std::make_unique<HeldReplica>(1, std::vector<uint64_t>{1}, std::move(options));
  one->Campaign();
  one->Run();
  EXPECT_EQ((*one)->status().role, Role::kLeader);
  return one;
}

void Deliver(HeldReplica& from, HeldReplica& to) {
  for (const auto& [id, message] : std::exchange(from.sent, {})) to.Hear(message);
}

// Else it could lead the same term again after a crash, and give its learner other entries.
TEST(Replica, ALoneVoterSaysNothingBeforeItsTermIsDurable) {
  const auto one = Alone();
  ASSERT_THAT(one->Change({{.what = What::kAddLearner, .id = {2}}}), IsOk());
  one->Run();
  one->Restart(one->applied);
  one->Campaign();
  one->Propose("x");
  one->Tick(3);
  ASSERT_EQ((*one)->status().role, Role::kLeader);
  ASSERT_THAT(one->writes, Not(IsEmpty()));
  EXPECT_THAT(one->sent, IsEmpty());
  one->Write();
  EXPECT_THAT(one->sent, Not(IsEmpty()));
  one->Propose("y");
  one->sent.clear();
  one->Tick(EngineOptions().heartbeat_ticks);
  ASSERT_THAT(one->writes, Not(IsEmpty()));
  EXPECT_THAT(one->sent, Not(IsEmpty())) << "from then on beside its own writes";
  EXPECT_THAT(one->died, IsOk());
}

// The crate dies of a leader whose log is not all durable.
TEST(Replica, WhoIsLeftAloneLeadsOnceItsLogIsDurable) {
  HeldReplica one(1, {1, 2}), two(2, {1, 2});
  two.Campaign();
  Settle({{1, &one}, {2, &two}});
  ASSERT_THAT(two.Change({{.what = What::kRemove, .id = {2}}}), IsOk());
  two.Process();
  two.Write();
  Deliver(two, one);
  one.Write();
  two.Propose("x");
  two.Process();
  Deliver(one, two);
  Deliver(two, one);
  one.Apply();  // the change
  ASSERT_THAT(one.writes, Not(IsEmpty()));
  one.Tick(50);
  EXPECT_THAT(one.died, IsOk());
  EXPECT_EQ(one->status().role, Role::kFollower);
  one.Write();
  one.Tick(1);
  EXPECT_EQ(one->status().role, Role::kLeader);
  EXPECT_THAT(one.died, IsOk());
}

TEST(Replica, ACommandThatCannotBeIsRefusedAndNoOther) {
  const auto one = Alone();
  one->Propose("before");
  one->Propose("");
  one->Propose(std::string(kEntryLimit + 1, 'x'));
  one->Propose(std::string(kEntryLimit, 'y'));
  EXPECT_THAT(one->answers, ElementsAre("RAFT_INVALID", "ENTRY_TOO_LARGE"));
  one->answers.clear();
  one->Run();
  EXPECT_THAT(one->answers, ElementsAre("before", std::string(kEntryLimit, 'y')));
}

TEST(Replica, OfABurstOnlyWhatDoesNotFitIsRefused) {
  const auto one = Alone({.engine = {.uncommitted_bytes = 9 * base::kMiB / 2}});
  for (const char name : {'a', 'b', 'c', 'd', 'e', 'f'}) one->Propose(std::string(2 * base::kMiB / 3, name));
  one->Propose("h");
  one->Propose(std::string(base::kMiB, 'g'));
  one->Process();
  EXPECT_THAT(one->answers, ElementsAre("RAFT_BUSY"));
  for (const LogJob& job : one->writes) EXPECT_LE(job.bytes, 2 * base::kMiB);
  one->answers.clear();
  one->Run();
  EXPECT_THAT(one->answers, SizeIs(7));
  EXPECT_EQ(one->answers.back(), "h");
}

TEST(Replica, WhatWasDecidedInAnEarlierTermIsNotAppendedInALaterOne) {
  const auto one = Alone();
  const uint64_t term = (*one)->status().term;
  one->Propose("x", term);
  one->Run();
  one->Restart(one->applied);
  one->Campaign();
  one->Run();
  ASSERT_GT((*one)->status().term, term);
  one->Propose("y", term);
  one->Propose("z", term + 1);
  one->Propose("any");
  one->Run();
  EXPECT_THAT(one->answers, ElementsAre("x", "NOT_LEADER", "z", "any"));
}

// On a slow disk or machine every answer is late.
TEST(Replica, ALateAnswerToAReadCounts) {
  const ReplicaOptions options{.engine = {.election_ticks = 100}};
  HeldReplica one(1, {1, 2, 3}, options), two(2, {1, 2, 3}, options);
  one.Campaign();
  Settle({{1, &one}, {2, &two}});
  one.Read();
  one.Process();
  const auto question = std::exchange(one.sent, {});
  one.Tick(20);
  EXPECT_THAT(one.sent, Not(IsEmpty())) << "asked again";
  one.sent.clear();
  EXPECT_THAT(one.answers, IsEmpty());
  for (const auto& [to, message] : question) {
    if (to == 2) two.Hear(message);
  }
  Deliver(two, one);
  EXPECT_THAT(one.answers, ElementsAre("read"));
}

TEST(Replica, AReadIsGivenUpInTimeAndNotBefore) {
  HeldReplica one(1, {1, 2, 3});
  one.Read();
  one.Tick(59);
  EXPECT_THAT(one.answers, IsEmpty());
  one.Tick();
  EXPECT_THAT(one.answers, ElementsAre("NO_QUORUM"));
}

TEST(Replica, ADiskThatHangsEndsAFollowerToo) {
  HeldReplica one(1, {1, 2}), two(2, {1, 2});
  one.Campaign();
  Settle({{1, &one}, {2, &two}});
  one.Propose("x");
  one.Process();
  two.Tick(1000);  // nothing to write
  EXPECT_THAT(two.died, IsOk());
  Deliver(one, two);
  two.Tick(500);
  one.Propose("y");
  one.Process();
  Deliver(one, two);  // another write behind it
  two.Tick(99);
  EXPECT_THAT(two.died, IsOk());
  two.Tick();
  EXPECT_THAT(two.died, StatusIs(absl::StatusCode::kDeadlineExceeded, "LOG_STALLED"));
}

TEST(Replica, ASlowDiskThatGoesOnDoesNotEndIt) {
  HeldReplica one(1, {1, 2}), two(2, {1, 2});
  one.Campaign();
  Settle({{1, &one}, {2, &two}});
  for (int i = 0; i < 4; ++i) {
    one.Propose("x");
    one.Process();
    Deliver(one, two);
    two.Tick(599);
    two.Write();
  }
  EXPECT_THAT(two.died, IsOk());
}

TEST(Replica, ALeaderWithASlowDiskHandsOver) {
  const ReplicaOptions options{.engine = {.election_ticks = 100}};
  HeldReplica one(1, {1, 2}, options), two(2, {1, 2}, options);
  one.Campaign();
  Settle({{1, &one}, {2, &two}});
  one.Propose("x");
  one.Process();
  one.Tick(39);
  Deliver(one, two);
  two.Run();
  EXPECT_EQ(two->status().role, Role::kFollower);
  Deliver(two, one);  // it is active, and holds all there is
  one.Tick(1);
  Deliver(one, two);
  EXPECT_EQ(two->status().role, Role::kCandidate);
}

TEST(Replica, AChangeThatAllRefuseIsSkipped) {
  const auto one = Alone();
  const AppliedState before = one->applied;
  ASSERT_THAT(one->Change({{.what = What::kRemove, .id = {1}}}), IsOk());
  one->Run();
  EXPECT_THAT(one->died, IsOk());
  EXPECT_EQ(one->applied.configuration, before.configuration);
  EXPECT_EQ(one->applied.at.index, before.at.index + 1);
  EXPECT_THAT(one->Change({{.what = What::kAddLearner, .id = {2}}}), IsOk());
}

// Who skipped it would go on with other members than those who can read it.
TEST(Replica, AChangeThatCannotBeReadEndsIt) {
  HeldReplica one(1, {1, 2});
  one.Hear(Encode({.term = 5,
                   .entries = {{.at = {1, 5}, .kind = EntryKind::kConfigurationV2, .payload = "\x07nonsense"}},
                   .commit = 1}));
  one.Run();
  EXPECT_THAT(one.died, StatusIs(absl::StatusCode::kInvalidArgument, "RAFT_INVALID"));
}

// A member's log as A writes it, then as C does, then as A does again: what is on the disk in between is C's.
TEST(Replica, WhatIsBeingReplacedIsNotDurable) {
  HeldReplica one(1, {1, 2, 3});
  const auto entry = [](uint64_t index, uint64_t term) {
    return LogEntry{.at = {index, term}, .payload = fmt::format("{}.{}", term, index)};
  };
  one.Hear(Encode({.from = 2, .term = 1, .entries = {entry(1, 1)}}));
  one.Hear(Encode({.from = 2, .term = 1, .log_term = 1, .index = 1, .entries = {entry(2, 1), entry(3, 1)}}));
  one.Hear(Encode({.from = 3, .term = 2, .log_term = 1, .index = 1, .entries = {entry(2, 2)}}));
  one.Hear(Encode({.from = 2, .term = 3, .log_term = 1, .index = 1, .entries = {entry(2, 1), entry(3, 1)}}));
  ASSERT_THAT(one.writes, SizeIs(4));
  one.Write(2);
  EXPECT_EQ(one->status().durable, 1u);
  one.Write(1);
  EXPECT_EQ(one->status().durable, 1u);
  one.Write(1);
  EXPECT_EQ(one->status().durable, 3u);
}

// ---- ticks that may be slept through

TEST(QuietTicks, AFollowersLastIsTheOneThatCampaigns) {
  HeldReplica two(2, {1, 2});
  two.Run();
  const uint64_t quiet = two->QuietTicks();
  ASSERT_GE(quiet, 10u);
  two.Tick(quiet - 1);
  EXPECT_THAT(two.sent, IsEmpty());
  EXPECT_EQ(two->QuietTicks(), 1u);
  two.Tick();
  EXPECT_THAT(two.sent, Not(IsEmpty()));
}

TEST(QuietTicks, ALeadersLastIsTheOneOfItsHeartbeat) {
  HeldReplica one(1, {1, 2}), two(2, {1, 2});
  one.Campaign();
  Settle({{1, &one}, {2, &two}});
  ASSERT_EQ(one->status().role, Role::kLeader);
  const uint64_t quiet = one->QuietTicks();
  one.Tick(quiet - 1);
  EXPECT_THAT(one.sent, IsEmpty());
  one.Tick();
  EXPECT_THAT(one.sent, SizeIs(1));
}

TEST(QuietTicks, AMessageOfTheLeaderBeginsThemAnew) {
  HeldReplica one(1, {1, 2}), two(2, {1, 2});
  one.Campaign();
  Settle({{1, &one}, {2, &two}});
  const uint64_t quiet = two->QuietTicks();
  two.Tick(quiet - 1);
  one.Tick(one->QuietTicks());
  Deliver(one, two);
  EXPECT_EQ(two->QuietTicks(), quiet);
}

TEST(QuietTicks, ThereAreNoneWhileSomebodyWaits) {
  const auto one = Alone();
  ASSERT_GT((*one)->QuietTicks(), 1u);
  one->Propose("x");
  one->Process();
  EXPECT_EQ((*one)->QuietTicks(), 1u) << "for the disk";
  one->Write();
  EXPECT_EQ((*one)->QuietTicks(), 1u) << "for the state machine";
  one->Apply();
  EXPECT_THAT(one->answers, ElementsAre("x"));
  EXPECT_GT((*one)->QuietTicks(), 1u);
  HeldReplica two(2, {1, 2});
  two.Read();
  EXPECT_EQ(two->QuietTicks(), 1u) << "for a quorum";
}

TEST(TicksIn, CountsThoseOfASleepBeforeTheMessageThatEndedIt) {
  const base::Duration tick = std::chrono::milliseconds(50);
  EXPECT_EQ(TicksIn(tick / 2, tick, 10, false), PassedTicks());
  EXPECT_EQ(TicksIn(4 * tick + tick / 2, tick, 10, false), (PassedTicks{.before = 4}));
  EXPECT_EQ(TicksIn(10 * tick, tick, 10, false), (PassedTicks{.before = 9, .after = true}));
  EXPECT_EQ(TicksIn(tick, tick, 1, false), (PassedTicks{.before = 0, .after = true}));
}

TEST(TicksIn, AStallIsNoElection) {
  const base::Duration tick = std::chrono::milliseconds(50);
  EXPECT_EQ(TicksIn(11 * tick, tick, 10, false), (PassedTicks{.before = 9}));
  EXPECT_EQ(TicksIn(1000 * tick, tick, 10, false), (PassedTicks{.before = 9}));
  EXPECT_EQ(TicksIn(1000 * tick, tick, 1, false), (PassedTicks{.before = 0, .after = true})) << "one, as ever";
  EXPECT_EQ(TicksIn(11 * tick, tick, 2, true), (PassedTicks{.before = 1, .after = true})) << "others wait for it";
}

}  // namespace
}  // namespace larder::raft
