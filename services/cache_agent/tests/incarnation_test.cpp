#include "core/incarnation.h"

#include <gtest/gtest.h>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"

namespace larder::cache_agent {
namespace {

using base::StatusIs;
using std::chrono::milliseconds;

base::WallTime At(int64_t ms) { return base::WallTime(milliseconds(ms)); }

TEST(Incarnation, GrowsWithEachStartAlsoWhenTheClockWasSetBack) {
  const base::TempDir dir;
  EXPECT_EQ(NextIncarnation(dir / "data", At(1000)).value(), 1000u);
  EXPECT_EQ(NextIncarnation(dir / "data", At(2000)).value(), 2000u);
  EXPECT_EQ(NextIncarnation(dir / "data", At(500)).value(), 2001u);
  EXPECT_EQ(NextIncarnation(dir / "data", At(2001)).value(), 2002u);
}

TEST(Incarnation, WithoutADirectoryItIsTheClock) { EXPECT_EQ(NextIncarnation("", At(700)).value(), 700u); }

TEST(Incarnation, AFileThatHoldsSomethingElseIsNamed) {
  const base::TempDir dir;
  ASSERT_TRUE(base::WriteFileAtomically(dir / "incarnation", "yesterday").ok());
  EXPECT_THAT(NextIncarnation(dir.path(), At(1)), StatusIs(absl::StatusCode::kDataLoss, "BAD_FILE"));
}

}  // namespace
}  // namespace larder::cache_agent
