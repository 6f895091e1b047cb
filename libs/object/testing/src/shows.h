#pragma once
#include <cstdint>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/base/units.h"
#include "larder/object/blob.h"

namespace larder::object {

// Sizes around those where layouts change.
inline constexpr uint64_t kSizes[] = {0,
                                      1,
                                      4095,
                                      4096,
                                      4097,
                                      64 * base::kKiB - 1,
                                      64 * base::kKiB,
                                      64 * base::kKiB + 1,
                                      100'003,
                                      base::kMiB - 1,
                                      base::kMiB,
                                      base::kMiB + 1,
                                      2 * base::kMiB,
                                      5 * base::kMiB + 12'345};

// That a view gives exactly these bytes by every way it has, and keeps the rules of its extents.
void ExpectShows(const BlobView& view, const std::vector<std::byte>& bytes);

}  // namespace larder::object
