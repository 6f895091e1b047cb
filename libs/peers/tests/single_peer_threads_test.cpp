#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "larder/backends/register_all.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/testing/backend_contract.h"
#include "larder/object/testing/peer_contract.h"
#include "larder/peers/single_peer.h"

// For the thread sanitizer: many calls at once on few keys, over every backend.
namespace larder::peers {
namespace {

using base::IsOk;
using object::Answer;
using object::BytesOf;
using object::Caller;
using object::CreateGrant;
using object::CreateRequest;
using object::ReadGrant;
using object::SampleBytes;
using object::SealResult;
using std::chrono::milliseconds;

class SinglePeerThreads : public testing::TestWithParam<object::BackendEntry> {
 protected:
  using Answers = std::vector<Answer<absl::StatusOr<CreateGrant>>>;
  // What one client does with a session of its own, which it then drops. `waited` gets the answers that did not come at
  // once.
  void OneSession(uint64_t seed, Answers& waited);
  // Bytes that say which they are, so that a reader can tell torn ones.
  static std::vector<std::byte> Content(uint64_t which) { return SampleBytes(which % 4 * 30'000, which); }

  // Room and quotas so small that there is eviction all the time.
  object::PeerSettings Settings() {
    return {.backends = {&node_.backend()},
            .clock = &node_.clock(),
            .rules = [](const std::string& ns) -> object::NamespaceRules {
              return {.memory = ns == "team-b" ? 100'000u : 0u, .disk = 200'000, .evict_last = true};
            }};
  }

  object::TestNode node_{GetParam(), {.arena_bytes = 4 * base::kMiB}};
  std::unique_ptr<SinglePeer> peer_ = std::make_unique<SinglePeer>(node_.backend(), Settings());
};

void SinglePeerThreads::OneSession(uint64_t seed, Answers& waited) {
  std::mt19937_64 random(seed);
  Caller caller(*peer_, *peer_->OpenSession({.ns = random() % 4 == 0 ? "team-b" : "team-a"}));
  std::vector<ReadGrant> reads;
  for (int step = 0; step < 12; ++step) {
    const std::string key(1, static_cast<char>('a' + random() % 3));
    switch (random() % 6) {
      case 0:
      case 1: {
        CreateRequest request{.key = random() % 4 == 0 ? "" : key,
                              .size_hint = random() % 2 == 0 ? 60'000u : 0u,
                              .overwrite = random() % 2 == 0};
        if (random() % 4 == 0) request.meta.ttl = milliseconds(1 + random() % 50);
        const auto answer = caller.CreateLater(request, node_.clock().Now() + milliseconds(random() % 20));
        if (!answer.ready()) {
          waited.push_back(answer);
          break;
        }
        const auto grant = answer.Get();
        if (!grant.ok()) break;
        const std::vector<std::byte> bytes = Content(random() % 8);
        const size_t half = bytes.size() / 2;
        if (!caller.Append(*grant, base::ByteSpan(bytes).first(half)).ok()) break;
        if (!caller.Append(*grant, base::ByteSpan(bytes).subspan(half)).ok()) break;
        if (random() % 6 == 0) break;  // left CREATING
        if (random() % 6 == 0) {
          caller.Discard(*grant).IgnoreError();
        } else {
          caller.Seal(*grant, bytes.size()).status().IgnoreError();
        }
        break;
      }
      case 2:
        if (auto read = caller.Get(key); read.ok()) {
          const std::vector<std::byte> bytes = BytesOf(*read->view);
          EXPECT_EQ(bytes.size(), read->info.size);
          bool known = false;
          for (uint64_t which = 0; which < 8; ++which) known = known || bytes == Content(which);
          EXPECT_TRUE(known) << "bytes that nobody wrote";
          reads.push_back(*std::move(read));
        }
        break;
      case 3:
        if (!reads.empty()) caller.Release(reads.back()), reads.pop_back();
        caller.Renew().status().IgnoreError();
        break;
      case 4:
        caller.Delete(key).IgnoreError();
        caller.List({}).status().IgnoreError();
        break;
      default:
        caller.SetPinned(key, random() % 2 == 0).IgnoreError();
        caller.Stat(key).status().IgnoreError();
        node_.clock().Advance(milliseconds(random() % 10));
        peer_->Tick();
        node_.arena().Maintain();
    }
  }
  caller.Close();
}

// data-plane.md, rule 17: under the thread sanitizer this also shows that locks are taken in one order.
TEST_P(SinglePeerThreads, Lease17_FourThreadsOnFewKeysGiveEverythingBack) {
  const uint64_t before = node_.Used();
  const int sessions = node_.backend().blocks() ? 20 : 100;
  std::vector<Answers> waited(4);
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < sessions; ++i) OneSession(t * 1'000 + i, waited[t]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Answers& of_thread : waited) {
    for (const auto& answer : of_thread) EXPECT_EQ(answer.calls(), 1) << "its session is closed: it was answered, once";
  }
  EXPECT_EQ(peer_->usage().sessions, 0u);
  EXPECT_EQ(peer_->usage().create_leases, 0u);
  EXPECT_EQ(peer_->usage().read_leases, 0u);
  // What the table says is what a restart finds.
  const object::PeerUsage usage = peer_->usage();
  EXPECT_GT(usage.evicted_quota, 0u);
  peer_.reset();
  node_.Restart();
  peer_ = std::make_unique<SinglePeer>(node_.backend(), Settings());
  ASSERT_THAT(peer_->Recover(), IsOk());
  if (node_.backend().durability() != object::Durability::kMemory) {
    EXPECT_LE(peer_->usage().objects, usage.objects) << "fewer by those whose TTL has passed meanwhile";
  }
  for (const std::string ns : {"team-a", "team-b"}) {
    Caller cleaner(*peer_, *peer_->OpenSession({.ns = ns}));
    const auto left = cleaner.List({});
    for (const object::ObjectInfo& info : left->objects) {
      EXPECT_THAT(cleaner.Delete(info.id.key), IsOk());
    }
    cleaner.Close();
  }
  node_.clock().Advance(milliseconds(100));
  peer_->Tick();
  EXPECT_EQ(peer_->usage().objects, 0u);
  EXPECT_EQ(node_.Used(), before);
}

std::vector<object::BackendEntry> AllBackends() {
  object::BackendRegistry registry("backend");
  backends::RegisterAll(registry);
  return object::EntriesOf(registry);
}

INSTANTIATE_TEST_SUITE_P(Registry, SinglePeerThreads, testing::ValuesIn(AllBackends()), object::NameOfEntry);

}  // namespace
}  // namespace larder::peers
