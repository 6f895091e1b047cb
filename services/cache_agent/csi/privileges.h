#pragma once
#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "csi/mounter.h"
#include "larder/base/unique_fd.h"
#include "larder/cache_agent/config.h"

namespace larder::cache_agent::csi {

// Whom the agent is once it has given root up.
inline constexpr unsigned kAgentId = 65532;

// The directories of `csi.run_dir`.
struct RunDirs {
  explicit RunDirs(const std::string& run) : csi(run + "/csi"), state(run + "/state"), pods(run + "/pods") {}
  std::string csi;    // the driver's socket, for the kubelet
  std::string state;  // records of volumes
  std::string pods;   // a directory of sockets for each volume
};

// What is left of root's power.
struct Privileges {
  std::unique_ptr<Mounter> mounter;
  base::UniqueFd lock;          // of the driver's name, on this node
  base::UniqueFd registration;  // the registration socket, listening, not yet where the kubelet sees it
};

// For identity `csi`, as root, before there are threads: makes the agent's directories, binds the registration socket,
// forks the mounter, and lives on as kAgentId, without capabilities, and without a way to new ones. Null for other
// identities: nothing happens. FAILED_PRECONDITION (NOT_ROOT); ALREADY_EXISTS (LOCKED): another agent of this node has
// the driver's name; errors as of base::ErrnoError.
absl::StatusOr<std::shared_ptr<Privileges>> SplitPrivileges(const Config& config);

}  // namespace larder::cache_agent::csi
