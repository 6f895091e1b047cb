#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

namespace larder::cache_agent::csi {

// What of volumes outlives the agent: a record for each, and a directory that pods see. All is idempotent. Thread-safe
// for different volumes. Errors as of base::ErrnoError.
class VolumeStore {
 public:
  virtual ~VolumeStore() = default;
  // The ids of all records; whatever else lies there is removed, if it can be.
  virtual absl::StatusOr<std::vector<std::string>> ListRecords() = 0;
  virtual absl::StatusOr<std::string> ReadRecord(const std::string& id) = 0;
  // All or nothing.
  virtual absl::Status WriteRecord(const std::string& id, std::string_view text) = 0;
  virtual absl::Status RemoveRecord(const std::string& id) = 0;

  // Names of directories, DirectoryOf(id).
  virtual absl::StatusOr<std::vector<std::string>> ListDirectories() = 0;
  // Leaves sockets that are there, but not those that were never given their names. Not while it is served.
  virtual absl::Status MakeDirectory(const std::string& name) = 0;
  // With what lies in it.
  virtual absl::Status RemoveDirectory(const std::string& name) = 0;
  // Whether it is mounted anywhere that this process sees.
  virtual absl::StatusOr<bool> IsMounted(const std::string& name) = 0;
  virtual std::string PathOf(const std::string& name) const = 0;
};

// In two directories of one file system.
class DiskVolumeStore final : public VolumeStore {
 public:
  DiskVolumeStore(std::string records, std::string directories)
      : records_(std::move(records)), directories_(std::move(directories)) {}
  absl::StatusOr<std::vector<std::string>> ListRecords() override;
  absl::StatusOr<std::string> ReadRecord(const std::string& id) override;
  absl::Status WriteRecord(const std::string& id, std::string_view text) override;
  absl::Status RemoveRecord(const std::string& id) override;
  absl::StatusOr<std::vector<std::string>> ListDirectories() override;
  absl::Status MakeDirectory(const std::string& name) override;
  absl::Status RemoveDirectory(const std::string& name) override;
  absl::StatusOr<bool> IsMounted(const std::string& name) override;
  std::string PathOf(const std::string& name) const override { return directories_ + "/" + name; }

 private:
  const std::string records_;
  const std::string directories_;
};

}  // namespace larder::cache_agent::csi
