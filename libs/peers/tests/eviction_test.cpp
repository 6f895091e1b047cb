#include "src/eviction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace larder::peers {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;
using testing::UnorderedElementsAre;

NamespaceUse Use(std::string ns, uint64_t bytes, uint64_t quota = 0, uint64_t asked = 0) {
  return {.ns = std::move(ns), .bytes = bytes, .quota = quota, .asked = asked, .evictable = true};
}

TEST(PlanEviction, NothingGoesBelowTheHighWatermark) {
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 900}, std::vector{Use("a", 900)}), IsEmpty());
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 901}, std::vector{Use("a", 901)}),
              ElementsAre(Eviction{"a", 51, EvictReason::kRoom}));
}

TEST(PlanEviction, WhatIsAskedIsFreedEvenIfTheSumSaysThereIsRoom) {
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 500, .asked = 100}, std::vector{Use("a", 500)}),
              ElementsAre(Eviction{"a", 100, EvictReason::kRoom}));
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 500, .asked = 5000}, std::vector{Use("a", 500)}),
              ElementsAre(Eviction{"a", 500, EvictReason::kRoom}));
}

TEST(PlanEviction, WithoutALimitThereIsNoPressure) {
  EXPECT_THAT(PlanEviction({.limit = 0, .used = 1 << 30}, std::vector{Use("a", 1 << 30)}), IsEmpty());
}

TEST(PlanEviction, TheLargestAreBroughtDownToOneLevel) {
  const std::vector uses = {Use("small", 100), Use("large", 500), Use("larger", 600)};
  EXPECT_THAT(
      PlanEviction({.limit = 1000, .used = 1200}, uses),
      UnorderedElementsAre(Eviction{"larger", 225, EvictReason::kRoom}, Eviction{"large", 125, EvictReason::kRoom}));
}

TEST(PlanEviction, ThoseOverTheirQuotaGoFirstAndOthersOnlyForWhatIsMissing) {
  const std::vector uses = {Use("over", 200, 100), Use("within", 700, 1000)};
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 910}, uses),
              ElementsAre(Eviction{"over", 100, EvictReason::kQuota}));
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 1000}, uses),
              ElementsAre(Eviction{"over", 100, EvictReason::kQuota}, Eviction{"within", 50, EvictReason::kRoom}));
}

TEST(PlanEviction, AQuotaMakesRoomForWhatItRefusedAndNoMore) {
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 90}, std::vector{Use("a", 90, 100, 25)}),
              ElementsAre(Eviction{"a", 15, EvictReason::kQuota}));
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 99}, std::vector{Use("a", 99, 100)}), IsEmpty());
}

TEST(PlanEviction, WhatWasEvictedAMomentAgoIsNotEvictedForOnceMore) {
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 500, .asked = 100, .leaving = 100}, std::vector{Use("a", 500)}),
              IsEmpty());
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 500, .asked = 100, .leaving = 70}, std::vector{Use("a", 500)}),
              ElementsAre(Eviction{"a", 30, EvictReason::kRoom}));
  NamespaceUse use = Use("a", 60, 100, 30);
  use.held = 40;  // mapped by clients
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 100}, std::vector{use}),
              ElementsAre(Eviction{"a", 30, EvictReason::kQuota}));
  use.leaving = 30;
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 100}, std::vector{use}), IsEmpty());
  use.asked = 0;
  use.held = 400;
  EXPECT_THAT(PlanEviction({.limit = 1000, .used = 100}, std::vector{use}), IsEmpty())
      << "evicting does not make clients let go";
}

TEST(PlanEviction, NeverTouchesWhatMayNotGoNorAsksForMoreThanThereIs) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 5000; ++round) {
    std::vector<NamespaceUse> uses;
    uint64_t used = 0;
    std::map<std::string, NamespaceUse> by_name;
    for (uint64_t i = random() % 6; i > 0; --i) {
      NamespaceUse use = Use("n" + std::to_string(i), random() % 2000, random() % 3 == 0 ? random() % 2000 : 0);
      use.evictable = random() % 4 != 0;
      use.asked = random() % 5 == 0 ? random() % 500 : 0;
      used += use.bytes;
      by_name[use.ns] = use;
      uses.push_back(std::move(use));
    }
    const Pressure pressure{
        .limit = 1 + random() % 8000, .used = used, .asked = random() % 3 == 0 ? random() % 900 : 0};
    std::map<std::string, uint64_t> freed;
    uint64_t sum = 0, evictable = 0;
    for (const Eviction& one : PlanEviction(pressure, uses)) {
      EXPECT_TRUE(by_name.at(one.ns).evictable);
      EXPECT_GT(one.bytes, 0u);
      freed[one.ns] += one.bytes;
      sum += one.bytes;
    }
    for (const auto& [ns, bytes] : freed) EXPECT_LE(bytes, by_name.at(ns).bytes);
    for (const auto& [ns, use] : by_name) evictable += use.evictable ? use.bytes : 0;
    // Either it is enough, or everything that may go goes.
    const uint64_t left = used - sum;
    if (left > pressure.limit * kHighPercent / 100 + 1 || sum < std::min(pressure.asked, used)) {
      EXPECT_EQ(sum, evictable);
    }
  }
}

// ---- the queue

constexpr auto kNothing = [](int) { return false; };

template <typename Keep>
auto Next(ClockQueue<int>& queue, const Keep& keep) {
  size_t steps = 100;
  return queue.Next(steps, keep);
}

TEST(ClockQueue, TheOldestGoFirstAndThoseUsedAreSparedOnce) {
  ClockQueue<int> queue;
  std::vector<ClockQueue<int>::Place> places;
  for (int i = 0; i < 4; ++i) places.push_back(queue.Insert(i));
  queue.Use(places[0]);
  const auto take = [&]() -> std::optional<int> {
    const auto next = Next(queue, kNothing);
    if (!next) return std::nullopt;
    const int item = (*next)->item;
    queue.Erase(*next);
    return item;
  };
  EXPECT_THAT(take(), Optional(1));
  EXPECT_THAT(take(), Optional(2));
  EXPECT_THAT(take(), Optional(3));
  EXPECT_THAT(take(), Optional(0));
  EXPECT_EQ(take(), std::nullopt);
}

TEST(ClockQueue, WhatIsKeptIsPassedOverAndComesUpAgain) {
  ClockQueue<int> queue;
  for (int i = 0; i < 3; ++i) queue.Insert(i);
  const auto next = Next(queue, [](int item) { return item == 0; });
  ASSERT_TRUE(next);
  EXPECT_EQ((*next)->item, 1);
  queue.Erase(*next);
  queue.Insert(9);
  EXPECT_EQ((*Next(queue, kNothing))->item, 2);
  queue.Erase(*Next(queue, kNothing));
  EXPECT_EQ((*Next(queue, kNothing))->item, 0) << "before what came after it";
}

TEST(ClockQueue, LooksAtNoMoreThanItMay) {
  ClockQueue<int> queue;
  for (int i = 0; i < 10; ++i) queue.Insert(i);
  int looked = 0;
  size_t steps = 4;
  EXPECT_EQ(queue.Next(steps, [&](int) { return ++looked, true; }), std::nullopt);
  EXPECT_EQ(looked, 4);
  EXPECT_EQ(steps, 0u);
  EXPECT_EQ((*Next(queue, kNothing))->item, 4) << "goes on where it was";
}

TEST(ClockQueue, AReplacedItemKeepsItsPlaceAndMark) {
  ClockQueue<int> queue;
  const auto first = queue.Insert(1);
  queue.Insert(2);
  queue.Use(first);
  queue.Replace(first, 7);
  EXPECT_EQ((*Next(queue, kNothing))->item, 2);
  queue.Erase(*Next(queue, kNothing));
  EXPECT_EQ((*Next(queue, kNothing))->item, 7);
}

}  // namespace
}  // namespace larder::peers
