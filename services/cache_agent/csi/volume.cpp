#include "csi/volume.h"

#include <array>
#include <utility>

#include "core/cgroup.h"
#include "larder/base/digest.h"
#include "larder/base/status.h"
#include "larder/object/ids.h"

namespace larder::cache_agent::csi {
namespace {

constexpr std::string_view kIdPrefix = "csi-";
constexpr size_t kIdDigits = 64;
constexpr size_t kDirectoryDigits = 32;
constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxName = 253;
// What the kubelet adds to the attributes of the pod's spec, in whose place it puts it.
constexpr std::string_view kKubelets = "csi.storage.k8s.io/";
constexpr std::string_view kAccess = "access";

bool IsHex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

// A DNS label, or several parted by dots.
bool IsDnsName(std::string_view text, size_t most, std::string_view others) {
  if (text.empty() || text.size() > most || text.starts_with('.') || text.starts_with('-')) return false;
  for (const char c : text) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    if (!word && others.find(c) == std::string_view::npos) return false;
  }
  return text.find("..") == std::string_view::npos;
}

// Text of others, for a message: not longer than people read, and without what a terminal obeys.
std::string Shown(std::string_view text) {
  std::string shown(text.substr(0, kMaxName));
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = '?';
  }
  return shown;
}

absl::StatusOr<std::string> PodInfo(const PublishRequest& request, std::string_view key, std::string_view others = "",
                                    size_t most = kMaxName) {
  const std::string full = std::string(kKubelets) + std::string(key);
  const auto found = request.context.find(full);
  if (found != request.context.end() && IsDnsName(found->second, most, others)) return found->second;
  return base::InvalidArgument(
      "NO_POD_INFO", "the volume's context has no valid '{}': the CSIDriver object must say podInfoOnMount: true",
      full);
}

absl::Status CheckAttributes(const PublishRequest& request) {
  for (const auto& [key, value] : request.context) {
    if (key.starts_with(kKubelets)) continue;
    if (key == kAccess && value == "read") continue;
    return base::InvalidArgument(
        "BAD_ATTRIBUTE",
        "volumeAttributes: '{}: {}' is not known (there is 'access: read', for a pod that only "
        "reads)",
        Shown(key), Shown(value));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsPlace(const Place& place) { return IsPodUid(place.pod_uid) && IsDnsName(place.name, kMaxLabel, ""); }

std::string VolumeIdOf(const Place& place) {
  base::Sha256 sha;
  sha.Update(base::AsBytes(place.pod_uid));
  sha.Update(base::AsBytes(place.name));
  std::string id(kIdPrefix);
  for (const uint8_t byte : sha.Finish()) id += fmt::format("{:02x}", byte);
  return id;
}

bool IsVolumeId(std::string_view id) {
  return id.size() == kIdPrefix.size() + kIdDigits && id.starts_with(kIdPrefix) && IsHex(id.substr(kIdPrefix.size()));
}

std::string DirectoryOf(std::string_view volume_id) {
  return std::string(volume_id.substr(kIdPrefix.size(), kDirectoryDigits));
}

std::string TargetPath(std::string_view kubelet_dir, const Place& place) {
  return fmt::format("{}/pods/{}/volumes/kubernetes.io~csi/{}/mount", kubelet_dir, place.pod_uid, place.name);
}

absl::StatusOr<Place> PlaceOf(std::string_view target_path, std::string_view kubelet_dir) {
  const auto bad = [&] {
    return base::InvalidArgument("BAD_TARGET",
                                 "target path '{}' is not {}/pods/UID/volumes/kubernetes.io~csi/NAME/mount (is "
                                 "csi.kubelet_dir the kubelet's --root-dir?)",
                                 Shown(target_path), kubelet_dir);
  };
  const std::string before = std::string(kubelet_dir) + "/pods/";
  if (!target_path.starts_with(before)) return bad();
  const std::string_view rest = target_path.substr(before.size());
  constexpr std::string_view kBetween = "/volumes/kubernetes.io~csi/";
  constexpr std::string_view kAfter = "/mount";
  const size_t between = rest.find(kBetween);
  if (between == std::string_view::npos || !rest.ends_with(kAfter)) return bad();
  const size_t name = between + kBetween.size();
  if (rest.size() < name + kAfter.size()) return bad();
  Place place{.pod_uid = std::string(rest.substr(0, between)),
              .name = std::string(rest.substr(name, rest.size() - name - kAfter.size()))};
  if (!IsPlace(place)) return bad();
  return place;
}

absl::StatusOr<Volume> VolumeOf(const PublishRequest& request, std::string_view kubelet_dir) {
  if (!request.is_mount) {
    return base::InvalidArgument("BLOCK_VOLUME", "the volume is a directory of sockets: use volumeMounts, not devices");
  }
  Volume volume;
  LARDER_ASSIGN_OR_RETURN(volume.place, PlaceOf(request.target_path, kubelet_dir));
  LARDER_ASSIGN_OR_RETURN(volume.ns, PodInfo(request, "pod.namespace", "", kMaxLabel));
  LARDER_RETURN_IF_ERROR(object::CheckNamespace(volume.ns));
  LARDER_ASSIGN_OR_RETURN(volume.pod, PodInfo(request, "pod.name", "."));
  LARDER_ASSIGN_OR_RETURN(const std::string uid, PodInfo(request, "pod.uid"));
  LARDER_ASSIGN_OR_RETURN(volume.service_account, PodInfo(request, "serviceAccount.name", "."));
  LARDER_ASSIGN_OR_RETURN(const std::string ephemeral, PodInfo(request, "ephemeral"));
  if (ephemeral != "true") {
    return base::InvalidArgument("NOT_EPHEMERAL",
                                 "the volume must stand in the pod's own spec (volumes: [{{csi: …}}]), not be a "
                                 "PersistentVolume");
  }
  volume.id = VolumeIdOf(volume.place);
  if (uid != volume.place.pod_uid || request.volume_id != volume.id) {
    return base::InvalidArgument("BAD_TARGET", "target path '{}' is not that of volume {} of the pod with uid {}",
                                 Shown(request.target_path), Shown(request.volume_id), uid);
  }
  LARDER_RETURN_IF_ERROR(CheckAttributes(request));
  volume.read_only = request.context.contains(std::string(kAccess));
  return volume;
}

}  // namespace larder::cache_agent::csi
