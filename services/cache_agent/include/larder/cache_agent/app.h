#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "larder/base/clock.h"
#include "larder/base/executor.h"
#include "larder/base/stop_stack.h"
#include "larder/base/unique_fd.h"
#include "larder/base/worker.h"
#include "larder/cache_agent/config.h"
#include "larder/rpc/process.h"
#include "larder/rpc/run_service.h"

namespace larder::arena {
class Arena;
}
namespace larder::object {
class Backend;
class Listener;
class Peer;
}  // namespace larder::object
namespace larder::rpc {
class Server;
}

namespace larder::cache_agent {

namespace csi {
class CsiMetrics;
class Driver;
class PodDoors;
struct Privileges;
}  // namespace csi
class AgentRpc;
class ArenaMetrics;
class ConnectionMetrics;
class CopyCheck;
class FilePodDirectory;
class GrantTable;
class LiveSessions;
class Membership;
class MembershipMetrics;
class MeteredPeer;
class NamespaceTable;
class NodeList;
class PieceExchange;
class Publisher;
class Readiness;
class RegistryWatch;
class StatusReader;
class TrackedPeer;
class TrackerClient;
struct TrackerOptions;

// The agent of one node: the memory, the objects, and the two sockets by which pods reach them. The one place where its
// parts are put together. Several may live in one process, each with a Process and directories of its own. One thread
// calls it.
class App {
 public:
  using Config = cache_agent::Config;
  static constexpr rpc::ServiceInfo kInfo = {.service = "cache_agent",
                                             .binary = "larder-agent",
                                             .summary = "Serves a node's pods with objects, over the node's sockets.",
                                             .admin_port = 7469};

  // What root's rights are kept for; null but for identity `csi`.
  using Prepared = std::shared_ptr<csi::Privileges>;
  // Forks the mounter and gives root up, for identity `csi`: see csi::SplitPrivileges. Before there are threads.
  static absl::StatusOr<Prepared> Prepare(const Config& config);

  // Wires, starts nothing. Borrows `process`.
  App(const Config& config, rpc::Process& process, Prepared privileges = nullptr);
  ~App();  // stops

  // Once only. RESOURCE_EXHAUSTED (ARENA_OVER_LIMIT) when the arena cannot fit this machine or cgroup, ALREADY_EXISTS
  // (LOCKED) when another agent has one of the directories, INVALID_ARGUMENT for settings that do not go together, and
  // what arena, backend and listeners say. A failure leaves nothing running once Stop or the destructor has run. Ready
  // as core/readiness.h says.
  absl::Status Start();
  // Takes over quotas, namespaces and grants; what is over a new quota is evicted where it may be, and keeps others out
  // else; sessions that grants do not allow any more end.
  absl::Status Reload(const Config& config);
  // Not ready, then listeners, background, objects. Objects that the store keeps are kept. Idempotent.
  void Stop(base::Deadline deadline);

 private:
  absl::Status CheckPrivileges() const;
  absl::Status CheckMachine();
  absl::Status LockSocketDir();
  absl::Status OpenStore();
  absl::Status OpenPods();
  // `peer` as part of the cluster, if there is one.
  absl::StatusOr<std::unique_ptr<object::Peer>> JoinCluster(std::unique_ptr<object::Peer> peer);
  absl::Status MakeMembership(const TrackerOptions& self);
  absl::Status Listen();
  absl::Status ListenForCalls(const std::string& socket);
  // For identity `csi`: pods' own sockets, and the kubelet's way to ask for them.
  absl::Status StartDriver();

  const Config config_;
  rpc::Process& process_;
  const Prepared privileges_;
  std::string node_;

  const std::unique_ptr<NamespaceTable> namespaces_;
  const std::unique_ptr<GrantTable> grants_;
  const std::unique_ptr<Readiness> readiness_;
  base::UniqueFd socket_dir_lock_;
  std::unique_ptr<base::ThreadPool> executor_;
  std::unique_ptr<arena::Arena> arena_;
  std::unique_ptr<ArenaMetrics> arena_metrics_;
  std::unique_ptr<object::Backend> backend_;
  std::unique_ptr<NodeList> node_list_;
  std::unique_ptr<Membership> membership_;  // none without a tracker
  std::unique_ptr<MembershipMetrics> membership_metrics_;
  std::unique_ptr<PieceExchange> pieces_;  // none without a tracker, as those that follow
  std::unique_ptr<TrackerClient> tracker_;
  std::unique_ptr<Publisher> publisher_;
  TrackedPeer* tracked_ = nullptr;  // in peer_; none without a tracker
  std::unique_ptr<CopyCheck> copy_check_;
  std::unique_ptr<RegistryWatch> watch_;
  std::unique_ptr<MeteredPeer> peer_;
  std::unique_ptr<base::Worker> maintenance_;
  std::unique_ptr<FilePodDirectory> pods_;
  std::unique_ptr<base::Worker> pods_refresh_;
  std::unique_ptr<LiveSessions> sessions_;
  std::unique_ptr<ConnectionMetrics> connection_metrics_;
  std::unique_ptr<object::Listener> data_;
  std::unique_ptr<StatusReader> status_;
  std::unique_ptr<AgentRpc> agent_rpc_;
  std::unique_ptr<rpc::Server> control_;
  const std::unique_ptr<csi::CsiMetrics> csi_metrics_;
  std::unique_ptr<csi::PodDoors> pod_doors_;
  std::unique_ptr<csi::Driver> driver_;
  base::StopStack stops_;  // last, so unwound first
};

}  // namespace larder::cache_agent
