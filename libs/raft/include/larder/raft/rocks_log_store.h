#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "larder/base/clock.h"
#include "larder/raft/log_store.h"

namespace larder::raft {

struct RocksLogOptions {
  std::filesystem::path dir;  // made if missing; belongs to one process, or ALREADY_EXISTS (LOCKED)
  GroupId group;              // leads every key
  // Told how long each sync took; may be empty. Called on the writing thread.
  std::function<void(base::Duration)> on_sync;
  // Told what was repaired at opening (a torn tail), in words for the log; may be empty.
  std::function<void(std::string_view)> on_repair;
};

// A log on RocksDB: one write-ahead log, no recycling, one sync per Write.
//
// RocksDB 7.8 may open a damaged log as if its tail had never been written. So a log that it refuses is opened twice
// more on copies, once as far as it is whole and once skipping what is damaged: records beyond a gap are damage and
// fail (DATA_LOSS, LOG_DAMAGED, naming the directory: the member has to join anew under another id); none are a torn
// tail, which is cut off.
absl::StatusOr<std::unique_ptr<LogStore>> OpenRocksLog(const RocksLogOptions& options);

}  // namespace larder::raft
