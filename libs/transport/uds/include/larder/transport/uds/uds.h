#pragma once
#include "larder/object/registries.h"

namespace larder::transport::uds {

// The Unix socket between a pod and its node's agent: records of docs/formats/uds.md on `data.sock` in the directory
// that is the address, descriptors of shared memory beside them. Large objects are read and written in place.
//
// Dial: UNAVAILABLE (NO_AGENT) naming the path when nobody listens.
// Listen: ALREADY_EXISTS (LOCKED) when another agent serves the directory; a stale socket is replaced. One event
// thread; copies of more than 64 KiB, and all that waits for a disk, run on the settings' executor.
absl::StatusOr<std::unique_ptr<object::Channel>> Dial(const std::string& directory, const object::DialOptions& options);
absl::StatusOr<std::unique_ptr<object::Listener>> Listen(const object::ListenSettings& settings);

void Register(object::TransportRegistry& registry);

}  // namespace larder::transport::uds
