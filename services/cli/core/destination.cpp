#include "core/destination.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstdio>
#include <random>
#include <utility>

#include "core/failure.h"
#include "larder/base/file.h"
#include "larder/base/status.h"

namespace larder::cli {
namespace {

absl::Status LocalError(int error, std::string_view verb, const std::string& path) {
  return LocalFileError(base::ErrnoError(error, fmt::format("{} {}", verb, path)));
}

}  // namespace

absl::StatusOr<Directory> Directory::Open(const std::string& path) {
  absl::StatusOr<base::UniqueFd> fd = base::OpenFile(path, O_RDONLY | O_DIRECTORY);
  if (!fd.ok()) return LocalFileError(fd.status());
  return Directory(path, *std::move(fd));
}

absl::StatusOr<Directory> Directory::Make(const std::string& path) {
  LARDER_RETURN_IF_ERROR(LocalFileError(base::MakeDirs(path)));
  return Open(path);
}

absl::StatusOr<Directory> Directory::MakeParentsOf(const std::string& relative) const {
  Directory at(path_, base::UniqueFd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0)));
  if (!at.fd_) return LocalError(errno, "open", path_);
  for (size_t begin = 0;;) {
    const size_t end = relative.find('/', begin);
    if (end == relative.npos) return at;
    const std::string name = relative.substr(begin, end - begin);
    const std::string path = at.PathOf(name);
    if (::mkdirat(at.fd(), name.c_str(), 0777) != 0 && errno != EEXIST) return LocalError(errno, "make", path);
    base::UniqueFd next(::openat(at.fd(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next && (errno == ENOTDIR || errno == ELOOP)) {
      return base::InvalidArgument("NOT_A_DIRECTORY",
                                   "{} is in the way: it is not a directory (links are not followed)", path);
    }
    if (!next) return LocalError(errno, "open", path);
    at = Directory(path, std::move(next));
    begin = end + 1;
  }
}

Destination::Destination(Directory directory, std::string name, bool overwrite, Interrupts& interrupts)
    : directory_(std::move(directory)), name_(std::move(name)), overwrite_(overwrite), interrupts_(interrupts) {}

absl::StatusOr<std::unique_ptr<Destination>> Destination::Create(Directory directory, const std::string& name,
                                                                 uint64_t size, bool overwrite,
                                                                 Interrupts& interrupts) {
  std::unique_ptr<Destination> file(new Destination(std::move(directory), name, overwrite, interrupts));
  struct stat there = {};
  // Early, so that nothing is fetched in vain; Publish decides.
  if (::fstatat(file->directory_.fd(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISREG(there.st_mode) && !S_ISLNK(there.st_mode)) {
      return base::InvalidArgument("NOT_A_FILE", "{} is not a regular file (name a file, or use -O - and redirect it)",
                                   file->Path());
    }
    if (!overwrite) return file->Exists();
  }
  LARDER_RETURN_IF_ERROR(file->MakeTemporary());
  LARDER_RETURN_IF_ERROR(file->Reserve(size));
  return file;
}

absl::Status Destination::MakeTemporary() {
  std::random_device random;
  for (int attempt = 0; attempt < 100; ++attempt) {
    // Not derived from the name, which may be as long as names can be.
    const std::string name = fmt::format(".larder-{:08x}{:08x}", random(), random());
    fd_ = base::UniqueFd(::openat(directory_.fd(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!fd_ && errno == EEXIST) continue;
    if (!fd_) return LocalError(errno, "create", Path());
    temporary_ = name;
    const int dir = directory_.fd();
    unwinding_ = std::make_unique<Interrupts::Unwinding>(interrupts_, Interrupts::kGrace,
                                                         [dir, name] { ::unlinkat(dir, name.c_str(), 0); });
    return absl::OkStatus();
  }
  return LocalError(EEXIST, "create a temporary file beside", Path());
}

absl::Status Destination::Reserve(uint64_t size) {
  struct statfs there = {};
  if (::fstatfs(fd_.get(), &there) == 0) {
    // What cannot fit is not tried: until it fails, it takes all that is left from everybody. A limit of 0 blocks is
    // none.
    const uint64_t free = there.f_bfree * static_cast<uint64_t>(there.f_bsize);
    if (there.f_blocks != 0 && size > free) return LocalError(ENOSPC, "reserve", Path());
    // Reserving memory is to write it once more, and costs as much.
    if (there.f_type == TMPFS_MAGIC) return absl::OkStatus();
  }
  if (size == 0 || ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)) == 0) return absl::OkStatus();
  // Not every file system can: then it shows while writing.
  return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? LocalError(errno, "reserve", Path()) : absl::OkStatus();
}

Destination::~Destination() {
  if (!temporary_.empty()) ::unlinkat(directory_.fd(), temporary_.c_str(), 0);
}

absl::Status Destination::Write(base::ByteSpan bytes) {
  return base::Annotate(LocalFileError(base::WriteAll(fd_.get(), bytes)), Path());
}

absl::Status Destination::Publish() {
  const int dir = directory_.fd();
  const unsigned flags = overwrite_ ? 0 : RENAME_NOREPLACE;
  if (::renameat2(dir, temporary_.c_str(), dir, name_.c_str(), flags) != 0) {
    if (errno == EEXIST && !overwrite_) return Exists();
    if (errno != EINVAL || overwrite_) return LocalError(errno, "rename to", Path());
    // A file system without RENAME_NOREPLACE (NFS) has the same by a link.
    if (::linkat(dir, temporary_.c_str(), dir, name_.c_str(), 0) != 0) {
      return errno == EEXIST ? Exists() : LocalError(errno, "rename to", Path());
    }
    ::unlinkat(dir, temporary_.c_str(), 0);
  }
  temporary_.clear();
  unwinding_.reset();
  return absl::OkStatus();
}

absl::Status Destination::Exists() const {
  return base::Error(absl::StatusCode::kAlreadyExists, "FILE_EXISTS", "{} exists (replace it with --overwrite)",
                     Path());
}

}  // namespace larder::cli
