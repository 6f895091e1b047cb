#include "core/range.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "larder/base/status.h"

namespace larder::cli {
namespace {

std::optional<uint64_t> Number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

absl::Status BadRange(std::string_view text) {
  return base::InvalidArgument("BAD_RANGE", "--range '{}' is none of A-B, A- and -N (bytes from 0, B included)", text);
}

}  // namespace

absl::StatusOr<ByteRange> ParseRange(std::string_view text) {
  const size_t dash = text.find('-');
  if (dash == text.npos || text.size() == 1) return BadRange(text);
  const std::string_view before = text.substr(0, dash);
  const std::string_view after = text.substr(dash + 1);
  const std::optional<uint64_t> first = Number(before);
  const std::optional<uint64_t> last = Number(after);
  if ((!before.empty() && !first) || (!after.empty() && !last)) return BadRange(text);
  if (before.empty()) {
    if (*last == 0) return BadRange(text);
    return ByteRange{.from_end = true, .first = *last};
  }
  if (last && *last < *first) return BadRange(text);
  return ByteRange{.first = *first, .last = last.value_or(UINT64_MAX)};
}

object::ByteRange BytesOf(const ByteRange& range) {
  if (range.from_end) return {.last = range.first};
  if (range.last == UINT64_MAX) return {.first = range.first};
  return {.first = range.first, .last = range.last};
}

absl::StatusOr<Extent> ExtentOf(const ByteRange& range, uint64_t size) {
  if (range.from_end) {
    const uint64_t length = std::min(range.first, size);
    return Extent{.offset = size - length, .length = length};
  }
  if (range.first >= size) {
    return base::Error(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE",
                       "the range begins at byte {} of an object of {} bytes", range.first, size);
  }
  return Extent{.offset = range.first, .length = std::min(range.last, size - 1) - range.first + 1};
}

}  // namespace larder::cli
