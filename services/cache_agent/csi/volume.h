#pragma once
#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>

// What the kubelet says of a volume, and what follows from it. Pure.
namespace larder::cache_agent::csi {

// Where a pod sees a volume: KUBELET_DIR/pods/UID/volumes/kubernetes.io~csi/NAME/mount.
struct Place {
  std::string pod_uid;
  std::string name;  // of the volume, in the pod's spec
  bool operator==(const Place&) const = default;
};

// Whether its parts can be nothing but names: no dots, no slashes.
bool IsPlace(const Place& place);

// A pod's volume: its way to the agent, and who comes by it.
struct Volume {
  std::string id;
  Place place;
  std::string ns;
  std::string pod;
  std::string service_account;
  bool read_only = false;  // the pod asked for no more
  bool operator==(const Volume&) const = default;
};

// A NodePublishVolume of the kubelet's.
struct PublishRequest {
  std::string volume_id;
  std::string target_path;
  bool is_mount = false;  // not a block device
  std::map<std::string, std::string> context;
};

// The id that the kubelet gives an inline volume: `csi-` and the SHA-256 of uid and name, in hex.
std::string VolumeIdOf(const Place& place);
bool IsVolumeId(std::string_view id);
// The name of the volume's directory: 32 hex digits of its id.
std::string DirectoryOf(std::string_view volume_id);

std::string TargetPath(std::string_view kubelet_dir, const Place& place);
// INVALID_ARGUMENT (BAD_TARGET): not such a path, to the byte.
absl::StatusOr<Place> PlaceOf(std::string_view target_path, std::string_view kubelet_dir);

// Whose volume it is to be. INVALID_ARGUMENT, the message naming what is wrong
//   BAD_TARGET      as PlaceOf, or not the pod's or the volume's that the rest names
//   NO_POD_INFO     one of the five keys that the kubelet adds is missing (podInfoOnMount), or is no such name
//   NOT_EPHEMERAL   of a PersistentVolume, which a pod can be given by others
//   BAD_ATTRIBUTE   an attribute that there is not: there is `access: read`
//   BLOCK_VOLUME
absl::StatusOr<Volume> VolumeOf(const PublishRequest& request, std::string_view kubelet_dir);

}  // namespace larder::cache_agent::csi
