#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/interrupts.h"
#include "larder/base/bytes.h"
#include "larder/base/unique_fd.h"

namespace larder::cli {

// A directory below which files are made by relative paths; a symbolic link on the way below it is not followed, so
// that nothing is written elsewhere. Thread-safe.
class Directory {
 public:
  // With parents. `path` itself may lead through links: the user named it.
  static absl::StatusOr<Directory> Make(const std::string& path);
  static absl::StatusOr<Directory> Open(const std::string& path);
  // The folder of "a/b/c", "a/b", made where it is missing. INVALID_ARGUMENT if something else is in the way.
  absl::StatusOr<Directory> MakeParentsOf(const std::string& relative) const;

  int fd() const { return fd_.get(); }
  // For messages.
  std::string PathOf(const std::string& name) const { return path_ == "." ? name : path_ + "/" + name; }

 private:
  Directory(std::string path, base::UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  base::UniqueFd fd_;
};

// One new file that appears under its name only when Publish succeeds; dropped before, it leaves nothing. A local
// failure is INVALID_ARGUMENT, RESOURCE_EXHAUSTED if the disk is full. Not thread-safe.
class Destination {
 public:
  // A temporary file beside `name`, with `size` bytes reserved. ALREADY_EXISTS (FILE_EXISTS) if `name` is there and
  // `overwrite` is not set; INVALID_ARGUMENT (NOT_A_FILE) if what is there is no regular file.
  static absl::StatusOr<std::unique_ptr<Destination>> Create(Directory directory, const std::string& name,
                                                             uint64_t size, bool overwrite, Interrupts& interrupts);
  ~Destination();
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  absl::Status Write(base::ByteSpan bytes);
  // ALREADY_EXISTS (FILE_EXISTS) if somebody made `name` meanwhile.
  absl::Status Publish();

 private:
  Destination(Directory directory, std::string name, bool overwrite, Interrupts& interrupts);
  absl::Status MakeTemporary();
  absl::Status Reserve(uint64_t size);
  absl::Status Exists() const;
  std::string Path() const { return directory_.PathOf(name_); }

  Directory directory_;
  const std::string name_;
  const bool overwrite_;
  Interrupts& interrupts_;
  std::string temporary_;  // empty: there is none (any more)
  base::UniqueFd fd_;
  std::unique_ptr<Interrupts::Unwinding> unwinding_;
};

}  // namespace larder::cli
