#include "core/identity.h"

#include <optional>

#include "core/caller_cgroups.h"
#include "core/cgroup.h"
#include "larder/base/status.h"

namespace larder::cache_agent {
namespace {

constexpr char kDefaultNamespace[] = "default";

template <typename... Args>
absl::Status Denied(std::string_view reason, fmt::format_string<Args...> format, Args&&... args) {
  return base::Error(absl::StatusCode::kPermissionDenied, reason, format, std::forward<Args>(args)...);
}

}  // namespace

object::Identify IdentifyByWord() {
  return [](const object::CallerProcess& caller, const std::string& asked_ns) -> absl::StatusOr<object::SessionOwner> {
    object::SessionOwner owner{.ns = asked_ns.empty() ? kDefaultNamespace : asked_ns, .pid = caller.pid};
    LARDER_RETURN_IF_ERROR(object::CheckNamespace(owner.ns));
    return owner;
  };
}

object::Identify IdentifyByCgroup(const PodDirectory& pods, observe::Logger& log) {
  return [&](const object::CallerProcess& caller, const std::string& asked_ns) -> absl::StatusOr<object::SessionOwner> {
    const absl::StatusOr<CallerCgroups> cgroups = CgroupsOf(caller);
    const absl::StatusOr<PodCaller> known =
        cgroups.ok() ? PodByCgroups(cgroups->text, pods, asked_ns) : cgroups.status();
    if (!known.ok()) {
      log.Debug("caller refused", {{"pid", caller.pid}, {"error", known.status()}});
      return known.status();
    }
    log.Debug("caller known", {{"pid", cgroups->pid},
                               {"namespace", known->pod.ns},
                               {"pod", known->pod.name},
                               {"service_account", known->pod.service_account},
                               {"container", known->place.container}});
    return object::SessionOwner{.ns = known->pod.ns, .pid = cgroups->pid};
  };
}

object::Identify IdentifyCalls(Identity identity) {
  if (identity != Identity::kCgroup) return IdentifyByWord();
  return [](const object::CallerProcess&, const std::string&) -> absl::StatusOr<object::SessionOwner> {
    return Denied("NO_TOKEN",
                  "the call does not say whose it is: say HELLO on data.sock and send its token as the metadata "
                  "larder-session-bin");
  };
}

absl::StatusOr<PodCaller> PodByCgroups(std::string_view cgroups, const PodDirectory& pods,
                                       const std::string& asked_ns) {
  LARDER_ASSIGN_OR_RETURN(CgroupPod place, PodOfCgroups(cgroups));
  std::optional<Pod> pod = pods.Find(place.uid);
  if (!pod) {
    return Denied("UNKNOWN_POD",
                  "the agent does not know the pod with uid {}: if it has just started, connect again; else it is "
                  "missing from the agent's pods_file",
                  place.uid);
  }
  LARDER_RETURN_IF_ERROR(CheckAsked(asked_ns, pod->ns, fmt::format("pod {}/{}", pod->ns, pod->name)));
  return PodCaller{.place = std::move(place), .pod = *std::move(pod)};
}

absl::Status CheckAsked(const std::string& asked_ns, const std::string& own_ns, std::string_view whose) {
  if (asked_ns.empty() || asked_ns == own_ns) return absl::OkStatus();
  LARDER_RETURN_IF_ERROR(object::CheckNamespace(asked_ns));
  return Denied("FOREIGN_NAMESPACE", "{} may not use namespace '{}': name none, or its own, '{}'", whose, asked_ns,
                own_ns);
}

unsigned SocketMode(Identity identity) {
  switch (identity) {
    case Identity::kOpen:
      return 0666;
    case Identity::kCgroup:
      return 0660;
    case Identity::kCsi:
      return 0600;
  }
  return 0600;
}

absl::Status CheckIdentity(const Config& config) {
  if (config.identity != Identity::kCgroup || !config.pods_file.empty()) return absl::OkStatus();
  return base::InvalidArgument("MISSING_SETTING",
                               "pods_file: must be set with identity 'cgroup' (it says which pods there are)");
}

}  // namespace larder::cache_agent
