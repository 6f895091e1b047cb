#pragma once
#include <absl/status/statusor.h>

#include <memory>

#include "larder/object/backend.h"
#include "larder/object/registries.h"

namespace larder::backends::memory {

// Objects in the node's arena, which outlives the backend. Up to 64 KiB in private memory, that no other process sees;
// larger ones in sealed slabs that clients map. Never blocks; nothing survives the process. INVALID_ARGUMENT (NO_ARENA)
// without an arena.
absl::StatusOr<std::unique_ptr<object::Backend>> Make(const object::BackendSettings& settings);

void Register(object::BackendRegistry& registry);

}  // namespace larder::backends::memory
