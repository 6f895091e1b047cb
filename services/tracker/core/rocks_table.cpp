#include "core/rocks_table.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "larder/base/units.h"

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

// Of blocks as they are in memory: those of a million objects' names and copies. What is not in it is read and
// decompressed again, which with RocksDB's own 8 MiB was most of a Locate.
constexpr size_t kBlockCache = 128 * base::kMiB;

rocksdb::Options TableOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.atomic_flush = true;  // without a log, several column families would be durable each for itself
  options.compression = rocksdb::kLZ4Compression;
  options.max_background_jobs = 2;
  // Most commands ask for rows that are not there: filters, in memory and in files, save the search.
  options.memtable_whole_key_filtering = true;
  options.memtable_prefix_bloom_size_ratio = 0.02;
  // One thread writes, in order: within a kind of rows (layout.h) the next is found near the last.
  options.allow_concurrent_memtable_write = false;
  options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(2));
  rocksdb::BlockBasedTableOptions blocks;
  blocks.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  blocks.block_cache = rocksdb::NewLRUCache(kBlockCache);
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
  ~RocksSnapshot() override {
    rows_.reset();
    db_.ReleaseSnapshot(snapshot_);
  }
  RocksSnapshot(const RocksSnapshot&) = delete;
  RocksSnapshot& operator=(const RocksSnapshot&) = delete;

  std::optional<std::string> Get(std::string_view key) override {
    std::string value;
    const rocksdb::Status status = db_.Get(options_, AsSlice(key), &value);
    return Found(*this, status, std::move(value));
  }
  void Scan(std::string_view prefix, std::string_view from, const Visit& visit) override {
    // A visitor may scan, too.
    std::unique_ptr<rocksdb::Iterator> rows = std::move(rows_);
    if (rows == nullptr) rows.reset(db_.NewIterator(options_));
    Walk(*this, *rows, prefix, from, visit);
    rows_ = std::move(rows);
  }

 private:
  rocksdb::DB& db_;
  const rocksdb::Snapshot* snapshot_;
  rocksdb::ReadOptions options_;
  std::unique_ptr<rocksdb::Iterator> rows_;  // kept: to make one takes half as long as its search
};

// Keeps what it has read and changed: a command asks for the same rows again and again, and most that it asks for are
// not there, or changed next. RocksDB's own WriteBatchWithIndex searches a list for each.
class RocksBatch final : public Batch {
 public:
  explicit RocksBatch(rocksdb::DB& db) : db_(db) {}

  std::optional<std::string> Get(std::string_view key) override {
    if (const auto known = rows_.find(key); known != rows_.end()) return known->second.value;
    std::string value;
    const rocksdb::Status status = db_.Get(rocksdb::ReadOptions(), AsSlice(key), &value);
    return rows_.emplace(key, Row{.value = Found(*this, status, std::move(value))}).first->second.value;
  }
  void Scan(std::string_view prefix, std::string_view from, const Visit& visit) override;
  void Put(std::string_view key, std::string_view value) override { Change(key).emplace(value); }
  void Delete(std::string_view key) override { Change(key).reset(); }
  absl::Status Commit() override;

 private:
  struct Row {
    std::optional<std::string> value;  // nullopt: there is none
    bool changed = false;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
  };
  using Rows = std::unordered_map<std::string, Row, Hash, std::equal_to<>>;

  std::optional<std::string>& Change(std::string_view key) {
    auto row = rows_.find(key);
    if (row == rows_.end()) row = rows_.emplace(key, Row{}).first;
    if (!std::exchange(row->second.changed, true) && ordered_) ordered_->emplace(row->first, &row->second);
    return row->second.value;
  }

  rocksdb::DB& db_;
  Rows rows_;
  // Those that are changed; from the first Scan on, which few commands do.
  std::optional<std::map<std::string_view, const Row*>> ordered_;
};

void RocksBatch::Scan(std::string_view prefix, std::string_view from, const Visit& visit) {
  if (!ordered_) {
    ordered_.emplace();
    for (const auto& [key, row] : rows_) {
      if (row.changed) ordered_->emplace(key, &row);
    }
  }
  auto change = ordered_->lower_bound(std::max(prefix, from));
  // What is changed, up to the next row of the table, or to the end; false once the visitor has enough.
  const auto visit_changed = [&](std::optional<std::string_view> before) {
    for (; change != ordered_->end() && change->first.starts_with(prefix); ++change) {
      if (before && change->first >= *before) return true;
      if (change->second->value && !visit(change->first, *change->second->value)) return false;
    }
    return true;
  };
  bool enough = false;
  const std::unique_ptr<rocksdb::Iterator> rows(db_.NewIterator(rocksdb::ReadOptions()));
  Walk(*this, *rows, prefix, from, [&](std::string_view key, std::string_view value) {
    enough = !visit_changed(key);
    if (enough) return false;
    if (change != ordered_->end() && change->first == key) return true;  // comes with the changed ones
    enough = !visit(key, value);
    return !enough;
  });
  if (!enough) visit_changed(std::nullopt);
}

absl::Status RocksBatch::Commit() {
  if (!status().ok()) return status();
  std::vector<const Rows::value_type*> changed;
  changed.reserve(rows_.size());
  for (const auto& row : rows_) {
    if (row.second.changed) changed.push_back(&row);
  }
  // In order each is found near the one before.
  std::ranges::sort(changed, {}, [](const auto* row) -> const std::string& { return row->first; });
  rocksdb::WriteBatch batch;
  for (const auto* row : changed) {
    const auto& [key, now] = *row;
    const rocksdb::Status added = now.value ? batch.Put(AsSlice(key), AsSlice(*now.value)) : batch.Delete(AsSlice(key));
    LARDER_RETURN_IF_ERROR(FromRocks(added, "changing a row"));
  }
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  return FromRocks(db_.Write(options, &batch), "writing a batch");
}

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
