#pragma once
#include <absl/status/statusor.h>

#include <filesystem>
#include <memory>

#include "core/table.h"

namespace rocksdb {
class DB;
}

namespace larder::tracker {

// A table in a RocksDB of its own, without write-ahead log: the Raft log is that. After a crash it holds the batches
// up to some point at or after the last Flush, and the log has the rest.
class RocksTable final : public Table {
 public:
  // Opens `directory` or makes it. An error names it: it is in use, damaged, or cannot be written.
  static absl::StatusOr<std::unique_ptr<RocksTable>> Open(const std::filesystem::path& directory);
  ~RocksTable() override;

  std::unique_ptr<Batch> NewBatch() override;
  std::unique_ptr<Reader> NewSnapshot() override;
  absl::Status Flush() override;

 private:
  explicit RocksTable(std::unique_ptr<rocksdb::DB> db);

  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace larder::tracker
