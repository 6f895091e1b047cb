#include "csi/volumes.h"

#include <chrono>
#include <utility>

#include "csi/record.h"
#include "larder/base/status.h"

namespace larder::cache_agent::csi {
namespace {

// Longer than any publish lasts between its record and its mount.
constexpr base::Duration kUnmountedFor = std::chrono::minutes(2);

}  // namespace

class Volumes::Turn {
 public:
  Turn(Volumes& volumes, std::string id) : volumes_(volumes), id_(std::move(id)) {
    base::MutexLock lock(volumes_.mutex_);
    taken_ = volumes_.busy_.insert(id_).second;
  }
  ~Turn() {
    if (!taken_) return;
    base::MutexLock lock(volumes_.mutex_);
    volumes_.busy_.erase(id_);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  explicit operator bool() const { return taken_; }

 private:
  Volumes& volumes_;
  const std::string id_;
  bool taken_ = false;
};

Volumes::Volumes(VolumeStore& store, Doors& doors, Mounter& mounter, const base::Clock& clock, observe::Logger& log)
    : store_(store), doors_(doors), mounter_(mounter), clock_(clock), log_(log) {}

absl::Status Volumes::Busy(const std::string& id) const {
  return base::Error(absl::StatusCode::kAborted, "BUSY", "another call is at work on volume {}: ask again", id);
}

std::optional<Volumes::State> Volumes::Find(const std::string& id) const {
  base::MutexLock lock(mutex_);
  const auto found = volumes_.find(id);
  if (found == volumes_.end()) return std::nullopt;
  return found->second;
}

void Volumes::Keep(const Volume& volume, bool open) {
  base::MutexLock lock(mutex_);
  volumes_[volume.id] = {.volume = volume, .open = open, .unmounted = std::nullopt};
  unread_.erase(volume.id);
}

std::vector<Volumes::State> Volumes::All() const {
  base::MutexLock lock(mutex_);
  std::vector<State> all;
  for (const auto& [id, state] : volumes_) all.push_back(state);
  return all;
}

size_t Volumes::size() const {
  base::MutexLock lock(mutex_);
  return volumes_.size();
}

absl::Status Volumes::Restore() {
  LARDER_ASSIGN_OR_RETURN(const std::vector<std::string> ids, store_.ListRecords());
  for (const std::string& id : ids) RestoreOne(id, /*again=*/false);
  LARDER_ASSIGN_OR_RETURN(const std::vector<std::string> directories, store_.ListDirectories());
  RemoveUnknownDirectories(directories);
  return absl::OkStatus();
}

void Volumes::RemoveUnknownDirectories(const std::vector<std::string>& names) {
  std::set<std::string> known;
  for (const State& state : All()) known.insert(DirectoryOf(state.volume.id));
  {
    base::MutexLock lock(mutex_);
    for (const std::string& id : unread_) known.insert(DirectoryOf(id));
  }
  for (const std::string& name : names) {
    if (known.contains(name)) continue;
    log_.Warning("a volume's directory has no record: nobody is served there", {{"directory", store_.PathOf(name)}});
    const absl::StatusOr<bool> mounted = store_.IsMounted(name);
    if (mounted.ok() && *mounted) continue;
    const absl::Status removed = mounted.ok() ? store_.RemoveDirectory(name) : mounted.status();
    if (!removed.ok()) log_.Error("cannot remove it", {{"error", removed}});
  }
}

void Volumes::RestoreOne(const std::string& id, bool again) {
  absl::StatusOr<std::string> text = store_.ReadRecord(id);
  absl::StatusOr<Volume> volume = text.ok() ? DecodeRecord(*text) : text.status();
  if (volume.ok() && volume->id != id) {
    volume = base::Error(absl::StatusCode::kDataLoss, "BAD_RECORD", "the record is that of volume {}", volume->id);
  }
  if (volume.ok()) return Reopen(*volume);
  if (!again) {
    log_.Error("a volume's record cannot be read: its pod is not served", {{"id", id}, {"error", volume.status()}});
  }
  // Only what no later reading can mend is given up.
  const bool damaged = volume.status().code() == absl::StatusCode::kDataLoss;
  const absl::Status removed = damaged ? store_.RemoveRecord(id) : absl::OkStatus();
  if (!removed.ok()) log_.Error("cannot remove it", {{"error", removed}});
  base::MutexLock lock(mutex_);
  if (damaged && removed.ok()) {
    unread_.erase(id);
  } else {
    unread_.insert(id);
  }
}

void Volumes::Reopen(const Volume& volume) {
  absl::Status opened = store_.MakeDirectory(DirectoryOf(volume.id));
  if (opened.ok()) opened = doors_.Open(volume, store_.PathOf(DirectoryOf(volume.id)));
  if (!opened.ok()) {
    log_.Error("a volume's sockets cannot be opened yet",
               {{"namespace", volume.ns}, {"pod", volume.pod}, {"error", opened}});
  }
  Keep(volume, opened.ok());
}

bool Volumes::MayBeInUse(const Volume& volume, bool existed) {
  const absl::StatusOr<MountState> mounted = mounter_.Look(volume.place);
  if (!mounted.ok()) return existed;
  return *mounted == MountState::kOurs || (existed && *mounted == MountState::kOther);
}

absl::Status Volumes::Publish(const Volume& volume) {
  const Turn turn(*this, volume.id);
  if (!turn) return Busy(volume.id);
  bool existed = Find(volume.id).has_value();
  {
    base::MutexLock lock(mutex_);
    existed = existed || unread_.contains(volume.id);
  }
  absl::Status made = Make(volume);
  if (made.ok()) {
    log_.Info("volume published",
              {{"namespace", volume.ns}, {"pod", volume.pod}, {"service_account", volume.service_account}});
    return made;
  }
  log_.Error("volume not published", {{"namespace", volume.ns}, {"pod", volume.pod}, {"error", made}});
  // A pod that runs keeps what it has. To the kubelet a final error would mean that nothing is mounted, and it would
  // never unpublish.
  if (MayBeInUse(volume, existed)) {
    return base::Error(absl::StatusCode::kUnavailable, "HALF_PUBLISHED", "{}; and what the pod has is left",
                       base::Message(made));
  }
  const absl::Status removed = Remove(volume.id, volume.place);
  if (removed.ok()) return made;
  log_.Error("what was made of the volume cannot be removed yet", {{"pod", volume.pod}, {"error", removed}});
  return base::Error(absl::StatusCode::kUnavailable, "HALF_PUBLISHED", "{}; and what was made is left: {}",
                     base::Message(made), base::Message(removed));
}

absl::Status Volumes::Make(const Volume& volume) {
  const std::string directory = DirectoryOf(volume.id);
  const std::optional<State> known = Find(volume.id);
  if (!known) LARDER_RETURN_IF_ERROR(doors_.Admit(volume));
  const bool same = known && known->volume == volume;
  if (!same) LARDER_RETURN_IF_ERROR(store_.WriteRecord(volume.id, EncodeRecord(volume)));
  if (!same || !known->open) {
    Keep(volume, false);
    LARDER_RETURN_IF_ERROR(store_.MakeDirectory(directory));
    if (known) doors_.Close(store_.PathOf(directory));  // they were somebody else's, or half open
    LARDER_RETURN_IF_ERROR(doors_.Open(volume, store_.PathOf(directory)));
  }
  LARDER_RETURN_IF_ERROR(mounter_.Mount(volume.place));
  Keep(volume, true);
  return absl::OkStatus();
}

absl::Status Volumes::Unpublish(const std::string& id, const Place& place) {
  const Turn turn(*this, id);
  if (!turn) return Busy(id);
  const absl::Status removed = Remove(id, place);
  if (removed.ok()) {
    log_.Info("volume unpublished", {{"volume", place.name}, {"pod_uid", place.pod_uid}});
  } else {
    log_.Error("volume not unpublished", {{"volume", place.name}, {"pod_uid", place.pod_uid}, {"error", removed}});
  }
  return removed;
}

absl::Status Volumes::Remove(const std::string& id, const Place& place) {
  const std::string directory = DirectoryOf(id);
  doors_.Close(store_.PathOf(directory));
  if (const std::optional<State> known = Find(id)) Keep(known->volume, false);
  LARDER_RETURN_IF_ERROR(mounter_.Unmount(place));
  LARDER_RETURN_IF_ERROR(store_.RemoveDirectory(directory));
  LARDER_RETURN_IF_ERROR(store_.RemoveRecord(id));
  base::MutexLock lock(mutex_);
  volumes_.erase(id);
  unread_.erase(id);
  return absl::OkStatus();
}

int Volumes::Sweep() {
  int gone = 0;
  for (const State& seen : All()) {
    const Turn turn(*this, seen.volume.id);
    if (!turn) continue;
    // As it is now that it is ours.
    const std::optional<State> state = Find(seen.volume.id);
    if (state && SweepOne(*state)) ++gone;
  }
  std::set<std::string> unread;
  {
    base::MutexLock lock(mutex_);
    unread = unread_;
  }
  for (const std::string& id : unread) {
    const Turn turn(*this, id);
    if (turn && !Find(id)) RestoreOne(id, /*again=*/true);
  }
  return gone;
}

bool Volumes::SweepOne(const State& state) {
  const Volume& volume = state.volume;
  const absl::StatusOr<MountState> mounted = mounter_.Look(volume.place);
  if (!mounted.ok()) return false;
  if (*mounted != MountState::kNone) {
    const bool other = *mounted == MountState::kOther;
    if (other && !state.other) {
      log_.Error("something else is mounted where a volume should be: its pod is not served",
                 {{"namespace", volume.ns}, {"pod", volume.pod}});
    }
    if (!other && !state.open) Reopen(volume);
    base::MutexLock lock(mutex_);
    volumes_.at(volume.id).other = other;
    volumes_.at(volume.id).unmounted.reset();
    return false;
  }
  const base::MonotonicTime now = clock_.Now();
  if (!state.unmounted) {
    base::MutexLock lock(mutex_);
    volumes_.at(volume.id).unmounted = now;
    return false;
  }
  if (now - *state.unmounted < kUnmountedFor) return false;
  const absl::Status removed = Remove(volume.id, volume.place);
  log_.Warning("a volume whose mount is gone was removed",
               {{"namespace", volume.ns}, {"pod", volume.pod}, {"error", removed}});
  return removed.ok();
}

}  // namespace larder::cache_agent::csi
