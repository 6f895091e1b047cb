#include "larder/peer_manager/app.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <random>
#include <utility>

#include "core/manager.h"
#include "core/swarm_desk.h"
#include "larder/base/status.h"
#include "larder/rpc/address.h"
#include "larder/rpc/server.h"
#include "rpc/peer_manager_rpc.h"
#include "rpc/tracker_cluster.h"

namespace larder::peer_manager {
namespace {

// Tries to renew a lease that fit into it.
constexpr int kLeaseTries = 4;
// A tracker looks for a quorum for 3 s.
constexpr base::Duration kPatience = std::chrono::milliseconds(3500);

// Of all nodes together; some 100 MiB.
constexpr size_t kMostFetches = 1 << 18;

// Of this start alone: what an earlier one held is not taken for its own.
std::string NameOfThisStart() {
  std::array<char, 256> host{};
  const bool named = ::gethostname(host.data(), host.size() - 1) == 0;
  std::random_device random;
  return fmt::format("{}/{:08x}", named ? host.data() : "unnamed", random());
}

}  // namespace

App::App(const Config& config, rpc::Process& process)
    : config_(config),
      process_(process),
      cluster_(std::make_unique<TrackerCluster>(TrackerOptions{
          .addresses = config_.trackers, .lease_patience = config_.leader_ttl / kLeaseTries, .patience = kPatience})),
      manager_(std::make_unique<Manager>(ManagerOptions{.name = NameOfThisStart(),
                                                        .session = config_.node_session,
                                                        .leader_ttl = config_.leader_ttl,
                                                        .most_nodes = config_.most_sessions},
                                         *cluster_, process_.clock(), process_.log(), process_.metrics())),
      swarms_(std::make_unique<SwarmDesk>(*manager_, kMostFetches, process_.clock(), process_.metrics())),
      rpc_(std::make_unique<PeerManagerRpc>(*manager_, *swarms_, config_.most_sessions, process_.clock(),
                                            process_.metrics())) {}

App::~App() { stops_.Run(base::kNoDeadline); }

absl::Status App::Start() {
  LARDER_RETURN_IF_ERROR(ListenForCalls());
  FollowTracker();
  process_.SetReady(true);
  stops_.Push("ready", [this](base::Deadline) { process_.SetReady(false); });
  process_.log().Info("peer manager serving", {{"grpc", grpc_address()}, {"name", manager_->options().name}});
  return absl::OkStatus();
}

void App::Stop(base::Deadline deadline) { stops_.Run(deadline); }

void App::FollowTracker() {
  rounds_ = std::make_unique<base::Worker>("larder-peers", [this] {
    rpc_->Sweep();
    swarms_->Round();
    return manager_->Round();
  });
  rounds_->Start();
  // Before the calls: whose session ends because this manager stops is not silent.
  stops_.Push("rounds", [this](base::Deadline deadline) {
    rounds_->Stop();
    manager_->Resign(deadline);
    cluster_.reset();  // its answers come to the manager
  });
}

absl::Status App::ListenForCalls() {
  server_ = std::make_unique<rpc::Server>(rpc::ServerOptions{.address = config_.grpc}, process_.log());
  server_->Add(*rpc_);
  if (const absl::Status started = server_->Start(); !started.ok()) {
    return base::Annotate(started, "listen.grpc " + config_.grpc);
  }
  stops_.Push("calls", [this](base::Deadline deadline) {
    swarms_->Stop();
    rpc_->Stop(deadline);
    server_->Stop(deadline);
  });
  return absl::OkStatus();
}

std::string App::grpc_address() const {
  rpc::HostPort address = rpc::ParseHostPort(config_.grpc).value_or(rpc::HostPort{});
  address.port = server_->port();
  return rpc::FormatHostPort(address);
}

}  // namespace larder::peer_manager
