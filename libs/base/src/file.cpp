#include "larder/base/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <system_error>

#include "larder/base/status.h"

namespace larder::base {
namespace {

absl::Status PathError(int error, std::string_view verb, const std::filesystem::path& path) {
  return ErrnoError(error, fmt::format("{} {}", verb, path.native()));
}

// Moves all of `bytes` by `call(data, size, done)`, a write or pwrite.
template <typename Call>
absl::Status PutAll(ByteSpan bytes, Call call) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = call(bytes.data() + done, bytes.size() - done, done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "write");
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

// Removes the temporary file unless it became the real one.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  absl::Status RenameTo(const std::filesystem::path& target) {
    if (::rename(path_.c_str(), target.c_str()) != 0) return PathError(errno, "rename to", target);
    path_.clear();
    return absl::OkStatus();
  }

 private:
  std::string path_;
};

std::filesystem::path DirOf(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

absl::Status MakeDirs(const std::filesystem::path& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  return error ? PathError(error.value(), "make directory", dir) : absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenFile(const std::filesystem::path& path, int flags, unsigned mode) {
  for (;;) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (fd) return fd;
    if (errno != EINTR) return PathError(errno, "open", path);
  }
}

absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path, uint64_t limit) {
  LARDER_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY));
  std::string content;
  std::array<std::byte, 64 << 10> part;
  // Read to the end instead of trusting the size: files of /proc and /sys claim none.
  for (;;) {
    const ssize_t n = ::read(fd.get(), part.data(), part.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return PathError(errno, "read", path);
    if (n == 0) return content;
    if (content.size() + static_cast<size_t>(n) > limit) {
      return Error(absl::StatusCode::kResourceExhausted, "FILE_TOO_LARGE", "read {}: more than {} bytes", path.native(),
                   limit);
    }
    content.append(AsText(ByteSpan(part).first(static_cast<size_t>(n))));
  }
}

absl::Status PwriteAll(int fd, ByteSpan bytes, uint64_t offset) {
  return PutAll(bytes, [=](const std::byte* data, size_t size, size_t done) {
    return ::pwrite(fd, data, size, static_cast<off_t>(offset + done));
  });
}

absl::Status WriteAll(int fd, ByteSpan bytes) {
  return PutAll(bytes, [=](const std::byte* data, size_t size, size_t) { return ::write(fd, data, size); });
}

absl::StatusOr<size_t> PreadSome(int fd, MutableByteSpan out, uint64_t offset) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "read");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

absl::Status PreadAll(int fd, MutableByteSpan out, uint64_t offset) {
  LARDER_ASSIGN_OR_RETURN(const size_t got, PreadSome(fd, out, offset));
  if (got == out.size()) return absl::OkStatus();
  return Error(absl::StatusCode::kDataLoss, "SHORT_FILE", "read of {} bytes at {}: the file ends after {}", out.size(),
               offset, got);
}

absl::Status FsyncDir(const std::filesystem::path& dir) {
  LARDER_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(dir, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return PathError(errno, "fsync", dir);
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::filesystem::path& path, std::string_view content) {
  std::string temporary = path.native() + ".XXXXXX";
  const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return PathError(errno, "create", path);
  TemporaryFile file(temporary);
  if (::fchmod(fd.get(), 0644) != 0) return PathError(errno, "chmod", path);
  if (absl::Status written = WriteAll(fd.get(), AsBytes(content)); !written.ok())
    return Annotate(written, path.native());
  if (::fsync(fd.get()) != 0) return PathError(errno, "fsync", path);
  LARDER_RETURN_IF_ERROR(file.RenameTo(path));
  return FsyncDir(DirOf(path));
}

namespace {

// What keeps `fd` from being locked: F_WRLCK, F_RDLCK, or F_UNLCK if it is locked now.
absl::StatusOr<int> TryLock(int fd, const std::filesystem::path& path) {
  struct flock lock = {};  // l_pid must be 0 for a lock that belongs to the open file instead of the process
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return F_UNLCK;
  if (errno != EAGAIN && errno != EACCES) return PathError(errno, "lock", path);
  if (::fcntl(fd, F_OFD_GETLK, &lock) != 0) return PathError(errno, "look at the lock of", path);
  return lock.l_type == F_UNLCK ? F_WRLCK : lock.l_type;  // it was let go in between: held a moment ago
}

bool IsAt(int fd, const std::filesystem::path& path) {
  struct stat opened {
  }, there{};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &there) == 0 && opened.st_dev == there.st_dev &&
         opened.st_ino == there.st_ino;
}

// A new file that is locked before others can open it, in the place of `old`. None if others were quicker.
absl::StatusOr<UniqueFd> LockAnew(const UniqueFd& old, const std::filesystem::path& path) {
  std::string temporary = path.native() + ".XXXXXX";
  UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return PathError(errno, "create", path);
  const TemporaryFile file(temporary);
  LARDER_ASSIGN_OR_RETURN(const int held, TryLock(fd.get(), temporary));
  if (held != F_UNLCK || !IsAt(old.get(), path)) return UniqueFd();
  ::unlink(path.c_str());
  return ::link(temporary.c_str(), path.c_str()) == 0 ? std::move(fd) : UniqueFd();
}

}  // namespace

absl::StatusOr<UniqueFd> LockFile(const std::filesystem::path& path) {
  constexpr int kTries = 8;
  for (int i = 0; i < kTries; ++i) {
    LARDER_ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDWR | O_CREAT));
    LARDER_ASSIGN_OR_RETURN(const int held, TryLock(fd.get(), path));
    if (held == F_WRLCK) break;
    if (held == F_RDLCK) {
      LARDER_ASSIGN_OR_RETURN(fd, LockAnew(fd, path));
    }
    if (fd && IsAt(fd.get(), path)) return fd;
  }
  return Error(absl::StatusCode::kAlreadyExists, "LOCKED", "lock {}: another process holds it", path.native());
}

}  // namespace larder::base
