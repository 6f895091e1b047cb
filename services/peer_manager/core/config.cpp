#include "larder/peer_manager/config.h"

#include "larder/base/status.h"
#include "larder/rpc/address.h"

namespace larder::peer_manager {
namespace {

constexpr base::Duration kShortestSession = std::chrono::milliseconds(100);
constexpr base::Duration kLongestSession = std::chrono::hours(1);
constexpr base::Duration kShortestLease = std::chrono::milliseconds(500);
constexpr base::Duration kLongestLease = std::chrono::minutes(10);
constexpr int64_t kMostSessions = 1'000'000;

absl::Status CheckTracker(const std::string& address) {
  LARDER_ASSIGN_OR_RETURN(const rpc::HostPort parsed, rpc::ParseHostPort(address));
  if (parsed.port != 0) return absl::OkStatus();
  return base::InvalidArgument("BAD_VALUE", "'{}' has no port", address);
}

}  // namespace

void Declare(config::Binder& binder, Config& config) {
  binder.Text("listen.grpc", &config.grpc,
              {.help = "Where agents and `larder` call.", .required = true, .check = rpc::CheckHostPort});
  binder.List("tracker", &config.trackers,
              {.help = "Where the cluster's trackers answer (listen.grpc), HOST:PORT parted by commas.",
               .required = true,
               .check = CheckTracker});
  binder.Time("node.session_timeout", &config.node_session,
              {.help = "A node that is silent for so long is fenced; agents beat five times as often. The same on each "
                       "manager and tracker.",
               .min = kShortestSession,
               .max = kLongestSession});
  binder.Time("leader.ttl", &config.leader_ttl,
              {.help = "How long after the end of a leader the next one may lead. The same on each manager.",
               .min = kShortestLease,
               .max = kLongestLease});
  binder.Integer("sessions.max", &config.most_sessions,
                 {.help = "Sessions of agents that are open at once, and nodes that are known by their own word alone.",
                  .min = 1,
                  .max = kMostSessions});
}

}  // namespace larder::peer_manager
