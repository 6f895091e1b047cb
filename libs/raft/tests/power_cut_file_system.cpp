#include "tests/power_cut_file_system.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

namespace larder::raft {
namespace {

namespace fs = std::filesystem;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr uint64_t kSector = 512;

IOStatus NoPower() { return IOStatus::IOError("the power is cut"); }

}  // namespace

class PowerCutFileSystem::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(PowerCutFileSystem& system, std::unique_ptr<rocksdb::FSWritableFile> file, std::shared_ptr<Extent> extent)
      : rocksdb::FSWritableFileOwnerWrapper(std::move(file)), system_(system), extent_(std::move(extent)) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* debug) override {
    base::MutexLock lock(system_.mutex_);
    if (system_.cut_) return NoPower();
    extent_->written += data.size();
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    base::MutexLock lock(system_.mutex_);
    if (system_.cut_) return NoPower();
    *extent_ = {.written = size, .synced = std::min(extent_->synced, size)};
    return FSWritableFileOwnerWrapper::Truncate(size, options, debug);
  }
  // RocksDB closes a file that it did not sync, too; its padding is cut off, and only that.
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    base::MutexLock lock(system_.mutex_);
    if (system_.cut_ || system_.syncs_left_ == 0) {
      system_.cut_ = true;
      return NoPower();
    }
    --system_.syncs_left_;
    extent_->synced = extent_->written;
    return IOStatus::OK();  // what this machine keeps of it is all there as long as the test runs
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override { return Sync(options, debug); }
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Allocate(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  PowerCutFileSystem& system_;
  const std::shared_ptr<Extent> extent_;
};

void PowerCutFileSystem::CutAfter(uint64_t syncs) {
  base::MutexLock lock(mutex_);
  syncs_left_ = syncs;
}

bool PowerCutFileSystem::cut() const {
  base::MutexLock lock(mutex_);
  return cut_;
}

void PowerCutFileSystem::Restore(std::mt19937_64& random) {
  base::MutexLock lock(mutex_);
  for (auto& [name, extent] : files_) {
    if (!fs::exists(name) || extent->written == extent->synced) continue;
    const uint64_t left = extent->synced + random() % (extent->written - extent->synced + 1);
    fs::resize_file(name, left);
    std::fstream file(name, std::ios::in | std::ios::out | std::ios::binary);
    for (uint64_t at = extent->synced; at < left; at = (at / kSector + 1) * kSector) {
      if (random() % 4 != 0) continue;
      const std::string zeros(std::min(left, (at / kSector + 1) * kSector) - at, '\0');
      file.seekp(static_cast<std::streamoff>(at));
      file.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
    }
  }
  files_.clear();
  cut_ = false;
  syncs_left_ = UINT64_MAX;
}

IOStatus PowerCutFileSystem::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                             std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) {
  base::MutexLock lock(mutex_);
  if (cut_) return NoPower();
  std::unique_ptr<rocksdb::FSWritableFile> opened;
  const IOStatus status = target()->NewWritableFile(name, options, &opened, debug);
  if (!status.ok()) return status;
  auto& extent = files_[name] = std::make_shared<Extent>();
  *file = std::make_unique<File>(*this, std::move(opened), extent);
  return status;
}

IOStatus PowerCutFileSystem::RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                                        IODebugContext* debug) {
  base::MutexLock lock(mutex_);
  if (cut_) return NoPower();
  if (auto node = files_.extract(from)) {
    node.key() = to;
    files_.erase(to);
    files_.insert(std::move(node));
  }
  return target()->RenameFile(from, to, options, debug);
}

IOStatus PowerCutFileSystem::DeleteFile(const std::string& name, const IOOptions& options, IODebugContext* debug) {
  base::MutexLock lock(mutex_);
  if (cut_) return NoPower();
  files_.erase(name);
  return target()->DeleteFile(name, options, debug);
}

}  // namespace larder::raft
