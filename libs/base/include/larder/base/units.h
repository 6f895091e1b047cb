#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "larder/base/clock.h"

namespace larder::base {

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;
inline constexpr uint64_t kGiB = 1024 * kMiB;

// "4MiB" "25M" "512" "1.5GiB": B, then k K M G T (powers of 1000) or Ki Mi Gi Ti with or without a final B (powers of
// 1024). INVALID_ARGUMENT (BAD_SIZE) for anything else and for what does not fit 63 bits.
absl::StatusOr<uint64_t> ParseBytes(std::string_view text);
// The shortest exact or two-digit form: "4 MiB", "1.50 GiB", "512 B".
std::string FormatBytes(uint64_t bytes);
// Like ParseBytes can read it, exact: "4MiB", "25000000".
std::string FormatBytesExact(uint64_t bytes);

// "300s" "5m" "1h" "7d" "250ms" "1.5s"; units ns us ms s m h d, a plain 0 too. INVALID_ARGUMENT (BAD_DURATION) for
// anything else, negative values and more than 100 years.
absl::StatusOr<Duration> ParseDuration(std::string_view text);
// "90s", "1h", "250ms": the largest unit that is exact, so that ParseDuration gives the same value back.
std::string FormatDuration(Duration duration);

}  // namespace larder::base
