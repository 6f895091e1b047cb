#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  bool evict_ = false;
  int woken_ = 0;
  SinglePeer peer_{node_.backend(), object::PeerSettings{.clock = &node_.clock(),
                                                         .rules = [this](const std::string&) -> object::NamespaceRules {
                                                           return {.evict_last = evict_};
                                                         },
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
  evict_ = true;
  Caller caller = Open("team-a");
  ASSERT_THAT(caller.PutKey("first", SampleBytes(kMiB)), IsOk());
  MakeRoom();  // learns that something may go
  for (int i = 0; i < 40; ++i) ASSERT_THAT(caller.PutKey(std::to_string(i), SampleBytes(kMiB)), IsOk());
  EXPECT_EQ(woken_, 0);
  for (int i = 40; i < 60 && woken_ == 0; ++i) ASSERT_THAT(caller.PutKey(std::to_string(i), SampleBytes(kMiB)), IsOk());
  EXPECT_EQ(woken_, 1);
}

// data-plane.md: the arena filled ten times by two namespaces.
TEST_F(MemoryRoom, TwoNamespacesFillTheArenaTenTimesAndEverythingAddsUp) {
  evict_ = true;
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

}  // namespace
}  // namespace larder::peers
