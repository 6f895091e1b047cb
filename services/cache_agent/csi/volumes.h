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
  // opened, or has no record, is logged. Before all other calls; an error of listing only.
  absl::Status Restore() LARDER_EXCLUDES(mutex_);
  // Makes the volume, or completes it. ABORTED (BUSY): another call is at work on it. Else an error leaves what was
  // there before; if that cannot be made so, it is UNAVAILABLE, on which the kubelet unpublishes.
  absl::Status Publish(const Volume& volume) LARDER_EXCLUDES(mutex_);
  // Takes the volume away, or what is left of it; nothing if there is nothing. `place` is where the kubelet says that
  // it is, in case that there is no record. ABORTED (BUSY).
  absl::Status Unpublish(const std::string& id, const Place& place) LARDER_EXCLUDES(mutex_);
  // Takes away volumes whose mount has been gone for two minutes; opens sockets that could not be opened. Returns how
  // many went. To be called a few times a minute.
  int Sweep() LARDER_EXCLUDES(mutex_);

  size_t size() const LARDER_EXCLUDES(mutex_);

 private:
  struct State {
    Volume volume;
    bool open = false;  // its sockets
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
  void RestoreOne(const std::string& id);
  // Whether it went.
  bool SweepOne(const State& state);

  VolumeStore& store_;
  Doors& doors_;
  Mounter& mounter_;
  const base::Clock& clock_;
  observe::Logger& log_;
  mutable base::Mutex mutex_;
  std::map<std::string, State> volumes_ LARDER_GUARDED_BY(mutex_);  // by id
  std::set<std::string> busy_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::cache_agent::csi
