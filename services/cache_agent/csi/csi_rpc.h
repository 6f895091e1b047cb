#pragma once
#include <functional>
#include <string>
#include <utility>

#include "csi/csi_metrics.h"
#include "csi/v1/csi.grpc.pb.h"
#include "csi/volumes.h"
#include "larder/base/clock.h"
#include "larder/base/executor.h"
#include "larder/observe/logger.h"
#include "larder/rpc/unary.h"
#include "pluginregistration/registration.grpc.pb.h"

namespace larder::cache_agent::csi {

// Who the driver is.
struct DriverInfo {
  std::string name;
  std::string version;
  std::string node;
  std::string endpoint;  // path of its socket
  std::string kubelet_dir;
};

class IdentityRpc final : public ::csi::v1::Identity::CallbackService {
 public:
  explicit IdentityRpc(const DriverInfo& info) : info_(info) {}
  rpc::Reactor* GetPluginInfo(rpc::Context* context, const ::csi::v1::GetPluginInfoRequest* request,
                              ::csi::v1::GetPluginInfoResponse* response) override;
  rpc::Reactor* GetPluginCapabilities(rpc::Context* context, const ::csi::v1::GetPluginCapabilitiesRequest* request,
                                      ::csi::v1::GetPluginCapabilitiesResponse* response) override;
  rpc::Reactor* Probe(rpc::Context* context, const ::csi::v1::ProbeRequest* request,
                      ::csi::v1::ProbeResponse* response) override;

 private:
  const DriverInfo& info_;
};

class NodeRpc final : public ::csi::v1::Node::CallbackService {
 public:
  // Borrows all. `executor` runs what waits for the kernel.
  NodeRpc(const DriverInfo& info, Volumes& volumes, base::Executor& executor, CsiMetrics& metrics,
          const base::Clock& clock)
      : info_(info), volumes_(volumes), executor_(executor), metrics_(metrics), clock_(clock) {}
  rpc::Reactor* NodePublishVolume(rpc::Context* context, const ::csi::v1::NodePublishVolumeRequest* request,
                                  ::csi::v1::NodePublishVolumeResponse* response) override;
  rpc::Reactor* NodeUnpublishVolume(rpc::Context* context, const ::csi::v1::NodeUnpublishVolumeRequest* request,
                                    ::csi::v1::NodeUnpublishVolumeResponse* response) override;
  rpc::Reactor* NodeGetCapabilities(rpc::Context* context, const ::csi::v1::NodeGetCapabilitiesRequest* request,
                                    ::csi::v1::NodeGetCapabilitiesResponse* response) override;
  rpc::Reactor* NodeGetInfo(rpc::Context* context, const ::csi::v1::NodeGetInfoRequest* request,
                            ::csi::v1::NodeGetInfoResponse* response) override;

 private:
  // Counts and times `work`, done on the executor.
  rpc::Reactor* Counted(CsiOp op, rpc::Context* context, std::function<absl::Status()> work);

  const DriverInfo& info_;
  Volumes& volumes_;
  base::Executor& executor_;
  CsiMetrics& metrics_;
  const base::Clock& clock_;
};

class RegistrationRpc final : public pluginregistration::Registration::CallbackService {
 public:
  // What the kubelet says of the driver, each time: whether it has it. Called on gRPC's threads.
  using Registered = std::function<void(bool)>;
  RegistrationRpc(const DriverInfo& info, Registered registered, observe::Logger& log)
      : info_(info), registered_(std::move(registered)), log_(log) {}
  rpc::Reactor* GetInfo(rpc::Context* context, const pluginregistration::InfoRequest* request,
                        pluginregistration::PluginInfo* response) override;
  rpc::Reactor* NotifyRegistrationStatus(rpc::Context* context, const pluginregistration::RegistrationStatus* request,
                                         pluginregistration::RegistrationStatusResponse* response) override;

 private:
  const DriverInfo& info_;
  const Registered registered_;
  observe::Logger& log_;
};

}  // namespace larder::cache_agent::csi
