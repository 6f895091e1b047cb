#include "larder/base/units.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "larder/base/testing/status_matchers.h"

namespace larder::base {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;

TEST(Bytes, AreReadInDecimalAndBinaryUnits) {
  const std::vector<std::pair<const char*, uint64_t>> cases = {
      {"0", 0},
      {"512", 512},
      {"512B", 512},
      {"4MiB", 4 * kMiB},
      {"4Mi", 4 * kMiB},
      {"25M", 25000000},
      {"25MB", 25000000},
      {"1k", 1000},
      {"1K", 1000},
      {"1.5GiB", 3 * kGiB / 2},
      {"2T", 2000000000000},
      {"1TiB", 1024 * kGiB},
      {"0.5KiB", 512},
      {"9223372036854775807", 9223372036854775807u},
  };
  for (const auto& [text, bytes] : cases) {
    LARDER_ASSERT_OK_AND_ASSIGN(const uint64_t parsed, ParseBytes(text));
    EXPECT_EQ(parsed, bytes) << text;
  }
}

TEST(Bytes, RefuseAnythingElse) {
  for (const char* text : {"", "MiB", "-1", "+1", "4 MiB", "4mib", "4Mib", "1.5", "1.", ".5k", "1..5k", "0x10", "1e3",
                           "9223372036854775808", "99999999999999999999999", "8388608TiB", "4MiBB"}) {
    EXPECT_THAT(ParseBytes(text), StatusIs(StatusCode::kInvalidArgument, "BAD_SIZE")) << text;
  }
}

TEST(Bytes, AreShownForPeople) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(4 * kMiB), "4 MiB");
  EXPECT_EQ(FormatBytes(3 * kGiB / 2), "1.50 GiB");
  EXPECT_EQ(FormatBytes(2048 * kGiB), "2 TiB");
}

TEST(Bytes, AreShownExactlyAsParseReadsThem) {
  EXPECT_EQ(FormatBytesExact(4 * kMiB), "4MiB");
  EXPECT_EQ(FormatBytesExact(25000000), "25000000");
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}, kKiB, 3 * kGiB / 2, 5000 * kGiB, kMiB + 1}) {
    LARDER_ASSERT_OK_AND_ASSIGN(const uint64_t parsed, ParseBytes(FormatBytesExact(bytes)));
    EXPECT_EQ(parsed, bytes);
  }
}

TEST(Durations, AreReadInEveryUnit) {
  const std::vector<std::pair<const char*, Duration>> cases = {
      {"0", 0s},        {"300s", 300s}, {"5m", 5min}, {"1h", 1h},       {"7d", 168h},
      {"250ms", 250ms}, {"3us", 3us},   {"9ns", 9ns}, {"1.5s", 1500ms}, {"36500d", 24h * 36500},
  };
  for (const auto& [text, duration] : cases) {
    LARDER_ASSERT_OK_AND_ASSIGN(const Duration parsed, ParseDuration(text));
    EXPECT_EQ(parsed, duration) << text;
  }
}

TEST(Durations, RefuseAnythingElse) {
  for (const char* text : {"", "5", "s", "-1s", "5 s", "5min", "1h30m", "36501d", "99999999999999999999d", "1.5ns"}) {
    EXPECT_THAT(ParseDuration(text), StatusIs(StatusCode::kInvalidArgument, "BAD_DURATION")) << text;
  }
}

TEST(Durations, AreShownInTheLargestExactUnit) {
  EXPECT_EQ(FormatDuration(0s), "0s");
  EXPECT_EQ(FormatDuration(90s), "90s");
  EXPECT_EQ(FormatDuration(300s), "5m");
  EXPECT_EQ(FormatDuration(1h), "1h");
  EXPECT_EQ(FormatDuration(48h), "2d");
  EXPECT_EQ(FormatDuration(250ms), "250ms");
  EXPECT_EQ(FormatDuration(1500us), "1500us");
  EXPECT_EQ(FormatDuration(7ns), "7ns");
}

}  // namespace
}  // namespace larder::base
