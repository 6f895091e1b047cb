// The guards of the engine: what the crate alone takes wrongly, panics at, or does in silence.
#include "src/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>

#include "larder/base/codec.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/raft/testing/memory_log_store.h"
#include "tests/raw_message.h"

namespace larder::raft {
namespace {

using base::IsOk;
using base::StatusIs;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// A member whose disk is at once, unless it is held up.
struct Member {
  explicit Member(uint64_t id, std::vector<uint64_t> voters, EngineOptions options = {}) {
    std::vector<MemberId> ids;
    for (const uint64_t voter : voters) ids.push_back({voter});
    options.self = {id};
    engine = *Engine::Create(options, log, {.configuration = EncodeVoters(ids)});
  }
  // All there is to do; the messages are in `sent`.
  void Run() {
    while (engine->HasReady()) {
      const larder_raft_ready ready = *engine->ReadyBegin();
      LogWrite write;
      for (size_t i = 0; i < ready.entry_count; ++i) write.entries.push_back(Entry(ready.entries[i]));
      if (ready.has_hard_state != 0) {
        write.hard_state = {
            .term = ready.hard_state.term, .vote = ready.hard_state.vote, .commit = ready.hard_state.commit};
      }
      ASSERT_THAT(log.Write({&write, 1}), IsOk());
      for (size_t i = 0; i < ready.message_count; ++i) Send(ready.messages[i]);
      for (size_t i = 0; i < ready.persisted_message_count; ++i) Send(ready.persisted_messages[i]);
      for (size_t i = 0; i < ready.committed_count; ++i) committed.push_back(Entry(ready.committed[i]));
      for (size_t i = 0; i < ready.read_count; ++i) reads.push_back(ready.reads[i].index);
      const uint64_t number = ready.number;
      ASSERT_THAT(engine->ReadyEnd(), IsOk());
      ASSERT_THAT(engine->OnPersistReady(number), IsOk());
      if (applies && !committed.empty()) Apply();
    }
  }
  void Apply() {
    for (; applied < committed.size(); ++applied) {
      if (committed[applied].kind == EntryKind::kCommand) continue;
      EXPECT_THAT(engine->ApplyChange(committed[applied]), IsOk());
    }
    ASSERT_THAT(engine->AppliedTo(committed.back().at.index), IsOk());
  }
  static LogEntry Entry(const larder_raft_entry& view) {
    return {.at = {.index = view.index, .term = view.term},
            .kind = static_cast<EntryKind>(view.kind),
            .payload = std::string(base::AsText(FromRaft(view.payload)))};
  }
  void Send(const larder_raft_message& message) {
    sent.emplace_back(message.to, base::AsText(FromRaft(message.bytes)));
  }
  absl::Status Hear(const RawMessage& message) {
    const absl::Status stepped = engine->Step(base::AsBytes(Encode(message)));
    Run();
    return stepped;
  }
  absl::StatusOr<LogPosition> Propose(std::string_view payload) {
    const base::ByteSpan bytes = base::AsBytes(payload);
    return engine->Propose({&bytes, 1});
  }
  absl::Status Change(std::vector<larder_raft_change> changes) { return engine->ProposeChange(changes).status(); }

  MemoryLogStore log;
  std::unique_ptr<Engine> engine;
  std::vector<std::pair<uint64_t, std::string>> sent;
  std::vector<LogEntry> committed;
  std::vector<uint64_t> reads;
  size_t applied = 0;
  bool applies = true;
};

// Delivers until nobody says anything.
void Settle(std::map<uint64_t, Member*> members) {
  for (bool busy = true; busy;) {
    busy = false;
    for (auto& [id, member] : members) {
      member->Run();
      for (const auto& [to, message] : std::exchange(member->sent, {})) {
        const auto receiver = members.find(to);
        if (receiver == members.end()) continue;
        receiver->second->engine->Step(base::AsBytes(message)).IgnoreError();
        busy = true;
      }
    }
  }
}

void Elect(Member& member, std::map<uint64_t, Member*> members) {
  ASSERT_THAT(member.engine->Campaign(), IsOk());
  Settle(std::move(members));
  ASSERT_EQ(member.engine->status().role, LARDER_RAFT_LEADER);
}

std::unique_ptr<Member> Alone(EngineOptions options = {}) {
  auto member = std::make_unique<Member>(1, std::vector<uint64_t>{1}, options);
  Elect(*member, {{1, member.get()}});
  return member;
}

RawMessage Append(std::vector<LogEntry> entries) { return {.term = 5, .entries = std::move(entries), .commit = 1}; }
LogEntry At(uint64_t index, uint64_t term) { return {.at = {.index = index, .term = term}, .payload = "x"}; }

TEST(Engine, AnAppendWhoseEntriesDoNotFollowEachOtherIsRefused) {
  Member member(1, {1, 2, 3});
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument, "RAFT_INVALID");
  EXPECT_THAT(member.Hear(Append({At(1, 5), At(3, 5)})), refused) << "a gap";
  EXPECT_THAT(member.Hear(Append({At(2, 5)})), refused) << "a gap at the beginning";
  EXPECT_THAT(member.Hear(Append({At(1, 5), At(1, 5)})), refused) << "the same twice";
  EXPECT_THAT(member.Hear(Append({At(1, 5), At(2, 4)})), refused) << "terms that go back";
  EXPECT_THAT(member.Hear(Append({At(1, 6)})), refused) << "a term to come";
  EXPECT_EQ(member.engine->status().last_index, 0u);
  EXPECT_THAT(member.Hear(Append({At(1, 5), At(2, 5)})), IsOk());
  EXPECT_EQ(member.engine->status().last_index, 2u);
}

TEST(Engine, WhatIsCommittedIsNotOverwritten) {
  Member member(1, {1, 2, 3});
  ASSERT_THAT(member.Hear({.term = 5, .entries = {At(1, 5), At(2, 5)}, .commit = 2}), IsOk());
  EXPECT_THAT(member.Hear({.term = 6, .entries = {At(1, 6)}}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(member.engine->Tick(), IsOk()) << "the engine lives";
}

TEST(Engine, ABatchIsOneProposalOfManyPayloads) {
  const auto member = Alone();
  const std::array<base::ByteSpan, 3> payloads{base::AsBytes("a"), base::AsBytes("b"), base::AsBytes("c")};
  const auto first = member->engine->Propose(payloads);
  ASSERT_THAT(first.status(), IsOk());
  member->Run();
  ASSERT_THAT(member->committed, SizeIs(4)) << "and the leader's own";
  EXPECT_EQ(member->committed[1].at, *first);
  EXPECT_EQ(member->committed[3].payload, "c");
  EXPECT_EQ(member->committed[3].at.index, first->index + 2);
  EXPECT_THAT(member->Propose("").status(), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(member->engine->Propose({}).status(), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(Engine, AReadWaitsForARoundToAQuorum) {
  Member one(1, {1, 2, 3}), two(2, {1, 2, 3}), three(3, {1, 2, 3});
  const std::map<uint64_t, Member*> all = {{1, &one}, {2, &two}, {3, &three}};
  Elect(one, all);
  ASSERT_THAT(one.engine->ReadIndex(base::AsBytes("first")), IsOk());
  one.Run();
  EXPECT_THAT(one.reads, IsEmpty()) << "nobody has confirmed that it still leads";
  Settle(all);
  EXPECT_THAT(one.reads, ElementsAre(one.engine->status().committed));
}

TEST(Engine, ALeaderThatLostItsVoteStepsDown) {
  Member one(1, {1, 2, 3}), two(2, {1, 2, 3}), three(3, {1, 2, 3});
  const std::map<uint64_t, Member*> all = {{1, &one}, {2, &two}, {3, &three}};
  Elect(one, all);
  ASSERT_THAT(one.Change({{.what = LARDER_RAFT_REMOVE, .id = 1}}), IsOk());
  Settle(all);
  EXPECT_EQ(one.engine->status().role, LARDER_RAFT_FOLLOWER);
  EXPECT_EQ(one.engine->status().voter, 0u);
  EXPECT_THAT(one.Propose("x").status(), StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
}

TEST(Engine, NothingIsTakenWhileASnapshotIsInstalled) {
  Member member(1, {1, 2, 3});
  ASSERT_THAT(member.engine->Step(base::AsBytes(Encode({.kind = MessageKind::kSnapshot,
                                                        .term = 4,
                                                        .snapshot_index = 9,
                                                        .snapshot_term = 3,
                                                        .snapshot_voters = {1, 2, 3}}))),
              IsOk());
  const larder_raft_ready ready = *member.engine->ReadyBegin();
  ASSERT_EQ(ready.has_snapshot, 1u);
  EXPECT_EQ(ready.snapshot.index, 9u);
  EXPECT_EQ(base::AsText(FromRaft(ready.snapshot.data)), "manifest");
  const auto closed = StatusIs(absl::StatusCode::kUnavailable, "NOT_READY");
  EXPECT_THAT(member.engine->Tick(), closed) << "a ready has begun";
  const uint64_t number = ready.number;
  ASSERT_THAT(member.engine->ReadyEnd(), IsOk());
  EXPECT_THAT(member.engine->Tick(), closed);
  EXPECT_THAT(member.engine->Step(base::AsBytes(Encode(Append({At(1, 5)})))), closed);
  EXPECT_THAT(member.engine->Campaign(), closed);
  EXPECT_FALSE(member.engine->HasReady());
  EXPECT_THAT(member.engine->ReadyBegin().status(), closed);
  ASSERT_THAT(member.engine->OnPersistReady(number), IsOk());
  EXPECT_EQ(member.engine->status().applied, 9u);
  EXPECT_THAT(member.engine->Tick(), IsOk());
  const LogEntry old{.at = {.index = 9, .term = 3},
                     .kind = EntryKind::kConfigurationV2,
                     .payload = "\x12\x02\x10\x07"};  // member 7 becomes a voter
  EXPECT_THAT(member.engine->ApplyChange(old).status(), StatusIs(absl::StatusCode::kInvalidArgument))
      << "the snapshot has it already";
}

TEST(Engine, AJointConfigurationIsLeftByTheHost) {
  Member one(1, {1}), two(2, {1}), three(3, {1});
  const std::map<uint64_t, Member*> all = {{1, &one}, {2, &two}, {3, &three}};
  Elect(one, all);
  ASSERT_THAT(one.Change({{.what = LARDER_RAFT_ADD_VOTER, .id = 2}, {.what = LARDER_RAFT_ADD_VOTER, .id = 3}}), IsOk());
  Settle(all);
  EXPECT_EQ(one.engine->status().joint, 1u) << "the engine does not leave by itself";
  EXPECT_THAT(one.Change({{.what = LARDER_RAFT_ADD_VOTER, .id = 4}}), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_THAT(one.Change({}), IsOk());
  Settle(all);
  EXPECT_EQ(one.engine->status().joint, 0u);
  EXPECT_THAT(one.engine->progress(), SizeIs(3));
  EXPECT_THAT(one.Change({}), StatusIs(absl::StatusCode::kUnavailable, "NOT_READY")) << "there is nothing to leave";
}

TEST(Engine, ASecondChangeIsRefusedWhileOneIsPending) {
  const auto member = Alone();
  ASSERT_THAT(member->Change({{.what = LARDER_RAFT_ADD_LEARNER, .id = 2}}), IsOk());
  EXPECT_THAT(member->Change({{.what = LARDER_RAFT_ADD_LEARNER, .id = 3}}),
              StatusIs(absl::StatusCode::kUnavailable, "NOT_READY"));
  member->Run();
  EXPECT_THAT(member->Change({{.what = LARDER_RAFT_ADD_LEARNER, .id = 3}}), IsOk());
}

TEST(Engine, OnlyALeaderProposesAndNoneForOthers) {
  Member one(1, {1, 2, 3}), two(2, {1, 2, 3}), three(3, {1, 2, 3});
  const std::map<uint64_t, Member*> all = {{1, &one}, {2, &two}, {3, &three}};
  EXPECT_THAT(one.Propose("x").status(), StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
  Elect(one, all);
  EXPECT_THAT(two.Propose("x").status(), StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
  const uint64_t last = one.engine->status().last_index;
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument, "RAFT_INVALID");
  EXPECT_THAT(one.Hear({.kind = MessageKind::kPropose, .entries = {At(0, 0)}}), refused);
  EXPECT_THAT(one.Hear({.kind = MessageKind::kPropose}), refused) << "one of nothing is fatal to the crate";
  EXPECT_THAT(one.Hear({.kind = MessageKind::kTransferLeader}), refused);
  EXPECT_EQ(one.engine->status().last_index, last);
}

TEST(Engine, MessagesThatNobodySendsAreRefused) {
  Member member(1, {1, 2, 3});
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument, "RAFT_INVALID");
  const uint64_t huge = ~uint64_t{0};
  EXPECT_THAT(member.Hear({.kind = MessageKind::kHup}), refused) << "a member's own";
  EXPECT_THAT(member.Hear({.kind = MessageKind::kHeartbeat, .to = 2}), refused) << "for another";
  EXPECT_THAT(member.Hear({.kind = MessageKind::kHeartbeat, .from = 0}), refused);
  EXPECT_THAT(member.Hear({.kind = MessageKind::kHeartbeat, .from = 1}), refused) << "from itself";
  EXPECT_THAT(member.Hear({.kind = MessageKind::kHeartbeat, .term = 0}), refused) << "as if its own";
  EXPECT_THAT(member.Hear({.kind = MessageKind::kHeartbeat, .term = huge}), refused);
  EXPECT_THAT(member.Hear({.kind = MessageKind::kAppendResponse, .from = 9}), refused) << "of no member";
  EXPECT_THAT(member.Hear({.kind = MessageKind::kReadIndex, .term = 0}), refused) << "without a context";
  EXPECT_THAT(member.Hear({.kind = MessageKind::kReadIndexResponse}), refused);
  EXPECT_THAT(member.Hear({.kind = MessageKind::kSnapshot}), refused) << "of nothing";
  EXPECT_THAT(member.engine->Step(base::AsBytes("\x07nonsense")), refused);
  EXPECT_EQ(member.engine->status().term, 0u);
}

// Figures of the design: half-stepped engines panicked 224 times in two million random messages.
TEST(Engine, APanicPoisonsItAndKeepsItsText) {
  Member member(1, {1, 2, 3});
  ASSERT_THAT(member.Hear({.term = 5, .entries = {At(1, 5)}}), IsOk());
  // A heartbeat of a leader that believes this member to hold what it does not.
  const absl::Status died =
      member.engine->Step(base::AsBytes(Encode({.kind = MessageKind::kHeartbeat, .term = 5, .commit = 99})));
  ASSERT_THAT(died, StatusIs(absl::StatusCode::kInternal, "RAFT_PANIC"));
  EXPECT_THAT(base::Message(died), testing::HasSubstr("99"));
  EXPECT_THAT(member.engine->Tick(), died);
  EXPECT_THAT(member.Propose("x").status(), StatusIs(absl::StatusCode::kInternal, "RAFT_PANIC"));
  EXPECT_FALSE(member.engine->HasReady());
  EXPECT_EQ(member.engine->status().term, 0u) << "nothing of it is told any more";
}

TEST(Engine, AStoredCommitThatIsBehindIsRaised) {
  MemoryLogStore log;
  LogWrite write{.entries = {At(1, 1), At(2, 1), At(3, 1)}, .hard_state = HardState{.term = 1, .commit = 1}};
  ASSERT_THAT(log.Write({&write, 1}), IsOk());
  const AppliedState applied{.at = {.index = 3, .term = 1}, .configuration = EncodeVoters(std::array{MemberId{1}})};
  const auto engine = Engine::Create({.self = {1}}, log, applied);
  ASSERT_THAT(engine.status(), IsOk());
  EXPECT_EQ((*engine)->status().committed, 3u);
}

TEST(Engine, ALogThatEndsBeforeWhatWasAppliedIsRefused) {
  MemoryLogStore log;
  LogWrite write{.entries = {At(1, 1)}, .hard_state = HardState{.term = 1, .commit = 1}};
  ASSERT_THAT(log.Write({&write, 1}), IsOk());
  const AppliedState applied{.at = {.index = 3, .term = 1}, .configuration = EncodeVoters(std::array{MemberId{1}})};
  EXPECT_THAT(Engine::Create({.self = {1}}, log, applied).status(), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Engine::Create({.self = {0}}, log, {}).status(), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(Engine, NothingIsProposedWhileTooMuchIsNotApplied) {
  const auto member = Alone({.unapplied_bytes = 1000});
  member->applies = false;
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(member->Propose(std::string(500, 'x')).status(), IsOk()) << i;
    member->Run();
    if (member->engine->status().unapplied_bytes > 1000) break;
  }
  EXPECT_THAT(member->Propose("x").status(), StatusIs(absl::StatusCode::kResourceExhausted, "RAFT_BUSY"));
  member->Apply();
  EXPECT_THAT(member->Propose("x").status(), IsOk());
}

// A campaign reads all that is committed and not applied, so it waits as well.
TEST(Engine, NoMoreIsGivenOutWhileTooMuchIsNotApplied) {
  Member member(1, {1, 2, 3}, {.unapplied_bytes = 1000});
  member.applies = false;
  RawMessage append{.term = 5, .commit = 20};
  for (uint64_t i = 1; i <= 20; ++i) append.entries.push_back({.at = {i, 5}, .payload = std::string(400, 'x')});
  ASSERT_THAT(member.Hear(append), IsOk());
  ASSERT_THAT(member.Hear({.kind = MessageKind::kHeartbeat, .term = 5, .commit = 20}), IsOk());
  EXPECT_THAT(member.committed, SizeIs(4));
  EXPECT_THAT(member.sent, SizeIs(2)) << "but all else goes on";
  member.sent.clear();
  EXPECT_THAT(member.Hear({.kind = MessageKind::kTimeoutNow, .term = 5}), StatusIs(absl::StatusCode::kUnavailable));
  for (int i = 0; i < 50; ++i) ASSERT_THAT(member.engine->Tick(), IsOk());
  member.Run();
  EXPECT_THAT(member.sent, IsEmpty());
  while (member.engine->status().applied < 20) {
    member.Apply();
    member.Run();
    EXPECT_LE(member.engine->status().unapplied_bytes, 2000u) << "the limit, and what one ready has";
  }
  EXPECT_THAT(member.committed, SizeIs(20));
  ASSERT_THAT(member.engine->Tick(), IsOk());
  member.Run();
  EXPECT_THAT(member.sent, SizeIs(2)) << "asks the others for their votes";
}

TEST(Engine, NothingIsProposedWhileTooMuchIsNotCommitted) {
  Member one(1, {1, 2, 3}, {.message_bytes = 500, .uncommitted_bytes = 1000}), two(2, {1, 2, 3}), three(3, {1, 2, 3});
  Elect(one, {{1, &one}, {2, &two}, {3, &three}});
  ASSERT_THAT(one.Propose(std::string(990, 'x')).status(), IsOk());
  EXPECT_THAT(one.Propose(std::string(990, 'x')).status(), StatusIs(absl::StatusCode::kResourceExhausted, "RAFT_BUSY"));
}

// What left the memory is read from the disk again, for a member that was away.
TEST(Engine, ASlowMemberIsServedFromTheDisk) {
  Member one(1, {1, 2, 3}, {.cached_bytes = 100}), two(2, {1, 2, 3}), three(3, {1, 2, 3});
  Elect(one, {{1, &one}, {2, &two}, {3, &three}});
  for (int i = 0; i < 50; ++i) {
    ASSERT_THAT(one.Propose(std::string(40, 'x')).status(), IsOk());
    Settle({{1, &one}, {2, &two}});
  }
  for (int i = 0; i < 4; ++i) {
    ASSERT_THAT(one.engine->Tick(), IsOk());
    Settle({{1, &one}, {2, &two}, {3, &three}});
  }
  EXPECT_THAT(three.committed, SizeIs(51));
  EXPECT_EQ(three.committed, one.committed);
}

// The transport drops what is over its limit; then all of it is sent again.
TEST(Engine, LongEntriesAreOnTheirWayByTheirBytes) {
  constexpr uint64_t kBytes = 10'000;  // as short entries may be on their way
  Member one(1, {1, 2, 3}, {.message_bytes = kBytes / 20, .inflight_messages = 20});
  Member two(2, {1, 2, 3}), three(3, {1, 2, 3});
  Elect(one, {{1, &one}, {2, &two}, {3, &three}});
  for (int i = 0; i < 30; ++i) {
    ASSERT_THAT(one.Propose(std::string(4000, 'x')).status(), IsOk());
    Settle({{1, &one}, {2, &two}});
  }
  const auto beat = [&] {
    for (uint64_t i = 0; i < EngineOptions().heartbeat_ticks; ++i) ASSERT_THAT(one.engine->Tick(), IsOk());
    one.Run();
  };
  std::deque<std::string> on_the_way;  // to the third, which takes one after the other
  size_t most = 0;
  for (int step = 0; step < 500 && three.committed.size() < 31; ++step) {
    if (on_the_way.empty()) beat();
    for (auto& [to, message] : std::exchange(one.sent, {})) {
      if (to == 3) on_the_way.push_back(std::move(message));
    }
    most = std::max<size_t>(most, std::ranges::count_if(on_the_way, [](auto& m) { return m.size() > 4000; }));
    ASSERT_FALSE(on_the_way.empty());
    ASSERT_THAT(three.engine->Step(base::AsBytes(on_the_way.front())), IsOk());
    on_the_way.pop_front();
    three.Run();
    for (const auto& [to, message] : std::exchange(three.sent, {})) {
      ASSERT_THAT(one.engine->Step(base::AsBytes(message)), IsOk());
      one.Run();
    }
  }
  EXPECT_THAT(three.committed, SizeIs(31));
  EXPECT_LE(4000 * (most - 1), kBytes) << "the last may go beyond it";
  EXPECT_GT(most, 1u) << "but not one by one";
}

TEST(Engine, ConfigurationsAreTheSameBytesInWhateverOrder) {
  EXPECT_EQ(EncodeVoters(std::array{MemberId{3}, MemberId{1}, MemberId{2}}),
            EncodeVoters(std::array{MemberId{1}, MemberId{2}, MemberId{3}}));
}

}  // namespace
}  // namespace larder::raft
