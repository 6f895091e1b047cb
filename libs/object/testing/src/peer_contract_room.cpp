#include <gmock/gmock.h>

#include "larder/base/testing/status_matchers.h"
#include "larder/object/testing/peer_contract.h"

// Room: quotas, eviction, and who waits for it.
namespace larder::object {

void LinkRoomRules() {}

namespace {

using base::AsBytes;
using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

const auto kNoObject = StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT");
const auto kQuota = StatusIs(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED");
const auto kFull = StatusIs(absl::StatusCode::kResourceExhausted);
// Memory or disk, as much of either.
constexpr TestNode::Options kNarrow{.arena_bytes = 24 * kMiB, .max_bytes = 24 * kMiB};

std::string Key(int i) { return "k" + std::to_string(i); }

// Both, so that a case need not know which its backend counts against.
NamespaceRules QuotaOf(uint64_t bytes) { return {.memory = bytes, .disk = bytes}; }

}  // namespace

// ---- the rules of leases that eviction makes

TEST_P(PeerContract, Lease05_AnObjectThatSomebodyReadsIsNeverEvicted) {
  rules_["team-a"] = {.evict_last = true};
  Begin(kNarrow);
  Caller writer = Open(), reader = Open();
  const std::vector<std::byte> bytes = SampleBytes(kMiB, 7);
  ASSERT_THAT(writer.PutKey("read", bytes), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, reader.Get("read"));
  for (int i = 0; i < 80; ++i) {
    ASSERT_THAT(writer.PutKey(Key(i), SampleBytes(kMiB)), IsOk()) << i;
    MakeRoom();
  }
  EXPECT_GT(peer().usage().evicted_room, 40u);
  EXPECT_THAT(writer.Get("read").status(), IsOk());
  EXPECT_TRUE(BytesOf(*grant.view) == bytes);
  reader.Close();
  writer.Close();
  Caller after = Open();
  for (int i = 100; i < 200; ++i) {
    ASSERT_THAT(after.PutKey(Key(i), SampleBytes(kMiB)), IsOk()) << i;
    MakeRoom();
  }
  EXPECT_THAT(after.Get("read").status(), kNoObject) << "nobody reads it any more";
}

TEST_P(PeerContract, Lease06_WorkQueuedInTheAgentKeepsItsLeases) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  peer().BeginWork(caller.session());
  peer().BeginWork(caller.session());
  Pass(2 * kLeaseTtl);
  peer().EndWork(caller.session());
  Pass(2 * kLeaseTtl);
  EXPECT_EQ(peer().usage().create_leases, 1u) << "one of the two is still queued";
  peer().EndWork(caller.session());
  Pass(kLeaseTtl);
  EXPECT_THAT(caller.Append(grant, AsBytes("in time")), IsOk()) << "a whole TTL after the work";
  Pass(seconds(1));
  EXPECT_EQ(peer().usage().create_leases, 0u);
  peer().BeginWork(SessionId{12345});
  peer().EndWork(SessionId{12345});
}

TEST_P(PeerContract, Lease09_NothingIsEvictedForOneTtlAfterARestart) {
  rules_["team-a"] = {.evict_last = true};
  Begin(kNarrow);
  if (!durable()) return;  // nothing is there after a restart
  {
    Caller writer = Open();
    for (int i = 0; i < 21; ++i) ASSERT_THAT(writer.PutKey(Key(i), SampleBytes(kMiB)), IsOk());
  }
  Restart();
  Caller writer = Open();
  for (int i = 100; i < 110; ++i) {
    writer.PutKey(Key(i), SampleBytes(kMiB)).status().IgnoreError();  // some are refused: nothing may go yet
    MakeRoom();
  }
  for (int i = 0; i < 21; ++i) EXPECT_THAT(writer.Stat(Key(i)), IsOk()) << i;
  Pass(kLeaseTtl + seconds(1));
  for (int i = 200; i < 210; ++i) {
    ASSERT_THAT(writer.PutKey(Key(i), SampleBytes(kMiB)), IsOk());
    MakeRoom();
  }
  EXPECT_GT(peer().usage().evicted_room, 5u);
}

TEST_P(PeerContract, Lease10_ALookupKeepsItsObjectForTwoSecondsAndOpeningForLonger) {
  rules_["team-a"] = {.evict_last = true};
  Begin(kNarrow);
  Caller writer = Open(), reader = Open();
  ASSERT_THAT(writer.PutKey("looked-up", SampleBytes(kMiB)), IsOk());
  ASSERT_THAT(writer.PutKey("opened", SampleBytes(kMiB)), IsOk());
  const auto fill = [&](int from) {
    for (int i = from; i < from + 60; ++i) {
      ASSERT_THAT(writer.PutKey(Key(i), SampleBytes(kMiB)), IsOk()) << i;
      MakeRoom();
    }
  };
  ASSERT_THAT(reader.Stat("looked-up"), IsOk());
  ASSERT_THAT(reader.Stat("opened"), IsOk());
  fill(0);
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, reader.Get("opened"));
  Pass(milliseconds(2001));
  fill(1000);
  EXPECT_THAT(reader.Get("looked-up").status(), kNoObject);
  EXPECT_THAT(reader.Get("opened").status(), IsOk());
}

TEST_P(PeerContract, Lease12_AnObjectThatAReadFindsDamagedIsDroppedAndItsSuccessorIsNot) {
  Caller caller = Open(), other = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("first")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant first, caller.Get("k"));
  peer().ReportDamage(other.session(), first.lease);
  EXPECT_THAT(caller.Stat("k"), IsOk()) << "only its holder can tell";
  peer().ReportDamage(caller.session(), first.lease);
  EXPECT_THAT(other.Get("k").status(), kNoObject);
  EXPECT_EQ(peer().usage().damaged, 1u);
  ASSERT_THAT(other.PutKey("k", AsBytes("second")), IsOk());
  peer().ReportDamage(caller.session(), first.lease);
  EXPECT_THAT(other.Get("k").status(), IsOk());
  EXPECT_EQ(peer().usage().damaged, 1u);
}

TEST_P(PeerContract, Lease16_NamespacesOverTheirQuotaGoFirst) {
  rules_["team-a"] = {.evict_last = true};
  rules_["team-b"] = {.evict_last = true};
  Begin(kNarrow);
  Caller a = Open("team-a"), b = Open("team-b");
  for (int i = 0; i < 6; ++i) ASSERT_THAT(a.PutKey(Key(i), SampleBytes(kMiB)), IsOk());
  for (int i = 0; i < 12; ++i) ASSERT_THAT(b.PutKey(Key(i), SampleBytes(kMiB)), IsOk());
  rules_["team-a"] = {.memory = 3 * kMiB, .disk = 3 * kMiB, .evict_last = true};
  MakeRoom();
  EXPECT_LE(a.List({})->objects.size(), 2u);
  EXPECT_EQ(b.List({})->objects.size(), 12u) << "it is the largest, but within its quota";
  EXPECT_EQ(peer().usage().evicted_quota, 4u);
}

// ---- eviction

TEST_P(PeerContract, WithoutLeaveToEvictAFullNodeRefusesAtOnceAndLosesNothing) {
  Begin(kNarrow);
  Caller caller = Open();
  int kept = 0;
  while (caller.PutKey(Key(kept), SampleBytes(kMiB)).ok()) ++kept;
  EXPECT_GT(kept, 18);
  const auto refused = caller.CreateLater({.key = "more", .size_hint = 2 * kMiB});
  EXPECT_TRUE(refused.ready());
  EXPECT_THAT(refused.Get().status(), kFull);
  MakeRoom();
  for (int i = 0; i < kept; ++i) EXPECT_THAT(caller.Stat(Key(i)), IsOk()) << i;
}

TEST_P(PeerContract, PinnedObjectsAreNotEvicted) {
  rules_["team-a"] = {.evict_last = true};
  Begin(kNarrow);
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("pinned", SampleBytes(kMiB)), IsOk());
  ASSERT_THAT(caller.SetPinned("pinned", true), IsOk());
  for (int i = 0; i < 60; ++i) {
    ASSERT_THAT(caller.PutKey(Key(i), SampleBytes(kMiB)), IsOk()) << i;
    MakeRoom();
  }
  EXPECT_THAT(caller.Get("pinned").status(), IsOk());
}

TEST_P(PeerContract, WhatIsEvictedIsToldOf) {
  rules_["team-a"] = {.evict_last = true};
  Begin(kNarrow);
  uint64_t dropped = 0;
  peer().OnDropped([&](const std::vector<ObjectInfo>& gone) {
    for (const ObjectInfo& info : gone) {
      EXPECT_EQ(peer().FindSealed(info.id), std::nullopt) << info.id.key;
      ++dropped;
    }
  });
  Caller caller = Open();
  for (int i = 0; i < 60; ++i) {
    ASSERT_THAT(caller.PutKey(Key(i), SampleBytes(kMiB)), IsOk()) << i;
    MakeRoom();
  }
  EXPECT_EQ(dropped, peer().usage().evicted_room);
  EXPECT_EQ(dropped + peer().usage().objects, 60u);
}

TEST_P(PeerContract, ACreateWaitsUpToTwoSecondsForRoom) {
  rules_["team-a"] = {.evict_last = true};
  Begin(kNarrow);
  Caller writer = Open(), reader = Open();
  std::vector<ReadGrant> held;
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(writer.PutKey(Key(i), SampleBytes(kMiB)), IsOk());
    held.push_back(*reader.Get(Key(i)));
  }
  const auto in_time = writer.CreateLater({.key = "in-time", .size_hint = 8 * kMiB});
  const auto late = writer.CreateLater({.key = "late", .size_hint = 22 * kMiB});
  const auto no_time = writer.CreateLater({.key = "no-time", .size_hint = 8 * kMiB}, node_->clock().Now());
  EXPECT_THAT(no_time.Get().status(), kFull) << "its deadline is now";
  EXPECT_THAT(writer.CreateLater({.key = "never", .size_hint = 25 * kMiB}).Get().status(), kFull);
  Pass(milliseconds(1900));
  MakeRoom();
  EXPECT_FALSE(in_time.ready());
  for (int i = 0; i < 10; ++i) reader.Release(held[i]);
  held.erase(held.begin(), held.begin() + 10);
  MakeRoom();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, in_time.Get());
  EXPECT_FALSE(late.ready());
  Pass(milliseconds(200));
  EXPECT_THAT(late.Get().status(), kFull);
  EXPECT_THAT(writer.Discard(grant), IsOk());
}

TEST_P(PeerContract, WhoWaitsForRoomIsAnsweredWhenItsSessionCloses) {
  rules_["team-a"] = {.evict_last = true};
  Begin(kNarrow);
  Caller writer = Open(), reader = Open();
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(writer.PutKey(Key(i), SampleBytes(kMiB)), IsOk());
    ASSERT_THAT(reader.Get(Key(i)).status(), IsOk());
  }
  const auto waiting = writer.CreateLater({.key = "k", .size_hint = 8 * kMiB});
  EXPECT_FALSE(waiting.ready());
  bool told = false;
  const absl::Status full = base::Error(absl::StatusCode::kResourceExhausted, "ARENA_FULL", "full");
  const base::Deadline soon = node_->clock().Now() + seconds(1);
  EXPECT_FALSE(peer().AwaitRoom(writer.session(), absl::OkStatus(), kMiB, soon, [] { FAIL(); }));
  EXPECT_TRUE(peer().AwaitRoom(writer.session(), full, kMiB, soon, [&] { told = true; }));
  writer.Close();
  EXPECT_TRUE(told);
  ASSERT_TRUE(waiting.ready());
  EXPECT_THAT(waiting.Get().status(), StatusIs(absl::StatusCode::kNotFound, "NO_SESSION"));
  EXPECT_EQ(peer().usage().create_leases, 0u);
}

// ---- quotas

TEST_P(PeerContract, AQuotaIsReservedAtCreateSettledAtSealAndRefunded) {
  rules_["team-a"] = QuotaOf(8 * kMiB);
  Begin(kNarrow);
  Caller a = Open("team-a"), b = Open("team-b");
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant reserved, a.Create({.key = "big", .size_hint = 7 * kMiB}));
  const auto refused = a.Create({.key = "other", .size_hint = 2 * kMiB});
  EXPECT_THAT(refused.status(), kQuota);
  EXPECT_THAT(base::Message(refused.status()), AllOf(HasSubstr("'team-a'"), HasSubstr("8 MiB"),
                                                     HasSubstr("7.00 MiB in use"), HasSubstr("2.00 MiB more")));
  EXPECT_THAT(b.PutKey("other", SampleBytes(2 * kMiB)), IsOk()) << "a quota is one namespace's";
  ASSERT_THAT(a.Append(reserved, AsBytes("little")), IsOk());
  ASSERT_THAT(a.Seal(reserved, 6), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant discarded, a.Create({.key = "other", .size_hint = 7 * kMiB}));
  ASSERT_THAT(a.Discard(discarded), IsOk());
  // Without a size the bytes count as they come.
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant growing, a.CreateKey("growing"));
  ASSERT_THAT(a.Append(growing, SampleBytes(5 * kMiB)), IsOk());
  EXPECT_THAT(a.Append(growing, SampleBytes(3 * kMiB)), kQuota);
  ASSERT_THAT(a.Append(growing, SampleBytes(kMiB)), IsOk()) << "what fits still does";
  ASSERT_THAT(a.Seal(growing, 6 * kMiB), IsOk());
  EXPECT_THAT(a.PutKey("k", SampleBytes(2 * kMiB)).status(), kQuota);
  // Deleted, but read: the bytes are still there.
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, a.Get("growing"));
  ASSERT_THAT(a.Delete("growing"), IsOk());
  EXPECT_THAT(a.PutKey("k", SampleBytes(2 * kMiB)).status(), kQuota);
  a.Release(grant);
  EXPECT_THAT(a.PutKey("k", SampleBytes(7 * kMiB)), IsOk());
  a.Close();
  Caller again = Open("team-a");
  ASSERT_THAT(again.Create({.key = "x", .size_hint = 900 * kKiB}).status(), IsOk());
  again.Close();
  Caller last = Open("team-a");
  EXPECT_THAT(last.Create({.key = "x", .size_hint = 900 * kKiB}).status(), IsOk());
}

TEST_P(PeerContract, ManyTinyObjectsAreBoundedByTheirQuotaToo) {
  rules_["team-a"] = QuotaOf(64 * kKiB);
  Begin(kNarrow);
  Caller caller = Open();
  int made = 0;
  while (made < 1000 && caller.PutKey(Key(made), {}).ok()) ++made;
  EXPECT_EQ(made, 64);
}

TEST_P(PeerContract, ANamespaceThatMayEvictMakesRoomWithinItsQuota) {
  rules_["team-a"] = QuotaOf(6 * kMiB);
  rules_["team-a"].evict_last = true;
  Begin(kNarrow);
  Caller a = Open("team-a"), b = Open("team-b");
  ASSERT_THAT(b.PutKey("k", SampleBytes(kMiB)), IsOk());
  for (int i = 0; i < 30; ++i) {
    const auto created = a.CreateLater({.key = Key(i), .size_hint = kMiB});
    if (!created.ready()) MakeRoom();
    LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, created.Get());
    ASSERT_THAT(a.Append(grant, SampleBytes(kMiB)), IsOk());
    ASSERT_THAT(a.Seal(grant, kMiB), IsOk());
    EXPECT_LE(a.List({})->objects.size(), 5u);
  }
  EXPECT_GE(peer().usage().evicted_quota, 25u);
  EXPECT_EQ(peer().usage().evicted_room, 0u);
  EXPECT_THAT(b.Stat("k"), IsOk());
}

TEST_P(PeerContract, LeasesAndConnectionsHaveQuotas) {
  rules_["team-a"] = {.leases = 3, .connections = 2};
  Caller first = Open("team-a"), second = Open("team-a"), other = Open("team-b");
  const auto third = peer().OpenSession({.ns = "team-a"});
  EXPECT_THAT(third.status(), kQuota);
  EXPECT_THAT(base::Message(third.status()),
              AllOf(HasSubstr("'connections'"), HasSubstr("is 2"), HasSubstr("2 in use")));
  ASSERT_THAT(first.PutKey("k", AsBytes("x")), IsOk()) << "its lease is over";
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant one, first.Get("k"));
  ASSERT_THAT(first.Get("k").status(), IsOk());
  ASSERT_THAT(second.CreateKey("new").status(), IsOk());
  EXPECT_THAT(second.Get("k").status(), kQuota);
  EXPECT_THAT(second.CreateKey("newer").status(), kQuota);
  ASSERT_THAT(other.PutKey("k", AsBytes("x")), IsOk());
  first.Release(one);
  first.Release(one);
  EXPECT_THAT(second.Get("k").status(), IsOk());
  EXPECT_THAT(second.Get("k").status(), kQuota) << "a release counts once";
  first.Close();
  EXPECT_THAT(second.Get("k").status(), IsOk());
  EXPECT_THAT(peer().OpenSession({.ns = "team-a"}).status(), IsOk());
}

TEST_P(PeerContract, ALostLeaseNamesItsKeyAndEpochAndItsSessionIsTold) {
  std::vector<LeaseId> told;
  Caller caller(peer(),
                *peer().OpenSession({.ns = "team-a"}, [&](const std::vector<LeaseId>& leases) { told = leases; }));
  ASSERT_THAT(caller.PutKey("read", AsBytes("x")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("made"));
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant read, caller.Get("read"));
  Pass(kLeaseTtl + seconds(1));
  EXPECT_THAT(told, testing::UnorderedElementsAre(grant.lease, read.lease));
  const absl::Status lost = caller.Append(grant, AsBytes("late"));
  EXPECT_THAT(lost, StatusIs(absl::StatusCode::kAborted, "LEASE_LOST"));
  EXPECT_THAT(base::Message(lost), AllOf(HasSubstr("'made'"), HasSubstr(std::to_string(grant.epoch.value))));
  EXPECT_THAT(base::Message(peer().ViewOf(caller.session(), read.lease).status()),
              AllOf(HasSubstr("'read'"), HasSubstr(std::to_string(read.info.epoch.value))));
}

}  // namespace larder::object
