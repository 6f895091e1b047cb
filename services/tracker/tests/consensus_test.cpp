#include "core/consensus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "background/expiry.h"
#include "core/member_message.h"
#include "core/memory_table.h"
#include "core/queries.h"
#include "larder/base/status.h"
#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "tests/scripted_node.h"

namespace larder::tracker {
namespace {

using base::IsOk;
using base::StatusIs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr raft::MemberId kSelf{1};
constexpr raft::MemberId kOther{2};
const RespDatabase kDatabase{.ns = "default"};

Proposal SetOf(const std::string& key, base::Duration ttl = {}) {
  return {.commands = {RespSet{.database = kDatabase, .key = key, .ttl = ttl}}};
}

// The key that an entry sets.
std::string KeyIn(const std::string& entry) {
  const absl::StatusOr<Entry> decoded = DecodeEntry(base::AsBytes(entry));
  EXPECT_THAT(decoded, IsOk());
  return std::get<RespSet>(decoded->commands.front()).key;
}

class ConsensusTest : public testing::Test {
 protected:
  ConsensusTest()
      : served_(*TrackerState::Open(table_), ""),
        reads_(table_, inline_, 1, [](const absl::Status& why) { ADD_FAILURE() << why; }),
        consensus_({.self = kSelf,
                    .boot = 1'000'000,
                    .node = &node_,
                    .state = &served_,
                    .reads = &reads_,
                    .clock = &clock_,
                    .send = [this](raft::MemberId to, std::string bytes) {
                      if (send_.ok()) sent_.emplace_back(to, std::move(bytes));
                      return send_;
                    }}) {}

  void Propose(const Proposal& proposal) {
    consensus_.Propose(proposal, [this](absl::StatusOr<std::vector<Reply>> replies) {
      results_.push_back(replies.status());
      if (replies.ok()) replies_.push_back(replies->front());
    });
  }
  // Everything that was proposed is committed and applied, in `term`.
  void ApplyAll(uint64_t term) {
    std::vector<raft::Command> commands;
    for (const auto& [entry, done] : node_.proposed) {
      commands.push_back({.at = {.index = ++index_, .term = term}, .payload = base::AsBytes(entry)});
    }
    // A term's first entry is the leader's own, empty one.
    if (commands.empty()) ++index_;
    std::vector<std::string> replies;
    ASSERT_THAT(served_.Apply(commands, {.at = {.index = index_, .term = term}}, replies), IsOk());
    auto done = std::exchange(node_.proposed, {});
    for (size_t i = 0; i < done.size(); ++i) done[i].second(replies[i]);
  }
  void Lead(uint64_t term) {
    node_.Follow(kSelf, term);
    ApplyAll(term);
  }
  std::vector<std::string> ProposedKeys() {
    std::vector<std::string> keys;
    for (const auto& [entry, done] : node_.proposed) keys.push_back(KeyIn(entry));
    return keys;
  }
  LogTime StampOfLast() { return DecodeEntry(base::AsBytes(node_.proposed.back().first))->stamp; }
  MemberMessage Sent(size_t i) { return *DecodeMemberMessage(sent_.at(i).second); }

  base::ManualClock clock_;
  base::InlineExecutor inline_;
  MemoryTable table_;
  ServedState served_;
  SnapshotReads reads_;
  ScriptedNode node_;
  absl::Status send_;  // what comes of sending
  std::vector<std::pair<raft::MemberId, std::string>> sent_;
  std::vector<absl::Status> results_;
  std::vector<Reply> replies_;
  uint64_t index_ = 0;
  Consensus consensus_;
};

TEST_F(ConsensusTest, ALeaderProposesItselfAndAnswersWithTheReplies) {
  Lead(1);
  Propose(SetOf("a"));
  Propose(SetOf("b"));
  EXPECT_THAT(ProposedKeys(), ElementsAre("a", "b"));
  EXPECT_THAT(results_, IsEmpty());
  ApplyAll(1);
  EXPECT_THAT(results_, ElementsAre(IsOk(), IsOk()));
  EXPECT_TRUE(std::get<RespSetDone>(replies_.at(1)).stored);
  EXPECT_THAT(sent_, IsEmpty());
}

TEST_F(ConsensusTest, AFollowerSendsItToTheLeaderOnce) {
  node_.Follow(kOther, 1);
  Propose(SetOf("a"));
  ASSERT_THAT(sent_, SizeIs(1));
  EXPECT_EQ(sent_[0].first, kOther);
  const auto forwarded = std::get<ForwardedEntry>(Sent(0));
  EXPECT_EQ(KeyIn(forwarded.entry), "a");
  consensus_.Tick();
  EXPECT_THAT(sent_, SizeIs(1));
  const std::string replies = EncodeReplies({RespSetDone{.stored = true}});
  consensus_.Receive(kOther, EncodeMemberMessage(ForwardedReply{.id = forwarded.id, .replies = replies}));
  EXPECT_THAT(results_, ElementsAre(IsOk()));
  // One that comes twice changes nothing.
  consensus_.Receive(kOther, EncodeMemberMessage(ForwardedReply{.id = forwarded.id, .replies = replies}));
  EXPECT_THAT(results_, SizeIs(1));
}

TEST_F(ConsensusTest, TheLeaderStampsAndAnswersWhatWasForwarded) {
  Lead(1);
  clock_.Advance(seconds(7));
  const std::string entry = EncodeEntry({.commands = SetOf("a").commands});
  consensus_.Receive(kOther, EncodeMemberMessage(ForwardedEntry{.id = 9, .entry = entry}));
  EXPECT_THAT(ProposedKeys(), ElementsAre("a"));
  EXPECT_EQ(StampOfLast(), After(LogTime{}, seconds(0))) << "its clock begins with the first it stamps";
  ApplyAll(1);
  ASSERT_THAT(sent_, SizeIs(1));
  EXPECT_EQ(sent_[0].first, kOther);
  const auto reply = std::get<ForwardedReply>(Sent(0));
  EXPECT_EQ(reply.id, 9);
  ASSERT_THAT(reply.replies, IsOk());
  EXPECT_THAT(DecodeReplies(base::AsBytes(*reply.replies)), IsOk());
}

TEST_F(ConsensusTest, WhatWasForwardedIsNeverSentOn) {
  node_.Follow(kOther, 1);
  const std::string entry = EncodeEntry({.commands = SetOf("a").commands});
  consensus_.Receive({3}, EncodeMemberMessage(ForwardedEntry{.id = 9, .entry = entry}));
  ASSERT_THAT(sent_, SizeIs(1));
  EXPECT_EQ(sent_[0].first, raft::MemberId{3});
  EXPECT_THAT(std::get<ForwardedReply>(Sent(0)).replies, StatusIs(absl::StatusCode::kUnavailable, "LEADER_CHANGED"));
  EXPECT_THAT(node_.proposed, IsEmpty());
}

TEST_F(ConsensusTest, AForwardedEntryThatCannotBeReadNeverReachesTheLog) {
  Lead(1);
  consensus_.Receive(kOther, EncodeMemberMessage(ForwardedEntry{.id = 9, .entry = "rubbish"}));
  EXPECT_THAT(node_.proposed, IsEmpty());
  EXPECT_THAT(std::get<ForwardedReply>(Sent(0)).replies, StatusIs(absl::StatusCode::kInvalidArgument, "BAD_BATCH"));
  consensus_.Receive(kOther, "rubbish");
  EXPECT_THAT(sent_, SizeIs(1));
}

TEST_F(ConsensusTest, WithoutALeaderChangesWaitInOrderAndThenGiveUp) {
  Propose(SetOf("a"));
  Propose(SetOf("b"));
  clock_.Advance(kLeaderWait / 2);
  Propose(SetOf("c"));
  consensus_.Tick();
  EXPECT_THAT(results_, IsEmpty());
  clock_.Advance(kLeaderWait / 2);
  consensus_.Tick();
  EXPECT_THAT(results_, ElementsAre(StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"),
                                    StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM")));
  Propose(SetOf("d"));
  Lead(1);
  consensus_.Tick();
  EXPECT_THAT(ProposedKeys(), ElementsAre("c", "d"));
}

TEST_F(ConsensusTest, WhatWasSentToALeaderThatIsLostHasAnUnknownOutcome) {
  node_.Follow(kOther, 1);
  Propose(SetOf("a"));
  consensus_.Unreachable({3});
  EXPECT_THAT(results_, IsEmpty());
  consensus_.Unreachable(kOther);
  EXPECT_THAT(results_, ElementsAre(StatusIs(absl::StatusCode::kDeadlineExceeded, "OUTCOME_UNKNOWN")));
  Propose(SetOf("b"));
  clock_.Advance(kOutcomeWait);
  consensus_.Tick();
  EXPECT_THAT(results_, ElementsAre(StatusIs(absl::StatusCode::kDeadlineExceeded, "OUTCOME_UNKNOWN"),
                                    StatusIs(absl::StatusCode::kDeadlineExceeded, "OUTCOME_UNKNOWN")));
}

TEST_F(ConsensusTest, ErrorsOfTheNodeSayWhetherSomethingWasDone) {
  Lead(1);
  const std::map<std::string, absl::StatusOr<std::string>> outcomes = {
      {"LEADER_CHANGED", base::Error(absl::StatusCode::kFailedPrecondition, "NOT_LEADER", "")},
      {"OUTCOME_UNKNOWN", base::Error(absl::StatusCode::kUnavailable, "OUTCOME_UNKNOWN", "")},
      {"RAFT_BUSY", base::Error(absl::StatusCode::kResourceExhausted, "RAFT_BUSY", "")},
      {"STOPPING", base::Error(absl::StatusCode::kUnavailable, "STOPPED", "")}};
  for (const auto& [reason, outcome] : outcomes) {
    Propose(SetOf("a"));
    node_.proposed.back().second(outcome);
    EXPECT_EQ(base::Reason(results_.back()), reason);
  }
}

TEST_F(ConsensusTest, ABatchHasAtLeastOneCommandAndNoMoreThanTheLimit) {
  Lead(1);
  Propose({});
  Propose({.commands = std::vector<Command>(kMaxBatch + 1, OpenSession{})});
  EXPECT_THAT(results_, ElementsAre(StatusIs(absl::StatusCode::kInvalidArgument, "BAD_BATCH"),
                                    StatusIs(absl::StatusCode::kInvalidArgument, "BAD_BATCH")));
  EXPECT_THAT(node_.proposed, IsEmpty());
}

TEST_F(ConsensusTest, WhatIsTooLargeForTheLogIsNotSentToTheLeader) {
  node_.Follow(kOther, 1);
  Propose(SetOf("small"));
  Propose({.commands = {RespSet{.database = kDatabase, .key = "k", .value = std::string(33 << 20, 'x')}}});
  ASSERT_THAT(sent_, SizeIs(1)) << "the small one";
  EXPECT_THAT(results_, ElementsAre(StatusIs(absl::StatusCode::kInvalidArgument, "ENTRY_TOO_LARGE")));
  const uint64_t small = std::get<ForwardedEntry>(Sent(0)).id;
  const std::string replies = EncodeReplies({RespSetDone{.stored = true}});
  consensus_.Receive(kOther, EncodeMemberMessage(ForwardedReply{.id = small, .replies = replies}));
  EXPECT_THAT(results_, ElementsAre(testing::_, IsOk()));
}

TEST_F(ConsensusTest, WhatIsUnderWayIsBounded) {
  Lead(1);
  const Proposal large = {
      .commands = {RespSet{.database = kDatabase, .key = "k", .value = std::string(15 << 20, 'x')}}};
  for (int i = 0; i < 4; ++i) Propose(large);
  EXPECT_THAT(results_, IsEmpty());
  Propose(large);
  EXPECT_THAT(results_, ElementsAre(StatusIs(absl::StatusCode::kResourceExhausted, "RAFT_BUSY")));
  const std::string entry = EncodeEntry({.commands = large.commands});
  consensus_.Receive(kOther, EncodeMemberMessage(ForwardedEntry{.id = 9, .entry = entry}));
  EXPECT_THAT(std::get<ForwardedReply>(Sent(0)).replies, StatusIs(absl::StatusCode::kResourceExhausted, "RAFT_BUSY"));
  Propose(SetOf("small"));
  EXPECT_THAT(node_.proposed, SizeIs(5)) << "what fits is taken";
  ApplyAll(1);
  Propose(large);
  EXPECT_THAT(node_.proposed, SizeIs(1)) << "what has its outcome is not under way";
}

TEST_F(ConsensusTest, WhatDoesNotFitOnTheWayToTheLeaderIsRefusedAndWasNotDone) {
  node_.Follow(kOther, 1);
  send_ = base::Error(absl::StatusCode::kResourceExhausted, "RAFT_BUSY", "");
  Propose(SetOf("a"));
  EXPECT_THAT(results_, ElementsAre(StatusIs(absl::StatusCode::kResourceExhausted, "RAFT_BUSY")));
  send_ = absl::OkStatus();
  consensus_.Unreachable(kOther);
  Propose(SetOf("b"));
  EXPECT_THAT(results_, SizeIs(1)) << "it is over, and the next one waits";
  EXPECT_THAT(sent_, SizeIs(1));
}

TEST_F(ConsensusTest, AfterStopEverythingIsRefused) {
  Propose(SetOf("a"));
  node_.Follow(kOther, 1);
  consensus_.Tick();
  node_.Follow({}, 1);
  Propose(SetOf("b"));
  consensus_.Stop();
  Propose(SetOf("c"));
  EXPECT_THAT(results_, ElementsAre(StatusIs(absl::StatusCode::kUnavailable, "STOPPING"),
                                    StatusIs(absl::StatusCode::kDeadlineExceeded, "OUTCOME_UNKNOWN"),
                                    StatusIs(absl::StatusCode::kUnavailable, "STOPPING")));
}

TEST_F(ConsensusTest, AReadWaitsForTheNodeAndSeesWhatIsApplied) {
  std::optional<std::string> value;
  absl::Status result = absl::UnknownError("none");
  consensus_.Read([&](const absl::Status& status, Reader* reader) {
    result = status;
    if (status.ok()) value = RespGet(*reader, kDatabase, "a").value();
  });
  Lead(1);
  Propose({.commands = {RespSet{.database = kDatabase, .key = "a", .value = "1"}}});
  ApplyAll(1);
  EXPECT_TRUE(absl::IsUnknown(result));
  node_.reads.at(0)(absl::OkStatus());
  EXPECT_THAT(result, IsOk());
  EXPECT_EQ(value, "1");
  consensus_.Read([&](const absl::Status& status, Reader* reader) {
    result = status;
    EXPECT_EQ(reader, nullptr);
  });
  node_.reads.at(1)(base::Error(absl::StatusCode::kUnavailable, "NO_QUORUM", ""));
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
}

TEST_F(ConsensusTest, LogTimeGoesOnWhileItLeadsAndStandsWhileNobodyDoes) {
  Lead(1);
  Propose(SetOf("a"));
  clock_.Advance(seconds(10));
  Propose(SetOf("b"));
  EXPECT_EQ(StampOfLast(), After(LogTime{}, seconds(10)));
  ApplyAll(1);
  node_.Follow({}, 1);
  clock_.Advance(seconds(1000));
  EXPECT_EQ(consensus_.LeaderTime(), std::nullopt);
  Lead(2);
  EXPECT_EQ(consensus_.LeaderTime(), After(LogTime{}, seconds(10)));
  clock_.Advance(seconds(1));
  EXPECT_EQ(consensus_.LeaderTime(), After(LogTime{}, seconds(11)));
}

TEST_F(ConsensusTest, ANewLeadersTimeBeginsOnceItHasAppliedWhatWasBefore) {
  Lead(1);
  Propose(SetOf("a"));
  clock_.Advance(seconds(5));
  Propose(SetOf("b"));
  node_.Follow(kSelf, 3);  // and the two of term 1 are not applied yet
  EXPECT_EQ(consensus_.LeaderTime(), std::nullopt);
  Propose(SetOf("c"));
  EXPECT_EQ(StampOfLast(), LogTime{});
  ApplyAll(3);
  EXPECT_EQ(consensus_.LeaderTime(), After(LogTime{}, seconds(5)));
}

TEST_F(ConsensusTest, WhatIsDueEndsWhereItLeads) {
  Expiry expiry(consensus_, served_);
  Lead(1);
  Propose(SetOf("a", seconds(5)));
  ApplyAll(1);
  expiry.Round();
  EXPECT_THAT(node_.proposed, IsEmpty()) << "nothing is due yet";
  clock_.Advance(seconds(5));
  node_.Follow(kOther, 1);
  expiry.Round();
  EXPECT_THAT(node_.proposed, IsEmpty()) << "only the leader proposes it";
  EXPECT_THAT(sent_, IsEmpty());
  node_.Follow(kSelf, 1);
  expiry.Round();
  expiry.Round();
  ASSERT_THAT(node_.proposed, SizeIs(1)) << "once, while it is under way";
  EXPECT_TRUE(std::holds_alternative<ExpireDue>(DecodeEntry(base::AsBytes(node_.proposed[0].first))->commands.front()));
  ApplyAll(1);
  const auto snapshot = table_.NewSnapshot();
  EXPECT_EQ(NextDue(*snapshot).value(), kNever);
  expiry.Round();
  EXPECT_THAT(node_.proposed, IsEmpty());
}

TEST_F(ConsensusTest, WhereNothingIsAppliedItSleepsUntilWhatIsDueNext) {
  Expiry expiry(consensus_, served_);
  EXPECT_EQ(expiry.Round(), Expiry::kLongestPause) << "it does not lead";
  Lead(1);
  Propose(SetOf("a", seconds(5)));
  ApplyAll(1);
  expiry.Round();  // looks
  EXPECT_EQ(expiry.Round(), Expiry::kLongestPause);
  clock_.Advance(seconds(5) - milliseconds(3));
  EXPECT_EQ(expiry.Round(), milliseconds(3));
  clock_.Advance(milliseconds(3));
  expiry.Round();
  EXPECT_THAT(node_.proposed, SizeIs(1));
}

TEST_F(ConsensusTest, WhatIsAppliedMayBeDueBeforeAllElse) {
  Expiry expiry(consensus_, served_);
  Lead(1);
  Propose(SetOf("a", seconds(5)));
  ApplyAll(1);
  expiry.Round();
  Propose(SetOf("b", milliseconds(2)));
  ApplyAll(1);
  expiry.Round();  // looks once more
  EXPECT_EQ(expiry.Round(), milliseconds(2));
}

TEST_F(ConsensusTest, AnEndThatWasNotTakenIsProposedAgain) {
  Expiry expiry(consensus_, served_);
  Lead(1);
  Propose(SetOf("a", seconds(5)));
  ApplyAll(1);
  clock_.Advance(seconds(5));
  expiry.Round();
  ASSERT_THAT(node_.proposed, SizeIs(1));
  std::exchange(node_.proposed, {})[0].second(base::Error(absl::StatusCode::kFailedPrecondition, "NOT_LEADER", ""));
  expiry.Round();
  EXPECT_THAT(node_.proposed, SizeIs(1));
}

TEST_F(ConsensusTest, ATickTellsWhenTheFirstHasWaitedTooLong) {
  EXPECT_EQ(consensus_.Tick(), base::kNoDeadline);
  node_.Follow(kOther, 1);
  Propose(SetOf("a"));
  EXPECT_EQ(consensus_.Tick(), clock_.Now() + kOutcomeWait);
  node_.Follow({}, 2);
  Propose(SetOf("b"));
  EXPECT_EQ(consensus_.Tick(), clock_.Now() + kLeaderWait);
  clock_.Advance(kLeaderWait);
  EXPECT_EQ(consensus_.Tick(), clock_.Now() + kOutcomeWait - kLeaderWait) << "the second was given up";
  clock_.Advance(kOutcomeWait - kLeaderWait);
  EXPECT_EQ(consensus_.Tick(), base::kNoDeadline);
}

TEST_F(ConsensusTest, WhatWasSentToALeaderAfterWhomAnotherLeadsIsSoonGivenUp) {
  node_.Follow(kOther, 1);
  Propose(SetOf("late"));
  Propose(SetOf("lost"));
  const uint64_t late = std::get<ForwardedEntry>(Sent(0)).id;
  node_.Follow({}, 2);
  EXPECT_EQ(consensus_.Tick(), clock_.Now() + kOutcomeWait) << "it may lead on";
  node_.Follow({3}, 2);
  Propose(SetOf("next"));
  EXPECT_EQ(consensus_.Tick(), clock_.Now() + kLateAnswerWait);
  clock_.Advance(kLateAnswerWait / 2);
  const std::string replies = EncodeReplies({RespSetDone{.stored = true}});
  consensus_.Receive(kOther, EncodeMemberMessage(ForwardedReply{.id = late, .replies = replies}));
  EXPECT_THAT(results_, ElementsAre(IsOk()));
  EXPECT_EQ(consensus_.Tick(), clock_.Now() + kLateAnswerWait / 2) << "no look makes it longer";
  clock_.Advance(kLateAnswerWait / 2);
  EXPECT_EQ(consensus_.Tick(), clock_.Now() + kOutcomeWait - kLateAnswerWait) << "the next one's leader leads";
  EXPECT_THAT(results_, ElementsAre(IsOk(), StatusIs(absl::StatusCode::kDeadlineExceeded, "OUTCOME_UNKNOWN")));
}

// A node that asks whether it is alive, and whoever fences it, of a leader that leads for long.
class AliveTest : public ConsensusTest {
 protected:
  void SetUp() override {
    Lead(1);
    consensus_.Tick();
    Propose({.commands = {RegisterNode{.node = "n", .incarnation = 1}}});
    ApplyAll(1);
    node_ref_ = {"n", std::get<NodeRegistered>(replies_.at(0)).epoch};
    results_.clear();
    clock_.Advance(kNodeSession);
  }
  void Ask(const NodeRef& node) {
    consensus_.NodeAlive(node, [this](const absl::Status& answer) { answers_.push_back(answer); });
  }
  // A quorum follows this member.
  void Confirm() {
    for (const auto& read : std::exchange(node_.reads, {})) read(absl::OkStatus());
  }
  void Fence() { Propose({.commands = {FenceNode{node_ref_}}}); }

  static auto Alive() { return StatusIs(absl::StatusCode::kFailedPrecondition, "NODE_ALIVE"); }
  static auto Fenced() { return StatusIs(absl::StatusCode::kUnavailable, "NODE_FENCED"); }

  NodeRef node_ref_;
  std::vector<absl::Status> answers_;
};

TEST_F(AliveTest, IsAnsweredOnceAQuorumFollows) {
  Ask(node_ref_);
  EXPECT_THAT(answers_, IsEmpty());
  Confirm();
  Ask({"n", NodeEpoch{node_ref_.epoch.value + 1}});
  Ask({"other", node_ref_.epoch});
  Confirm();
  EXPECT_THAT(answers_, ElementsAre(IsOk(), Fenced(), Fenced()));
  Ask(node_ref_);
  node_.reads.at(0)(base::Error(absl::StatusCode::kUnavailable, "NO_QUORUM", ""));
  EXPECT_THAT(answers_.back(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
  Ask({std::string(254, 'x'), NodeEpoch{1}});
  EXPECT_THAT(answers_.back(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_NODE"));
}

TEST_F(AliveTest, WhoWasAnsweredIsNotFencedForASessionWhoeverProposesIt) {
  Ask(node_ref_);
  Confirm();
  Fence();
  Propose({.commands = {OpenSession{}, FenceNode{node_ref_}}});
  EXPECT_THAT(results_, ElementsAre(Alive(), Alive()));
  const std::string entry = EncodeEntry({.commands = {FenceNode{node_ref_}}});
  consensus_.Receive(kOther, EncodeMemberMessage(ForwardedEntry{.id = 9, .entry = entry}));
  EXPECT_THAT(std::get<ForwardedReply>(Sent(0)).replies, Alive());
  EXPECT_THAT(node_.proposed, IsEmpty()) << "nothing of it reached the log";
  clock_.Advance(kNodeSession);
  Fence();
  ApplyAll(1);
  EXPECT_THAT(results_.back(), IsOk());
  Ask(node_ref_);
  Confirm();
  EXPECT_THAT(answers_.back(), Fenced());
}

// The question's time counts, as the node's half of a session does: not when a quorum had answered.
TEST_F(AliveTest, ItIsNotFencedBetweenQuestionAndAnswer) {
  Ask(node_ref_);
  Fence();
  EXPECT_THAT(results_, ElementsAre(Alive()));
}

TEST_F(AliveTest, WhoIsBeingFencedIsNotAnswered) {
  Fence();
  Ask(node_ref_);
  EXPECT_THAT(answers_, ElementsAre(Fenced()));
  node_.proposed.back().second(base::Error(absl::StatusCode::kUnavailable, "OUTCOME_UNKNOWN", ""));
  Ask(node_ref_);
  EXPECT_THAT(answers_.back(), Fenced()) << "it may be fenced yet";
  Propose({.commands = {FenceNode{NodeRef{"m", NodeEpoch{1}}}}});
  node_.proposed.back().second(base::Error(absl::StatusCode::kResourceExhausted, "RAFT_BUSY", ""));
  answers_.clear();
  Ask({"m", NodeEpoch{1}});
  EXPECT_THAT(answers_, IsEmpty()) << "that one certainly was not";
}

TEST_F(AliveTest, OfABatchThatIsRefusedNoneIsBeingFenced) {
  Propose({.commands = {RegisterNode{.node = "m", .incarnation = 1}}});
  ApplyAll(1);
  const NodeRef other{"m", std::get<NodeRegistered>(replies_.back()).epoch};
  Ask(node_ref_);
  Propose({.commands = {FenceNode{other}, FenceNode{node_ref_}}});
  EXPECT_THAT(results_.back(), Alive());
  Ask(other);
  Confirm();
  EXPECT_THAT(answers_, ElementsAre(IsOk(), IsOk()));
}

TEST_F(AliveTest, ANewLeaderFencesNobodyForASession) {
  node_.Follow(kOther, 2);
  consensus_.Tick();
  Lead(3);
  consensus_.Tick();
  Fence();
  clock_.Advance(kNodeSession - milliseconds(1));
  Fence();
  EXPECT_THAT(results_, ElementsAre(Alive(), Alive()));
  clock_.Advance(milliseconds(1));
  Fence();
  EXPECT_THAT(node_.proposed, SizeIs(1));
}

// The read may have been answered by the one that leads now, and may fence: it knows nothing of the question.
TEST_F(AliveTest, WhoLostLeadershipMeanwhileDoesNotAnswer) {
  Ask(node_ref_);
  node_.Follow(kOther, 2);
  Confirm();
  EXPECT_THAT(answers_, ElementsAre(StatusIs(absl::StatusCode::kUnavailable, "LEADER_CHANGED")));
  node_.Follow(kSelf, 1);
  Ask(node_ref_);
  node_.Follow(kSelf, 3);
  Confirm();
  EXPECT_THAT(answers_.back(), StatusIs(absl::StatusCode::kUnavailable, "LEADER_CHANGED")) << "it leads anew";
}

TEST_F(AliveTest, AFollowerAsksTheLeader) {
  node_.Follow(kOther, 2);
  Ask(node_ref_);
  ASSERT_THAT(sent_, SizeIs(1));
  EXPECT_EQ(sent_[0].first, kOther);
  const auto question = std::get<AliveQuestion>(Sent(0));
  EXPECT_EQ(question.node, node_ref_);
  consensus_.Receive(kOther, EncodeMemberMessage(ForwardedReply{.id = question.id, .replies = std::string()}));
  EXPECT_THAT(answers_, ElementsAre(IsOk()));
  Ask(node_ref_);
  consensus_.Unreachable(kOther);
  EXPECT_THAT(answers_.back(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
  node_.Follow({}, 2);
  Ask(node_ref_);
  EXPECT_THAT(answers_, SizeIs(3)) << "a question waits for no leader";
  EXPECT_THAT(answers_.back(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
}

TEST_F(AliveTest, AnotherMembersQuestionIsAnsweredByTheLeaderAlone) {
  consensus_.Receive(kOther, EncodeMemberMessage(AliveQuestion{.id = 5, .node = node_ref_}));
  Confirm();
  ASSERT_THAT(sent_, SizeIs(1));
  EXPECT_THAT(std::get<ForwardedReply>(Sent(0)), testing::Field(&ForwardedReply::replies, base::IsOkAndHolds("")));
  Fence();
  EXPECT_THAT(results_, ElementsAre(Alive())) << "as one of its own";
  node_.Follow({3}, 2);
  consensus_.Receive(kOther, EncodeMemberMessage(AliveQuestion{.id = 6, .node = node_ref_}));
  EXPECT_THAT(std::get<ForwardedReply>(Sent(1)).replies, StatusIs(absl::StatusCode::kUnavailable, "LEADER_CHANGED"));
}

// Decided as the leader of one term, appended in another: who led between them may have answered the node.
TEST_F(ConsensusTest, WhatWasDecidedInATermIsAppendedInThatTermOnly) {
  Lead(1);
  Propose(SetOf("a"));
  EXPECT_THAT(node_.terms, ElementsAre(1));
}

TEST(MemberMessage, IsReadAsItWasWritten) {
  const std::vector<MemberMessage> messages = {
      ForwardedEntry{.id = 7, .entry = "entry"}, ForwardedReply{.id = 8, .replies = std::string("replies")},
      ForwardedReply{.id = 9, .replies = base::Error(absl::StatusCode::kAborted, "WHY", "because")},
      AliveQuestion{.id = 10, .node = {"node", NodeEpoch{11}}}};
  for (const MemberMessage& message : messages) {
    const std::string bytes = EncodeMemberMessage(message);
    EXPECT_THAT(DecodeMemberMessage(bytes), base::IsOkAndHolds(message));
  }
  for (const std::string_view bad : {"", "\x05\0\0\0\0\0\0\0\0", "\x01\0", "\x03\0\0\0\0\0\0\0\0\0"}) {
    EXPECT_THAT(DecodeMemberMessage(bad), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_MEMBER_MESSAGE"));
  }
}

}  // namespace
}  // namespace larder::tracker
