#include "larder/cache_agent/app.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/agent_status.h"
#include "core/arena_metrics.h"
#include "core/connection_metrics.h"
#include "core/copy_check.h"
#include "core/granted_peer.h"
#include "core/grants.h"
#include "core/identity.h"
#include "core/incarnation.h"
#include "core/live_sessions.h"
#include "core/machine.h"
#include "core/membership_metrics.h"
#include "core/metered_peer.h"
#include "core/namespace_table.h"
#include "core/piece_exchange.h"
#include "core/pod_directory.h"
#include "core/publisher.h"
#include "core/readiness.h"
#include "core/tracked_peer.h"
#include "csi/csi_metrics.h"
#include "csi/driver.h"
#include "csi/pod_doors.h"
#include "csi/privileges.h"
#include "larder/arena/arena.h"
#include "larder/backends/register_all.h"
#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/object/registries.h"
#include "larder/peers/peers.h"
#include "larder/rpc/server.h"
#include "larder/transport/register_all.h"
#include "rpc/agent_rpc.h"
#include "rpc/grpc_tracker_link.h"
#include "rpc/membership.h"
#include "rpc/node_list.h"
#include "rpc/node_room.h"
#include "rpc/registry_watch.h"
#include "rpc/tracker_client.h"

namespace larder::cache_agent {
namespace {

// Bounds how late a lease ends, and how long freed memory waits to be zeroed when nobody asks for it.
constexpr base::Duration kMaintenancePause = std::chrono::milliseconds(100);
constexpr int kRenewals = 3;  // of a client within a lease TTL (docs/formats/uds.md)
constexpr uint64_t kFewOpenFiles = 4096;
constexpr char kPeer[] = "single";
constexpr char kDataTransport[] = "uds";
// Bounds how long a pod that was added to the file is unknown.
constexpr base::Duration kPodsPause = std::chrono::milliseconds(100);

}  // namespace

absl::StatusOr<App::Prepared> App::Prepare(const Config& config) { return csi::SplitPrivileges(config); }

App::App(const Config& config, rpc::Process& process, Prepared privileges)
    : config_(config),
      process_(process),
      privileges_(std::move(privileges)),
      namespaces_(std::make_unique<NamespaceTable>(config)),
      grants_(std::make_unique<GrantTable>(config.grants)),
      readiness_(std::make_unique<Readiness>(
          Readiness::Waits{.cluster = !config.tracker.empty(), .kubelet = config.identity == Identity::kCsi},
          [&process](bool ready) { process.SetReady(ready); })),
      csi_metrics_(std::make_unique<csi::CsiMetrics>(process.metrics())) {}
App::~App() { stops_.Run(base::kNoDeadline); }

absl::Status App::Start() {
  LARDER_RETURN_IF_ERROR(CheckIdentity(config_));
  LARDER_RETURN_IF_ERROR(CheckPrivileges());
  LARDER_RETURN_IF_ERROR(CheckMachine());
  LARDER_RETURN_IF_ERROR(LockSocketDir());
  LARDER_RETURN_IF_ERROR(OpenPods());
  LARDER_RETURN_IF_ERROR(OpenStore());
  maintenance_->Start();
  stops_.Push("maintenance", [this](base::Deadline) { maintenance_->Stop(); });
  LARDER_RETURN_IF_ERROR(Listen());
  LARDER_RETURN_IF_ERROR(StartDriver());
  readiness_->OnServing();
  stops_.Push("ready", [this](base::Deadline) { readiness_->Stop(); });
  process_.log().Info("agent serving", {{"node", node_},
                                        {"socket_dir", config_.socket_dir},
                                        {"store", config_.store},
                                        {"arena_bytes", config_.arena},
                                        {"objects", peer_->usage().objects}});
  return absl::OkStatus();
}

void App::Stop(base::Deadline deadline) { stops_.Run(deadline); }

absl::Status App::Reload(const Config& config) {
  namespaces_->Replace(config);
  grants_->Replace(config.grants);
  if (data_ != nullptr) data_->RecheckDoors();
  return absl::OkStatus();
}

absl::Status App::CheckPrivileges() const {
  if (config_.identity != Identity::kCsi || privileges_ != nullptr) return absl::OkStatus();
  return base::Error(absl::StatusCode::kFailedPrecondition, "NO_MOUNTER",
                     "identity 'csi' needs a process of the agent's own: run larder-agent");
}

absl::Status App::CheckMachine() {
  node_ = config_.node_name;
  if (node_.empty()) {
    LARDER_ASSIGN_OR_RETURN(node_, HostName());
  }
  LARDER_ASSIGN_OR_RETURN(const uint64_t open_files, RaiseOpenFiles());
  if (open_files < kFewOpenFiles) {
    process_.log().Warning("few open files allowed", {{"limit", open_files}, {"wanted", kFewOpenFiles}});
  }
  return CheckArenaFits(config_.arena, LowestMemoryBound());
}

// Before memory is taken: a second agent by mistake must not push a node into its limits. Of both sockets, too.
absl::Status App::LockSocketDir() {
  LARDER_RETURN_IF_ERROR(base::MakeDirs(config_.socket_dir));
  absl::StatusOr<base::UniqueFd> lock = base::LockFile(config_.socket_dir + "/agent.lock");
  if (!lock.ok()) return base::Annotate(lock.status(), "socket_dir " + config_.socket_dir);
  socket_dir_lock_ = *std::move(lock);
  stops_.Push("socket_dir", [this](base::Deadline) { socket_dir_lock_.Reset(); });
  return absl::OkStatus();
}

absl::Status App::OpenPods() {
  if (config_.identity != Identity::kOpen) ForbidInspection();
  if (config_.identity != Identity::kCgroup) return absl::OkStatus();
  LARDER_ASSIGN_OR_RETURN(pods_, FilePodDirectory::Open(config_.pods_file, process_.log()));
  // On a thread of its own: a file may hang, on which no lease may depend.
  pods_refresh_ = std::make_unique<base::Worker>("larder-pods", [this] {
    pods_->Refresh();
    return kPodsPause;
  });
  pods_refresh_->Start();
  stops_.Push("pods", [this](base::Deadline) { pods_refresh_->Stop(); });
  return absl::OkStatus();
}

absl::Status App::OpenStore() {
  LARDER_ASSIGN_OR_RETURN(arena_, arena::Arena::Create({.size = config_.arena}));
  if (!arena_->recycles()) {
    process_.log().Warning("kernel cannot prove that shared memory is free: it is dropped instead of used again");
  }
  arena_metrics_ = std::make_unique<ArenaMetrics>(*arena_, process_.metrics());
  stops_.Push("arena", [this](base::Deadline) {
    arena_metrics_.reset();
    arena_.reset();
  });

  object::BackendRegistry backends("store");
  backends::RegisterAll(backends);
  LARDER_ASSIGN_OR_RETURN(const object::BackendEntry* store, backends.Get(config_.store));
  absl::StatusOr<std::unique_ptr<object::Backend>> backend =
      store->make({.path = config_.data_dir.empty() ? "" : config_.data_dir + "/objects",
                   .max_bytes = config_.disk_max_bytes,
                   .clock = &process_.clock(),
                   .arena = arena_.get()});
  if (!backend.ok()) {
    return base::Annotate(backend.status(),
                          fmt::format("store '{}' with data_dir '{}'", config_.store, config_.data_dir));
  }
  backend_ = *std::move(backend);
  stops_.Push("store", [this](base::Deadline) { backend_.reset(); });

  maintenance_ = std::make_unique<base::Worker>("larder-maint", [this] {
    const base::Duration again = peer_->Tick();
    arena_->Maintain();
    return std::min(again, kMaintenancePause);
  });
  object::PeerRegistry peers("peer");
  peers::Register(peers);
  LARDER_ASSIGN_OR_RETURN(const object::PeerEntry* entry, peers.Get(kPeer));
  executor_ = std::make_unique<base::ThreadPool>("larder-work", config_.executor_threads);
  const auto rules = [this](const std::string& ns) { return namespaces_->RulesOf(ns); };
  LARDER_ASSIGN_OR_RETURN(std::unique_ptr<object::Peer> peer, entry->make({.backends = {backend_.get()},
                                                                           .clock = &process_.clock(),
                                                                           .executor = executor_.get(),
                                                                           .rules = rules,
                                                                           .wake = [this] { maintenance_->Wake(); },
                                                                           .lease_ttl = config_.lease_ttl,
                                                                           .late_tick = config_.lease_ttl / kRenewals,
                                                                           .node = node_}));
  LARDER_ASSIGN_OR_RETURN(peer, JoinCluster(std::move(peer)));
  peer_ = std::make_unique<MeteredPeer>(std::make_unique<GrantedPeer>(std::move(peer)), process_.metrics(),
                                        process_.clock());
  stops_.Push("peer", [this](base::Deadline) {
    pieces_.reset();
    peer_.reset();
  });
  // What listeners handed over is done before the peer it works on goes.
  stops_.Push("executor", [this](base::Deadline) { executor_->Stop(); });
  // Whoever waits for the cluster is answered, while there is a peer to be told.
  stops_.Push("tracker", [this](base::Deadline) {
    membership_metrics_.reset();
    if (watch_ != nullptr) watch_->Stop();
    if (membership_ != nullptr) membership_->Stop();
    if (tracker_ != nullptr) tracker_->Stop();
  });
  stops_.Push("pieces", [this](base::Deadline) {
    if (tracked_ != nullptr) tracked_->StopFetching();
    if (pieces_ != nullptr) pieces_->Stop();
  });
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<object::Peer>> App::JoinCluster(std::unique_ptr<object::Peer> peer) {
  LARDER_ASSIGN_OR_RETURN(std::vector<std::string> trackers, ParseAddresses(config_.tracker));
  const auto view = [this] { return membership_ == nullptr ? MembershipView() : membership_->view(); };
  membership_metrics_ = std::make_unique<MembershipMetrics>(view, process_.metrics());
  node_list_ = std::make_unique<NodeList>();
  if (trackers.empty()) return peer;
  LARDER_ASSIGN_OR_RETURN(const uint64_t incarnation, NextIncarnation(config_.data_dir, process_.clock().WallNow()));
  const auto serve = [this](const object::ObjectId& id, object::Epoch epoch) { return tracked_->Serve(id, epoch); };
  absl::StatusOr<std::unique_ptr<PieceExchange>> pieces =
      PieceExchange::Start({.listen = config_.pieces,
                            .advertise = config_.pieces_advertise,
                            .rate_in = config_.pieces_rate_in,
                            .rate_out = config_.pieces_rate_out},
                           {.lookup = serve,
                            .doubted = [this](const object::ObjectId& id, object::Epoch epoch, uint64_t offset,
                                              uint64_t size) { copy_check_->Look(id, epoch, offset, size); }},
                           process_.metrics(), process_.clock(), process_.log());
  if (!pieces.ok()) return base::Annotate(pieces.status(), "listen.pieces " + config_.pieces);
  pieces_ = *std::move(pieces);
  const TrackerOptions self = {.node = node_,
                               .piece_address = pieces_->address(),
                               .zone = config_.zone,
                               .rack = config_.rack,
                               .incarnation = incarnation,
                               .lease = config_.lease_ttl};
  LARDER_RETURN_IF_ERROR(MakeMembership(self));
  tracker_ = std::make_unique<TrackerClient>(
      std::move(trackers), self, DialTrackerByGrpc, process_.clock(), process_.log(),
      NodeEvents{.registered =
                     [this](const Registration& registration) {
                       membership_->OnRegistered(registration.node_epoch);
                       pieces_->OnRegistered(registration);
                       tracked_->Compare();
                       readiness_->OnRegistered();
                     },
                 .fenced = [this](uint64_t node_epoch) { membership_->OnFenced(node_epoch); }});
  publisher_ = std::make_unique<Publisher>(*tracker_, process_.clock());
  object::Peer& here = *peer;
  auto tracked = std::make_unique<TrackedPeer>(node_, std::move(peer), *tracker_, *publisher_, *executor_,
                                               process_.clock(), [this] { return membership_->MayAsk(); });
  tracked_ = tracked.get();
  tracked_->FetchBy(pieces_->fetcher(), pieces_->tickets(), pieces_->arriving(),
                    config_.peer_manager.empty() ? nullptr : &membership_->board(), process_.log());
  copy_check_ = std::make_unique<CopyCheck>(
      CopyCheck::Parts{.lookup = serve, .peer = here, .executor = *executor_, .log = process_.log()},
      process_.metrics());
  tracked_->PublishUntracked();
  tracker_->Start();
  membership_->Start();
  watch_ = std::make_unique<RegistryWatch>(
      *ParseAddresses(config_.tracker),
      RegistryWatch::Events{.changed = [this](const object::ObjectId& id) { tracked_->Recheck(id); },
                            .missed = [this] { tracked_->Compare(); }},
      process_.log());
  watch_->Start();
  return tracked;
}

absl::Status App::MakeMembership(const TrackerOptions& self) {
  LARDER_ASSIGN_OR_RETURN(std::vector<std::string> managers, ParseAddresses(config_.peer_manager));
  MembershipOptions options = {.managers = std::move(managers)};
  options.who.set_node(self.node);
  options.who.set_incarnation(self.incarnation);
  options.who.set_address(self.piece_address);
  options.who.set_zone(self.zone);
  options.who.set_rack(self.rack);
  options.met = [this](const object::ObjectId& id, std::vector<SwarmMember> members) {
    tracked_->Meet(id, std::move(members));
  };
  options.room = [this, uplink = ByteRate()]() mutable {
    const bool on_disk = backend_->durability() != object::Durability::kMemory;
    NodeRoom room = RoomOf(arena_->usage(), on_disk ? ReadDisk(config_, *backend_) : std::nullopt);
    const swarm::PieceServer::Usage given = pieces_->given();
    room.load.set_uplink_bytes_per_second(uplink.Next(given.sent, process_.clock().Now()));
    room.load.set_upload_queue(static_cast<uint32_t>(given.waiting));
    return room;
  };
  membership_ = std::make_unique<Membership>(
      std::move(options), [this](base::Duration timeout, auto done) { tracker_->AskAlive(timeout, std::move(done)); },
      DialPeerManagerByGrpc, process_.clock(), process_.log());
  node_list_ =
      std::make_unique<NodeList>([this](const auto& request, base::Duration timeout,
                                        auto done) { membership_->ListNodes(request, timeout, std::move(done)); },
                                 [this](auto request, base::Duration timeout, auto done) {
                                   tracker_->ListNodes(std::move(request), timeout, std::move(done));
                                 });
  return absl::OkStatus();
}

absl::Status App::Listen() {
  sessions_ = std::make_unique<LiveSessions>();
  connection_metrics_ = std::make_unique<ConnectionMetrics>(process_.metrics());
  object::TransportRegistry transports("transport");
  transport::RegisterAll(transports);
  LARDER_ASSIGN_OR_RETURN(const object::TransportEntry* transport, transports.Get(kDataTransport));
  LARDER_ASSIGN_OR_RETURN(
      data_,
      transport->listen({.address = config_.socket_dir,
                         .peer = peer_.get(),
                         .clock = &process_.clock(),
                         .executor = executor_.get(),
                         .arena = arena_.get(),
                         .rules = [this](const std::string& ns) { return namespaces_->RulesOf(ns); },
                         .observer = connection_metrics_.get(),
                         .node = node_,
                         .version = std::string(rpc::Version()),
                         .lease_ttl = config_.lease_ttl,
                         .identify = pods_ == nullptr ? IdentifyByWord() : IdentifyByCgroup(*pods_, process_.log()),
                         .tokens = sessions_.get(),
                         .socket_mode = SocketMode(config_.identity)}));
  LARDER_RETURN_IF_ERROR(data_->Start());
  stops_.Push("data socket", [this](base::Deadline deadline) { data_->Stop(deadline); });
  return ListenForCalls(transport->control(config_.socket_dir));
}

absl::Status App::ListenForCalls(const std::string& socket) {
  std::function<MembershipView()> membership;
  if (membership_ != nullptr) membership = [this] { return membership_->view(); };
  status_ = std::make_unique<StatusReader>(StatusReader::Parts{.node = node_,
                                                               .config = &config_,
                                                               .clock = &process_.clock(),
                                                               .arena = arena_.get(),
                                                               .backend = backend_.get(),
                                                               .peer = peer_.get(),
                                                               .namespaces = namespaces_.get(),
                                                               .connections = connection_metrics_.get(),
                                                               .membership = std::move(membership)});
  agent_rpc_ = std::make_unique<AgentRpc>(*peer_, *executor_, *status_, *sessions_, IdentifyCalls(config_.identity),
                                          *connection_metrics_, *node_list_);
  control_ = std::make_unique<rpc::Server>(
      rpc::ServerOptions{.unix_path = socket, .unix_mode = SocketMode(config_.identity)}, process_.log());
  control_->Add(*agent_rpc_);
  LARDER_RETURN_IF_ERROR(control_->Start());
  stops_.Push("control socket", [this](base::Deadline deadline) { control_->Stop(deadline); });
  return absl::OkStatus();
}

absl::Status App::StartDriver() {
  if (config_.identity != Identity::kCsi) return absl::OkStatus();
  object::TransportRegistry transports("transport");
  transport::RegisterAll(transports);
  LARDER_ASSIGN_OR_RETURN(const object::TransportEntry* transport, transports.Get(kDataTransport));
  pod_doors_ = std::make_unique<csi::PodDoors>(csi::PodDoors::Parts{
      .data = data_.get(),
      .control = transport->control,
      .service =
          [this](const LiveSessions& sessions, object::Identify identify) {
            return std::make_unique<AgentRpc>(*peer_, *executor_, *status_, sessions, std::move(identify),
                                              *connection_metrics_, *node_list_);
          },
      .grants = grants_.get(),
      .log = &process_.log()});
  stops_.Push("pods' sockets", [this](base::Deadline) { pod_doors_.reset(); });
  driver_ =
      std::make_unique<csi::Driver>(csi::Driver::Parts{.info = {.name = config_.csi_driver_name,
                                                                .version = std::string(rpc::Version()),
                                                                .node = node_,
                                                                .endpoint = {},
                                                                .kubelet_dir = config_.csi_kubelet_dir},
                                                       .run_dir = config_.csi_run_dir,
                                                       .privileges = privileges_,
                                                       .registered = [this](bool yes) { readiness_->OnKubelet(yes); },
                                                       .doors = pod_doors_.get(),
                                                       .metrics = csi_metrics_.get(),
                                                       .clock = &process_.clock(),
                                                       .log = &process_.log()});
  stops_.Push("csi driver", [this](base::Deadline deadline) { driver_->Stop(deadline); });
  privileges_->mounter->OnEnd(
      [this] { process_.Fail(base::Error(absl::StatusCode::kUnavailable, "NO_MOUNTER", "the mounter has ended")); });
  return driver_->Start();
}

}  // namespace larder::cache_agent
