#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "larder/base/bytes.h"
#include "larder/base/unique_fd.h"

namespace larder::base {

// Thin typed-error wrappers over the calls that are easy to get wrong. All may block on disk. Thread-safe. Errors of
// the system are ErrnoError()'s, with the path where there is one.

// With parents; success if it is there already.
absl::Status MakeDirs(const std::filesystem::path& dir);
// open(2) with O_CLOEXEC.
absl::StatusOr<UniqueFd> OpenFile(const std::filesystem::path& path, int flags, unsigned mode = 0644);
// The whole file; RESOURCE_EXHAUSTED if it is over `limit` bytes.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path, uint64_t limit = 64 << 20);
// All of `bytes` at `offset`, over short writes and EINTR.
absl::Status PwriteAll(int fd, ByteSpan bytes, uint64_t offset);
absl::Status WriteAll(int fd, ByteSpan bytes);
// Fills `out` from `offset`; DATA_LOSS (SHORT_FILE) if the file ends before.
absl::Status PreadAll(int fd, MutableByteSpan out, uint64_t offset);
// Like PreadAll, but returns how much was there before the end.
absl::StatusOr<size_t> PreadSome(int fd, MutableByteSpan out, uint64_t offset);
absl::Status FsyncDir(const std::filesystem::path& dir);
// `content` under `path` (mode 0644), all or nothing: temporary file, fsync, rename, fsync of the directory. On failure
// what was there before is left as it was.
absl::Status WriteFileAtomically(const std::filesystem::path& path, std::string_view content);
// An exclusive lock held as long as the descriptor lives (OFD lock); ALREADY_EXISTS (LOCKED) if another holds it. Who
// may only read the file, and holds a reader's lock of it, keeps nobody out: the file is made anew.
absl::StatusOr<UniqueFd> LockFile(const std::filesystem::path& path);

}  // namespace larder::base
