#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "larder/cache_agent/config.h"
#include "larder/object/peer.h"

namespace larder::cache_agent {

// Who a caller is: `pid` from the kernel (0: unknown), `asked_ns` from the caller (empty: it did not say).
// INVALID_ARGUMENT (BAD_NAMESPACE).
using Identify = std::function<absl::StatusOr<object::SessionOwner>(int32_t pid, const std::string& asked_ns)>;

Identify IdentifyBy(Identity identity);

}  // namespace larder::cache_agent
