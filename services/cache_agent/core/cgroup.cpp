#include "core/cgroup.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "larder/base/status.h"

namespace larder::cache_agent {
namespace {

constexpr std::string_view kSlice = ".slice";
constexpr std::string_view kKubepods = "kubepods";
constexpr size_t kContainerDigits = 64;
constexpr size_t kHashDigits = 32;

bool IsHex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool RemoveSuffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

// The names of a path, without its leading "/" and the ".." by which it climbs to what it shares with a cgroup
// namespace.
struct Path {
  bool climbs = false;
  std::vector<std::string_view> names;
};
Path Split(std::string_view text) {
  Path path;
  while (!text.empty()) {
    const std::string_view name = text.substr(0, text.find('/'));
    text.remove_prefix(std::min(text.size(), name.size() + 1));
    if (name.empty()) continue;
    if (name == ".." && path.names.empty()) {
      path.climbs = true;
    } else {
      path.names.push_back(name);
    }
  }
  return path;
}

// systemd repeats the names of a slice's parents in its own. What of it the kubelet gave: "kubepods-burstable" of
// "kubelet-kubepods-burstable.slice"; empty if it is not of the kubelet.
std::string_view OfKubelet(std::string_view name) {
  if (!RemoveSuffix(name, kSlice)) return {};
  const size_t at = name.starts_with(kKubepods) ? 0 : name.find("-kubepods");
  if (at == name.npos) return {};
  name.remove_prefix(at == 0 ? 0 : at + 1);
  const std::string_view rest = name.substr(kKubepods.size());
  return rest.empty() || rest.front() == '-' ? name : std::string_view();
}

bool IsRoot(std::string_view name) { return name == kKubepods || OfKubelet(name) == kKubepods; }

bool IsClass(std::string_view name) {
  const std::string_view slice = OfKubelet(name);
  return name == "burstable" || name == "besteffort" || slice == "kubepods-burstable" || slice == "kubepods-besteffort";
}

std::optional<std::string> PodUid(std::string_view name) {
  std::string uid;
  if (name.starts_with("pod")) {
    uid = name.substr(3);
  } else {
    std::string_view slice = OfKubelet(name);
    const size_t pod = slice.find("-pod", kKubepods.size());
    if (pod == slice.npos) return std::nullopt;
    const std::string_view parent = slice.substr(0, pod);
    if (parent != kKubepods && !IsClass(std::string(parent) + std::string(kSlice))) return std::nullopt;
    uid = slice.substr(pod + 4);
    // In the names of slices '-' parts parent from child.
    if (uid.find('-') != uid.npos) return std::nullopt;
    std::ranges::replace(uid, '_', '-');
  }
  if (!IsPodUid(uid)) return std::nullopt;
  return uid;
}

// The id in a container's name, where it has one: "ID", "cri-containerd-ID.scope", "crio-ID".
std::string ContainerId(std::string_view name) {
  RemoveSuffix(name, ".scope");
  for (const std::string_view prefix : {"cri-containerd-", "crio-", "docker-"}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  return name.size() == kContainerDigits && IsHex(name) ? std::string(name) : std::string();
}

// Below it a user makes cgroups.
bool IsOfUsers(std::string_view name) {
  return name == "user.slice" || name.starts_with("user@") || (name.starts_with("user-") && name.ends_with(kSlice));
}

// Where in a path what the kubelet makes below its `kubepods` begins.
std::optional<size_t> BelowRoot(const Path& path) {
  for (size_t i = 0; i < path.names.size(); ++i) {
    const std::string_view name = path.names[i];
    if (IsRoot(name)) return i + 1;
    // A path that climbs begins beside a cgroup that we are in: below `kubepods`, or it comes to it at once.
    if (path.climbs) return IsClass(name) || PodUid(name) ? std::optional<size_t>(i) : std::nullopt;
    if (IsOfUsers(name)) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<CgroupPod> PodOfPath(std::string_view text) {
  const Path path = Split(text);
  const auto name = [&](size_t i) { return i < path.names.size() ? path.names[i] : std::string_view(); };
  std::optional<size_t> at = BelowRoot(path);
  if (!at) return std::nullopt;
  if (IsClass(name(*at))) ++*at;
  std::optional<std::string> uid = PodUid(name(*at));
  if (!uid) return std::nullopt;
  return CgroupPod{.uid = *std::move(uid), .container = ContainerId(name(*at + 1))};
}

// The path of one line, "ID:CONTROLLERS:PATH", if its hierarchy counts.
std::optional<std::string_view> PathOf(std::string_view line) {
  const size_t first = line.find(':');
  const size_t second = line.find(':', first + 1);
  if (first == line.npos || second == line.npos) return std::nullopt;
  const std::string_view controllers = line.substr(first + 1, second - first - 1);
  if (controllers.starts_with("name=") && controllers != "name=systemd") return std::nullopt;
  return line.substr(second + 1);
}

}  // namespace

bool IsPodUid(std::string_view text) {
  if (text.size() == kHashDigits) return IsHex(text);
  constexpr std::string_view kUuid = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  if (text.size() != kUuid.size()) return false;
  for (size_t i = 0; i < kUuid.size(); ++i) {
    if (kUuid[i] == '-' ? text[i] != '-' : !IsHex(text.substr(i, 1))) return false;
  }
  return true;
}

absl::StatusOr<CgroupPod> PodOfCgroups(std::string_view text) {
  std::optional<CgroupPod> found;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::optional<std::string_view> path = PathOf(line);
    std::optional<CgroupPod> pod = path ? PodOfPath(*path) : std::nullopt;
    if (!pod) continue;
    if (found && found->uid != pod->uid) {
      return base::Error(absl::StatusCode::kPermissionDenied, "TWO_PODS",
                         "the caller's cgroups are those of two pods, {} and {}: call from a process that is in one",
                         found->uid, pod->uid);
    }
    if (!found || found->container.empty()) found = std::move(pod);
  }
  if (found) return *std::move(found);
  return base::Error(absl::StatusCode::kPermissionDenied, "NO_POD",
                     "the caller's cgroups are not those of a pod: only pods of this node are served");
}

}  // namespace larder::cache_agent
