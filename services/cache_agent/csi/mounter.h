#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>

#include "csi/volume.h"

namespace larder::cache_agent::csi {

// What lies at a volume's target.
enum class MountState : uint8_t {
  kNone,   // nothing is mounted
  kOurs,   // the volume's directory, read-only
  kOther,  // anything else: of an earlier directory, or writable
};

// What only root may do for pods and the kubelet. All is idempotent: a call that failed, or was cut short, is completed
// by the same call. Thread-safe; blocks as long as the kernel does. Errors as of base::ErrnoError.
class Mounter {
 public:
  virtual ~Mounter() = default;
  // Makes the target and mounts the volume's directory there, read-only from birth, and once: what else was mounted
  // there goes. NOT_FOUND: there is no such pod or directory, or the kubelet has not written down whose volume it is.
  // PERMISSION_DENIED: the volume is another driver's.
  virtual absl::Status Mount(const Place& place) = 0;
  // Whatever is mounted at the target, and the target. Only mounts of volumes' directories, unless the kubelet wrote
  // down that the volume is ours.
  virtual absl::Status Unmount(const Place& place) = 0;
  // An error: it is not known.
  virtual absl::StatusOr<MountState> Look(const Place& place) = 0;
  // Gives the registration socket the name under which the kubelet looks for it; takes it away again.
  virtual absl::Status Register() = 0;
  virtual absl::Status Unregister() = 0;
  // Calls `ended`, on a thread of its own, if the one who does all this is gone, and nothing more can be done. Once.
  virtual void OnEnd(std::function<void()> ended) = 0;
};

}  // namespace larder::cache_agent::csi
