#include "src/values.h"

#include <charconv>
#include <cmath>
#include <system_error>

#include "larder/base/status.h"
#include "src/text.h"

namespace larder::config {

absl::StatusOr<bool> ParseFlag(const std::string& text) {
  std::string lower;
  for (const char c : text) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (lower == "true" || lower == "yes" || lower == "on" || lower == "1") return true;
  if (lower == "false" || lower == "no" || lower == "off" || lower == "0") return false;
  return base::InvalidArgument("BAD_VALUE", "{} is neither true nor false", Quoted(text));
}

absl::StatusOr<int64_t> ParseInteger(const std::string& text) {
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop != end || error == std::errc::invalid_argument) {
    return base::InvalidArgument("BAD_VALUE", "{} is not an integer", Quoted(text));
  }
  if (error != std::errc()) return base::InvalidArgument("OUT_OF_BOUNDS", "{} is not within 64 bits", Quoted(text));
  return value;
}

absl::StatusOr<double> ParseReal(const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop != end || error != std::errc() || !std::isfinite(value)) {
    return base::InvalidArgument("BAD_VALUE", "{} is not a number", Quoted(text));
  }
  return value;
}

std::string BoundsText(const std::string& min, const std::string& max) {
  if (min.empty()) return max.empty() ? "" : "at most " + max;
  return max.empty() ? "at least " + min : min + " to " + max;
}

absl::Status OutOfBounds(const std::string& text, const std::string& bounds) {
  return base::InvalidArgument("OUT_OF_BOUNDS", "{} is out of bounds ({})", Quoted(text), bounds);
}

}  // namespace larder::config
