#include "larder/swarm/rate_limiter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <vector>

#include "larder/base/units.h"

namespace larder::swarm {
namespace {

using base::kKiB;
using base::kMiB;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kRate = 100 * kMiB;
constexpr uint64_t kFrame = 256 * kKiB;

// Bytes that each class moves in `time`, if all of `classes` always want more, `frame` bytes at once.
std::map<TransferClass, uint64_t> Moved(RateLimiter& limiter, std::vector<TransferClass> classes, base::Duration time,
                                        uint64_t frame = kFrame) {
  std::map<TransferClass, uint64_t> moved;
  base::MonotonicTime now{std::chrono::hours(1)};
  const base::MonotonicTime end = now + time;
  while (now < end) {
    base::MonotonicTime next = end;
    bool any = false;
    for (const TransferClass transfer_class : classes) {
      const auto grant = limiter.Take(transfer_class, frame, now);
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
      EXPECT_GE(moved[kAll[high]], 10 * kRate * 94 / 100) << high << ' ' << low;
    }
  }
  RateLimiter limiter(kRate);
  auto moved = Moved(limiter, {TransferClass::kWarmUp, TransferClass::kRepair}, seconds(10));
  EXPECT_GE(moved[TransferClass::kWarmUp], 6 * kRate);
  EXPECT_GE(moved[TransferClass::kRepair], 2 * kRate);
}

TEST(RateLimiterProperty, EachClassGetsItsShareAndAllTogetherNoMoreThanTheRate) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    const uint64_t rate = kMiB << random() % 10;
    const uint64_t frame = 1 + random() % kFrame;
    std::vector<TransferClass> classes = {TransferClass::kForeground};
    for (const TransferClass lower : {TransferClass::kAck, TransferClass::kRepair, TransferClass::kWarmUp}) {
      if (random() % 3 > 0) classes.push_back(lower);
    }
    std::ranges::shuffle(classes, random);
    RateLimiter limiter(rate);
    auto moved = Moved(limiter, classes, seconds(10), frame);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", " << classes.size() << " classes");
    uint64_t total = 0;
    for (const TransferClass each : classes) {
      total += moved[each];
      EXPECT_GE(moved[each] + frame, rate / 2) << "5 % of class " << static_cast<int>(each);
      if (each != TransferClass::kForeground) {
        EXPECT_LE(moved[each], rate * 6 / 10 + 2 * frame) << "no more while the foreground wants all of it";
      }
    }
    EXPECT_LE(total, 10 * rate + rate / 10 + classes.size() * frame);
    EXPECT_GE(total + frame, 10 * rate);
  }
}

TEST(RateLimiter, GivingBackMakesNoShareLarger) {
  RateLimiter limiter(kRate);
  base::MonotonicTime now{std::chrono::hours(1)};
  for (int i = 0; i < 1000; ++i) {
    const uint64_t bytes = limiter.Take(TransferClass::kWarmUp, kRate / 10, now).bytes;
    limiter.GiveBack(TransferClass::kWarmUp, bytes);
  }
  while (limiter.Take(TransferClass::kForeground, kFrame, now).bytes > 0) {
  }
  uint64_t moved = 0;
  while (limiter.Take(TransferClass::kWarmUp, kFrame, now).bytes > 0) moved += kFrame;
  EXPECT_LE(moved, kRate / 200 + kFrame) << "100 ms' worth of the share";
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

TEST(RateLimiter, PortionsAreSmallUnderALowRate) {
  EXPECT_EQ(RateLimiter(0).Portion(256 * kKiB), 256 * kKiB) << "no limit";
  EXPECT_EQ(RateLimiter(64 * kMiB).Portion(256 * kKiB), 256 * kKiB);
  EXPECT_EQ(RateLimiter(4 * kMiB).Portion(256 * kKiB), 64 * kKiB);
  EXPECT_EQ(RateLimiter(4 * kMiB).Portion(100), 100);
  EXPECT_EQ(RateLimiter(1).Portion(256 * kKiB), 4 * kKiB) << "a rate that gives no 64 of them something each second";
}

}  // namespace
}  // namespace larder::swarm
