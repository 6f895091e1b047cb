#pragma once
#include <absl/status/statusor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "larder/base/mutex.h"
#include "larder/observe/logger.h"

namespace larder::cache_agent {

// Who a pod is, as Kubernetes says.
struct Pod {
  std::string ns;
  std::string name;
  std::string service_account = "default";
  bool operator==(const Pod&) const = default;
};
using PodsByUid = std::map<std::string, Pod>;

// The pods of this node by the uid in their cgroups' names (which of a static pod is its manifest's hash). Thread-safe;
// a look never blocks.
class PodDirectory {
 public:
  virtual ~PodDirectory() = default;
  virtual std::optional<Pod> Find(const std::string& uid) const = 0;
};

// The pods that a file names, in YAML or JSON:
//
//   pods:
//     0b7c1d3e-93a4-4c55-8a1e-6d1f0c9b2e47: {namespace: team-a, name: trainer-0, service_account: trainer}
//
// Refresh is for one thread.
class FilePodDirectory final : public PodDirectory {
 public:
  // Reads the file; borrows `log`. INVALID_ARGUMENT as of config::Resolve, naming file, line and key.
  static absl::StatusOr<std::unique_ptr<FilePodDirectory>> Open(std::string path, observe::Logger& log);

  std::optional<Pod> Find(const std::string& uid) const override LARDER_EXCLUDES(mutex_);
  // Reads the file again if it is not the one that was read, or was written since. While it cannot be read the pods
  // stay as they were; that is logged once, and so is its end.
  void Refresh() LARDER_EXCLUDES(mutex_);

 private:
  // What changes when a file is written or replaced.
  struct Stamp {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t modified_ns = 0;
    uint64_t size = 0;
    bool operator==(const Stamp&) const = default;
  };
  FilePodDirectory(std::string path, observe::Logger& log) : path_(std::move(path)), log_(log) {}
  static absl::StatusOr<Stamp> StampOf(const std::string& path);
  absl::Status Read() LARDER_EXCLUDES(mutex_);

  const std::string path_;
  observe::Logger& log_;
  std::optional<Stamp> read_;  // none: what is there now was not read, whatever it is
  std::string failure_;        // what was logged last; empty: the file is well
  mutable base::Mutex mutex_;
  std::shared_ptr<const PodsByUid> pods_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::cache_agent
