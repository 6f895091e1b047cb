#include "larder/base/units.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <optional>
#include <span>

#include "larder/base/status.h"

namespace larder::base {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr uint64_t kTiB = 1024 * kGiB;

constexpr std::array<Unit, 20> kByteUnits = {{
    {"", 1},
    {"B", 1},
    {"k", 1000},
    {"kB", 1000},
    {"K", 1000},
    {"KB", 1000},
    {"M", 1000'000},
    {"MB", 1000'000},
    {"G", 1000'000'000},
    {"GB", 1000'000'000},
    {"T", 1000'000'000'000},
    {"TB", 1000'000'000'000},
    {"Ki", kKiB},
    {"KiB", kKiB},
    {"Mi", kMiB},
    {"MiB", kMiB},
    {"Gi", kGiB},
    {"GiB", kGiB},
    {"Ti", kTiB},
    {"TiB", kTiB},
}};
// Largest first, as people read sizes.
constexpr std::array<Unit, 4> kShownUnits = {{{"TiB", kTiB}, {"GiB", kGiB}, {"MiB", kMiB}, {"KiB", kKiB}}};

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kDay = 24 * 3600 * kSecond;
constexpr uint64_t kLongest = 100 * 365 * kDay;
// Smallest first.
constexpr std::array<Unit, 7> kTimeUnits = {{{"ns", 1},
                                             {"us", 1000},
                                             {"ms", 1000'000},
                                             {"s", kSecond},
                                             {"m", 60 * kSecond},
                                             {"h", 3600 * kSecond},
                                             {"d", kDay}}};

std::optional<uint64_t> FactorOf(std::string_view name, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (unit.name == name) return unit.factor;
  }
  return std::nullopt;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// "12", "12.5" and a unit's name, in the smallest unit, rounded down; empty if it is anything else or over `most`.
std::optional<uint64_t> ParseQuantity(std::string_view text, std::span<const Unit> units, uint64_t most) {
  constexpr uint64_t kMostDigits = std::numeric_limits<int64_t>::max();
  constexpr uint64_t kMostScale = 1'000'000'000'000'000'000;
  uint64_t digits = 0;  // of both sides of the point
  uint64_t scale = 1;   // 10 to the number of digits after it
  bool point = false;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !point && i > 0) {
      point = true;
    } else if (IsDigit(text[i])) {
      const auto digit = static_cast<uint64_t>(text[i] - '0');
      if (digits > (kMostDigits - digit) / 10 || scale >= kMostScale) return std::nullopt;
      digits = digits * 10 + digit;
      if (point) scale *= 10;
    } else {
      break;
    }
  }
  if (i == 0 || text[i - 1] == '.') return std::nullopt;
  const std::optional<uint64_t> factor = FactorOf(text.substr(i), units);
  if (!factor || (point && *factor == 1)) return std::nullopt;
  const auto value = static_cast<unsigned __int128>(digits) * *factor / scale;
  if (value > most) return std::nullopt;
  return static_cast<uint64_t>(value);
}

}  // namespace

absl::StatusOr<uint64_t> ParseBytes(std::string_view text) {
  if (const auto bytes = ParseQuantity(text, kByteUnits, std::numeric_limits<int64_t>::max())) return *bytes;
  return InvalidArgument("BAD_SIZE", "'{}' is no size: write 512, 4MiB or 25M, below 8 EiB", text);
}

std::string FormatBytes(uint64_t bytes) {
  for (const Unit& unit : kShownUnits) {
    if (bytes < unit.factor) continue;
    if (bytes % unit.factor == 0) return fmt::format("{} {}", bytes / unit.factor, unit.name);
    return fmt::format("{:.2f} {}", static_cast<double>(bytes) / static_cast<double>(unit.factor), unit.name);
  }
  return fmt::format("{} B", bytes);
}

std::string FormatBytesExact(uint64_t bytes) {
  for (const Unit& unit : kShownUnits) {
    if (bytes != 0 && bytes % unit.factor == 0) return fmt::format("{}{}", bytes / unit.factor, unit.name);
  }
  return fmt::format("{}", bytes);
}

absl::StatusOr<Duration> ParseDuration(std::string_view text) {
  if (text == "0") return Duration::zero();
  if (const auto nanos = ParseQuantity(text, kTimeUnits, kLongest)) return Duration(static_cast<int64_t>(*nanos));
  return InvalidArgument("BAD_DURATION", "'{}' is no duration: write 250ms, 300s, 5m, 1h or 7d, at most 100 years",
                         text);
}

std::string FormatDuration(Duration duration) {
  if (duration == Duration::zero()) return "0s";
  for (auto unit = kTimeUnits.rbegin(); unit != kTimeUnits.rend(); ++unit) {
    const auto factor = static_cast<int64_t>(unit->factor);
    if (duration.count() % factor == 0) return fmt::format("{}{}", duration.count() / factor, unit->name);
  }
  return fmt::format("{}ns", duration.count());
}

}  // namespace larder::base
