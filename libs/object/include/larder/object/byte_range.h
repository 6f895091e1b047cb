#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>

namespace larder::object {

// Bytes of an object: A-B (both inclusive), A- (no `last`), -N (the last N: no `first`). Plain data.
struct ByteRange {
  std::optional<uint64_t> first;
  std::optional<uint64_t> last;
  bool operator==(const ByteRange&) const = default;
};

struct ByteRun {
  uint64_t offset = 0;
  uint64_t length = 0;
  bool operator==(const ByteRun&) const = default;
};
// Those that an object of `size` bytes has, at least one: an end beyond the object's is the object's. OUT_OF_RANGE
// (BAD_RANGE) if it has none of them, INVALID_ARGUMENT (BAD_RANGE) for a range that says nothing. Pure.
absl::StatusOr<ByteRun> BytesOf(const ByteRange& range, uint64_t size);

}  // namespace larder::object
