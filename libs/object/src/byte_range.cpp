#include "larder/object/byte_range.h"

#include <algorithm>

#include "larder/base/status.h"

namespace larder::object {

absl::StatusOr<ByteRun> BytesOf(const ByteRange& range, uint64_t size) {
  const auto outside = [&] {
    return base::Error(absl::StatusCode::kOutOfRange, "BAD_RANGE", "no byte of the range is within the object's {}",
                       size);
  };
  if (!range.first && !range.last) return base::InvalidArgument("BAD_RANGE", "a range without first and last byte");
  if (range.first && range.last && *range.last < *range.first) {
    return base::InvalidArgument("BAD_RANGE", "a range that ends at {}, before its first byte {}", *range.last,
                                 *range.first);
  }
  if (size == 0) return outside();
  uint64_t first = 0;
  uint64_t last = size - 1;
  if (range.first) {
    first = *range.first;
    if (range.last) last = std::min(last, *range.last);
  } else {
    if (*range.last == 0) return outside();
    first = size - std::min(size, *range.last);
  }
  if (first >= size) return outside();
  return ByteRun{.offset = first, .length = last - first + 1};
}

}  // namespace larder::object
