#include "core/memory_table.h"

#include <utility>

namespace larder::tracker {

class MemoryTable::MemorySnapshot final : public Reader {
 public:
  explicit MemorySnapshot(std::shared_ptr<const Rows> rows) : rows_(std::move(rows)) {}

  std::optional<std::string> Get(std::string_view key) override {
    const auto row = rows_->find(key);
    return row == rows_->end() ? std::nullopt : std::optional(row->second);
  }
  void Scan(std::string_view prefix, std::string_view from, const Visit& visit) override {
    for (auto row = rows_->lower_bound(std::max(prefix, from)); row != rows_->end(); ++row) {
      if (!row->first.starts_with(prefix) || !visit(row->first, row->second)) return;
    }
  }

 private:
  std::shared_ptr<const Rows> rows_;
};

class MemoryTable::MemoryBatch final : public Batch {
 public:
  explicit MemoryBatch(MemoryTable& table) : table_(table) {}

  std::optional<std::string> Get(std::string_view key) override {
    if (const auto change = changes_.find(key); change != changes_.end()) return change->second;
    const auto row = table_.rows_.find(key);
    return row == table_.rows_.end() ? std::nullopt : std::optional(row->second);
  }

  void Scan(std::string_view prefix, std::string_view from, const Visit& visit) override {
    const std::string_view begin = std::max(prefix, from);
    auto row = table_.rows_.lower_bound(begin);
    auto change = changes_.lower_bound(begin);
    while (row != table_.rows_.end() || change != changes_.end()) {
      const bool changed = change != changes_.end() && (row == table_.rows_.end() || change->first <= row->first);
      if (!changed) {
        if (!row->first.starts_with(prefix) || !visit(row->first, row->second)) return;
        ++row;
        continue;
      }
      if (!change->first.starts_with(prefix)) return;
      if (change->second && !visit(change->first, *change->second)) return;
      if (row != table_.rows_.end() && row->first == change->first) ++row;
      ++change;
    }
  }

  void Put(std::string_view key, std::string_view value) override { changes_[std::string(key)] = std::string(value); }
  void Delete(std::string_view key) override { changes_[std::string(key)] = std::nullopt; }

  absl::Status Commit() override {
    if (!status().ok()) return status();
    const base::MutexLock lock(table_.mutex_);
    table_.copy_.reset();
    for (auto& [key, value] : changes_) {
      if (value) {
        table_.rows_.insert_or_assign(key, *std::move(value));
      } else {
        table_.rows_.erase(key);
      }
    }
    changes_.clear();
    return absl::OkStatus();
  }

 private:
  MemoryTable& table_;
  std::map<std::string, std::optional<std::string>, std::less<>> changes_;  // nullopt: deleted
};

std::unique_ptr<Batch> MemoryTable::NewBatch() { return std::make_unique<MemoryBatch>(*this); }

std::unique_ptr<Reader> MemoryTable::NewSnapshot() {
  const base::MutexLock lock(mutex_);
  if (!copy_) copy_ = std::make_shared<const Rows>(rows_);
  return std::make_unique<MemorySnapshot>(copy_);
}

}  // namespace larder::tracker
