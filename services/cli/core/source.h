#pragma once
#include <absl/status/statusor.h>
#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

#include "core/interrupts.h"
#include "larder/base/bytes.h"
#include "larder/base/unique_fd.h"

namespace larder::cli {

// What an import reads: a file, or a stream that ends when it ends. Errors are INVALID_ARGUMENT, with the file's name.
// Not thread-safe.
class Source {
 public:
  // `path` "-" is stdin. A directory is refused (IS_DIRECTORY).
  static absl::StatusOr<Source> Open(const std::string& path, Interrupts& interrupts);

  const std::string& path() const { return path_; }
  // Bytes, where they are known beforehand: of a file that is not empty. (Files of /proc say 0.)
  std::optional<uint64_t> size() const { return size_; }
  // How much to ask for next; 0 when all of a known size was read.
  uint64_t want() const;
  // Reads on. 0 at the end of a stream; INVALID_ARGUMENT (SOURCE_CHANGED) if the file ends before its size. Interrupts
  // end a wait for a stream: their error.
  absl::StatusOr<size_t> Read(base::MutableByteSpan out);
  // INVALID_ARGUMENT (SOURCE_CHANGED) if size or time of the last change are not those of the beginning.
  absl::Status CheckUnchanged() const;

 private:
  Source(std::string path, base::UniqueFd fd, const struct stat& at_open, Interrupts& interrupts);
  absl::Status Changed() const;

  std::string path_;
  base::UniqueFd fd_;
  struct stat at_open_;
  std::optional<uint64_t> size_;
  uint64_t done_ = 0;
  Interrupts* interrupts_;
};

}  // namespace larder::cli
