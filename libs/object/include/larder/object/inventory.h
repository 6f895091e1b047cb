#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "larder/object/object.h"

// The sums by which a node and the cluster's registry compare what the node has (docs/formats/inventory.md). Pure.
namespace larder::object {

inline constexpr size_t kInventoryBuckets = 256;
using InventorySums = std::array<uint64_t, kInventoryBuckets>;

uint8_t InventoryBucket(BlobId blob);
// What a copy adds to its bucket's sum, modulo 2^64.
uint64_t InventoryHash(const TrackedAs& copy, bool staged);

}  // namespace larder::object
