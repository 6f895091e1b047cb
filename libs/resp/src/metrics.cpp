#include "src/metrics.h"

namespace larder::resp {
namespace {

constexpr observe::GaugeDecl<> kConnections = {.name = "larder_resp_connections",
                                               .help = "Redis clients that are connected."};
constexpr observe::CounterDecl<Op, absl::StatusCode> kCommands = {
    .name = "larder_resp_commands_total", .help = "Redis commands by command and outcome.", .labels = {"op", "code"}};

}  // namespace

Metrics::Metrics(observe::Registry& registry)
    : connections_(registry.Add(kConnections)), commands_(registry.Add(kCommands)) {}

}  // namespace larder::resp
