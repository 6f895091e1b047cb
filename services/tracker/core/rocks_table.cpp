#include "core/rocks_table.h"

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/write_batch_with_index.h>

#include <algorithm>
#include <utility>

#include "larder/base/status.h"

namespace larder::tracker {
namespace {

rocksdb::Slice AsSlice(std::string_view text) { return {text.data(), text.size()}; }

absl::Status FromRocks(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsCorruption()) {
    return base::Error(absl::StatusCode::kDataLoss, "TABLE_DAMAGED", "{}: {}", what, status.ToString());
  }
  return base::Error(absl::StatusCode::kInternal, "TABLE_FAILED", "{}: {}", what, status.ToString());
}

rocksdb::Options TableOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.atomic_flush = true;  // without a log, several column families would be durable each for itself
  options.compression = rocksdb::kLZ4Compression;
  options.max_background_jobs = 2;
  // Most commands ask for rows that are not there: filters, in memory and in files, save the search.
  options.memtable_whole_key_filtering = true;
  options.memtable_prefix_bloom_size_ratio = 0.02;
  rocksdb::BlockBasedTableOptions blocks;
  blocks.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  return options;
}

// Visits what `rows` has from `begin` on; the iterator's own failure becomes the reader's.
void Walk(Reader& reader, rocksdb::Iterator& rows, std::string_view prefix, std::string_view from,
          const Reader::Visit& visit) {
  for (rows.Seek(AsSlice(std::max(prefix, from))); rows.Valid(); rows.Next()) {
    const std::string_view key = rows.key().ToStringView();
    if (!key.starts_with(prefix) || !visit(key, rows.value().ToStringView())) break;
  }
  reader.Fail(FromRocks(rows.status(), "reading a range"));
}

std::optional<std::string> Found(Reader& reader, const rocksdb::Status& status, std::string value) {
  if (status.ok()) return value;
  if (!status.IsNotFound()) reader.Fail(FromRocks(status, "reading a row"));
  return std::nullopt;
}

class RocksSnapshot final : public Reader {
 public:
  explicit RocksSnapshot(rocksdb::DB& db) : db_(db), snapshot_(db.GetSnapshot()) { options_.snapshot = snapshot_; }
  ~RocksSnapshot() override { db_.ReleaseSnapshot(snapshot_); }
  RocksSnapshot(const RocksSnapshot&) = delete;
  RocksSnapshot& operator=(const RocksSnapshot&) = delete;

  std::optional<std::string> Get(std::string_view key) override {
    std::string value;
    const rocksdb::Status status = db_.Get(options_, AsSlice(key), &value);
    return Found(*this, status, std::move(value));
  }
  void Scan(std::string_view prefix, std::string_view from, const Visit& visit) override {
    const std::unique_ptr<rocksdb::Iterator> rows(db_.NewIterator(options_));
    Walk(*this, *rows, prefix, from, visit);
  }

 private:
  rocksdb::DB& db_;
  const rocksdb::Snapshot* snapshot_;
  rocksdb::ReadOptions options_;
};

class RocksBatch final : public Batch {
 public:
  explicit RocksBatch(rocksdb::DB& db) : db_(db), changes_(rocksdb::BytewiseComparator(), 0, /*overwrite_key=*/true) {}

  std::optional<std::string> Get(std::string_view key) override {
    std::string value;
    const rocksdb::Status status = changes_.GetFromBatchAndDB(&db_, rocksdb::ReadOptions(), AsSlice(key), &value);
    return Found(*this, status, std::move(value));
  }
  void Scan(std::string_view prefix, std::string_view from, const Visit& visit) override {
    // The merged iterator owns the one it is made from.
    const std::unique_ptr<rocksdb::Iterator> rows(
        changes_.NewIteratorWithBase(db_.DefaultColumnFamily(), db_.NewIterator(rocksdb::ReadOptions())));
    Walk(*this, *rows, prefix, from, visit);
  }
  void Put(std::string_view key, std::string_view value) override {
    Fail(FromRocks(changes_.Put(AsSlice(key), AsSlice(value)), "changing a row"));
  }
  void Delete(std::string_view key) override { Fail(FromRocks(changes_.Delete(AsSlice(key)), "changing a row")); }
  absl::Status Commit() override {
    if (!status().ok()) return status();
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    return FromRocks(db_.Write(options, changes_.GetWriteBatch()), "writing a batch");
  }

 private:
  rocksdb::DB& db_;
  rocksdb::WriteBatchWithIndex changes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RocksTable>> RocksTable::Open(const std::filesystem::path& directory) {
  rocksdb::DB* db = nullptr;
  LARDER_RETURN_IF_ERROR(
      FromRocks(rocksdb::DB::Open(TableOptions(), directory.string(), &db), "opening " + directory.string()));
  return std::unique_ptr<RocksTable>(new RocksTable(std::unique_ptr<rocksdb::DB>(db)));
}

RocksTable::RocksTable(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}
RocksTable::~RocksTable() = default;

std::unique_ptr<Batch> RocksTable::NewBatch() { return std::make_unique<RocksBatch>(*db_); }
std::unique_ptr<Reader> RocksTable::NewSnapshot() { return std::make_unique<RocksSnapshot>(*db_); }

absl::Status RocksTable::Flush() { return FromRocks(db_->Flush(rocksdb::FlushOptions()), "making rows durable"); }

}  // namespace larder::tracker
