#include "core/grants.h"

#include <gmock/gmock.h>

#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::StatusIs;
using object::Rights;
using object::Verb;
using testing::HasSubstr;

const Account kTrainer = {.ns = "team-a", .service_account = "trainer"};
const std::deque<Grant> kGrants = {
    {.ns = "team-a", .service_account = "trainer", .verbs = {"get", "list"}, .on = {"team-b"}},
    {.ns = "team-a", .service_account = "*", .verbs = {"put"}, .on = {"team-b", "team-c"}},
};

TEST(Grants, EverythingIsAllowedInOnesOwnNamespaceAndNothingElsewhere) {
  EXPECT_EQ(RightsOf({}, kTrainer, "team-a"), Rights::All());
  EXPECT_TRUE(RightsOf({}, kTrainer, "team-b").empty());
}

TEST(Grants, AddUp) {
  EXPECT_EQ(RightsOf(kGrants, kTrainer, "team-b"), (Rights{Verb::kGet, Verb::kList, Verb::kPut}));
  EXPECT_EQ(RightsOf(kGrants, kTrainer, "team-c"), Rights{Verb::kPut});
}

TEST(Grants, AreForTheirServiceAccountAndNamespaceAlone) {
  EXPECT_EQ(RightsOf(kGrants, {.ns = "team-a", .service_account = "other"}, "team-b"), Rights{Verb::kPut});
  EXPECT_TRUE(RightsOf(kGrants, {.ns = "team-x", .service_account = "trainer"}, "team-b").empty());
  EXPECT_TRUE(RightsOf(kGrants, {.ns = "team-b", .service_account = "trainer"}, "team-a").empty());
}

TEST(Grants, ThatNameOnesOwnNamespaceHoldInsteadOfEverything) {
  const std::deque<Grant> grants = {{.ns = "team-a", .service_account = "trainer", .verbs = {"get"}, .on = {"team-a"}}};
  EXPECT_EQ(RightsOf(grants, kTrainer, "team-a"), Rights{Verb::kGet});
  EXPECT_EQ(RightsOf(grants, {.ns = "team-a", .service_account = "other"}, "team-a"), Rights::All());
}

TEST(GrantTable, NamesTheGrantThatIsMissing) {
  const absl::Status denied = GrantTable({}).OwnerFor(kTrainer, false, "team-b").status();
  EXPECT_THAT(denied, StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"));
  EXPECT_THAT(base::Message(denied), HasSubstr("ServiceAccount team-a/trainer"));
  EXPECT_THAT(base::Message(denied), HasSubstr("on: [team-b]"));
}

TEST(GrantTable, ReadOnlyNarrowsAndNeverWidens) {
  GrantTable table(kGrants);
  EXPECT_EQ(table.OwnerFor(kTrainer, true, "")->rights, (Rights{Verb::kGet, Verb::kList}));
  // A session that may do nothing is none.
  EXPECT_THAT(table.OwnerFor(kTrainer, true, "team-c"), StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"));
}

TEST(Grants, ThatLeaveAPodNothingAnywhereKeepItOut) {
  EXPECT_THAT(MayCome({}, kTrainer, false), IsOk());
  EXPECT_THAT(MayCome({}, kTrainer, true), IsOk());
  // What names one's own namespace holds instead of everything.
  const std::deque<Grant> writes = {{.ns = "team-a", .service_account = "*", .verbs = {"put"}, .on = {"team-a"}}};
  EXPECT_THAT(MayCome(writes, kTrainer, false), IsOk());
  const absl::Status denied = MayCome(writes, kTrainer, true);
  EXPECT_THAT(denied, StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"));
  EXPECT_THAT(base::Message(denied), HasSubstr("`access: read`, may not get in namespace 'team-a'"));
  // Reading elsewhere is something.
  std::deque<Grant> reads = writes;
  reads.push_back({.ns = "team-a", .service_account = "trainer", .verbs = {"get"}, .on = {"team-b"}});
  EXPECT_THAT(MayCome(reads, kTrainer, true), IsOk());
  EXPECT_FALSE(MayCome(reads, {.ns = "team-a", .service_account = "other"}, true).ok());
}

TEST(GrantTable, ReplacedGrantsHoldAtOnce) {
  GrantTable table(kGrants);
  EXPECT_EQ(table.OwnerFor(kTrainer, false, "team-c")->rights, Rights{Verb::kPut});
  table.Replace({});
  EXPECT_THAT(table.OwnerFor(kTrainer, false, "team-c"), StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"));
}

}  // namespace
}  // namespace larder::cache_agent
