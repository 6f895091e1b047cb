#include "core/source.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/failure.h"
#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::cli {
namespace {

// A stream's first reads are small: what is short then travels inline, without a window of shared memory.
constexpr uint64_t kLeastRead = 64 * base::kKiB;
constexpr uint64_t kMostRead = 8 * base::kMiB;

absl::Status ReadError(const std::string& path, int error) {
  return LocalFileError(base::ErrnoError(error, "read " + path));
}

}  // namespace

Source::Source(std::string path, base::UniqueFd fd, const struct stat& at_open, Interrupts& interrupts)
    : path_(std::move(path)), fd_(std::move(fd)), at_open_(at_open), interrupts_(&interrupts) {
  if (S_ISREG(at_open.st_mode) && at_open.st_size > 0 && path_ != "-") size_ = static_cast<uint64_t>(at_open.st_size);
}

absl::StatusOr<Source> Source::Open(const std::string& path, Interrupts& interrupts) {
  base::UniqueFd fd;
  if (path == "-") {
    fd = base::UniqueFd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
    if (!fd) return ReadError("stdin", errno);
  } else {
    absl::StatusOr<base::UniqueFd> opened = base::OpenFile(path, O_RDONLY | O_NOCTTY);
    if (!opened.ok()) return LocalFileError(opened.status());
    fd = *std::move(opened);
  }
  struct stat now = {};
  if (::fstat(fd.get(), &now) != 0) return ReadError(path, errno);
  if (S_ISDIR(now.st_mode)) {
    return base::InvalidArgument("IS_DIRECTORY", "{} is a directory (import it with -r)", path);
  }
  return Source(path, std::move(fd), now, interrupts);
}

uint64_t Source::want() const {
  if (size_) return *size_ - done_;
  return std::clamp(done_, kLeastRead, kMostRead);
}

absl::StatusOr<size_t> Source::Read(base::MutableByteSpan out) {
  LARDER_RETURN_IF_ERROR(interrupts_->Check());
  if (size_) {
    const absl::StatusOr<size_t> got = base::PreadSome(fd_.get(), out, done_);
    if (!got.ok()) return LocalFileError(base::Annotate(got.status(), path_));
    if (*got < out.size()) return Changed();
    done_ += *got;
    return *got;
  }
  for (;;) {
    std::array<pollfd, 2> waited = {{{.fd = fd_.get(), .events = POLLIN}, {.fd = interrupts_->fd(), .events = POLLIN}}};
    ::poll(waited.data(), waited.size(), -1);
    LARDER_RETURN_IF_ERROR(interrupts_->Check());
    const ssize_t n = ::read(fd_.get(), out.data(), out.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return ReadError(path_, errno);
    done_ += static_cast<uint64_t>(n);
    return static_cast<size_t>(n);
  }
}

absl::Status Source::CheckUnchanged() const {
  if (!S_ISREG(at_open_.st_mode)) return absl::OkStatus();
  struct stat now = {};
  if (::fstat(fd_.get(), &now) != 0) return ReadError(path_, errno);
  const bool same = now.st_size == at_open_.st_size && now.st_mtim.tv_sec == at_open_.st_mtim.tv_sec &&
                    now.st_mtim.tv_nsec == at_open_.st_mtim.tv_nsec;
  return same ? absl::OkStatus() : Changed();
}

absl::Status Source::Changed() const {
  return base::InvalidArgument("SOURCE_CHANGED", "{} was changed while it was read (import it again)", path_);
}

}  // namespace larder::cli
