#include "csi/csi_rpc.h"

#include <utility>

#include "larder/base/status.h"

namespace larder::cache_agent::csi {

namespace pb = ::csi::v1;

namespace {

constexpr char kPluginType[] = "CSIPlugin";
constexpr char kCsiVersion[] = "1.0.0";

rpc::Reactor* Empty(rpc::Context* context) {
  return rpc::Unary(context, [] { return absl::OkStatus(); });
}

PublishRequest FromProto(const pb::NodePublishVolumeRequest& request) {
  return {.volume_id = request.volume_id(),
          .target_path = request.target_path(),
          .is_mount = request.volume_capability().has_mount(),
          .context = {request.volume_context().begin(), request.volume_context().end()}};
}

}  // namespace

rpc::Reactor* IdentityRpc::GetPluginInfo(rpc::Context* context, const pb::GetPluginInfoRequest*,
                                         pb::GetPluginInfoResponse* response) {
  response->set_name(info_.name);
  response->set_vendor_version(info_.version);
  return Empty(context);
}
rpc::Reactor* IdentityRpc::GetPluginCapabilities(rpc::Context* context, const pb::GetPluginCapabilitiesRequest*,
                                                 pb::GetPluginCapabilitiesResponse*) {
  return Empty(context);
}
rpc::Reactor* IdentityRpc::Probe(rpc::Context* context, const pb::ProbeRequest*, pb::ProbeResponse* response) {
  response->mutable_ready()->set_value(true);
  return Empty(context);
}

rpc::Reactor* NodeRpc::Counted(CsiOp op, rpc::Context* context, std::function<absl::Status()> work) {
  return rpc::UnaryOn(executor_, context, [this, op, work = std::move(work), begun = clock_.Now()] {
    absl::Status done = work();
    metrics_.Done(op, done.code(), clock_.Now() - begun);
    metrics_.Volumes(volumes_.size());
    return done;
  });
}

rpc::Reactor* NodeRpc::NodePublishVolume(rpc::Context* context, const pb::NodePublishVolumeRequest* request,
                                         pb::NodePublishVolumeResponse*) {
  return Counted(CsiOp::kPublish, context, [this, publish = FromProto(*request)]() -> absl::Status {
    LARDER_ASSIGN_OR_RETURN(const Volume volume, VolumeOf(publish, info_.kubelet_dir));
    return volumes_.Publish(volume);
  });
}

rpc::Reactor* NodeRpc::NodeUnpublishVolume(rpc::Context* context, const pb::NodeUnpublishVolumeRequest* request,
                                           pb::NodeUnpublishVolumeResponse*) {
  return Counted(
      CsiOp::kUnpublish, context, [this, id = request->volume_id(), target = request->target_path()]() -> absl::Status {
        LARDER_ASSIGN_OR_RETURN(const Place place, PlaceOf(target, info_.kubelet_dir));
        if (VolumeIdOf(place) == id) return volumes_.Unpublish(id, place);
        return base::InvalidArgument("BAD_TARGET", "target path '{}' is not that of the volume with the id", target);
      });
}

rpc::Reactor* NodeRpc::NodeGetCapabilities(rpc::Context* context, const pb::NodeGetCapabilitiesRequest*,
                                           pb::NodeGetCapabilitiesResponse*) {
  return Empty(context);
}

rpc::Reactor* NodeRpc::NodeGetInfo(rpc::Context* context, const pb::NodeGetInfoRequest*,
                                   pb::NodeGetInfoResponse* response) {
  response->set_node_id(info_.node);
  return Empty(context);
}

rpc::Reactor* RegistrationRpc::GetInfo(rpc::Context* context, const pluginregistration::InfoRequest*,
                                       pluginregistration::PluginInfo* response) {
  response->set_type(kPluginType);
  response->set_name(info_.name);
  response->set_endpoint(info_.endpoint);
  response->add_supported_versions(kCsiVersion);
  return Empty(context);
}

rpc::Reactor* RegistrationRpc::NotifyRegistrationStatus(rpc::Context* context,
                                                        const pluginregistration::RegistrationStatus* request,
                                                        pluginregistration::RegistrationStatusResponse*) {
  if (request->plugin_registered()) {
    log_.Info("registered with the kubelet", {{"driver", info_.name}});
  } else {
    log_.Error("the kubelet did not register the driver", {{"driver", info_.name}, {"error", request->error()}});
  }
  registered_(request->plugin_registered());
  return Empty(context);
}

}  // namespace larder::cache_agent::csi
