#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

// Which pod a process is in, by the names of its cgroups. Pure.
namespace larder::cache_agent {

// A pod as the kubelet's cgroups name it.
struct CgroupPod {
  std::string uid;        // a UUID; of a static pod, the 32 hex digits of its manifest's hash
  std::string container;  // 64 hex digits; empty for a process of the pod that is in no container's cgroup
  bool operator==(const CgroupPod&) const = default;
};

// Whether a pod's cgroup may be named so.
bool IsPodUid(std::string_view text);

// The pod of a /proc/PID/cgroup, of either version of cgroups or both, made by the kubelet with its cgroupfs or systemd
// driver. PERMISSION_DENIED (NO_POD) for a process outside of pods, (TWO_PODS) if hierarchies disagree, which only a
// process that moved itself can bring about.
//
// A process may make cgroups below its own and name them as it likes, so the outermost name that can be the kubelet's
// decides: `kubepods`, below it a class of service or none, below it the pod, all of which are the kubelet's to make.
// It may lie below other cgroups, as in a node that is a container, but not below a user's, which are the user's to
// name; who else is given cgroups outside of pods to manage is trusted. Where the agent's container has a cgroup
// namespace the kernel shows "/../.." for what both are in, which may be `kubepods`; the neighbours of its container
// are no pods. Hierarchies of version 1 that have a name and no controller do not count, but for systemd's: whoever may
// mount one makes it.
absl::StatusOr<CgroupPod> PodOfCgroups(std::string_view text);

}  // namespace larder::cache_agent
