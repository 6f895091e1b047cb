#pragma once
#include <absl/status/statusor.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <filesystem>
#include <memory>
#include <string>

namespace larder::raft {

// What an operation of RocksDB on the log in `dir` failed of: DATA_LOSS (LOG_DAMAGED), RESOURCE_EXHAUSTED (DISK_FULL),
// else INTERNAL (LOG_IO).
absl::Status FromRocks(const rocksdb::Status& status, const std::filesystem::path& dir);
// DATA_LOSS (LOG_DAMAGED): what to do is in the message.
absl::Status LogDamaged(const std::filesystem::path& dir, std::string_view what);

struct OpenedDatabase {
  std::unique_ptr<rocksdb::DB> db;
  std::string repaired;  // in words; empty: nothing was
};

// Opens the database in `dir`/db by the rule of docs/formats/raft-log.md: what is damaged is refused as DATA_LOSS
// (LOG_DAMAGED), a torn tail is cut off. The caller holds the directory's lock.
absl::StatusOr<OpenedDatabase> OpenDatabase(const std::filesystem::path& dir, rocksdb::Options options);

}  // namespace larder::raft
