#include "larder/tracker/app.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "background/catch_up.h"
#include "background/expiry.h"
#include "background/record_count.h"
#include "core/consensus.h"
#include "core/member_file.h"
#include "core/resp_commands.h"
#include "core/rocks_table.h"
#include "core/served_state.h"
#include "core/slow_proposals.h"
#include "core/snapshot_reads.h"
#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/raft/membership.h"
#include "larder/raft/metrics.h"
#include "larder/raft/rocks_log_store.h"
#include "larder/rpc/address.h"
#include "larder/rpc/server.h"
#include "rpc/request_metrics.h"
#include "rpc/tracker_rpc.h"

namespace larder::tracker {
namespace {

// Between two rounds, however much is applied. Bounds how late a due time is seen, and how long what waits for a leader
// waits once there is one.
constexpr base::Duration kRound = std::chrono::milliseconds(20);
// To hand leadership over before a stop; an election takes as long.
constexpr base::Duration kHandOverTime = std::chrono::seconds(1);

// Between two parts of counting what is there at a start: readers and the log come first.
constexpr base::Duration kCountPause = std::chrono::milliseconds(1);
constexpr base::Duration kNoRound = std::chrono::hours(24);

constexpr observe::GaugeDecl<observe::NamespaceLabel> kRecords = {
    .name = "larder_tracker_records",
    .help =
        "Objects that this member's registry has, sealed or being created, of the 100 largest namespaces; the rest "
        "is other. None until those that were there at the start are counted.",
    .labels = {"namespace"}};

std::string_view NameOf(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower:
      return "follower";
    case raft::Role::kCandidate:
      return "candidate";
    case raft::Role::kLeader:
      return "leader";
  }
  return "";
}

uint64_t RandomNumber() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

}  // namespace

App::App(const Config& config, rpc::Process& process)
    : config_(config), process_(process), metrics_(std::make_unique<raft::Metrics>(process.metrics())) {}
App::~App() { stops_.Run(base::kNoDeadline); }

absl::Status App::Start() {
  LARDER_RETURN_IF_ERROR(base::MakeDirs(config_.data_dir));
  LARDER_ASSIGN_OR_RETURN(lock_, base::LockFile(config_.data_dir + "/lock"));
  stops_.Push("lock", [this](base::Deadline) { lock_.Reset(); });
  LARDER_ASSIGN_OR_RETURN(const MemberFile member, OpenMemberFile(config_.data_dir, config_.cluster, config_.raft_id));
  LARDER_RETURN_IF_ERROR(FindVoters());
  LARDER_RETURN_IF_ERROR(OpenData());
  CountRecords();
  LARDER_RETURN_IF_ERROR(OpenTransport(member));
  LARDER_RETURN_IF_ERROR(JoinGroup());
  ServeReads();
  LARDER_RETURN_IF_ERROR(ListenForCalls());
  LARDER_RETURN_IF_ERROR(ListenForRedis());
  // Unwound first of all: while others still vote for a successor, and clients are still answered.
  stops_.Push("leadership", [this](base::Deadline deadline) { HandOver(deadline); });
  BecomeReady();
  process_.log().Info("tracker serving", {{"raft_id", config_.raft_id},
                                          {"cluster", config_.cluster},
                                          {"grpc", grpc_address()},
                                          {"raft", raft_address()},
                                          {"resp", resp_address()},
                                          {"applied", state_->mark().at.index}});
  return absl::OkStatus();
}

void App::Stop(base::Deadline deadline) { stops_.Run(deadline); }

absl::Status App::FindVoters() {
  LARDER_ASSIGN_OR_RETURN(const auto members, ParseCluster(config_.initial_cluster));
  for (const auto& [id, address] : members) voters_.emplace(id, address);
  if (voters_.empty()) voters_.emplace(raft::MemberId{config_.raft_id}, "");
  return absl::OkStatus();
}

absl::Status App::OpenData() {
  const std::string& dir = config_.data_dir;
  LARDER_ASSIGN_OR_RETURN(log_, raft::OpenRocksLog({.dir = dir + "/log",
                                                    .on_sync = [this](base::Duration took) { metrics_->Synced(took); },
                                                    .on_repair =
                                                        [this](std::string_view what) {
                                                          process_.log().Warning("log repaired", {{"what", what}});
                                                        }}));
  stops_.Push("log", [this](base::Deadline) { log_.reset(); });
  LARDER_ASSIGN_OR_RETURN(table_, RocksTable::Open(dir + "/registry"));
  stops_.Push("registry", [this](base::Deadline) {
    state_.reset();
    table_.reset();
  });
  absl::StatusOr<std::unique_ptr<TrackerState>> state = TrackerState::Open(*table_);
  if (!state.ok()) return base::Annotate(state.status(), dir + "/registry");
  std::vector<raft::MemberId> voters;
  for (const auto& [id, address] : voters_) voters.push_back(id);
  state_ = std::make_unique<ServedState>(*std::move(state), raft::EncodeVoters(voters));
  return absl::OkStatus();
}

// Before anything is applied: from here on the state tells of changes.
void App::CountRecords() {
  record_count_ = std::make_unique<RecordCount>(table_->NewSnapshot(), state_->records());
  record_counter_ = std::make_unique<base::Worker>("larder-records", [this]() -> base::Duration {
    const absl::StatusOr<bool> done = record_count_->Round();
    if (!done.ok()) process_.Fail(base::Annotate(done.status(), config_.data_dir + "/registry"));
    return done.value_or(true) ? kNoRound : kCountPause;
  });
  record_counter_->Start();
  records_watch_ =
      process_.metrics().AddWatch(kRecords, [this](const observe::Sample<observe::NamespaceLabel>& sample) {
        for (const RecordCounts::Count& count : state_->records().Largest()) {
          sample(static_cast<double>(count.records), observe::NamespaceLabel(count.ns));
        }
      });
  stops_.Push("records", [this](base::Deadline) {
    records_watch_ = {};
    record_counter_->Stop();
    record_count_.reset();
  });
}

absl::Status App::OpenTransport(const MemberFile& member) {
  LARDER_ASSIGN_OR_RETURN(
      transport_,
      raft::TcpTransport::Listen({.listen = config_.raft,
                                  .cluster = member.cluster,
                                  .node = member.node,
                                  .self = {member.raft_id},
                                  .members = voters_,
                                  .receive =
                                      [this](raft::MemberId, std::string message) {
                                        if (raft::Node* node = receiving_node_) node->Receive(std::move(message));
                                      },
                                  .receive_application =
                                      [this](raft::MemberId from, const std::string& bytes) {
                                        if (Consensus* consensus = receiving_consensus_)
                                          consensus->Receive(from, bytes);
                                      },
                                  .unreachable =
                                      [this](raft::MemberId to) {
                                        if (raft::Node* node = receiving_node_) node->Unreachable(to);
                                        if (Consensus* consensus = receiving_consensus_) consensus->Unreachable(to);
                                      },
                                  .refused =
                                      [this](const absl::Status& why) {
                                        process_.log().Warning("member's connection refused", {{"error", why}});
                                      }}));
  stops_.Push("transport", [this](base::Deadline) { transport_->Stop(); });
  return absl::OkStatus();
}

absl::Status App::JoinGroup() {
  // At rest it sleeps: who leads, and what is applied, wakes it.
  worker_ = std::make_unique<base::Worker>(
      "larder-tracker", [this] { return Round(); }, kRound);
  state_->OnApplied([this] { worker_->Wake(); });
  slow_proposals_ = std::make_unique<SlowProposals>(process_.log(), process_.clock());
  LARDER_ASSIGN_OR_RETURN(
      node_, raft::Node::Start(
                 {.self = {config_.raft_id},
                  .seed = RandomNumber(),
                  .boot = RandomNumber(),
                  .on_fatal = [this](const absl::Status& why) { process_.Fail(why); },
                  .on_standing = [this](const raft::NodeStatus& now) { NoteStanding(now); },
                  .on_stage = [this](raft::Stage stage, base::Duration took) { metrics_->StageTook(stage, took); },
                  .on_slow = [this](const raft::SlowProposal& slow) { slow_proposals_->Note(slow); }},
                 *log_, *state_, *transport_));
  stops_.Push("raft", [this](base::Deadline) {
    metrics_->Forget();
    transport_->Stop();  // no more messages for the node
    node_->Stop();
    node_.reset();
  });
  metrics_->Watch(*node_, *log_);
  receiving_node_ = node_.get();
  return absl::OkStatus();
}

void App::ServeReads() {
  readers_ = std::make_unique<base::ThreadPool>("larder-reader", config_.reader_threads);
  reads_ = std::make_unique<SnapshotReads>(*table_, *readers_, static_cast<size_t>(config_.reader_threads),
                                           [this](const absl::Status& why) { process_.Fail(why); });
  consensus_ = std::make_unique<Consensus>(Consensus::Parts{
      .self = {config_.raft_id},
      .boot = RandomNumber(),
      .node = node_.get(),
      .state = state_.get(),
      .reads = reads_.get(),
      .clock = &process_.clock(),
      .send = [this](raft::MemberId to,
                     std::string bytes) { return transport_->SendApplication(to, std::move(bytes)); },
      .node_session = config_.node_session,
      .proposed = [this](const absl::Status& outcome, base::Duration took) { metrics_->Proposed(outcome, took); }});
  receiving_consensus_ = consensus_.get();
  expiry_ = std::make_unique<Expiry>(*consensus_, *state_);
  worker_->Start();
  stops_.Push("consensus", [this](base::Deadline) {
    worker_->Stop();
    consensus_->Stop();
  });
  // Reads that wait for a quorum come from the node, and end with it.
  stops_.Push("readers", [this](base::Deadline) { readers_->Stop(); });
}

base::Duration App::Round() {
  const base::Deadline next = consensus_->Tick();
  const base::Duration pause = expiry_->Round();
  return std::clamp<base::Duration>(next - process_.clock().Now(), base::Duration::zero(), pause);
}

absl::Status App::ListenForCalls() {
  request_metrics_ = std::make_unique<RequestMetrics>(process_.metrics());
  tracker_rpc_ = std::make_unique<TrackerRpc>(*consensus_, *state_, *node_, *request_metrics_);
  server_ = std::make_unique<rpc::Server>(rpc::ServerOptions{.address = config_.grpc}, process_.log());
  server_->Add(*tracker_rpc_);
  if (const absl::Status started = server_->Start(); !started.ok()) {
    return base::Annotate(started, "listen.grpc " + config_.grpc);
  }
  keep_alive_ = std::make_unique<base::Worker>("larder-watches", [this] {
    tracker_rpc_->KeepAlive();
    return kKeepAlive;
  });
  keep_alive_->Start();
  stops_.Push("calls", [this](base::Deadline deadline) {
    keep_alive_->Stop();
    tracker_rpc_->Stop();
    server_->Stop(deadline);
  });
  return absl::OkStatus();
}

absl::Status App::ListenForRedis() {
  if (config_.resp.empty()) return absl::OkStatus();
  LARDER_ASSIGN_OR_RETURN(const rpc::HostPort listen, rpc::ParseHostPort(config_.resp));
  resp_commands_ = std::make_unique<RespCommands>(*consensus_, process_.clock());
  resp_ = std::make_unique<resp::Server>(resp::ServerOptions{.host = listen.host, .port = listen.port}, *resp_commands_,
                                         nullptr, process_.clock(), process_.metrics());
  if (const absl::Status started = resp_->Start(); !started.ok()) {
    return base::Annotate(started, "listen.resp " + config_.resp);
  }
  stops_.Push("redis", [this](base::Deadline deadline) { resp_->Stop(deadline); });
  return absl::OkStatus();
}

// Serving, but not ready: as long as it has not caught up, the group needs the others.
void App::BecomeReady() {
  catch_up_ = std::make_unique<CatchUp>(*node_, [this] { process_.SetReady(true); });
  stops_.Push("ready", [this](base::Deadline) {
    catch_up_->Stop();
    process_.SetReady(false);
  });
  catch_up_->Start();
}

void App::NoteStanding(const raft::NodeStatus& now) {
  process_.log().Info("raft standing", {{"role", NameOf(now.role)}, {"leader", now.leader.value}, {"term", now.term}});
  worker_->Wake();
  base::MutexLock lock(role_mutex_);
  role_changed_.NotifyAll();
}

void App::HandOver(base::Deadline deadline) {
  raft::NodeStatus now = node_->status();
  if (now.role != raft::Role::kLeader) return;
  const raft::MemberStatus* heir = nullptr;
  for (const raft::MemberStatus& member : now.members) {
    if (member.id == now.self || member.learner || !member.recently_active) continue;
    if (heir == nullptr || member.matched > heir->matched) heir = &member;
  }
  if (heir == nullptr) return;
  node_->TransferLeader(heir->id);
  deadline = std::min(deadline, base::DeadlineAfter(process_.clock().Now(), kHandOverTime));
  base::MutexLock lock(role_mutex_);
  while (node_->status().role == raft::Role::kLeader && role_changed_.WaitUntil(role_mutex_, deadline)) {
  }
}

std::string App::grpc_address() const {
  rpc::HostPort address = rpc::ParseHostPort(config_.grpc).value_or(rpc::HostPort{});
  address.port = server_->port();
  return rpc::FormatHostPort(address);
}

std::string App::raft_address() const { return transport_->address(); }

std::string App::resp_address() const {
  if (resp_ == nullptr) return "";
  rpc::HostPort address = rpc::ParseHostPort(config_.resp).value_or(rpc::HostPort{});
  address.port = resp_->port();
  return rpc::FormatHostPort(address);
}

}  // namespace larder::tracker
