#pragma once
#include <cstdint>

#include "core/change.h"
#include "core/records.h"

namespace larder::tracker {

// Stores what the entry at `index` told of, and forgets what is older than must be kept: in bounded steps, so that no
// entry pays for many before it. For every entry, in order.
void Remember(Change& change, uint64_t index, History& history);

}  // namespace larder::tracker
