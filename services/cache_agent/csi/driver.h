#pragma once
#include <absl/status/status.h>

#include <memory>
#include <string>

#include "csi/csi_metrics.h"
#include "csi/csi_rpc.h"
#include "csi/privileges.h"
#include "csi/volumes.h"
#include "larder/base/clock.h"
#include "larder/base/executor.h"
#include "larder/base/stop_stack.h"
#include "larder/base/worker.h"
#include "larder/observe/logger.h"
#include "larder/rpc/server.h"

namespace larder::cache_agent::csi {

// The CSI driver of one node: volumes, the sockets by which the kubelet asks for them, the sweeping up of what nobody
// unpublished. One thread calls it.
class Driver {
 public:
  struct Parts {
    DriverInfo info;  // but for the endpoint
    std::string run_dir;
    std::shared_ptr<Privileges> privileges;
    RegistrationRpc::Registered registered;
    Doors* doors = nullptr;
    CsiMetrics* metrics = nullptr;
    const base::Clock* clock = nullptr;
    observe::Logger* log = nullptr;
  };
  // Borrows what the parts point to.
  explicit Driver(Parts parts);
  ~Driver();  // stops

  // The volumes that there are, then the driver's socket; the kubelet learns of it last. ALREADY_EXISTS (LOCKED):
  // another agent has the directory. Once only.
  absl::Status Start();
  // The kubelet learns of it first. Mounts and directories stay, for the next agent.
  void Stop(base::Deadline deadline) { stops_.Run(deadline); }

 private:
  const Parts parts_;
  const DriverInfo info_;
  std::unique_ptr<VolumeStore> store_;
  Volumes volumes_;
  base::ThreadPool executor_;
  IdentityRpc identity_{info_};
  NodeRpc node_;
  RegistrationRpc registration_;
  base::UniqueFd lock_;
  rpc::Server server_;
  std::unique_ptr<rpc::Server> registrar_;
  base::Worker sweeper_;
  base::StopStack stops_;  // last, so unwound first
};

}  // namespace larder::cache_agent::csi
