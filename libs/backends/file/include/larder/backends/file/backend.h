#pragma once
#include <absl/status/statusor.h>

#include <memory>

#include "larder/object/backend.h"
#include "larder/object/registries.h"

namespace larder::backends::file {

// Objects as one file each below settings.path (docs/formats/file-object.md), flushed before they are acknowledged, and
// found again at start. One owner per directory: ALREADY_EXISTS (LOCKED) otherwise. Every read is verified by
// checksums. All calls may wait for the disk.
absl::StatusOr<std::unique_ptr<object::Backend>> Make(const object::BackendSettings& settings);

void Register(object::BackendRegistry& registry);

}  // namespace larder::backends::file
