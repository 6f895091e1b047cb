#include "src/session_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "larder/base/clock.h"

namespace larder::peers {
namespace {

constexpr base::Duration kTtl = std::chrono::seconds(30);

// A session that takes leases and lets them lapse, round after round, and is never renewed.
std::vector<object::LeaseId> LapseMany(SessionTable& table, object::SessionId session, size_t count,
                                       base::MonotonicTime& now) {
  std::vector<object::LeaseId> leases;
  for (size_t i = 0; i < count; ++i) leases.push_back(table.Grant(session, now));
  now += 2 * kTtl;
  EXPECT_EQ(table.Expire(now).size(), 1u);
  return leases;
}

TEST(SessionTable, TellsOfAllThatLapsedThoughNotOfAllAtOnce) {
  SessionTable table(kTtl);
  base::MonotonicTime now{};
  const object::SessionId session = table.Open("a", {}, now);
  std::vector<object::LeaseId> lapsed = LapseMany(table, session, 2 * SessionTable::kLapsedAtOnce + 1, now);
  std::vector<object::LeaseId> told;
  for (size_t size : {SessionTable::kLapsedAtOnce, SessionTable::kLapsedAtOnce, size_t{1}, size_t{0}}) {
    const auto some = table.Renew(session, now);
    ASSERT_TRUE(some);
    EXPECT_EQ(some->size(), size);
    told.insert(told.end(), some->begin(), some->end());
  }
  EXPECT_THAT(told, testing::UnorderedElementsAreArray(lapsed));
}

TEST(SessionTable, WhoNeverRenewsIsRememberedTheLatestThatLapsed) {
  SessionTable table(kTtl);
  base::MonotonicTime now{};
  const object::SessionId session = table.Open("a", {}, now);
  LapseMany(table, session, SessionTable::kLapsedKept, now);
  const std::vector<object::LeaseId> latest = LapseMany(table, session, SessionTable::kLapsedKept, now);
  std::vector<object::LeaseId> told;
  for (auto some = table.Renew(session, now); some && !some->empty(); some = table.Renew(session, now)) {
    told.insert(told.end(), some->begin(), some->end());
  }
  EXPECT_EQ(told.size(), SessionTable::kLapsedKept);
  EXPECT_THAT(told, testing::Contains(latest.front()));
}

}  // namespace
}  // namespace larder::peers
