#include "src/super_seeding.h"

#include <cstdlib>

#include "tests/whole_swarm.h"

namespace larder::swarm {
namespace {

TEST(Measure, All) {
  const char* only = std::getenv("CHILDREN");
  const char* meet = std::getenv("ACQ");
  for (const bool seeding : {false, true}) {
    for (const uint32_t pieces : {64U, 256U}) {
      for (const int children : {1, 2, 3, 7, 15, 31}) {
        if (only && std::atoi(only) != children) continue;
        std::string line;
        double worst = 9, most = 0, mean = 0, all = 0;
        const int seeds = children > 10 ? 3 : 10;
        if (children > 20 && pieces > 64) continue;
        for (int seed = 0; seed < seeds; ++seed) {
          WholeSwarm swarm({.children = children, .pieces = pieces, .seed = static_cast<uint64_t>(seed + 1), .acquainted = !meet || *meet == '1', .seeding = seeding});
          swarm.Run();
          for (int i = 1; i <= children; ++i) EXPECT_TRUE(swarm.done(i)) << i << " has " << swarm.held(i);
          const double of = swarm.bound() / std::chrono::duration<double>(swarm.took()).count();
          worst = std::min(worst, of);
          mean += of / seeds;
          most = std::max(most, swarm.sent());
          all += swarm.sent() / seeds;
        }
        printf("%s pieces %3u children %2d: of T* mean %.3f worst %.3f, sent mean %.3f most %.3f\n", seeding ? "seeding" : "plain  ", pieces, children, mean, worst, all, most);
        fflush(stdout);
      }
    }
  }
}

}  // namespace
}  // namespace larder::swarm
