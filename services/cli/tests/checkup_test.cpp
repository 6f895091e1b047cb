#include "core/checkup.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/failure.h"
#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/units.h"

namespace larder::cli {
namespace {

namespace pb = larder::agent::v1;
using base::kGiB;
using base::kMiB;
using base::StatusIs;
using object::Finding;
using testing::HasSubstr;
using Verdict = Finding::Verdict;

TEST(CheckVersion, NeighbouringReleasesFit) {
  for (const auto& [own, agents] :
       {std::pair("0.1.0", "0.1.0"), std::pair("0.1.0", "0.1.7"), std::pair("1.4.0", "1.3.9"),
        std::pair("1.4.0", "1.5.0"), std::pair("custom", "custom")}) {
    EXPECT_EQ(CheckVersion(own, agents).verdict, Verdict::kOk) << own << " " << agents;
  }
}

TEST(CheckVersion, OthersAreAWarning) {
  for (const auto& [own, agents] :
       {std::pair("0.3.0", "0.1.0"), std::pair("1.0.0", "0.9.0"), std::pair("0.1.0", ""), std::pair("0.1.0", "1")}) {
    const Finding found = CheckVersion(own, agents);
    EXPECT_EQ(found.verdict, Verdict::kWarning) << own << " " << agents;
    EXPECT_EQ(found.topic, "#versions");
  }
}

TEST(CheckClock, WhatTheQuestionTookIsNoDifference) {
  const base::WallTime asked{std::chrono::seconds(100)}, answered{std::chrono::seconds(110)};
  EXPECT_EQ(CheckClock(base::WallTime{std::chrono::seconds(99)}, asked, answered).verdict, Verdict::kOk);
  EXPECT_EQ(CheckClock(base::WallTime{std::chrono::seconds(111)}, asked, answered).verdict, Verdict::kOk);
  const Finding behind = CheckClock(base::WallTime{std::chrono::seconds(40)}, asked, answered);
  EXPECT_EQ(behind.verdict, Verdict::kWarning);
  EXPECT_THAT(behind.what, HasSubstr("60 s behind"));
  EXPECT_THAT(CheckClock(base::WallTime{std::chrono::seconds(120)}, asked, answered).what, HasSubstr("10 s before"));
}

// An agent that is well.
class Checkup : public testing::Test {
 protected:
  Checkup() {
    pb::ArenaUse& arena = *status_.mutable_arena();
    arena.set_limit_bytes(kGiB);
    arena.set_free_bytes(kGiB);
    arena.set_recycles(true);
    status_.set_namespace_("a");
    status_.add_namespaces()->set_namespace_("a");
    status_.mutable_open_files()->set_limit(10'000);
    status_.mutable_open_files()->set_used(100);
    status_.mutable_disk()->set_data_dir("/data");
    status_.mutable_disk()->set_total_bytes(100 * kGiB);
    status_.mutable_disk()->set_free_bytes(50 * kGiB);
  }
  Finding Of(const std::string& name) {
    for (const Finding& finding : CheckStatus(status_)) {
      if (finding.name == name) return finding;
    }
    ADD_FAILURE() << "nothing looks at " << name;
    return {};
  }
  void ExpectWarning(const std::string& name, const std::string& topic) {
    const Finding finding = Of(name);
    EXPECT_EQ(finding.verdict, Verdict::kWarning) << FindingLine(finding);
    EXPECT_EQ(finding.topic, topic);
    EXPECT_NE(finding.remedy, "");
  }
  pb::StatusResponse status_;
};

TEST_F(Checkup, AnAgentThatIsWellHasOnlyGoodFindings) {
  for (const Finding& finding : CheckStatus(status_)) EXPECT_EQ(finding.verdict, Verdict::kOk) << FindingLine(finding);
}

TEST_F(Checkup, AMemberIsWellAndToldWhoAnswersForIt) {
  pb::MembershipStatus& membership = *status_.mutable_membership();
  membership.set_state(pb::MEMBERSHIP_STATE_MEMBER);
  membership.set_node_epoch(5);
  EXPECT_EQ(Of("cluster").verdict, Verdict::kOk);
  EXPECT_THAT(Of("cluster").what, HasSubstr("node epoch 5, by the tracker's word"));
  membership.set_peer_managers(2);
  membership.set_peer_managers_connected(2);
  EXPECT_EQ(Of("cluster").verdict, Verdict::kOk);
  membership.set_peer_managers_connected(1);
  ExpectWarning("cluster", "#cluster");
  EXPECT_THAT(Of("cluster").what, HasSubstr("1 of 2 peer managers answer"));
}

TEST_F(Checkup, ANodeThatJoinsIsAWarningAndOneThatIsFencedAFailure) {
  pb::MembershipStatus& membership = *status_.mutable_membership();
  membership.set_state(pb::MEMBERSHIP_STATE_JOINING);
  membership.set_why("no tracker has registered it");
  ExpectWarning("cluster", "#cluster");
  membership.set_state(pb::MEMBERSHIP_STATE_FENCED);
  membership.set_why("nobody answered it");
  const Finding fenced = Of("cluster");
  EXPECT_EQ(fenced.verdict, Verdict::kFailure);
  EXPECT_EQ(fenced.code, absl::StatusCode::kUnavailable);
  EXPECT_EQ(fenced.what, "nobody answered it");
  EXPECT_EQ(fenced.topic, "#cluster");
}

TEST_F(Checkup, AFullArenaIsAWarningWithWhatTheNamespaceMayDo) {
  status_.mutable_arena()->set_free_bytes(kGiB / 100);
  ExpectWarning("arena", "#full-arena");
  EXPECT_THAT(Of("arena").remedy, HasSubstr("evict_last"));
  status_.mutable_namespaces(0)->set_evict_last(true);
  ExpectWarning("arena", "#full-arena");
  EXPECT_THAT(Of("arena").remedy, testing::Not(HasSubstr("evict_last")));
}

TEST_F(Checkup, WhatOnlyMovedObjectsMayUseIsNotFree) {
  status_.mutable_arena()->set_free_bytes(kGiB / 5);
  EXPECT_EQ(Of("arena").verdict, Verdict::kOk);
  status_.mutable_arena()->set_reserved_bytes(kGiB / 5);
  ExpectWarning("arena", "#full-arena");
}

TEST_F(Checkup, MuchQuarantineIsAWarning) {
  status_.mutable_arena()->set_quarantined_bytes(kGiB / 10 - kMiB);
  EXPECT_EQ(Of("quarantine").verdict, Verdict::kOk);
  status_.mutable_arena()->set_quarantined_bytes(kGiB / 10 + kMiB);
  ExpectWarning("quarantine", "#quarantine");
}

TEST_F(Checkup, MuchWasteIsAWarning) {
  status_.mutable_arena()->set_wasted_bytes(kGiB / 4 + 1);
  ExpectWarning("waste", "#fragmentation");
}

TEST_F(Checkup, MemoryThatCannotBeUsedAgainIsAWarning) {
  status_.mutable_arena()->set_recycles(false);
  ExpectWarning("recycling", "#kernel");
}

TEST_F(Checkup, AQuotaThatIsNearlyUsedUpIsAWarning) {
  status_.mutable_namespaces(0)->set_bytes(96 * kMiB);
  EXPECT_EQ(Of("quota").verdict, Verdict::kOk) << "no quota";
  status_.mutable_namespaces(0)->set_limit_bytes(100 * kMiB);
  ExpectWarning("quota", "#quotas");
}

TEST_F(Checkup, FewOpenFilesAreAWarningHoweverTheyCame) {
  status_.mutable_open_files()->set_used(9'000);
  ExpectWarning("open files", "#open-files");
  status_.mutable_open_files()->set_used(10);
  status_.mutable_open_files()->set_limit(1'024);
  ExpectWarning("open files", "#open-files");
  status_.mutable_open_files()->set_limit(UINT64_MAX);
  EXPECT_EQ(Of("open files").verdict, Verdict::kOk);
}

TEST_F(Checkup, ADiskWarnsWhenItIsLowAndFailsWhenItIsFull) {
  status_.mutable_disk()->set_free_bytes(4 * kGiB);
  ExpectWarning("disk", "#full-disk");
  status_.mutable_disk()->set_free_bytes(kMiB);
  EXPECT_EQ(Of("disk").verdict, Verdict::kFailure);
  EXPECT_EQ(Of("disk").code, absl::StatusCode::kResourceExhausted);
  status_.mutable_disk()->set_total_bytes(0);
  EXPECT_EQ(Of("disk").verdict, Verdict::kOk) << "a file system that does not tell";
}

TEST_F(Checkup, ADiskWarnsWhenItsOwnLimitIsNear) {
  status_.mutable_disk()->set_limit_bytes(kGiB);
  status_.mutable_disk()->set_used_bytes(kGiB - kMiB);
  ExpectWarning("disk", "#full-disk");
}

TEST_F(Checkup, DamagedObjectsAreAWarning) {
  status_.mutable_counters()->set_damaged(1);
  ExpectWarning("damage", "#damaged-objects");
}

TEST(CheckControl, AdvisesByTheReason) {
  const auto topic = [](absl::StatusCode code, std::string_view reason) {
    const Finding found = CheckControl(base::MakeError(code, reason, "as it was"));
    EXPECT_EQ(found.verdict, Verdict::kFailure);
    EXPECT_EQ(found.code, code);
    return found.topic;
  };
  EXPECT_EQ(topic(absl::StatusCode::kUnavailable, "NO_AGENT"), "#no-control");
  EXPECT_EQ(topic(absl::StatusCode::kUnavailable, "NO_ANSWER"), "#no-answer");
  EXPECT_EQ(topic(absl::StatusCode::kUnimplemented, "OLD_AGENT"), "#versions");
  EXPECT_EQ(topic(absl::StatusCode::kPermissionDenied, "NO_TOKEN"), "#callers");
  EXPECT_EQ(topic(absl::StatusCode::kPermissionDenied, "UNKNOWN_POD"), "#callers");
  EXPECT_EQ(topic(absl::StatusCode::kPermissionDenied, "FOREIGN_NAMESPACE"), "#namespaces");
}

TEST(FindingLine, SaysWhatToDoUnlessAllIsWell) {
  EXPECT_EQ(FindingLine({.name = "clock", .what = "agrees"}), "ok    clock          agrees");
  const Finding bad = {.verdict = Verdict::kFailure,
                       .name = "disk",
                       .what = "full\n",
                       .remedy = "free some",
                       .topic = "#full-disk",
                       .code = absl::StatusCode::kResourceExhausted};
  EXPECT_EQ(FindingLine(bad), "fail  disk           full\\n (free some; docs/troubleshooting.md#full-disk)");
  const auto json = FindingJson(bad);
  EXPECT_EQ(json["verdict"], "fail");
  EXPECT_EQ(json["see"], "docs/troubleshooting.md#full-disk");
  EXPECT_EQ(json["code"], "RESOURCE_EXHAUSTED");
  EXPECT_TRUE(FindingJson({.name = "clock"})["remedy"].is_null());
}

TEST(Conclusion, IsTheFirstFailureAndWarningsAreNone) {
  const Finding warning = {.verdict = Verdict::kWarning, .name = "w"};
  EXPECT_TRUE(Conclusion({{.name = "a"}, warning}).ok());
  const Finding first = {.verdict = Verdict::kFailure,
                         .name = "socket",
                         .what = "stale",
                         .remedy = "start it",
                         .code = absl::StatusCode::kUnavailable};
  const Finding second = {.verdict = Verdict::kFailure, .name = "disk", .code = absl::StatusCode::kResourceExhausted};
  const absl::Status ended = Conclusion({warning, first, second});
  EXPECT_THAT(ended, StatusIs(absl::StatusCode::kUnavailable, "CHECK_FAILED"));
  EXPECT_EQ(ExitCode(ended), 7);
  EXPECT_EQ(FailureLine(ended), "larder: socket: stale (start it)");
}

}  // namespace
}  // namespace larder::cli
