// A client that goes on living does not keep the memory of what was deleted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "larder/arena/arena.h"
#include "larder/backends/memory/backend.h"
#include "larder/base/executor.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/peers/single_peer.h"
#include "larder/transport/uds/uds.h"

namespace larder::transport::uds {
namespace {

using base::IsOk;

TEST(IdleClient, GivesBackMappingsAndRingWhileItStaysConnected) {
  base::TempDir dir;
  base::SystemClock clock;
  base::ThreadPool pool("test", 1);
  auto arena = *arena::Arena::Create({.size = 32 * base::kMiB});
  auto backend = *backends::memory::Make({.clock = &clock, .arena = arena.get()});
  peers::SinglePeer peer(*backend, object::PeerSettings{.clock = &clock});
  auto listener = *Listen(
      {.address = dir.path().string(),
       .peer = &peer,
       .clock = &clock,
       .executor = &pool,
       .arena = arena.get(),
       // Clients look at what they keep every third of it.
       .lease_ttl = std::chrono::milliseconds(300),
       .identify = [](const object::CallerProcess&, const std::string&) -> absl::StatusOr<object::SessionOwner> {
         return object::SessionOwner{.ns = "default"};
       }});
  ASSERT_THAT(listener->Start(), IsOk());
  auto channel = *Dial(dir.path().string(), {});
  ASSERT_THAT(channel->Put({.key = "k"}, std::vector<std::byte>(6 * base::kMiB), base::kNoDeadline), IsOk());
  {
    auto reader = channel->Get("k", base::kNoDeadline);
    ASSERT_THAT(reader, IsOk());
    ASSERT_TRUE((*reader)->Bytes().has_value());
  }
  ASSERT_THAT(channel->Delete("k", base::kNoDeadline), IsOk());
  EXPECT_GT(arena->usage().quarantined + arena->usage().windows, 0u) << "it still maps the slabs, and has its ring";
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (arena->usage().free < arena->usage().limit && std::chrono::steady_clock::now() < until) {
    arena->Maintain();
    std::this_thread::yield();
  }
  EXPECT_EQ(arena->usage().free, arena->usage().limit);
  EXPECT_FALSE(channel->broken());
  listener->Stop(base::kNoDeadline);
}

}  // namespace
}  // namespace larder::transport::uds
