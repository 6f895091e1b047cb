#pragma once
#include <absl/status/status.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "csi/mounter.h"
#include "csi/volume.h"
#include "csi/volume_store.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/observe/logger.h"

namespace larder::cache_agent::csi {

// The sockets of volumes, in their directories. Thread-safe for different volumes.
class Doors {
 public:
  virtual ~Doors() = default;
  // Whether who has the volume may come at all. PERMISSION_DENIED.
  virtual absl::Status Admit(const Volume& volume) const = 0;
  // Serves whoever comes by the sockets in `directory` as the pod that has the volume. Idempotent. An error leaves no
  // socket served.
  virtual absl::Status Open(const Volume& volume, const std::string& directory) = 0;
  // Ends connections, and their leases with them. Nothing if it is not open.
  virtual void Close(const std::string& directory) = 0;
};

// The volumes of this node's pods: for each a record, a directory, sockets in it, and a mount, made in this order,
// taken away in the other, the record last. So whatever is there has a record, and what was cut short between any two
// steps is completed by the same call, or found at the next start, or swept up. Thread-safe; blocks as Mounter and
// VolumeStore do.
class Volumes {
 public:
  // Borrows all.
  Volumes(VolumeStore& store, Doors& doors, Mounter& mounter, const base::Clock& clock, observe::Logger& log);

  // Opens the sockets of all volumes that records tell of, in the directories that are mounted already. What cannot be
  // opened or read is logged, and left to Sweep; a record that is damaged goes, and a directory without a record,
  // unless it is mounted: its pod would never get another. Before all other calls; an error of listing only.
  absl::Status Restore() LARDER_EXCLUDES(mutex_);
  // Makes the volume, or completes it. ABORTED (BUSY): another call is at work on it. UNAVAILABLE (HALF_PUBLISHED):
  // something is mounted, or may be, and the kubelet must ask again or unpublish. Any other error leaves nothing. What
  // Doors does not admit is refused unless there is a volume already: a pod that runs has lost its sessions, no more.
  absl::Status Publish(const Volume& volume) LARDER_EXCLUDES(mutex_);
  // Takes the volume away, or what is left of it; nothing if there is nothing. `place` is where the kubelet says that
  // it is, in case that there is no record. ABORTED (BUSY).
  absl::Status Unpublish(const std::string& id, const Place& place) LARDER_EXCLUDES(mutex_);
  // Takes away volumes at whose target nothing has been mounted for two minutes; reads and opens what could not be.
  // Returns how many went. To be called a few times a minute.
  int Sweep() LARDER_EXCLUDES(mutex_);

  size_t size() const LARDER_EXCLUDES(mutex_);

 private:
  struct State {
    Volume volume;
    bool open = false;   // its sockets
    bool other = false;  // something else is mounted at its target; said once
    std::optional<base::MonotonicTime> unmounted;
  };
  // The right to work on one volume.
  class Turn;
  absl::Status Busy(const std::string& id) const;
  std::optional<State> Find(const std::string& id) const LARDER_EXCLUDES(mutex_);
  void Keep(const Volume& volume, bool open) LARDER_EXCLUDES(mutex_);
  std::vector<State> All() const LARDER_EXCLUDES(mutex_);

  // With the volume's turn.
  absl::Status Make(const Volume& volume);
  absl::Status Remove(const std::string& id, const Place& place);
  // Whether something of it is, or may be, mounted that the pod uses.
  bool MayBeInUse(const Volume& volume, bool existed);
  void RestoreOne(const std::string& id, bool again);
  void Reopen(const Volume& volume);
  void RemoveUnknownDirectories(const std::vector<std::string>& names);
  // Whether it went.
  bool SweepOne(const State& state);

  VolumeStore& store_;
  Doors& doors_;
  Mounter& mounter_;
  const base::Clock& clock_;
  observe::Logger& log_;
  mutable base::Mutex mutex_;
  std::map<std::string, State> volumes_ LARDER_GUARDED_BY(mutex_);  // by id
  std::set<std::string> unread_ LARDER_GUARDED_BY(mutex_);          // ids of records that could not be read yet
  std::set<std::string> busy_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::cache_agent::csi
