#include "core/arena_metrics.h"

namespace larder::cache_agent {
namespace {

constexpr observe::GaugeDecl<observe::Word> kPoolBytes = {
    .name = "larder_agent_pool_bytes",
    .help = "The memory arena: free, live, or quarantined while a process may still see it.",
    .labels = {"state"}};

}  // namespace

ArenaMetrics::ArenaMetrics(const arena::Arena& arena, observe::Registry& registry)
    : pool_bytes_(registry.AddWatch(kPoolBytes, [&arena](const observe::Sample<observe::Word>& sample) {
        const arena::Arena::Usage usage = arena.usage();
        sample(static_cast<double>(usage.free), "free");
        sample(static_cast<double>(usage.live), "live");
        sample(static_cast<double>(usage.quarantined), "quarantined");
      })) {}

}  // namespace larder::cache_agent
