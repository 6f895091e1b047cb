#include "csi/pod_doors.h"

#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>

#include <utility>

#include "larder/base/status.h"
#include "larder/rpc/server.h"

namespace larder::cache_agent::csi {
namespace {

// Any user of the pod; who else sees the directory is root on the node.
constexpr unsigned kForAll = 0666;
// Of one pod. At data.sock a client has one, and a pod may have a client for each of many worker processes.
constexpr size_t kMaxDataConnections = 256;
// Of one pod at control.sock; a client has one.
constexpr size_t kMaxCallers = 64;
// Of all pods there; each takes two descriptors.
constexpr size_t kMaxCallersOfAll = 2048;
// A request is a key and a few numbers.
constexpr int kMaxRequestBytes = 64 << 10;
constexpr int kMaxStreams = 100;
// For the control sockets of all pods, out of what the agent has beside its arena.
constexpr size_t kMemoryOfAll = 32 << 20;

Account AccountOf(const Volume& volume) { return {.ns = volume.ns, .service_account = volume.service_account}; }

}  // namespace

struct PodDoors::Sockets {
  LiveSessions sessions;
  std::unique_ptr<grpc::Service> service;
  std::unique_ptr<rpc::Server> control;  // last: it uses the others
};

PodDoors::PodDoors(Parts parts)
    : parts_(std::move(parts)), quota_(std::make_unique<grpc::ResourceQuota>("pods")), acceptor_(kMaxCallersOfAll) {
  quota_->Resize(kMemoryOfAll);
}

PodDoors::~PodDoors() {
  base::MutexLock lock(mutex_);
  for (const auto& [directory, sockets] : open_) parts_.data->CloseDoor(directory);
}

absl::Status PodDoors::Admit(const Volume& volume) const {
  return parts_.grants->MayCome(AccountOf(volume), volume.read_only);
}

absl::Status PodDoors::Open(const Volume& volume, const std::string& directory) {
  {
    base::MutexLock lock(mutex_);
    if (open_.contains(directory)) return absl::OkStatus();
  }
  auto sockets = std::make_unique<Sockets>();
  const object::Identify identify = IdentifyByVolume(volume, *parts_.grants);
  sockets->service = parts_.service(sockets->sessions, identify);
  sockets->control = std::make_unique<rpc::Server>(rpc::ServerOptions{.unix_path = parts_.control(directory),
                                                                      .unix_mode = kForAll,
                                                                      .reflection = false,
                                                                      .acceptor = &acceptor_,
                                                                      .limits = {.message_bytes = kMaxRequestBytes,
                                                                                 .streams = kMaxStreams,
                                                                                 .connections = kMaxCallers,
                                                                                 .quota = quota_.get()}},
                                                   *parts_.log);
  sockets->control->Add(*sockets->service);
  LARDER_RETURN_IF_ERROR(sockets->control->Start());
  LARDER_RETURN_IF_ERROR(parts_.data->OpenDoor({.address = directory,
                                                .identify = identify,
                                                .tokens = &sockets->sessions,
                                                .socket_mode = kForAll,
                                                .max_connections = kMaxDataConnections}));
  base::MutexLock lock(mutex_);
  open_[directory] = std::move(sockets);
  return absl::OkStatus();
}

void PodDoors::Close(const std::string& directory) {
  std::unique_ptr<Sockets> closing;
  {
    base::MutexLock lock(mutex_);
    const auto found = open_.find(directory);
    if (found == open_.end()) return;
    closing = std::move(found->second);
    open_.erase(found);
  }
  parts_.data->CloseDoor(directory);
  closing->control->Stop(base::Deadline());
}

object::Identify IdentifyByVolume(const Volume& volume, const GrantTable& grants) {
  return [account = AccountOf(volume), read_only = volume.read_only, &grants](
             const object::CallerProcess& caller, const std::string& asked_ns) -> absl::StatusOr<object::SessionOwner> {
    LARDER_ASSIGN_OR_RETURN(object::SessionOwner owner, grants.OwnerFor(account, read_only, asked_ns));
    owner.pid = caller.pid;
    return owner;
  };
}

}  // namespace larder::cache_agent::csi
