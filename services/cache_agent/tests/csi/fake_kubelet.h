#pragma once
#include <absl/status/statusor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "csi/v1/csi.grpc.pb.h"
#include "csi/volume.h"
#include "pluginregistration/registration.grpc.pb.h"

namespace larder::cache_agent::csi {

// A pod with one volume, as the kubelet knows it.
struct FakePod {
  std::string uid;
  std::string ns = "team-a";
  std::string name = "trainer-0";
  std::string service_account = "trainer";
  std::map<std::string, std::string> attributes = {};  // of its volume
  Place place() const { return {.pod_uid = uid, .name = "larder"}; }
};
// The `n`th of many.
FakePod PodNumber(int n);

// What the kubelet does with a driver, in a directory of its own: finds its socket, asks who it is, has volumes
// published. Blocks; one thread.
class FakeKubelet {
 public:
  // Makes `pods` and `plugins_registry` in `dir`.
  explicit FakeKubelet(std::filesystem::path dir);

  std::string dir() const { return dir_; }
  std::filesystem::path RegistrationSocket(const std::string& driver) const;
  // Asks the driver behind the registration socket who it is, tells it that it is registered, and uses it from now on.
  absl::StatusOr<pluginregistration::PluginInfo> Register(const std::string& driver);
  // Tells the driver whether it is registered.
  absl::Status Notify(const std::string& driver, bool registered);

  // Writes down first that the volume is the registered driver's.
  absl::Status Publish(const FakePod& pod);
  // What Publish says, for a request of another form.
  absl::Status Publish(const ::csi::v1::NodePublishVolumeRequest& request);
  ::csi::v1::NodePublishVolumeRequest RequestFor(const FakePod& pod) const;
  absl::Status Unpublish(const FakePod& pod);
  std::string TargetOf(const FakePod& pod) const { return TargetPath(dir_.string(), pod.place()); }
  // The node's name, as the driver says it.
  absl::StatusOr<std::string> NodeId();

 private:
  const std::filesystem::path dir_;
  std::string driver_;
  std::unique_ptr<::csi::v1::Node::Stub> node_;
};

}  // namespace larder::cache_agent::csi
