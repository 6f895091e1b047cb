#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/grants.h"
#include "core/live_sessions.h"
#include "csi/volumes.h"
#include "larder/base/mutex.h"
#include "larder/object/caller.h"
#include "larder/object/transport.h"
#include "larder/observe/logger.h"
#include "larder/rpc/acceptor.h"

namespace grpc {
class ResourceQuota;
class Service;
}  // namespace grpc
namespace larder::rpc {
class Server;
}

namespace larder::cache_agent::csi {

// Both sockets of pods: a door of the node's listener of data, and a gRPC server without a thread of its own. What one
// may ask of both at once is bounded. Whoever comes by them is the pod, whatever he says; the tokens of sessions that
// began at one door are known at no other.
class PodDoors final : public Doors {
 public:
  // The service of a control socket whose callers `identify` knows.
  using MakeService = std::function<std::unique_ptr<grpc::Service>(const LiveSessions&, object::Identify identify)>;
  struct Parts {
    object::Listener* data = nullptr;
    std::function<std::string(const std::string& directory)> control;  // the path of the control socket
    MakeService service;
    const GrantTable* grants = nullptr;
    observe::Logger* log = nullptr;
  };
  // Borrows what the parts point to.
  explicit PodDoors(Parts parts);
  // Closes all.
  ~PodDoors() override;

  absl::Status Admit(const Volume& volume) const override;
  absl::Status Open(const Volume& volume, const std::string& directory) override LARDER_EXCLUDES(mutex_);
  void Close(const std::string& directory) override LARDER_EXCLUDES(mutex_);

 private:
  struct Sockets;

  const Parts parts_;
  const std::unique_ptr<grpc::ResourceQuota> quota_;  // of all control sockets
  rpc::Acceptor acceptor_;                            // likewise
  base::Mutex mutex_;
  std::map<std::string, std::unique_ptr<Sockets>> open_ LARDER_GUARDED_BY(mutex_);
};

// Who comes by a pod's sockets: the pod. Borrows `grants`. Errors as of GrantTable::OwnerFor.
object::Identify IdentifyByVolume(const Volume& volume, const GrantTable& grants);

}  // namespace larder::cache_agent::csi
