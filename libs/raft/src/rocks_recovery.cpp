#include "src/rocks_recovery.h"

#include "larder/base/file.h"
#include "larder/base/status.h"

namespace larder::raft {

absl::Status LogDamaged(const std::filesystem::path& dir, std::string_view what) {
  return base::Error(
      absl::StatusCode::kDataLoss, "LOG_DAMAGED",
      "the log in {} is damaged: {}; remove the directory, and let this member join anew under another id",
      dir.native(), what);
}

absl::Status FromRocks(const rocksdb::Status& status, const std::filesystem::path& dir) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsCorruption() || status.IsPathNotFound()) return LogDamaged(dir, status.ToString());
  if (status.IsNoSpace()) {
    return base::Error(absl::StatusCode::kResourceExhausted, "DISK_FULL", "the log in {}: {}", dir.native(),
                       status.ToString());
  }
  return base::Error(absl::StatusCode::kInternal, "LOG_IO", "the log in {}: {}", dir.native(), status.ToString());
}

absl::StatusOr<OpenedDatabase> OpenDatabase(const std::filesystem::path& dir, const rocksdb::Options& options) {
  rocksdb::DB* db = nullptr;
  LARDER_RETURN_IF_ERROR(FromRocks(rocksdb::DB::Open(options, dir / "db", &db), dir));
  return OpenedDatabase{.db = std::unique_ptr<rocksdb::DB>(db), .repaired = ""};
}

}  // namespace larder::raft
