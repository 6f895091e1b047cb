// What the agent says of its own accord: REVOKE and LAPSED.
#include <gmock/gmock.h>

#include "tests/scripted_test.h"

namespace larder::transport::uds {
namespace {

using base::IsOk;
using base::StatusIs;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

base::ByteWriter Segments32(std::vector<uint32_t> ids) {
  base::ByteWriter out;
  PutSegments(out, ids);
  return out;
}
base::ByteWriter LeaseIds(std::vector<object::LeaseId> ids) {
  base::ByteWriter out;
  PutLeases(out, ids);
  return out;
}

class Notices : public ScriptedTest {
 protected:
  static std::vector<uint32_t> ExpectUnmapped(AgentEnd& agent) {
    const ScriptedRequest unmapped = agent.Expect(Op::kUnmapped);
    base::ByteReader in = unmapped.in();
    return TakeUnmapped(in).segments;
  }
};

TEST_F(Notices, AnIdleClientGivesBackSegmentsThatNobodyReads) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  Slab one = MakeSlab('a'), two = MakeSlab('b');
  auto kept = GetSlab(*channel, *agent, "two", 4, 12, two);
  GetSlab(*channel, *agent, "one", 3, 11, one).reset();
  EXPECT_EQ(LeaseOf(agent->Expect(Op::kRelease)), 11u);
  agent->Tell(Op::kRevoke, Segments32({one.id}));
  EXPECT_THAT(ExpectUnmapped(*agent), ElementsAre(one.id)) << "and no call was made";
  EXPECT_TRUE(IsUnmapped(std::move(one)));
}

TEST_F(Notices, ASegmentAskedBackGoesWithItsLastReader) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent, {}, kShortTtl);
  Slab slab = MakeSlab('a');
  auto reader = GetSlab(*channel, *agent, "k", 3, 11, slab);
  agent->Tell(Op::kRevoke, Segments32({slab.id}));
  agent->WaitUntilRead();
  EXPECT_EQ(reader->Bytes()->back(), std::byte{'a'});
  reader.reset();
  EXPECT_EQ(LeaseOf(agent->Expect(Op::kRelease)), 11u);
  EXPECT_THAT(ExpectUnmapped(*agent), ElementsAre(slab.id));
  EXPECT_TRUE(IsUnmapped(std::move(slab)));
}

TEST_F(Notices, AJoinedMappingGoesWithTheSegmentsItLiesOver) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent, {}, kShortTtl);
  Slab one = MakeSlab('a'), two = MakeSlab('b');
  auto got = Beside([&] { return channel->Get("k", base::kNoDeadline); });
  agent->Reply(agent->Expect(Op::kGet), SharedObject(11, "k", 3, {one.Extent(true), two.Extent(true, 4096, 100)}),
               {one.fd.get(), two.fd.get()});
  auto reader = got.get();
  ASSERT_THAT(reader.status(), IsOk());
  reader->reset();
  agent->Expect(Op::kRelease);
  agent->Tell(Op::kRevoke, Segments32({two.id, one.id}));
  EXPECT_THAT(ExpectUnmapped(*agent), UnorderedElementsAre(one.id, two.id));
  EXPECT_TRUE(IsUnmapped(std::move(one)));
  EXPECT_TRUE(IsUnmapped(std::move(two)));
}

TEST_F(Notices, ACreationWhoseLeaseLapsedFailsWithoutAsking) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent, {}, kShortTtl);
  auto writer = CreateW(*channel, *agent);
  agent->Tell(Op::kLapsed, LeaseIds({{5}}));
  agent->WaitUntilRead();
  const absl::Status written = writer->Write(base::AsBytes("x"));
  EXPECT_THAT(written, StatusIs(absl::StatusCode::kAborted, "LEASE_LOST"));
  EXPECT_THAT(base::Message(written), AllOf(HasSubstr("'w'"), HasSubstr("epoch 7")));
  EXPECT_THAT(writer->Seal({}).status(), StatusIs(absl::StatusCode::kFailedPrecondition, "ENDED"));
  EXPECT_EQ(LeaseOf(agent->Expect(Op::kDiscard)), 5u) << "and nothing before it";
}

TEST_F(Notices, WhatRenewTellsOfCountsAsWell) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent, {}, kShortTtl);
  auto writer = CreateW(*channel, *agent);
  agent->Reply(agent->Expect(Op::kRenew), LeaseIds({{5}}));
  agent->WaitUntilRead();
  EXPECT_THAT(writer->Seal({}).status(), StatusIs(absl::StatusCode::kAborted, "LEASE_LOST"));
}

TEST_F(Notices, AReaderWhoseLeaseLapsedHasItAgainIfTheEpochIsTheSame) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent, {}, kShortTtl);
  Slab slab = MakeSlab('a');
  auto reader = GetSlab(*channel, *agent, "k", 3, 11, slab);
  agent->Tell(Op::kLapsed, LeaseIds({{11}}));
  ScriptedRequest batch;
  const std::vector<Item> items = agent->ExpectBatch(batch);
  EXPECT_TRUE(reader->lapsed());
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].op, Op::kGet);
  base::ByteReader get = items[0].in();
  EXPECT_EQ(get.U32(), kGetNoDescriptors);
  get.U32();
  EXPECT_EQ(get.Str(), "k");
  agent->Answers(batch, {{.item = 0, .payload = StreamObject(12, "k", 3, base::kMiB)}});
  while (reader->lapsed()) std::this_thread::yield();
  EXPECT_EQ(reader->Bytes()->back(), std::byte{'a'});
  reader.reset();
  EXPECT_EQ(LeaseOf(agent->Expect(Op::kRelease)), 12u);
}

TEST_F(Notices, AReaderWhoseObjectIsGoneKeepsItsBytesAndNoLease) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent, {}, kShortTtl);
  Slab one = MakeSlab('a'), two = MakeSlab('b');
  auto replaced = GetSlab(*channel, *agent, "replaced", 3, 11, one);
  auto deleted = GetSlab(*channel, *agent, "deleted", 4, 12, two);
  agent->Tell(Op::kLapsed, LeaseIds({{11}, {12}}));
  ScriptedRequest batch;
  ASSERT_EQ(agent->ExpectBatch(batch).size(), 2u);
  agent->Answers(batch, {{.item = 1, .code = 5, .payload = ErrorText("NO_OBJECT")},
                         {.item = 0, .payload = StreamObject(13, "replaced", 9, 5)}});
  EXPECT_EQ(LeaseOf(agent->Expect(Op::kRelease)), 13u) << "the new object's, which nobody asked for";
  EXPECT_TRUE(replaced->lapsed());
  EXPECT_TRUE(deleted->lapsed());
  EXPECT_EQ(replaced->Bytes()->back(), std::byte{'a'});
  EXPECT_EQ(deleted->Bytes()->back(), std::byte{'b'});
  agent->Tell(Op::kRevoke, Segments32({two.id}));
  deleted.reset();
  EXPECT_THAT(ExpectUnmapped(*agent), ElementsAre(two.id)) << "no RELEASE of a lease that is gone";
}

}  // namespace
}  // namespace larder::transport::uds
