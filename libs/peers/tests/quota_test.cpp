#include "src/quota.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "larder/base/testing/status_matchers.h"

namespace larder::peers {
namespace {

using base::IsOk;
using base::StatusIs;
using object::Resource;
using testing::AllOf;
using testing::HasSubstr;

TEST(CheckQuota, NamesQuotaUseAndLimit) {
  EXPECT_THAT(CheckQuota("n", Resource::kMemory, 1, 0, UINT64_MAX / 2, 0), IsOk()) << "0 is no limit";
  EXPECT_THAT(CheckQuota("n", Resource::kMemory, 1, 2, 7, 10), IsOk());
  const absl::Status refused = CheckQuota("team", Resource::kDisk, 5 << 20, 1 << 20, 3 << 20, 8 << 20);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED"));
  EXPECT_THAT(base::Message(refused),
              AllOf(HasSubstr("'disk'"), HasSubstr("'team'"), HasSubstr("8 MiB"), HasSubstr("6 MiB in use"),
                    HasSubstr("1 MiB deleted"), HasSubstr("3 MiB more"), HasSubstr("quotas.team.disk")));
  EXPECT_THAT(base::Message(CheckQuota("n", Resource::kLeases, 3, 0, 1, 3)), HasSubstr("3 in use, 1 more"));
  EXPECT_THAT(CheckQuota("n", Resource::kMemory, 11, 0, 0, 10), StatusIs(absl::StatusCode::kResourceExhausted))
      << "over a quota that was lowered";
  EXPECT_THAT(CheckQuota("n", Resource::kMemory, 1, 0, UINT64_MAX, 10), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(ByteQuota, AddsUpAfterAnySequenceOfCalls) {
  ByteQuota table(Resource::kMemory);
  std::mt19937_64 random(3);
  std::vector<std::pair<std::string, ByteQuota::Charge>> charges;
  for (int step = 0; step < 5000; ++step) {
    const std::string ns = random() % 2 ? "a" : "b";
    switch (random() % 4) {
      case 0:
        charges.emplace_back(ns, table.Open(ns));
        break;
      case 1:
        if (charges.empty()) break;
        table.GrowTo(charges.back().second, random() % 500, {.limit = 5000, .held = random() % 100}).IgnoreError();
        break;
      case 2:
        if (!charges.empty()) table.Settle(charges[random() % charges.size()].second, random() % 300);
        break;
      default:
        if (charges.empty()) break;
        std::swap(charges[random() % charges.size()], charges.back());
        charges.pop_back();
    }
    uint64_t a = 0, b = 0;
    for (const auto& [of, charge] : charges) (of == "a" ? a : b) += charge.bytes();
    ASSERT_EQ(table.UseOf("a"), a);
    ASSERT_EQ(table.UseOf("b"), b);
  }
  charges.clear();
  EXPECT_EQ(table.UseOf("a") + table.UseOf("b"), 0u);
}

TEST(ByteQuota, ARefusalLeavesTheChargeAsItWas) {
  ByteQuota table(Resource::kMemory);
  ByteQuota::Charge charge = table.Open("a");
  ASSERT_THAT(table.GrowTo(charge, 60, {.limit = 100}), IsOk());
  EXPECT_THAT(table.GrowTo(charge, 101, {.limit = 100}), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(table.GrowTo(charge, 90, {.limit = 100, .held = 20}), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(charge.bytes(), 60u);
  EXPECT_THAT(table.GrowTo(charge, 10, {.limit = 1}), IsOk()) << "it has so much already";
  ByteQuota::Charge moved = std::move(charge);
  EXPECT_EQ(table.UseOf("a"), 60u);
  moved = table.Open("b");
  EXPECT_EQ(table.UseOf("a"), 0u);
}

}  // namespace
}  // namespace larder::peers
