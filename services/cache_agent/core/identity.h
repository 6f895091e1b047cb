#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "core/cgroup.h"
#include "core/pod_directory.h"
#include "larder/cache_agent/config.h"
#include "larder/object/caller.h"
#include "larder/observe/logger.h"

namespace larder::cache_agent {

// Who callers are, one function per value of Identity. What they return may outlive this call, but not what it borrows.

// By their own word: the namespace asked for, or `default`. INVALID_ARGUMENT (BAD_NAMESPACE).
object::Identify IdentifyByWord();
// By the pod whose cgroup the caller's process is in; borrows both. Errors as of CgroupsOf and PodByCgroups.
object::Identify IdentifyByCgroup(const PodDirectory& pods, observe::Logger& log);
// Of calls on `socket_dir`'s control.sock that carry no session's token. By their own word, or, where that does not
// count, nobody: PERMISSION_DENIED (NO_TOKEN).
object::Identify IdentifyCalls(Identity identity);

// The pod of a process with these cgroups (/proc/PID/cgroup), if it may have the namespace it asks for.
// PERMISSION_DENIED, the reason
//   NO_POD, TWO_PODS   as of PodOfCgroups
//   UNKNOWN_POD        the directory does not have the pod
//   FOREIGN_NAMESPACE  as of CheckAsked
struct PodCaller {
  CgroupPod place;
  Pod pod;
};
absl::StatusOr<PodCaller> PodByCgroups(std::string_view cgroups, const PodDirectory& pods, const std::string& asked_ns);

// Whether a caller with namespace `own_ns` may ask for `asked_ns`: its own, or empty. PERMISSION_DENIED
// (FOREIGN_NAMESPACE), INVALID_ARGUMENT (BAD_NAMESPACE). `whose` is for the message.
absl::Status CheckAsked(const std::string& asked_ns, const std::string& own_ns, std::string_view whose);

// The permissions of the sockets in `socket_dir`. Where a caller's word counts, who sees the directory may connect;
// with identity `cgroup` owner and group; with `csi`, where pods have sockets of their own, these are the operator's,
// whose word counts.
unsigned SocketMode(Identity identity);

// INVALID_ARGUMENT (MISSING_SETTING) if another setting is missing for the identity that is set.
absl::Status CheckIdentity(const Config& config);

}  // namespace larder::cache_agent
