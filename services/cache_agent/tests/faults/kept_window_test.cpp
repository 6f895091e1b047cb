// A client that keeps the windows it gave back. That they are nobody else's then: hostile_memory_test.cpp.
#include "larder/base/units.h"
#include "tests/faults/fault_test.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::kMiB;

constexpr uint64_t kSize = 2 * kMiB;
class KeptWindow : public FaultTest {
 protected:
  void SetUp() override { Start({"--arena=64MiB"}); }
};

TEST_F(KeptWindow, DoesNotTakeAllOfTheArena) {
  RawClient hostile = Raw("greedy");
  std::vector<Shared> kept;
  for (int i = 0; i < 40; ++i) {
    LARDER_ASSERT_OK_AND_ASSIGN(const Creating creating, hostile.Create("k"));
    auto window = hostile.Window(creating.lease, kSize);
    if (window.ok()) kept.push_back(*std::move(window));
    ASSERT_THAT(hostile.Discard(creating), IsOk());
  }
  EXPECT_LE(Look().quarantined, 64 * kMiB / 3);
  auto honest = Connect({.ns = "honest"});
  EXPECT_THAT(honest->Put({.key = "k"}, base::AsBytes(Pattern("k", 16 * kMiB))), IsOk());
  kept.clear();
  EXPECT_TRUE(Eventually([&] { return Look().quarantined == 0; }));
  ExpectArenaBalances(agent(), 64 * kMiB);
}

}  // namespace
}  // namespace larder::cache_agent
