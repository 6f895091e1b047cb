#include "tests/csi/fake_kubelet.h"

#include <fmt/format.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <fstream>
#include <utility>

#include "larder/base/status.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/status.h"

namespace larder::cache_agent::csi {
namespace {

constexpr std::chrono::seconds kPatience{20};

template <typename Call>
absl::Status Do(Call call) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  context.set_wait_for_ready(true);
  const grpc::Status status = call(&context);
  return rpc::FromGrpc(status, context);
}

}  // namespace

FakePod PodNumber(int n) {
  return {.uid = fmt::format("00000000-0000-4000-8000-{:012x}", n), .name = fmt::format("trainer-{}", n)};
}

FakeKubelet::FakeKubelet(std::filesystem::path dir) : dir_(std::move(dir)) {
  std::filesystem::create_directories(dir_ / "pods");
  std::filesystem::create_directories(dir_ / "plugins_registry");
}

std::filesystem::path FakeKubelet::RegistrationSocket(const std::string& driver) const {
  return dir_ / "plugins_registry" / (driver + "-reg.sock");
}

absl::StatusOr<pluginregistration::PluginInfo> FakeKubelet::Register(const std::string& driver) {
  const auto registration = pluginregistration::Registration::NewStub(rpc::DialUnix(RegistrationSocket(driver)));
  pluginregistration::PluginInfo info;
  LARDER_RETURN_IF_ERROR(Do([&](grpc::ClientContext* context) { return registration->GetInfo(context, {}, &info); }));
  LARDER_RETURN_IF_ERROR(Notify(driver, true));
  driver_ = driver;
  node_ = ::csi::v1::Node::NewStub(rpc::DialUnix(info.endpoint()));
  return info;
}

absl::Status FakeKubelet::Notify(const std::string& driver, bool registered) {
  const auto registration = pluginregistration::Registration::NewStub(rpc::DialUnix(RegistrationSocket(driver)));
  pluginregistration::RegistrationStatus status;
  status.set_plugin_registered(registered);
  pluginregistration::RegistrationStatusResponse response;
  return Do(
      [&](grpc::ClientContext* context) { return registration->NotifyRegistrationStatus(context, status, &response); });
}

::csi::v1::NodePublishVolumeRequest FakeKubelet::RequestFor(const FakePod& pod) const {
  ::csi::v1::NodePublishVolumeRequest request;
  request.set_volume_id(VolumeIdOf(pod.place()));
  request.set_target_path(TargetOf(pod));
  request.mutable_volume_capability()->mutable_mount();
  auto& context = *request.mutable_volume_context();
  for (const auto& [key, value] : pod.attributes) context[key] = value;
  context["csi.storage.k8s.io/pod.name"] = pod.name;
  context["csi.storage.k8s.io/pod.namespace"] = pod.ns;
  context["csi.storage.k8s.io/pod.uid"] = pod.uid;
  context["csi.storage.k8s.io/serviceAccount.name"] = pod.service_account;
  context["csi.storage.k8s.io/ephemeral"] = "true";
  return request;
}

absl::Status FakeKubelet::Publish(const FakePod& pod) {
  const std::filesystem::path parent = std::filesystem::path(TargetOf(pod)).parent_path();
  std::filesystem::create_directories(parent);
  std::ofstream(parent / "vol_data.json")
      << R"({"driverName":")" << driver_ << R"(","volumeLifecycleMode":"Ephemeral"})";
  return Publish(RequestFor(pod));
}

absl::Status FakeKubelet::Publish(const ::csi::v1::NodePublishVolumeRequest& request) {
  ::csi::v1::NodePublishVolumeResponse response;
  return Do([&](grpc::ClientContext* context) { return node_->NodePublishVolume(context, request, &response); });
}

absl::Status FakeKubelet::Unpublish(const FakePod& pod) {
  ::csi::v1::NodeUnpublishVolumeRequest request;
  request.set_volume_id(VolumeIdOf(pod.place()));
  request.set_target_path(TargetOf(pod));
  ::csi::v1::NodeUnpublishVolumeResponse response;
  return Do([&](grpc::ClientContext* context) { return node_->NodeUnpublishVolume(context, request, &response); });
}

absl::StatusOr<std::string> FakeKubelet::NodeId() {
  ::csi::v1::NodeGetInfoResponse response;
  LARDER_RETURN_IF_ERROR(Do([&](grpc::ClientContext* context) { return node_->NodeGetInfo(context, {}, &response); }));
  return response.node_id();
}

}  // namespace larder::cache_agent::csi
