#include "larder/swarm/rate_limiter.h"

#include <gtest/gtest.h>

#include <array>
#include <map>

#include "larder/base/units.h"

namespace larder::swarm {
namespace {

using base::kKiB;
using base::kMiB;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kRate = 100 * kMiB;
constexpr uint64_t kFrame = 256 * kKiB;

// Bytes that each class moves in `time`, if all of `classes` always want more.
std::map<TransferClass, uint64_t> Moved(RateLimiter& limiter, std::initializer_list<TransferClass> classes,
                                        base::Duration time) {
  std::map<TransferClass, uint64_t> moved;
  base::MonotonicTime now{std::chrono::hours(1)};
  const base::MonotonicTime end = now + time;
  while (now < end) {
    base::MonotonicTime next = end;
    bool any = false;
    for (const TransferClass transfer_class : classes) {
      const auto grant = limiter.Take(transfer_class, kFrame, now);
      moved[transfer_class] += grant.bytes;
      any = any || grant.bytes > 0;
      if (grant.bytes == 0) next = std::min(next, grant.try_again);
    }
    if (!any) now = next;
  }
  return moved;
}

constexpr TransferClass kAll[] = {TransferClass::kForeground, TransferClass::kAck, TransferClass::kRepair,
                                  TransferClass::kWarmUp};

TEST(RateLimiter, WithoutALimitEverythingGoes) {
  RateLimiter limiter;
  EXPECT_EQ(limiter.Take(TransferClass::kWarmUp, 1 << 30, {}).bytes, 1 << 30);
}

TEST(RateLimiter, MovesTheRateAndABurstOfATenthOfASecond) {
  for (const TransferClass transfer_class : {TransferClass::kForeground, TransferClass::kAck, TransferClass::kWarmUp}) {
    RateLimiter limiter(kRate);
    const uint64_t moved = Moved(limiter, {transfer_class}, seconds(10))[transfer_class];
    EXPECT_LE(moved, 10 * kRate + kRate / 10 + kFrame);
    EXPECT_GE(moved, 10 * kRate - kFrame);
  }
}

TEST(RateLimiter, RepairMovesThreeTenths) {
  RateLimiter limiter(kRate);
  const uint64_t moved = Moved(limiter, {TransferClass::kRepair}, seconds(10))[TransferClass::kRepair];
  EXPECT_LE(moved, 3 * kRate + kRate / 10);
  EXPECT_GE(moved, 3 * kRate - kFrame);
}

TEST(RateLimiter, WhoIsOfALowerClassGetsWhatIsLeft) {
  for (size_t high = 0; high < std::size(kAll); ++high) {
    if (kAll[high] == TransferClass::kRepair) continue;  // it leaves most
    for (size_t low = high + 1; low < std::size(kAll); ++low) {
      RateLimiter limiter(kRate);
      auto moved = Moved(limiter, {kAll[low], kAll[high]}, seconds(10));
      EXPECT_GE(moved[kAll[high]], 10 * kRate * 98 / 100) << high << ' ' << low;
    }
  }
  RateLimiter limiter(kRate);
  auto moved = Moved(limiter, {TransferClass::kWarmUp, TransferClass::kRepair}, seconds(10));
  EXPECT_GE(moved[TransferClass::kWarmUp], 6 * kRate);
  EXPECT_GE(moved[TransferClass::kRepair], 2 * kRate);
}

TEST(RateLimiter, WhatIsLongerThanTheBucketGoesAndIsOwed) {
  RateLimiter limiter(kKiB);
  base::MonotonicTime now{std::chrono::hours(1)};
  EXPECT_EQ(limiter.Take(TransferClass::kForeground, 10 * kKiB, now).bytes, 10 * kKiB);
  const auto grant = limiter.Take(TransferClass::kForeground, 1, now);
  EXPECT_EQ(grant.bytes, 0);
  EXPECT_GE(grant.try_again, now + milliseconds(9800));
  EXPECT_EQ(limiter.Take(TransferClass::kForeground, 1, grant.try_again).bytes, 1);
}

TEST(RateLimiter, WhatIsGivenBackCanBeTaken) {
  RateLimiter limiter(kRate);
  const base::MonotonicTime now{std::chrono::hours(1)};
  EXPECT_GT(limiter.Take(TransferClass::kForeground, kRate / 10, now).bytes, 0);
  EXPECT_EQ(limiter.Take(TransferClass::kForeground, kFrame, now).bytes, 0);
  limiter.GiveBack(TransferClass::kForeground, kFrame);
  EXPECT_EQ(limiter.Take(TransferClass::kForeground, kFrame, now).bytes, kFrame);
}

}  // namespace
}  // namespace larder::swarm
