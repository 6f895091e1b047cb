#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <string_view>

#include "larder/object/byte_range.h"

namespace larder::cli {

// A part of an object as --range says it: "A-B" both included, "A-" to the end, "-N" the last N bytes.
struct ByteRange {
  bool from_end = false;
  uint64_t first = 0;          // of the object, or how many from the end
  uint64_t last = UINT64_MAX;  // included; UINT64_MAX: to the end
};
// INVALID_ARGUMENT (BAD_RANGE). Pure.
absl::StatusOr<ByteRange> ParseRange(std::string_view text);

// The same, as a client asks for it. Pure.
object::ByteRange BytesOf(const ByteRange& range);

struct Extent {
  uint64_t offset = 0;
  uint64_t length = 0;
};
// The bytes of an object of `size` that `range` means, as HTTP has it: an end beyond the object's is the object's, a
// beginning beyond it is OUT_OF_RANGE. Pure.
absl::StatusOr<Extent> ExtentOf(const ByteRange& range, uint64_t size);

}  // namespace larder::cli
