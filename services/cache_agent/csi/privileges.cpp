#include "csi/privileges.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "csi/forked_mounter.h"
#include "csi/mounter_process.h"
#include "larder/base/file.h"
#include "larder/base/status.h"

namespace larder::cache_agent::csi {
namespace {

constexpr int kLastCapability = 63;  // of those that a kernel could have
constexpr int kBacklog = 16;

absl::Status Failed(std::string_view what) { return base::ErrnoError(errno, what); }

// Makes the directory, if need be, and gives it to the agent. Not through a link: it may lie in a directory of the
// agent's, and so would the link.
absl::Status GiveDirectory(const std::string& path, mode_t mode) {
  LARDER_RETURN_IF_ERROR(base::MakeDirs(path));
  const base::UniqueFd fd(::open(path.c_str(), O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return Failed("open " + path);
  if (::fchown(fd.get(), kAgentId, kAgentId) != 0 || ::fchmod(fd.get(), mode) != 0) return Failed("give away " + path);
  return absl::OkStatus();
}

int GiveOne(const char* path, const struct stat*, int, FTW*) { return ::lchown(path, kAgentId, kAgentId); }

// Gives away a directory with what another owner left in it: that of an agent that stayed root. The directory itself is
// the last, so what was cut short is done again. Until it is the agent's, no link is.
absl::Status GiveTree(const std::string& path) {
  constexpr int kOpenDirectories = 16;
  struct stat found = {};
  if (::stat(path.c_str(), &found) != 0 && errno != ENOENT) return Failed("look at " + path);
  const bool others = found.st_mode != 0 && found.st_uid != kAgentId;
  if (others && ::nftw(path.c_str(), GiveOne, kOpenDirectories, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0) {
    return Failed("give away what is in " + path);
  }
  return GiveDirectory(path, 0700);
}

absl::Status GiveDirectories(const Config& config) {
  const RunDirs run(config.csi_run_dir);
  LARDER_RETURN_IF_ERROR(GiveDirectory(config.csi_run_dir, 0700));
  LARDER_RETURN_IF_ERROR(GiveDirectory(run.csi, 0700));
  LARDER_RETURN_IF_ERROR(GiveDirectory(run.state, 0700));
  // The name of a volume's directory can be worked out: pods come by their mounts, nobody by this path.
  LARDER_RETURN_IF_ERROR(GiveDirectory(run.pods, 0700));
  LARDER_RETURN_IF_ERROR(GiveDirectory(config.socket_dir, 0700));
  if (config.data_dir.empty()) return absl::OkStatus();
  return GiveTree(config.data_dir);
}

absl::StatusOr<base::UniqueFd> BindAside(const MounterPaths& paths) {
  const std::string path = paths.registry + "/" + paths.bound_as;
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof address.sun_path) {
    return base::InvalidArgument("PATH_TOO_LONG", "socket path {} is longer than {} bytes", path,
                                 sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Failed("open a socket");
  ::unlink(path.c_str());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return Failed("listen at " + path);
  }
  return fd;
}

absl::Status SetCapabilities(uint64_t kept) {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> data = {};
  for (size_t i = 0; i < data.size(); ++i) {
    data.at(i).effective = data.at(i).permitted = static_cast<uint32_t>(kept >> (32 * i));
  }
  if (::syscall(SYS_capset, &header, data.data()) != 0) return Failed("drop capabilities");
  return absl::OkStatus();
}

// No program that is run from here on has any but these.
absl::Status BoundCapabilities(uint64_t kept) {
  for (int capability = 0; capability <= kLastCapability; ++capability) {
    if ((kept >> capability & 1) != 0 || ::prctl(PR_CAPBSET_READ, capability) <= 0) continue;
    if (::prctl(PR_CAPBSET_DROP, capability) != 0) return Failed("drop a capability");
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed("set no_new_privs");
  return absl::OkStatus();
}

absl::Status BecomeAgent() {
  LARDER_RETURN_IF_ERROR(BoundCapabilities(0));
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kAgentId, kAgentId, kAgentId) != 0 ||
      ::setresuid(kAgentId, kAgentId, kAgentId) != 0) {
    return Failed("become user 65532");
  }
  return SetCapabilities(0);
}

// What else the agent has open would outlive it here: the kubelet would connect to a registration socket that nobody
// serves, and the lock would stay held.
void CloseAllBut(std::vector<int> kept, int fd) {
  kept.push_back(fd);
  std::ranges::sort(kept);
  unsigned from = STDERR_FILENO + 1;
  for (const int next : kept) {
    if (std::cmp_greater(next, from)) ::close_range(from, static_cast<unsigned>(next) - 1, 0);
    from = static_cast<unsigned>(next) + 1;
  }
  ::close_range(from, ~0U, 0);
}

// The child; does not return.
[[noreturn]] void RunMounter(const MounterProcess& mounter, int fd) {
  CloseAllBut(mounter.descriptors(), fd);
  sigset_t all;
  ::sigfillset(&all);  // who stops the agent stops it, too, by the socket's end
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::prctl(PR_SET_NAME, "larder-mounter");
  constexpr uint64_t kKept = uint64_t{1} << CAP_SYS_ADMIN | uint64_t{1} << CAP_DAC_OVERRIDE;
  if (BoundCapabilities(kKept).ok() && SetCapabilities(kKept).ok()) mounter.Serve(fd);
  ::_exit(0);
}

absl::StatusOr<std::unique_ptr<Mounter>> ForkMounter(MounterPaths paths) {
  LARDER_ASSIGN_OR_RETURN(const MounterProcess mounter, MounterProcess::Open(std::move(paths)));
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return Failed("make a socket pair");
  base::UniqueFd own(ends[0]);  // the child closes it, else it would keep itself alive
  base::UniqueFd mounters(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return Failed("fork the mounter");
  if (child == 0) RunMounter(mounter, mounters.get());
  return std::make_unique<ForkedMounter>(std::move(own));
}

}  // namespace

absl::StatusOr<std::shared_ptr<Privileges>> SplitPrivileges(const Config& config) {
  if (config.identity != Identity::kCsi) return std::shared_ptr<Privileges>();
  if (::geteuid() != 0) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "NOT_ROOT",
                       "identity 'csi' mounts volumes: start the agent as root (runAsUser: 0, privileged); it gives "
                       "that up by itself, and goes on as user {}",
                       kAgentId);
  }
  LARDER_RETURN_IF_ERROR(GiveDirectories(config));
  const std::string socket = config.csi_driver_name + "-reg.sock";
  MounterPaths paths = {.kubelet_pods = config.csi_kubelet_dir + "/pods",
                        .volumes = RunDirs(config.csi_run_dir).pods,
                        .registry = config.csi_kubelet_dir + "/plugins_registry",
                        .bound_as = "." + socket,  // the kubelet passes over names with a dot
                        .registered_as = socket,
                        .driver = config.csi_driver_name};
  auto privileges = std::make_shared<Privileges>();
  // Held while the agent lives. In the registry, which is root's: whose name it is, is so over all run_dirs.
  absl::StatusOr<base::UniqueFd> lock = base::LockFile(paths.registry + "/." + config.csi_driver_name + ".lock");
  if (!lock.ok()) {
    return base::Annotate(lock.status(),
                          "csi.driver_name " + config.csi_driver_name + " is another agent's on this node");
  }
  privileges->lock = *std::move(lock);
  LARDER_ASSIGN_OR_RETURN(privileges->registration, BindAside(paths));
  LARDER_ASSIGN_OR_RETURN(privileges->mounter, ForkMounter(std::move(paths)));
  LARDER_RETURN_IF_ERROR(BecomeAgent());
  return privileges;
}

}  // namespace larder::cache_agent::csi
