#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <filesystem>

#include "larder/base/clock.h"

namespace larder::cache_agent {

// The number of this start of the agent: milliseconds of the wall clock, but above that of all starts before, which
// `data_dir`/incarnation remembers. Without a data directory a clock that was set back makes a start look like an older
// one. DATA_LOSS (BAD_FILE) naming the file if that holds something else; errors of the file system.
absl::StatusOr<uint64_t> NextIncarnation(const std::filesystem::path& data_dir, base::WallTime now);

}  // namespace larder::cache_agent
