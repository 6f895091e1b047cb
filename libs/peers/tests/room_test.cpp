#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "larder/backends/register_all.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/testing/peer_contract.h"
#include "larder/object/testing/test_node.h"
#include "larder/peers/single_peer.h"

// What eviction does to the memory of a node: the rest is PeerContract's.
namespace larder::peers {
namespace {

using base::IsOk;
using base::kKiB;
using base::kMiB;
using object::BytesOf;
using object::Caller;
using object::SampleBytes;

class MemoryRoom : public testing::Test {
 protected:
  static object::BackendEntry Memory() {
    object::BackendRegistry registry("backend");
    backends::RegisterAll(registry);
    return **registry.Get("memory");
  }
  void MakeRoom() {
    peer_.Tick();
    node_.arena().Maintain();
  }
  Caller Open(const std::string& ns) { return Caller(peer_, *peer_.OpenSession({.ns = ns})); }

  object::TestNode node_{Memory(), {.arena_bytes = 64 * kMiB, .slab_bytes = 4 * kMiB}};
  std::map<std::string, object::NamespaceRules> rules_;
  int woken_ = 0;
  SinglePeer peer_{node_.backend(), object::PeerSettings{.clock = &node_.clock(),
                                                         .rules = [this](const std::string& ns) { return rules_[ns]; },
                                                         .wake = [this] { ++woken_; }}};
};

// A slab serves again only when all in it is gone.
TEST_F(MemoryRoom, SurvivorsAreMovedTogetherSoThatMemoryStaysWithinAQuarterOfWhatLives) {
  Caller caller = Open("team-a");
  constexpr int kObjects = 200;
  const auto key = [](int i) { return "k" + std::to_string(i); };
  for (int i = 0; i < kObjects; ++i) {
    ASSERT_THAT(caller.PutKey(key(i), SampleBytes(200 * kKiB, static_cast<uint64_t>(i))), IsOk());
  }
  for (int i = 0; i < kObjects; ++i) {
    if (i % 10 == 0) continue;
    ASSERT_THAT(caller.Delete(key(i)), IsOk());
  }
  LARDER_ASSERT_OK_AND_ASSIGN(const object::ReadGrant read, caller.Get(key(100)));
  ASSERT_GT(node_.backend().usage().used, 30 * kMiB) << "each slab has a survivor";
  for (int i = 0; i < 4; ++i) MakeRoom();
  const arena::Arena::Usage usage = node_.arena().usage();
  const uint64_t live = 20 * 200 * kKiB;
  // Beside it: the slab of the one that is read, and the part of the last slab that is not used yet.
  EXPECT_LE(usage.live, live * 5 / 4 + 2 * node_.arena().slab_size());
  EXPECT_GE(peer_.usage().compacted, 15u);
  for (int i = 0; i < kObjects; i += 10) {
    LARDER_ASSERT_OK_AND_ASSIGN(const object::ReadGrant grant, caller.Get(key(i)));
    EXPECT_TRUE(BytesOf(*grant.view) == SampleBytes(200 * kKiB, static_cast<uint64_t>(i))) << i;
    caller.Release(grant);
  }
  EXPECT_TRUE(BytesOf(*read.view) == SampleBytes(200 * kKiB, 100));
  EXPECT_EQ(peer_.usage().objects, 20u);
}

TEST_F(MemoryRoom, MaintenanceIsWokenWhenASealLeavesLittleRoom) {
  rules_["team-a"].evict_last = true;
  Caller caller = Open("team-a");
  ASSERT_THAT(caller.PutKey("first", SampleBytes(kMiB)), IsOk());
  MakeRoom();  // learns that something may go
  for (int i = 0; i < 40; ++i) ASSERT_THAT(caller.PutKey(std::to_string(i), SampleBytes(kMiB)), IsOk());
  EXPECT_EQ(woken_, 0);
  for (int i = 40; i < 60 && woken_ == 0; ++i) ASSERT_THAT(caller.PutKey(std::to_string(i), SampleBytes(kMiB)), IsOk());
  EXPECT_EQ(woken_, 1);
}

// Rule 6: nobody can renew what was not granted yet.
TEST_F(MemoryRoom, ACreationThatWaitsForRoomLongerThanALeaseLastsHearsOfTheRoom) {
  SinglePeer peer(node_.backend(), object::PeerSettings{.clock = &node_.clock(),
                                                        .rules = [](const std::string&) -> object::NamespaceRules {
                                                          return {.evict_last = true};
                                                        },
                                                        .lease_ttl = std::chrono::seconds(1)});
  Caller caller(peer, *peer.OpenSession({.ns = "team-a"}));
  for (int i = 0; i < 14; ++i) {
    ASSERT_THAT(caller.PutKey(std::to_string(i), SampleBytes(4 * kMiB)), IsOk());
    ASSERT_THAT(caller.SetPinned(std::to_string(i), true), IsOk());
  }
  const auto waits = caller.CreateLater({.key = "more", .size_hint = 8 * kMiB});
  node_.clock().Advance(std::chrono::milliseconds(1500));
  peer.Tick();
  EXPECT_FALSE(waits.ready());
  node_.clock().Advance(std::chrono::milliseconds(600));
  peer.Tick();
  ASSERT_TRUE(waits.ready());
  EXPECT_THAT(waits.Get().status(), base::StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
}

// data-plane.md: the arena filled ten times by two namespaces.
TEST_F(MemoryRoom, TwoNamespacesFillTheArenaTenTimesAndEverythingAddsUp) {
  rules_["team-a"].evict_last = rules_["team-b"].evict_last = true;
  Caller a = Open("team-a"), b = Open("team-b");
  uint64_t put = 0;
  for (uint64_t i = 0; put < 10 * 64 * kMiB; ++i) {
    const uint64_t size = 1 + i * 7919 % (3 * kMiB);
    Caller& caller = i % 3 == 0 ? b : a;
    const auto created = caller.CreateLater({.key = std::to_string(i), .size_hint = size});
    for (int round = 0; round < 100 && !created.ready(); ++round) MakeRoom();
    LARDER_ASSERT_OK_AND_ASSIGN(const object::CreateGrant grant, created.Get());
    ASSERT_THAT(caller.Append(grant, SampleBytes(size, i)), IsOk());
    ASSERT_THAT(caller.Seal(grant, size), IsOk());
    put += size;
    if (i % 16 == 0) {
      LARDER_ASSERT_OK_AND_ASSIGN(const object::ReadGrant read, caller.Get(std::to_string(i)));
      ASSERT_TRUE(BytesOf(*read.view) == SampleBytes(size, i));
      caller.Release(read);
    }
    const arena::Arena::Usage usage = node_.arena().usage();
    ASSERT_EQ(usage.free + usage.live + usage.quarantined, usage.limit);
  }
  for (Caller* caller : {&a, &b}) {
    LARDER_ASSERT_OK_AND_ASSIGN(const object::ListPage page, caller->List({}));
    for (const object::ObjectInfo& info : page.objects) ASSERT_THAT(caller->Delete(info.id.key), IsOk());
    caller->Close();
  }
  node_.arena().Maintain();
  EXPECT_EQ(node_.arena().usage().free, node_.arena().usage().limit);
}

// ---- what shortage must not do

class Short : public MemoryRoom {
 protected:
  // A client's mapping that outlives its lease, as SDKs keep them.
  void KeepMapped(Caller& caller, const std::string& key) {
    const auto grant = caller.Get(key);
    ASSERT_THAT(grant.status(), IsOk());
    for (const object::Extent& extent : grant->view->Shareable()) kept_.push_back(*extent.memory->OpenReadOnly());
    caller.Release(*grant);
  }
  std::vector<base::UniqueFd> kept_;
};

TEST_F(Short, ARetryThatFailsDoesNotWakeTheNextRoundAtOnce) {
  rules_["a"].evict_last = true;
  Caller a = Open("a");
  std::vector<object::ReadGrant> held;
  for (int i = 0; i < 14; ++i) {
    ASSERT_THAT(a.PutKey(std::to_string(i), SampleBytes(4 * kMiB)), IsOk());
    held.push_back(*a.Get(std::to_string(i)));  // nothing may go
  }
  MakeRoom();
  const auto waiting = a.CreateLater({.key = "new", .size_hint = 8 * kMiB});
  ASSERT_FALSE(waiting.ready());
  woken_ = 0;
  for (int i = 0; i < 100; ++i) MakeRoom();
  EXPECT_FALSE(waiting.ready());
  EXPECT_EQ(woken_, 0) << "each wake makes Maintenance begin the next round without a pause";
}

TEST_F(Short, WhatIsInQuarantineIsOnItsWayAndNotEvictedForOnceMore) {
  rules_["a"].evict_last = true;
  Caller a = Open("a");
  for (int i = 0; i < 14; ++i) {
    ASSERT_THAT(a.PutKey(std::to_string(i), SampleBytes(4 * kMiB)), IsOk());
    KeepMapped(a, std::to_string(i));
  }
  for (int i = 0; i < 3; ++i) MakeRoom();  // settles below the watermark
  const uint64_t before = peer_.usage().objects;
  Caller b = Open("b");
  const auto waiting = b.CreateLater({.key = "new", .size_hint = 12 * kMiB});
  if (!waiting.ready()) {
    for (int i = 0; i < 50; ++i) MakeRoom();  // 100 ms at 2 ms each: before the listener even asks the client
  }
  EXPECT_GE(peer_.usage().objects + 5, before) << "12 MiB were asked for, 4 MiB objects";
}

TEST_F(Short, BackgroundQuotaEvictionDoesNotCascadeWhileClientsStillMapWhatWasEvicted) {
  rules_["a"] = {.memory = 40 * kMiB, .evict_last = true};
  Caller a = Open("a");
  for (int i = 0; i < 37; ++i) {
    ASSERT_THAT(a.PutKey(std::to_string(i), SampleBytes(kMiB)), IsOk());
    KeepMapped(a, std::to_string(i));
  }
  for (int i = 0; i < 50; ++i) {
    node_.clock().Advance(std::chrono::milliseconds(50));
    MakeRoom();
  }
  EXPECT_GE(peer_.usage().objects, 30u) << "92 % of the quota was used; 85 % may stay; nobody waits";
}

TEST_F(Short, ARequestThatEvictionCannotMeetEvictsNothing) {
  rules_["victim"].evict_last = true;
  Caller victim = Open("victim"), keeper = Open("keeper"), evil = Open("evil");
  for (int i = 0; i < 6; ++i) ASSERT_THAT(victim.PutKey(std::to_string(i), SampleBytes(4 * kMiB)), IsOk());
  for (int i = 0; i < 6; ++i) ASSERT_THAT(keeper.PutKey(std::to_string(i), SampleBytes(4 * kMiB)), IsOk());
  MakeRoom();
  ASSERT_EQ(peer_.usage().objects, 12u);
  const auto waiting = evil.CreateLater({.key = "new", .size_hint = 50 * kMiB});  // keeper's 24 MiB never go
  for (int i = 0; i < 50; ++i) MakeRoom();
  node_.clock().Advance(std::chrono::seconds(3));
  MakeRoom();
  ASSERT_TRUE(waiting.ready());
  EXPECT_FALSE(waiting.Get().ok());
  EXPECT_EQ(peer_.usage().objects, 12u) << "the victim lost everything for a request that could never be met";
}

TEST_F(Short, AFullArenaWithoutLeaveToEvictRefusesAtOnce) {
  Caller a = Open("a");
  int made = 0;
  const uint64_t sizes[] = {256 * kKiB, 100 * kKiB};
  std::vector<object::Answer<absl::StatusOr<object::CreateGrant>>> waiting;
  while (true) {
    auto created = a.CreateLater({.key = std::to_string(made), .size_hint = sizes[made % 2]});
    if (!created.ready()) {
      ADD_FAILURE() << "waits though nothing can be done: wasted " << node_.arena().usage().wasted << " of "
                    << node_.arena().usage().live;
      break;
    }
    if (!created.Get().ok()) break;
    ASSERT_THAT(a.Append(*created.Get(), SampleBytes(sizes[made % 2])), IsOk());
    ASSERT_THAT(a.Seal(*created.Get(), sizes[made % 2]), IsOk());
    ++made;
  }
}

TEST_F(Short, CompactionDoesNotCopyAHugeObjectForASmallHole) {
  Caller a = Open("a"), other = Open("other");
  ASSERT_THAT(a.PutKey("huge", SampleBytes(21 * kMiB)), IsOk());  // five slabs and 1 MiB of a sixth
  ASSERT_THAT(a.PutKey("beside", SampleBytes(2500 * kKiB)), IsOk());
  for (int i = 0; i < 10; ++i) ASSERT_THAT(other.PutKey(std::to_string(i), SampleBytes(1000 * kKiB)), IsOk());
  ASSERT_THAT(a.Delete("beside"), IsOk());
  for (int i = 0; i < 10; ++i) {
    if (i % 4 == 0) continue;
    ASSERT_THAT(other.Delete(std::to_string(i)), IsOk());
  }
  const auto before = a.Get("huge");
  a.Release(*before);
  MakeRoom();
  const auto after = a.Get("huge");
  EXPECT_EQ(after->view, before->view) << "21 MiB copied to free 2.5";
}

TEST_F(Short, AskingWhetherASlabIsSparseDoesNotTakeItsRoomAway) {
  Caller full = Open("full"), a = Open("a");
  for (int i = 0; i < 4; ++i) ASSERT_THAT(a.PutKey(std::to_string(i), SampleBytes(300 * kKiB)), IsOk());
  int made = 0;
  while (full.PutKey(std::to_string(made), SampleBytes(4 * kMiB)).ok()) ++made;
  ASSERT_THAT(a.PutKey("fits", SampleBytes(100 * kKiB)), IsOk());
  ASSERT_THAT(a.Delete("fits"), IsOk());
  for (int i = 1; i < 4; ++i) ASSERT_THAT(a.Delete(std::to_string(i)), IsOk());
  const auto view = a.Get("0");
  a.Release(*view);
  node_.backend().Compact({"a", "0"}, *view->view);  // what a Tick does when more than a fifth is wasted
  EXPECT_THAT(a.PutKey("fits", SampleBytes(kMiB)), IsOk()) << "2.6 MiB of the slab were never written";
}

// The id of the latest life of a slab; asking begins kAsking of them.
constexpr uint64_t kAsking = 2;
uint64_t LatestId(arena::Arena& arena) {
  EXPECT_THAT(arena.AllocateWindow("probe", 1, 1).status(), IsOk());
  arena.Maintain();
  return arena.AllocateWindow("probe", 1, 1)->front().memory()->id();
}

TEST_F(Short, ARetryThatCannotSucceedTakesAndZeroesNoMemory) {
  rules_["a"].evict_last = true;
  Caller a = Open("a");
  std::vector<object::ReadGrant> held;
  for (int i = 0; i < 8; ++i) {
    ASSERT_THAT(a.PutKey(std::to_string(i), SampleBytes(4 * kMiB)), IsOk());
    held.push_back(*a.Get(std::to_string(i)));
  }
  MakeRoom();
  const uint64_t before = LatestId(node_.arena());
  const auto waiting = a.CreateLater({.key = "new", .size_hint = 40 * kMiB});
  ASSERT_FALSE(waiting.ready());
  for (int i = 0; i < 100; ++i) MakeRoom();
  const uint64_t zeroed = LatestId(node_.arena()) - before - kAsking;
  EXPECT_LE(zeroed, 10u) << "slabs taken, given back and zeroed: " << zeroed * 4 << " MiB in 100 rounds";
}

TEST_F(Short, OneObjectOfEachSlabHoldsUpNoMoreThanTheQuota) {
  rules_["a"].memory = 16 * kMiB;
  Caller a = Open("a");
  std::vector<object::ReadGrant> held;  // read, so that nothing moves them
  bool refused = false;
  for (int round = 0; round < 20 && !refused; ++round) {
    std::vector<std::string> made;
    for (int i = 0; i < 4 && !refused; ++i) {
      made.push_back(fmt::format("{}-{}", round, i));
      refused = !a.PutKey(made.back(), SampleBytes(1000 * kKiB)).ok();
    }
    if (refused) break;
    held.push_back(*a.Get(made.front()));
    for (size_t i = 1; i < made.size(); ++i) ASSERT_THAT(a.Delete(made[i]), IsOk());
    MakeRoom();
  }
  EXPECT_TRUE(refused) << held.size() << " MiB held up " << node_.arena().usage().live / kMiB;
  EXPECT_LE(node_.arena().usage().live, 16 * kMiB * 5 / 4 + 2 * node_.arena().slab_size());
  held.clear();
  a.Close();
}

TEST_F(MemoryRoom, SurvivorsOfAFullArenaAreMovedTogether) {
  Caller a = Open("a");
  int made = 0;
  while (a.PutKey(fmt::format("{:04}", made), SampleBytes(500 * kKiB, static_cast<uint64_t>(made))).ok()) ++made;
  for (int i = 1; i < made; i += 2) ASSERT_THAT(a.Delete(fmt::format("{:04}", i)), IsOk());
  for (int i = 0; i < 8; ++i) {
    MakeRoom();
    node_.clock().Advance(std::chrono::seconds(2));
  }
  EXPECT_GE(node_.arena().usage().free, node_.arena().usage().limit / 3) << "half of all was deleted";
  EXPECT_THAT(a.PutKey("new", SampleBytes(16 * kMiB)), IsOk());
  for (int i = 0; i < made; i += 2) {
    LARDER_ASSERT_OK_AND_ASSIGN(const object::ReadGrant grant, a.Get(fmt::format("{:04}", i)));
    EXPECT_TRUE(BytesOf(*grant.view) == SampleBytes(500 * kKiB, static_cast<uint64_t>(i))) << i;
    a.Release(grant);
  }
}

TEST_F(Short, AnObjectOfNearlyTheWholeQuotaStays) {
  rules_["a"] = {.memory = 20 * kMiB, .evict_last = true};
  Caller a = Open("a");
  ASSERT_THAT(a.PutKey("k", SampleBytes(19 * kMiB)), IsOk());
  MakeRoom();
  EXPECT_THAT(a.Stat("k"), IsOk()) << "accepted, acknowledged, and dropped 50 ms later on an empty node";
}

TEST_F(Short, AClosedSessionsRetryTakesNoMemory) {
  rules_["a"].evict_last = true;
  Caller a = Open("a"), b = Open("a");
  std::vector<object::ReadGrant> held;
  for (int i = 0; i < 8; ++i) {
    ASSERT_THAT(a.PutKey(std::to_string(i), SampleBytes(4 * kMiB)), IsOk());
    held.push_back(*a.Get(std::to_string(i)));
  }
  MakeRoom();
  const auto waiting = b.CreateLater({.key = "new", .size_hint = 40 * kMiB});
  ASSERT_FALSE(waiting.ready());
  MakeRoom();
  const uint64_t before = LatestId(node_.arena());
  b.Close();  // on the listener's event thread
  node_.arena().Maintain();
  EXPECT_EQ(LatestId(node_.arena()) - before, kAsking) << "slabs";
}

TEST_F(Short, RoomIsMadeForAnAppendThatWaitsOnAnotherThread) {
  rules_["a"] = {.memory = 20 * kMiB, .evict_last = true};
  Caller a = Open("a");
  for (int i = 0; i < 16; ++i) ASSERT_THAT(a.PutKey(std::to_string(i), SampleBytes(kMiB)), IsOk());
  const auto grant = a.CreateKey("growing");
  ASSERT_THAT(grant.status(), IsOk());
  const std::vector<std::byte> bytes = SampleBytes(5 * kMiB);
  absl::Status appended = a.Append(*grant, bytes);
  const base::Deadline room_by = node_.clock().Now() + std::chrono::seconds(2);
  for (int i = 0; i < 100 && !appended.ok(); ++i) {
    bool again = false;  // what the listener does: it posts the retry to its loop
    if (!peer_.AwaitRoom(a.session(), appended, bytes.size(), room_by, [&] { again = true; })) break;
    MakeRoom();
    ASSERT_TRUE(again);
    appended = a.Append(*grant, bytes);
  }
  EXPECT_THAT(appended, IsOk()) << "the namespace may evict, and 16 MiB of its objects are cold";
}

}  // namespace
}  // namespace larder::peers
