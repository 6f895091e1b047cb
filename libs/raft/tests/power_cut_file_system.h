#pragma once
#include <rocksdb/file_system.h>

#include <map>
#include <memory>
#include <random>
#include <string>

#include "larder/base/mutex.h"

namespace larder::raft {

// The files of this machine as they would be after the loss of power: of what was written and not synced, any part may
// be there. Names are durable at once. Thread-safe.
class PowerCutFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  PowerCutFileSystem() : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "PowerCutFileSystem"; }

  // So many syncs are done; the next one fails, and everything after it.
  void CutAfter(uint64_t syncs) LARDER_EXCLUDES(mutex_);
  bool cut() const LARDER_EXCLUDES(mutex_);
  // When nobody has a file open: leaves of each what survives, and goes on as after a start. Of what was not synced
  // that is a prefix of any length, in which sectors may be zeroed.
  void Restore(std::mt19937_64& random) LARDER_EXCLUDES(mutex_);

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override LARDER_EXCLUDES(mutex_);
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override LARDER_EXCLUDES(mutex_);
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override LARDER_EXCLUDES(mutex_);

 private:
  class File;
  // Bytes in a file, as it was given out.
  struct Extent {
    uint64_t written = 0;
    uint64_t synced = 0;
  };

  mutable base::Mutex mutex_;
  bool cut_ LARDER_GUARDED_BY(mutex_) = false;
  uint64_t syncs_left_ LARDER_GUARDED_BY(mutex_) = UINT64_MAX;
  std::map<std::string, std::shared_ptr<Extent>> files_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::raft
