#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "csi/volume.h"

namespace larder::cache_agent::csi {

// A published volume as text, for a restart: a line for each part, and the CRC-32C of all of them. Pure.
std::string EncodeRecord(const Volume& volume);
// What EncodeRecord gave. DATA_LOSS (BAD_RECORD): it is not, or not whole. UNIMPLEMENTED (BAD_RECORD): another version
// of the agent wrote it.
absl::StatusOr<Volume> DecodeRecord(std::string_view text);

}  // namespace larder::cache_agent::csi
