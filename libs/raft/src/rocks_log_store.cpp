#include "src/rocks_log_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "larder/base/codec.h"
#include "larder/base/file.h"
#include "larder/base/mutex.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "src/log_index.h"
#include "src/rocks_recovery.h"

namespace larder::raft {
namespace {

// Keys: the group and a letter, for entries the index, all big-endian, so that they are in the order of the log.
enum class Kind : uint8_t { kEntry = 'e', kHardState = 'h', kTruncated = 't' };
constexpr size_t kPrefixSize = 5;
constexpr size_t kEntryKeySize = kPrefixSize + 8;
constexpr size_t kEntryHeaderSize = 9;  // term, kind; the payload follows

using Key = std::array<char, kEntryKeySize>;

template <typename T>
void PutBigEndian(T value, char* out) {
  for (size_t i = 0; i < sizeof value; ++i) out[i] = static_cast<char>(value >> 8 * (sizeof value - 1 - i));
}

Key KeyOf(GroupId group, Kind kind, uint64_t index) {
  Key key;
  PutBigEndian(group.value, key.data());
  key[kPrefixSize - 1] = static_cast<char>(kind);
  PutBigEndian(index, key.data() + kPrefixSize);
  return key;
}

uint64_t IndexOf(const rocksdb::Slice& key) {
  uint64_t index = 0;
  for (size_t i = kPrefixSize; i < key.size(); ++i) index = index << 8 | static_cast<uint8_t>(key[i]);
  return index;
}

rocksdb::Slice ToSlice(base::ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

base::ByteSpan ToSpan(const rocksdb::Slice& slice) { return base::AsBytes({slice.data(), slice.size()}); }

rocksdb::Options DatabaseOptions(rocksdb::Env* env) {
  rocksdb::Options options;
  options.env = env;
  // Recycled logs hide damage: records of a file's former life look like its end.
  options.recycle_log_file_num = 0;
  options.track_and_verify_wals_in_manifest = true;
  options.max_bgerror_resume_count = 0;  // a failed sync is never tried again
  options.paranoid_checks = true;
  options.avoid_flush_during_shutdown = true;  // the write-ahead log has it all
  options.compression = rocksdb::kNoCompression;
  options.write_buffer_size = 32 * base::kMiB;
  options.max_write_buffer_number = 3;
  options.target_file_size_base = 64 * base::kMiB;
  options.allow_concurrent_memtable_write = false;  // one thread writes
  options.max_background_jobs = 2;
  options.max_open_files = 128;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 4 * base::kMiB;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(8 * base::kMiB);
  table.block_size = 32 * base::kKiB;  // entries are read in runs
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// Each record is on the disk before the next one begins: at opening, only the last one can be torn by a crash.
rocksdb::WriteOptions Durable() {
  rocksdb::WriteOptions durable;
  durable.sync = true;
  return durable;
}

class RocksLogStore final : public LogStore {
 public:
  RocksLogStore(const RocksLogOptions& options, base::UniqueFd lock, std::unique_ptr<rocksdb::DB> db)
      : options_(options), lock_(std::move(lock)), db_(std::move(db)) {}

  // Reads all that is there, verifying checksums: what is damaged or missing is found before the member votes.
  absl::Status Load();

  LogExtent extent() const override;
  absl::Status Write(std::span<const LogWrite> writes) override;
  absl::Status Read(uint64_t first, uint64_t end, uint64_t max_bytes,
                    const std::function<void(LogEntry)>& take) const override;
  absl::StatusOr<uint64_t> TermAt(uint64_t index) const override;
  absl::Status Purge(uint64_t through) override;
  uint64_t bytes() const override;

 private:
  // Fills `value`; false if the key is not there.
  absl::StatusOr<bool> Get(Kind kind, std::string& value) const;
  absl::Status LoadEntries(LogIndex& index) const;
  rocksdb::Status DeleteEntries(uint64_t first, uint64_t last, rocksdb::WriteBatch& batch) const;
  rocksdb::Status PutTruncated(const LogPosition& at, rocksdb::WriteBatch& batch) const;
  // Adds what `write` does to `batch`, to a log whose last entry is `last`; that is `write`'s afterwards.
  rocksdb::Status Add(const LogWrite& write, uint64_t& last, rocksdb::WriteBatch& batch) const;

  const RocksLogOptions options_;
  const base::UniqueFd lock_;
  const std::unique_ptr<rocksdb::DB> db_;
  mutable base::Mutex mutex_;
  LogIndex index_ LARDER_GUARDED_BY(mutex_);  // of what was written last, until the next is on disk
  // Entries after it are just being replaced.
  uint64_t readable_through_ LARDER_GUARDED_BY(mutex_) = UINT64_MAX;
};

absl::StatusOr<bool> RocksLogStore::Get(Kind kind, std::string& value) const {
  const Key key = KeyOf(options_.group, kind, 0);
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), {key.data(), kPrefixSize}, &value);
  if (status.IsNotFound()) return false;
  LARDER_RETURN_IF_ERROR(FromRocks(status, options_.dir));
  return true;
}

absl::Status RocksLogStore::Load() {
  std::string value;
  LogPosition truncated;
  LARDER_ASSIGN_OR_RETURN(const bool has_truncated, Get(Kind::kTruncated, value));
  if (has_truncated) {
    base::ByteReader in(base::AsBytes(value));
    truncated = {.index = in.U64(), .term = in.U64()};
    if (!in.done()) return LogDamaged(options_.dir, "its truncated position cannot be read");
  }
  LogIndex index(truncated);
  LARDER_ASSIGN_OR_RETURN(const bool has_hard_state, Get(Kind::kHardState, value));
  if (has_hard_state) {
    base::ByteReader in(base::AsBytes(value));
    const HardState hard_state{.term = in.U64(), .vote = in.U64(), .commit = in.U64()};
    if (!in.done()) return LogDamaged(options_.dir, "its hard state cannot be read");
    index.Apply({.hard_state = hard_state});
  }
  LARDER_RETURN_IF_ERROR(LoadEntries(index));
  base::MutexLock lock(mutex_);
  index_ = std::move(index);
  return absl::OkStatus();
}

absl::Status RocksLogStore::LoadEntries(LogIndex& index) const {
  const Key first = KeyOf(options_.group, Kind::kEntry, 0);
  const Key end = KeyOf(options_.group, Kind::kEntry, UINT64_MAX);
  const rocksdb::Slice upper(end.data(), end.size());
  rocksdb::ReadOptions read;
  read.fill_cache = false;
  read.readahead_size = 2 * base::kMiB;
  read.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read));
  for (it->Seek({first.data(), first.size()}); it->Valid(); it->Next()) {
    base::ByteReader in(ToSpan(it->value()));
    const LogPosition at{.index = IndexOf(it->key()), .term = in.U64()};
    in.U8();
    const LogPosition& last = index.extent().last;
    if (!in.ok() || at.index != last.index + 1 || at.term < last.term) {
      return LogDamaged(options_.dir, fmt::format("entry {} of term {} follows entry {} of term {}", at.index, at.term,
                                                  last.index, last.term));
    }
    index.Append(at, in.rest().size());
  }
  return FromRocks(it->status(), options_.dir);
}

LogExtent RocksLogStore::extent() const {
  base::MutexLock lock(mutex_);
  return index_.extent();
}

rocksdb::Status RocksLogStore::DeleteEntries(uint64_t first, uint64_t last, rocksdb::WriteBatch& batch) const {
  if (first > last) return rocksdb::Status::OK();
  const Key begin = KeyOf(options_.group, Kind::kEntry, first);
  const Key end = KeyOf(options_.group, Kind::kEntry, last + 1);
  return batch.DeleteRange({begin.data(), begin.size()}, {end.data(), end.size()});
}

rocksdb::Status RocksLogStore::PutTruncated(const LogPosition& at, rocksdb::WriteBatch& batch) const {
  const Key key = KeyOf(options_.group, Kind::kTruncated, 0);
  base::ByteWriter value;
  value.U64(at.index).U64(at.term);
  return batch.Put({key.data(), kPrefixSize}, ToSlice(value.bytes()));
}

rocksdb::Status RocksLogStore::Add(const LogWrite& write, uint64_t& last, rocksdb::WriteBatch& batch) const {
  rocksdb::Status status;
  if (write.restart) {
    status = DeleteEntries(0, UINT64_MAX - 1, batch);
    if (status.ok()) status = PutTruncated(*write.restart, batch);
    last = write.restart->index;
  }
  for (const LogEntry& entry : write.entries) {
    if (!status.ok()) return status;
    const Key key = KeyOf(options_.group, Kind::kEntry, entry.at.index);
    std::array<char, kEntryHeaderSize> header;
    std::memcpy(header.data(), &entry.at.term, sizeof entry.at.term);
    header.back() = static_cast<char>(entry.kind);
    const rocksdb::Slice key_part(key.data(), key.size());
    const std::array<rocksdb::Slice, 2> value{rocksdb::Slice(header.data(), header.size()), entry.payload};
    status = batch.Put({&key_part, 1}, {value.data(), value.size()});
  }
  if (!write.entries.empty() && status.ok()) {
    const uint64_t new_last = write.entries.back().at.index;
    // Key by key: a conflicting tail is short and rare, and range tombstones slow each read down.
    for (uint64_t index = new_last + 1; index <= last && status.ok(); ++index) {
      const Key key = KeyOf(options_.group, Kind::kEntry, index);
      status = batch.Delete({key.data(), key.size()});
    }
    last = new_last;
  }
  if (write.hard_state && status.ok()) {
    const Key key = KeyOf(options_.group, Kind::kHardState, 0);
    base::ByteWriter value;
    value.U64(write.hard_state->term).U64(write.hard_state->vote).U64(write.hard_state->commit);
    status = batch.Put({key.data(), kPrefixSize}, ToSlice(value.bytes()));
  }
  return status;
}

absl::Status RocksLogStore::Write(std::span<const LogWrite> writes) {
  rocksdb::WriteBatch batch;
  {
    base::MutexLock lock(mutex_);
    LARDER_RETURN_IF_ERROR(index_.Check(writes));
    uint64_t last = index_.extent().last.index;
    for (const LogWrite& write : writes) {
      LARDER_RETURN_IF_ERROR(FromRocks(Add(write, last, batch), options_.dir));
    }
    if (batch.Count() == 0) return absl::OkStatus();
    readable_through_ = index_.UnchangedThrough(writes);
  }
  const auto begin = std::chrono::steady_clock::now();
  LARDER_RETURN_IF_ERROR(FromRocks(db_->Write(Durable(), &batch), options_.dir));
  if (options_.on_sync) options_.on_sync(std::chrono::steady_clock::now() - begin);
  base::MutexLock lock(mutex_);
  readable_through_ = UINT64_MAX;
  for (const LogWrite& write : writes) index_.Apply(write);
  return absl::OkStatus();
}

absl::Status RocksLogStore::Read(uint64_t first, uint64_t end, uint64_t max_bytes,
                                 const std::function<void(LogEntry)>& take) const {
  const Key end_key = KeyOf(options_.group, Kind::kEntry, end);
  const rocksdb::Slice upper(end_key.data(), end_key.size());
  rocksdb::ReadOptions read;
  read.iterate_upper_bound = &upper;
  std::unique_ptr<rocksdb::Iterator> it;
  {
    // Under the lock, so that what was checked is what the iterator sees.
    base::MutexLock lock(mutex_);
    LARDER_RETURN_IF_ERROR(index_.CheckRange(first, end));
    if (first < end && end - 1 > readable_through_) {
      return base::Error(absl::StatusCode::kOutOfRange, "UNAVAILABLE_INDEX", "entry {} is just being replaced",
                         end - 1);
    }
    it.reset(db_->NewIterator(read));
  }
  const Key first_key = KeyOf(options_.group, Kind::kEntry, first);
  uint64_t index = first;
  uint64_t bytes = 0;
  for (it->Seek({first_key.data(), first_key.size()}); index < end; it->Next(), ++index) {
    if (!it->Valid() || IndexOf(it->key()) != index) {
      LARDER_RETURN_IF_ERROR(FromRocks(it->status(), options_.dir));
      return LogDamaged(options_.dir, fmt::format("entry {} is missing", index));
    }
    base::ByteReader in(ToSpan(it->value()));
    LogEntry entry{.at = {.index = index, .term = in.U64()}, .kind = static_cast<EntryKind>(in.U8())};
    if (!in.ok()) return LogDamaged(options_.dir, fmt::format("entry {} cannot be read", index));
    bytes += in.rest().size();
    if (bytes > max_bytes && index > first) return absl::OkStatus();
    entry.payload = base::AsText(in.rest());
    take(std::move(entry));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> RocksLogStore::TermAt(uint64_t index) const {
  base::MutexLock lock(mutex_);
  return index_.TermAt(index);
}

absl::Status RocksLogStore::Purge(uint64_t through) {
  rocksdb::WriteBatch batch;
  {
    base::MutexLock lock(mutex_);
    LARDER_RETURN_IF_ERROR(index_.CheckPurge(through));
    const uint64_t first = index_.extent().truncated.index + 1;
    if (through < first) return absl::OkStatus();
    index_.Purge(through);
    LARDER_RETURN_IF_ERROR(FromRocks(DeleteEntries(first, through, batch), options_.dir));
    LARDER_RETURN_IF_ERROR(FromRocks(PutTruncated(index_.extent().truncated, batch), options_.dir));
  }
  return FromRocks(db_->Write(Durable(), &batch), options_.dir);
}

uint64_t RocksLogStore::bytes() const {
  base::MutexLock lock(mutex_);
  return index_.bytes();
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogStore>> OpenRocksLog(const RocksLogOptions& options) {
  return OpenRocksLogOn(options, rocksdb::Env::Default());
}

absl::StatusOr<std::unique_ptr<LogStore>> OpenRocksLogOn(const RocksLogOptions& options, rocksdb::Env* env) {
  LARDER_RETURN_IF_ERROR(base::MakeDirs(options.dir));
  LARDER_ASSIGN_OR_RETURN(base::UniqueFd lock, base::LockFile(options.dir / "lock"));
  LARDER_ASSIGN_OR_RETURN(OpenedDatabase opened, OpenDatabase(options.dir, DatabaseOptions(env)));
  if (!opened.repaired.empty() && options.on_repair) options.on_repair(opened.repaired);
  auto store = std::make_unique<RocksLogStore>(options, std::move(lock), std::move(opened.db));
  LARDER_RETURN_IF_ERROR(store->Load());
  return store;
}

}  // namespace larder::raft
