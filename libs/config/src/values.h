#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

namespace larder::config {

// The texts of values that base/units.h does not parse. Errors are INVALID_ARGUMENT (BAD_VALUE), naming the text only.
absl::StatusOr<bool> ParseFlag(const std::string& text);
absl::StatusOr<int64_t> ParseInteger(const std::string& text);
absl::StatusOr<double> ParseReal(const std::string& text);

// "A to B", "at least A", "at most B" or nothing; an empty text is no bound.
std::string BoundsText(const std::string& min, const std::string& max);
// INVALID_ARGUMENT (OUT_OF_BOUNDS).
absl::Status OutOfBounds(const std::string& text, const std::string& bounds);

}  // namespace larder::config
