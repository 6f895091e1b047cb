#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "csi/mounter_wire.h"
#include "larder/base/unique_fd.h"

// The mounter: a process that stays root for the agent's sake, and does for it what a pod's bytes must never bring
// about. It knows two directories and two names from its start on; a request names a pod and a volume, and everything
// else is worked out here, without following links.
namespace larder::cache_agent::csi {

struct MounterPaths {
  std::string kubelet_pods;  // KUBELET_DIR/pods
  std::string volumes;       // the directory of all volumes' directories
  std::string registry;      // the kubelet's plugins_registry
  std::string bound_as;      // the registration socket in it, as it was bound
  std::string registered_as;
  std::string driver;
};

class MounterProcess {
 public:
  // Opens the directories. Errors as of base::ErrnoError.
  static absl::StatusOr<MounterProcess> Open(MounterPaths paths);

  // Answers requests that come over `fd`, one record each, until its other end is closed, or what comes is no request.
  void Serve(int fd) const;
  // All that Serve needs, besides its own.
  std::vector<int> descriptors() const { return {kubelet_pods_.get(), volumes_.get(), registry_.get(), socket_.get()}; }
  // What Serve answers.
  MounterReply Do(const MounterRequest& request) const;

 private:
  explicit MounterProcess(MounterPaths paths) : paths_(std::move(paths)) {}
  int Mount(const Place& place) const;
  int Unmount(const Place& place) const;
  int Look(const Place& place, MountState& state) const;
  int Rename() const;
  int Remove() const;
  // Whether it is our registration socket that has the name. Errno.
  int IsSocket(const std::string& name, bool& ours) const;
  // The directory that has the volume's target, as `mount`.
  base::UniqueFd OpenParent(const Place& place) const;
  base::UniqueFd OpenDirectory(const Place& place) const;
  // What lies at the target in `parent`; `directory` is the volume's own. Errno.
  static int StateOf(int parent, int directory, MountState& state);
  // Whose volume the kubelet wrote down that it is. Errno; ENOENT: it wrote nothing; EINVAL: nothing that says so.
  enum class Owner : uint8_t { kOurs, kOther };
  int OwnerOf(int parent, Owner& owner) const;
  // Takes away all that is mounted at the target, or all above the first that is not of a volume's directory. Errno;
  // EPERM: there was such a one.
  int Clear(int parent, bool only_ours) const;

  MounterPaths paths_;
  base::UniqueFd kubelet_pods_;
  base::UniqueFd volumes_;
  base::UniqueFd registry_;
  base::UniqueFd socket_;  // the registration socket's file, held so that no other gets its inode
};

}  // namespace larder::cache_agent::csi
