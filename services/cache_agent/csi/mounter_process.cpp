#include "csi/mounter_process.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "larder/base/status.h"

namespace larder::cache_agent::csi {
namespace {

constexpr char kTarget[] = "mount";
constexpr mode_t kTargetMode = 0750;
constexpr size_t kMaxVolumeData = 64 << 10;

// Below `root` and without a link on the way; invalid, with errno.
base::UniqueFd OpenBelow(int root, const std::string& path, uint64_t flags) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return base::UniqueFd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

base::UniqueFd OpenTarget(int parent) { return OpenBelow(parent, kTarget, O_PATH | O_DIRECTORY); }

// Whether the root of a mount lies at the target, which is opened as `target`. Errno.
int LookAt(int parent, base::UniqueFd& target, bool& mounted) {
  mounted = false;
  target = OpenTarget(parent);
  if (!target) return errno == ENOENT ? 0 : errno;
  struct statx found = {};
  if (::statx(target.get(), "", AT_EMPTY_PATH, STATX_INO, &found) != 0) return errno;
  mounted = (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  return 0;
}

bool IsSame(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// A copy of the mount that `directory` is in, which shows no more than the directory, and is read-only before anybody
// sees it: a mount that becomes so later stays writable where it was propagated to.
base::UniqueFd CloneReadOnly(int directory) {
  base::UniqueFd tree(::open_tree(directory, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) return tree;
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  attributes.propagation = MS_PRIVATE;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) return tree;
  const int error = errno;
  tree.Reset();
  errno = error;
  return tree;
}

// There is no such directory, or a link in its place: nothing of ours can be there.
bool IsNowhere(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP; }

absl::StatusOr<base::UniqueFd> OpenRoot(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return base::ErrnoError(errno, "open " + path);
  return fd;
}

}  // namespace

absl::StatusOr<MounterProcess> MounterProcess::Open(MounterPaths paths) {
  MounterProcess mounter(std::move(paths));
  LARDER_ASSIGN_OR_RETURN(mounter.kubelet_pods_, OpenRoot(mounter.paths_.kubelet_pods));
  LARDER_ASSIGN_OR_RETURN(mounter.volumes_, OpenRoot(mounter.paths_.volumes));
  LARDER_ASSIGN_OR_RETURN(mounter.registry_, OpenRoot(mounter.paths_.registry));
  mounter.socket_.Reset(
      ::openat(mounter.registry_.get(), mounter.paths_.bound_as.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!mounter.socket_) return base::ErrnoError(errno, "find the registration socket " + mounter.paths_.bound_as);
  return mounter;
}

void MounterProcess::Serve(int fd) const {
  MounterRequestRecord record;
  while (true) {
    const ssize_t size = ::recv(fd, record.data(), record.size(), MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (std::cmp_not_equal(size, record.size())) return;
    const absl::StatusOr<MounterRequest> request = DecodeRequest(record);
    if (!request.ok()) return;
    const MounterReplyRecord reply = EncodeReply(Do(*request));
    if (::send(fd, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) return;
  }
}

MounterReply MounterProcess::Do(const MounterRequest& request) const {
  MounterReply reply;
  switch (request.op) {
    case MounterOp::kMount:
      reply.error = Mount(request.place);
      break;
    case MounterOp::kUnmount:
      reply.error = Unmount(request.place);
      break;
    case MounterOp::kLook:
      reply.error = Look(request.place, reply.state);
      break;
    case MounterOp::kRegister:
      reply.error = Rename();
      break;
    case MounterOp::kUnregister:
      reply.error = Remove();
      break;
  }
  return reply;
}

base::UniqueFd MounterProcess::OpenParent(const Place& place) const {
  return OpenBelow(kubelet_pods_.get(), place.pod_uid + "/volumes/kubernetes.io~csi/" + place.name,
                   O_RDONLY | O_DIRECTORY);
}

base::UniqueFd MounterProcess::OpenDirectory(const Place& place) const {
  return OpenBelow(volumes_.get(), DirectoryOf(VolumeIdOf(place)), O_PATH | O_DIRECTORY);
}

int MounterProcess::StateOf(int parent, int directory, MountState& state) {
  base::UniqueFd target;
  bool mounted = false;
  if (const int error = LookAt(parent, target, mounted); error != 0) return error;
  state = mounted ? MountState::kOther : MountState::kNone;
  if (!mounted || directory < 0) return 0;
  struct stat there = {};
  struct stat own = {};
  struct statvfs flags = {};
  if (::fstat(target.get(), &there) != 0 || ::fstat(directory, &own) != 0 || ::fstatvfs(target.get(), &flags) != 0) {
    return errno;
  }
  if (IsSame(there, own) && (flags.f_flag & ST_RDONLY) != 0) state = MountState::kOurs;
  return 0;
}

int MounterProcess::OwnerOf(int parent, Owner& owner) const {
  // Whatever lies there in a file's place must not hold us up.
  const base::UniqueFd file = OpenBelow(parent, "vol_data.json", O_RDONLY | O_NONBLOCK);
  if (!file) return errno;
  struct stat found = {};
  if (::fstat(file.get(), &found) != 0) return errno;
  if (!S_ISREG(found.st_mode)) return EINVAL;
  std::string text(kMaxVolumeData, '\0');
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size < 0) return errno;
  text.resize(static_cast<size_t>(size));
  constexpr std::string_view kKey = "\"driverName\":\"";
  const size_t key = text.find(kKey);
  if (key == std::string::npos) return EINVAL;
  const bool ours = std::string_view(text).substr(key + kKey.size()).starts_with(paths_.driver + "\"");
  owner = ours ? Owner::kOurs : Owner::kOther;
  return 0;
}

int MounterProcess::Clear(int parent, bool only_ours) const {
  struct stat volumes = {};
  if (::fstat(volumes_.get(), &volumes) != 0) return errno;
  // By its name in the directory, which the kernel takes no descriptor for; nobody else works in this process.
  if (::fchdir(parent) != 0) return errno;
  int error = 0;
  bool mounted = false;
  base::UniqueFd target;
  while ((error = LookAt(parent, target, mounted)) == 0 && mounted) {
    struct stat there = {};
    if (::fstat(target.get(), &there) != 0) {
      error = errno;
    } else if (only_ours && (there.st_dev != volumes.st_dev || there.st_uid != volumes.st_uid)) {
      error = EPERM;
    }
    target.Reset();
    if (error == 0 && ::umount2(kTarget, MNT_DETACH | UMOUNT_NOFOLLOW) != 0) error = errno;
    if (error != 0) break;
  }
  return ::chdir("/") == 0 ? error : errno;
}

int MounterProcess::Mount(const Place& place) const {
  const base::UniqueFd parent = OpenParent(place);
  if (!parent) return errno;
  const base::UniqueFd directory = OpenDirectory(place);
  if (!directory) return errno;
  // The kubelet writes it before it asks for the mount.
  Owner owner = Owner::kOther;
  if (const int error = OwnerOf(parent.get(), owner); error != 0) return error;
  if (owner != Owner::kOurs) return EPERM;
  MountState state = MountState::kNone;
  if (const int error = StateOf(parent.get(), directory.get(), state); error != 0) return error;
  if (state == MountState::kOurs) return 0;
  if (const int error = Clear(parent.get(), /*only_ours=*/false); error != 0) return error;
  if (::mkdirat(parent.get(), kTarget, kTargetMode) != 0 && errno != EEXIST) return errno;
  const base::UniqueFd target = OpenTarget(parent.get());
  if (!target) return errno;
  const base::UniqueFd tree = CloneReadOnly(directory.get());
  if (!tree) return errno;
  constexpr unsigned kBoth = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  return ::move_mount(tree.get(), "", target.get(), "", kBoth) == 0 ? 0 : errno;
}

int MounterProcess::Unmount(const Place& place) const {
  const base::UniqueFd parent = OpenParent(place);
  if (!parent) return IsNowhere(errno) ? 0 : errno;
  Owner owner = Owner::kOther;
  const int unknown = OwnerOf(parent.get(), owner);
  const bool unwritten = unknown == ENOENT || unknown == EINVAL;
  if (unknown != 0 && !unwritten) return unknown;
  // Of ours, whatever lies there goes. Else only what is of one of our directories, which may have been made when the
  // driver had another name.
  const bool only_ours = owner != Owner::kOurs;
  const int error = Clear(parent.get(), only_ours);
  if (error == EPERM && only_ours) return 0;
  if (error != 0) return error;
  if (only_ours && !unwritten) return 0;
  return ::unlinkat(parent.get(), kTarget, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
}

int MounterProcess::Look(const Place& place, MountState& state) const {
  const base::UniqueFd parent = OpenParent(place);
  if (!parent) return errno == ENOENT ? 0 : errno;
  const base::UniqueFd directory = OpenDirectory(place);
  if (!directory && errno != ENOENT) return errno;
  return StateOf(parent.get(), directory.get(), state);
}

int MounterProcess::IsSocket(const std::string& name, bool& ours) const {
  struct stat own = {};
  struct stat there = {};
  ours = false;
  if (::fstat(socket_.get(), &own) != 0) return errno;
  if (::fstatat(registry_.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT ? 0 : errno;
  ours = IsSame(own, there);
  return 0;
}

int MounterProcess::Rename() const {
  bool ours = false;
  if (const int error = IsSocket(paths_.bound_as, ours); error != 0) return error;
  if (!ours) return ENOENT;
  const int from = registry_.get();
  if (::renameat(from, paths_.bound_as.c_str(), from, paths_.registered_as.c_str()) == 0) return 0;
  return errno;
}

int MounterProcess::Remove() const {
  for (const std::string& name : {paths_.bound_as, paths_.registered_as}) {
    bool ours = false;
    if (const int error = IsSocket(name, ours); error != 0) return error;
    if (!ours) continue;  // a successor's stays
    if (::unlinkat(registry_.get(), name.c_str(), 0) != 0) return errno;
  }
  return 0;
}

}  // namespace larder::cache_agent::csi
