#pragma once
#include <rocksdb/env.h>

#include "larder/raft/rocks_log_store.h"

namespace larder::raft {

// OpenRocksLog on the files of `env`, which outlives the log.
absl::StatusOr<std::unique_ptr<LogStore>> OpenRocksLogOn(const RocksLogOptions& options, rocksdb::Env* env);

}  // namespace larder::raft
