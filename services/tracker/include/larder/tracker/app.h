#pragma once
#include <absl/status/status.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "larder/base/clock.h"
#include "larder/base/executor.h"
#include "larder/base/mutex.h"
#include "larder/base/stop_stack.h"
#include "larder/base/unique_fd.h"
#include "larder/base/worker.h"
#include "larder/observe/registry.h"
#include "larder/raft/log_store.h"
#include "larder/raft/node.h"
#include "larder/raft/tcp_transport.h"
#include "larder/resp/server.h"
#include "larder/rpc/process.h"
#include "larder/rpc/run_service.h"
#include "larder/tracker/config.h"

namespace larder::raft {
class Metrics;
}
namespace larder::rpc {
class Server;
}

namespace larder::tracker {

class CatchUp;
class Consensus;
class Expiry;
class RecordCount;
class RequestMetrics;
struct MemberFile;
class RespCommands;
class RocksTable;
class ServedState;
class SlowProposals;
class SnapshotReads;
class TrackerRpc;

// One member of the tracker: its log and state on disk, Raft with the other members, and the ports it serves. The one
// place where its parts are put together. Several may live in one process, each with a Process and a directory of its
// own. One thread calls it.
class App {
 public:
  using Config = tracker::Config;
  static constexpr rpc::ServiceInfo kInfo = {.service = "tracker",
                                             .binary = "larder-tracker",
                                             .summary = "Keeps the cluster's truth: objects, copies, leases.",
                                             .admin_port = 7419};

  // Wires, starts nothing. Borrows `process`.
  App(const Config& config, rpc::Process& process);
  ~App();  // stops

  // Once only. ALREADY_EXISTS (LOCKED) when another tracker has the directory, FAILED_PRECONDITION (OTHER_MEMBER) when
  // it is another member's, DATA_LOSS when log or registry are damaged, and what listeners say. A failure leaves
  // nothing running once Stop or the destructor has run. Serves before there is a quorum: calls wait for one. Ready
  // once it has applied what the group had committed.
  absl::Status Start();
  // Not ready, hands leadership over, then listeners, Raft, disks. Idempotent.
  void Stop(base::Deadline deadline);

  // Where it listens, HOST:PORT; after Start. Empty: it does not.
  std::string grpc_address() const;
  std::string raft_address() const;
  std::string resp_address() const;

 private:
  absl::Status FindVoters();
  absl::Status OpenData();
  absl::Status OpenTransport(const MemberFile& member);
  absl::Status JoinGroup();
  void CountRecords();
  void ServeReads();
  absl::Status ListenForCalls();
  absl::Status ListenForRedis();
  void BecomeReady();
  void NoteStanding(const raft::NodeStatus& now) LARDER_EXCLUDES(role_mutex_);
  // Of the worker: what waits for a leader, or is due. How long until the next.
  base::Duration Round();
  void HandOver(base::Deadline deadline) LARDER_EXCLUDES(role_mutex_);

  const Config config_;
  rpc::Process& process_;

  std::map<raft::MemberId, std::string> voters_;  // of a new group, with their addresses
  base::UniqueFd lock_;
  std::unique_ptr<raft::Metrics> metrics_;
  std::unique_ptr<raft::LogStore> log_;
  std::unique_ptr<RocksTable> table_;
  std::unique_ptr<ServedState> state_;
  std::unique_ptr<RecordCount> record_count_;
  std::unique_ptr<base::Worker> record_counter_;
  observe::Registry::Watch records_watch_;
  std::unique_ptr<raft::TcpTransport> transport_;
  std::unique_ptr<SlowProposals> slow_proposals_;
  base::Mutex role_mutex_;
  base::CondVar role_changed_;  // of the node, which status() shows
  std::unique_ptr<raft::Node> node_;
  // For the transport's threads, which are there before these are: null till then.
  std::atomic<raft::Node*> receiving_node_ = nullptr;
  std::atomic<Consensus*> receiving_consensus_ = nullptr;
  std::unique_ptr<base::ThreadPool> readers_;
  std::unique_ptr<SnapshotReads> reads_;
  std::unique_ptr<Consensus> consensus_;
  std::unique_ptr<Expiry> expiry_;
  std::unique_ptr<base::Worker> worker_;
  std::unique_ptr<RequestMetrics> request_metrics_;
  std::unique_ptr<TrackerRpc> tracker_rpc_;
  std::unique_ptr<base::Worker> keep_alive_;  // of its watches
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<RespCommands> resp_commands_;
  std::unique_ptr<resp::Server> resp_;
  std::unique_ptr<CatchUp> catch_up_;
  base::StopStack stops_;  // last, so unwound first
};

}  // namespace larder::tracker
