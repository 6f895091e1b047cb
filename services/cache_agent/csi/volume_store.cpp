#include "csi/volume_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "csi/volume.h"
#include "larder/base/file.h"
#include "larder/base/status.h"

namespace larder::cache_agent::csi {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxRecord = 4096;
// How sockets' names end; while they are bound they have another.
constexpr std::string_view kSocket = ".sock";

absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename());
  }
  if (error) return base::ErrnoError(error.value(), "read " + directory);
  return names;
}

absl::Status Unlink(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return base::ErrnoError(errno, "remove " + path);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> DiskVolumeStore::ListRecords() {
  LARDER_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(records_));
  std::vector<std::string> ids;
  for (const std::string& name : names) {
    if (IsVolumeId(name)) {
      ids.push_back(name);
    } else {
      // A record that was never whole. Whatever else it is, it keeps no volume from being served.
      Unlink(records_ + "/" + name).IgnoreError();
    }
  }
  return ids;
}

absl::StatusOr<std::string> DiskVolumeStore::ReadRecord(const std::string& id) {
  return base::ReadFile(records_ + "/" + id, kMaxRecord);
}

absl::Status DiskVolumeStore::WriteRecord(const std::string& id, std::string_view text) {
  // Without fsync: a power loss ends the mounts, too.
  const std::string path = records_ + "/" + id;
  const std::string aside = path + ".new";
  LARDER_ASSIGN_OR_RETURN(const base::UniqueFd fd, base::OpenFile(aside, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  absl::Status written = base::WriteAll(fd.get(), base::AsBytes(text));
  if (written.ok() && ::rename(aside.c_str(), path.c_str()) != 0) written = base::ErrnoError(errno, "write " + path);
  if (!written.ok()) ::unlink(aside.c_str());
  return written;
}

absl::Status DiskVolumeStore::RemoveRecord(const std::string& id) { return Unlink(records_ + "/" + id); }

absl::StatusOr<std::vector<std::string>> DiskVolumeStore::ListDirectories() { return NamesIn(directories_); }

absl::Status DiskVolumeStore::MakeDirectory(const std::string& name) {
  const std::string path = PathOf(name);
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return base::ErrnoError(errno, "make " + path);
  if (::chmod(path.c_str(), 0755) != 0) return base::ErrnoError(errno, "open " + path + " to pods");
  LARDER_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(path));
  for (const std::string& left : names) {
    if (!left.ends_with(kSocket)) LARDER_RETURN_IF_ERROR(Unlink(path + "/" + left));
  }
  return absl::OkStatus();
}

absl::Status DiskVolumeStore::RemoveDirectory(const std::string& name) {
  std::error_code error;
  fs::remove_all(PathOf(name), error);
  if (error) return base::ErrnoError(error.value(), "remove " + PathOf(name));
  return absl::OkStatus();
}

absl::StatusOr<bool> DiskVolumeStore::IsMounted(const std::string& name) {
  constexpr char kMounts[] = "/proc/self/mountinfo";
  std::ifstream mounts(kMounts);
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string skipped;
    std::string root;  // the directory of its file system that is mounted; names are digests, and alike nowhere else
    fields >> skipped >> skipped >> skipped >> root;
    if (root.ends_with("/" + name)) return true;
  }
  if (!mounts.eof()) return base::ErrnoError(EIO, std::string("read ") + kMounts);
  return false;
}

}  // namespace larder::cache_agent::csi
