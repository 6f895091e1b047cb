#include "core/pod_directory.h"

#include <sys/stat.h>

#include <utility>

#include "core/cgroup.h"
#include "larder/base/status.h"
#include "larder/config/loader.h"
#include "larder/object/ids.h"

namespace larder::cache_agent {
namespace {

struct PodsFile {
  PodsByUid pods;
};

absl::Status CheckUid(const std::string& uid) {
  if (IsPodUid(uid)) return absl::OkStatus();
  return base::InvalidArgument("BAD_VALUE", "'{}' is not a pod's uid (kubectl get pod -o yaml shows metadata.uid)",
                               uid);
}

void Declare(config::Binder& binder, PodsFile& file) {
  binder.Each("pods", &file.pods,
              [](config::Binder& pod_binder, Pod& pod) {
                pod_binder.Text("namespace", &pod.ns,
                                {.help = "The pod's namespace.", .check = object::CheckNamespace});
                pod_binder.Text("name", &pod.name, {.help = "The pod's name."});
                pod_binder.Text("service_account", &pod.service_account, {.help = "The pod's service account."});
              },
              {.key = "uid", .check_key = CheckUid});
  binder.Check([&file]() -> absl::Status {
    for (const auto& [uid, pod] : file.pods) {
      if (!pod.ns.empty() && !pod.name.empty()) continue;
      return base::InvalidArgument("MISSING_SETTING", "pods.{}: namespace and name must be set", uid);
    }
    return absl::OkStatus();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<FilePodDirectory>> FilePodDirectory::Open(std::string path, observe::Logger& log) {
  std::unique_ptr<FilePodDirectory> directory(new FilePodDirectory(std::move(path), log));
  LARDER_RETURN_IF_ERROR(directory->Read());
  return directory;
}

std::optional<Pod> FilePodDirectory::Find(const std::string& uid) const {
  std::shared_ptr<const PodsByUid> pods;
  {
    base::MutexLock lock(mutex_);
    pods = pods_;
  }
  const auto found = pods->find(uid);
  if (found == pods->end()) return std::nullopt;
  return found->second;
}

void FilePodDirectory::Refresh() {
  const absl::StatusOr<Stamp> now = StampOf(path_);
  if (now.ok() && read_ == *now) return;
  const absl::Status read = Read();
  std::string failure = read.ok() ? "" : base::Message(read);
  if (failure == failure_) return;
  if (read.ok()) {
    log_.Info("pods file read again", {{"path", path_}});
  } else {
    log_.Error("pods file refused, keeping the pods known before", {{"path", path_}, {"error", read}});
  }
  failure_ = std::move(failure);
}

absl::StatusOr<FilePodDirectory::Stamp> FilePodDirectory::StampOf(const std::string& path) {
  struct stat file = {};
  if (::stat(path.c_str(), &file) != 0) return base::ErrnoError(errno, "stat " + path);
  return Stamp{.device = file.st_dev,
               .inode = file.st_ino,
               .modified_ns = int64_t{file.st_mtim.tv_sec} * 1'000'000'000 + file.st_mtim.tv_nsec,
               .size = static_cast<uint64_t>(file.st_size)};
}

absl::Status FilePodDirectory::Read() {
  // Before the content, so that what is written meanwhile is read the next time.
  const absl::StatusOr<Stamp> stamp = StampOf(path_);
  config::Loader<PodsFile> loader({.env_prefix = "LARDER_PODS_"}, {}, Declare);
  const absl::Status loaded = loader.Load({.file = path_});
  read_.reset();
  // A broken file stays so until it is written; one that could not be read may be readable soon.
  if (stamp.ok() && base::Reason(loaded) != "CONFIG_UNREADABLE") read_ = *stamp;
  if (!loaded.ok()) return base::Annotate(loaded, "pods_file " + path_);
  auto pods = std::make_shared<const PodsByUid>(loader.config().pods);
  base::MutexLock lock(mutex_);
  pods_ = std::move(pods);
  return absl::OkStatus();
}

}  // namespace larder::cache_agent
