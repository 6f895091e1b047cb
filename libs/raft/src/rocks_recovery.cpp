#include "src/rocks_recovery.h"

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "src/log_frames.h"

namespace larder::raft {
namespace {

namespace fs = std::filesystem;
using rocksdb::WALRecoveryMode;

constexpr std::string_view kFormat = "larder raft log 1\n";
constexpr uint64_t kFileLimit = 4 * base::kGiB;

absl::Status FromErrorCode(const std::error_code& error, std::string_view what, const fs::path& path) {
  if (!error) return absl::OkStatus();
  return base::ErrnoError(error.value(), fmt::format("{} {}", what, path.native()));
}

// Also for what cannot be looked at: whoever opens it then says why.
bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error) || error;
}

absl::Status Rename(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  LARDER_RETURN_IF_ERROR(FromErrorCode(error, "rename", from));
  return base::FsyncDir(to.parent_path());
}

absl::Status RemoveAll(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return FromErrorCode(error, "remove", path);
}

absl::StatusOr<std::vector<fs::path>> FilesOf(const fs::path& dir) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) files.push_back(*it);
  LARDER_RETURN_IF_ERROR(FromErrorCode(error, "list", dir));
  std::ranges::sort(files);  // RocksDB's numbers have leading zeros
  return files;
}

// Tables are never changed, so both may have the same; the rest is copied.
absl::Status CopyDatabase(const fs::path& from, const fs::path& to) {
  LARDER_RETURN_IF_ERROR(RemoveAll(to));
  LARDER_RETURN_IF_ERROR(base::MakeDirs(to));
  LARDER_ASSIGN_OR_RETURN(const std::vector<fs::path> files, FilesOf(from));
  for (const fs::path& file : files) {
    std::error_code error;
    if (file.extension() == ".sst") {
      fs::create_hard_link(file, to / file.filename(), error);
    } else if (!file.filename().native().starts_with("LO")) {  // LOCK, LOG
      fs::copy_file(file, to / file.filename(), error);
    }
    LARDER_RETURN_IF_ERROR(FromErrorCode(error, "copy", file));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<rocksdb::DB>> Open(const fs::path& db, rocksdb::Options options, WALRecoveryMode mode) {
  options.wal_recovery_mode = mode;
  rocksdb::DB* opened = nullptr;
  LARDER_RETURN_IF_ERROR(FromRocks(rocksdb::DB::Open(options, db, &opened), db.parent_path()));
  return std::unique_ptr<rocksdb::DB>(opened);
}

// A repair that was interrupted is undone, or completed from the point on where the torn database was set aside.
absl::Status FinishRepair(const fs::path& dir) {
  if (!Exists(dir / "db") && Exists(dir / "torn")) {
    LARDER_RETURN_IF_ERROR(Rename(dir / "repair", dir / "db"));
  }
  LARDER_RETURN_IF_ERROR(RemoveAll(dir / "repair"));
  LARDER_RETURN_IF_ERROR(RemoveAll(dir / "skipped"));
  return RemoveAll(dir / "torn");
}

// Whether a database was made here: only then is one missing damage.
absl::StatusOr<bool> CheckFormat(const fs::path& dir) {
  if (!Exists(dir / "format")) return false;
  LARDER_ASSIGN_OR_RETURN(const std::string format, base::ReadFile(dir / "format"));
  if (format != kFormat) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "LOG_FORMAT",
                       "{} is not of this version: it has to say \"larder raft log 1\"", (dir / "format").native());
  }
  if (!Exists(dir / "db" / "CURRENT")) return LogDamaged(dir, "db/CURRENT is missing");
  return true;
}

struct Examined {
  std::string torn;              // the files that are, in words
  bool torn_in_between = false;  // one that others follow
};

// The manifest that is in force. Others are of before, or a crash ended their making: RocksDB removes them.
absl::StatusOr<std::string> ManifestName(const fs::path& dir) {
  LARDER_ASSIGN_OR_RETURN(std::string name, base::ReadFile(dir / "db" / "CURRENT"));
  if (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

// DATA_LOSS (LOG_DAMAGED) if a file cannot be what a crash left.
absl::StatusOr<Examined> Examine(const fs::path& dir) {
  Examined examined;
  LARDER_ASSIGN_OR_RETURN(const std::vector<fs::path> files, FilesOf(dir / "db"));
  LARDER_ASSIGN_OR_RETURN(const std::string manifest, ManifestName(dir));
  bool log_is_torn = false;
  for (const fs::path& file : files) {
    const bool is_log = file.extension() == ".log";
    if (!is_log && file.filename().native() != manifest) continue;
    LARDER_ASSIGN_OR_RETURN(const std::string bytes, base::ReadFile(file, kFileLimit));
    const FileState state = ExamineLogFile(base::AsBytes(bytes));
    if (state.end == FileEnd::kDamaged) {
      return LogDamaged(dir, fmt::format("{} has whole records beyond byte {}, where it is not whole",
                                         file.filename().native(), state.whole));
    }
    if (is_log && log_is_torn && !bytes.empty()) examined.torn_in_between = true;
    if (state.end == FileEnd::kWhole) continue;
    log_is_torn |= is_log;
    examined.torn += fmt::format("{}{}: {} bytes after byte {}", examined.torn.empty() ? "" : ", ",
                                 file.filename().native(), bytes.size() - state.whole, state.whole);
  }
  return examined;
}

// Recovers two copies, one up to where the log is no longer whole, one with whatever is whole. If they hold the same,
// only a torn tail is missing, and the first takes the database's place.
absl::Status Repair(const fs::path& dir, const rocksdb::Options& options) {
  LARDER_RETURN_IF_ERROR(CopyDatabase(dir / "db", dir / "repair"));
  LARDER_RETURN_IF_ERROR(CopyDatabase(dir / "db", dir / "skipped"));
  LARDER_ASSIGN_OR_RETURN(auto whole, Open(dir / "repair", options, WALRecoveryMode::kPointInTimeRecovery));
  LARDER_ASSIGN_OR_RETURN(auto skipped, Open(dir / "skipped", options, WALRecoveryMode::kSkipAnyCorruptedRecords));
  if (skipped->GetLatestSequenceNumber() != whole->GetLatestSequenceNumber()) {
    return LogDamaged(dir, fmt::format("its write-ahead log is whole up to change {}, but goes on to {}",
                                       whole->GetLatestSequenceNumber(), skipped->GetLatestSequenceNumber()));
  }
  skipped.reset();
  LARDER_RETURN_IF_ERROR(FromRocks(whole->Close(), dir));
  whole.reset();
  LARDER_RETURN_IF_ERROR(base::FsyncDir(dir / "repair"));
  LARDER_RETURN_IF_ERROR(Rename(dir / "db", dir / "torn"));
  return FinishRepair(dir);
}

}  // namespace

absl::Status LogDamaged(const fs::path& dir, std::string_view what) {
  return base::Error(absl::StatusCode::kDataLoss, "LOG_DAMAGED",
                     "the log in {} is damaged: {}; remove the directory, and let this member join anew under another "
                     "id",
                     dir.native(), what);
}

absl::Status FromRocks(const rocksdb::Status& status, const fs::path& dir) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsCorruption() || status.IsPathNotFound()) return LogDamaged(dir, status.ToString());
  if (status.IsNoSpace()) {
    return base::Error(absl::StatusCode::kResourceExhausted, "DISK_FULL", "the log in {}: {}", dir.native(),
                       status.ToString());
  }
  return base::Error(absl::StatusCode::kInternal, "LOG_IO", "the log in {}: {}", dir.native(), status.ToString());
}

absl::StatusOr<OpenedDatabase> OpenDatabase(const fs::path& dir, rocksdb::Options options) {
  LARDER_RETURN_IF_ERROR(FinishRepair(dir));
  LARDER_ASSIGN_OR_RETURN(const bool exists, CheckFormat(dir));
  options.create_if_missing = !exists;
  Examined examined;
  if (exists) {
    LARDER_ASSIGN_OR_RETURN(examined, Examine(dir));
  }
  constexpr auto kMode = WALRecoveryMode::kTolerateCorruptedTailRecords;
  OpenedDatabase opened;
  if (!examined.torn.empty()) opened.repaired = fmt::format("cut off a torn tail of the log ({})", examined.torn);
  absl::StatusOr<std::unique_ptr<rocksdb::DB>> db = absl::DataLossError("");
  if (!examined.torn_in_between) db = Open(dir / "db", options, kMode);
  if (absl::IsDataLoss(db.status())) {
    LARDER_RETURN_IF_ERROR(Repair(dir, options));
    db = Open(dir / "db", options, kMode);
  }
  LARDER_RETURN_IF_ERROR(db.status());
  opened.db = *std::move(db);
  if (exists) return opened;
  // A member whose whole log vanished would vote again in a term that it voted in.
  LARDER_RETURN_IF_ERROR(base::WriteFileAtomically(dir / "format", kFormat));
  LARDER_RETURN_IF_ERROR(base::FsyncDir(dir.has_parent_path() ? dir.parent_path() : "."));
  return opened;
}

}  // namespace larder::raft
