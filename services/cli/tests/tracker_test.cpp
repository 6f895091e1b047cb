#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/tracker_view.h"
#include "larder/base/status.h"

namespace larder::cli {
namespace {

namespace pb = larder::tracker::v1;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TrackerAnswer Member(uint64_t id, pb::MemberRole role = pb::MEMBER_ROLE_FOLLOWER, uint64_t term = 5) {
  pb::StatusResponse status;
  status.set_member(id);
  status.set_role(role);
  status.set_term(term);
  status.set_last_index(100);
  status.set_committed_index(90);
  status.set_applied_index(80);
  status.set_log_bytes(4096);
  status.set_voter(true);
  return {.address = "tracker-" + std::to_string(id) + ":7410", .status = status};
}

TrackerAnswer Leader(uint64_t id, const std::map<uint64_t, uint64_t>& matched, uint64_t term = 5) {
  TrackerAnswer leader = Member(id, pb::MEMBER_ROLE_LEADER, term);
  for (const auto& [member, index] : matched) {
    pb::Member& known = *leader.status->add_members();
    known.set_id(member);
    known.set_matched_index(index);
  }
  return leader;
}

TrackerAnswer Silent(const std::string& address) {
  return {.address = address, .status = base::Error(absl::StatusCode::kUnavailable, "NO_TRACKER", "nothing answers")};
}

std::vector<std::optional<uint64_t>> Ids(const std::vector<TrackerRow>& rows) {
  std::vector<std::optional<uint64_t>> ids;
  for (const TrackerRow& row : rows) ids.push_back(row.id);
  return ids;
}
std::vector<std::optional<uint64_t>> Lags(const std::vector<TrackerRow>& rows) {
  std::vector<std::optional<uint64_t>> lags;
  for (const TrackerRow& row : rows) lags.push_back(row.lag);
  return lags;
}

TEST(TrackerRows, TellEachMembersOwnWordAndTheLeadersOfItsLag) {
  const std::vector<TrackerAnswer> answers = {Member(3), Leader(1, {{1, 100}, {2, 97}, {3, 40}}), Member(2)};
  const auto rows = TrackerRows(answers);
  EXPECT_THAT(Ids(rows), ElementsAre(3, 1, 2)) << "in the order asked";
  EXPECT_THAT(Lags(rows), ElementsAre(60, 0, 3));
  EXPECT_EQ(rows[0].status->committed_index(), 90u);
}

TEST(TrackerRows, OneThatDoesNotAnswerIsTheOneThatTheLeaderKnowsBeside) {
  const std::vector<TrackerAnswer> answers = {Silent("a:1"), Leader(1, {{1, 100}, {2, 100}, {3, 70}}), Member(2)};
  const auto rows = TrackerRows(answers);
  EXPECT_THAT(Ids(rows), ElementsAre(3, 1, 2));
  EXPECT_EQ(rows[0].address, "a:1");
  EXPECT_EQ(rows[0].lag, 30u);
  EXPECT_FALSE(rows[0].status.has_value());
  EXPECT_EQ(rows[0].trouble, "nothing answers");
}

TEST(TrackerRows, WhoIsWhoIsNotGuessed) {
  const std::vector<TrackerAnswer> answers = {Silent("a:1"), Leader(1, {{1, 100}, {2, 100}, {3, 70}}), Silent("b:1")};
  EXPECT_THAT(Ids(TrackerRows(answers)), ElementsAre(std::nullopt, 1, std::nullopt));
}

TEST(TrackerRows, AMemberThatWasNotAskedHasARow) {
  const std::vector<TrackerAnswer> answers = {Silent("a:1"), Leader(1, {{1, 100}, {2, 100}, {3, 70}})};
  const auto rows = TrackerRows(answers);
  EXPECT_THAT(Ids(rows), ElementsAre(std::nullopt, 1, 2, 3));
  EXPECT_THAT(rows[3].address, IsEmpty());
  EXPECT_EQ(rows[3].lag, 30u);
  EXPECT_THAT(rows[3].trouble, testing::HasSubstr("not asked"));
}

TEST(TrackerRows, WithoutALeaderNobodyKnowsALag) {
  const std::vector<TrackerAnswer> answers = {Silent("a:1"), Member(2, pb::MEMBER_ROLE_CANDIDATE)};
  const auto rows = TrackerRows(answers);
  EXPECT_THAT(Ids(rows), ElementsAre(std::nullopt, 2));
  EXPECT_THAT(Lags(rows), ElementsAre(std::nullopt, std::nullopt));
}

TEST(TrackerRows, ALeaderThatWasReplacedIsNotBelieved) {
  const std::vector<TrackerAnswer> answers = {Leader(1, {{1, 100}, {2, 10}}, 4), Leader(2, {{1, 90}, {2, 100}}, 5)};
  EXPECT_THAT(Lags(TrackerRows(answers)), ElementsAre(10, 0));
}

TEST(TrackerRows, AreShownAsCellsAndAsJson) {
  const std::vector<TrackerAnswer> answers = {Leader(1, {{1, 100}, {2, 60}}), Silent("a:1")};
  const auto rows = TrackerRows(answers);
  EXPECT_THAT(TrackerCells(rows[0], false),
              ElementsAre("1", "tracker-1:7410", "leader", "5", "90", "80", "0", "4 KiB", "yes"));
  EXPECT_THAT(TrackerCells(rows[1], false),
              ElementsAre("2", "a:1", "-", "-", "-", "-", "40", "-", "no: nothing answers"));
  for (const bool wide : {false, true}) {
    EXPECT_THAT(TrackerCells(rows[0], wide), SizeIs(TrackerColumns(wide).size()));
    EXPECT_THAT(TrackerCells(rows[1], wide), SizeIs(TrackerColumns(wide).size()));
  }
  const auto said = TrackerJson(rows[0]);
  EXPECT_EQ(said["role"], "leader");
  EXPECT_EQ(said["log_bytes"], 4096);
  EXPECT_TRUE(said["error"].is_null());
  const auto silent = TrackerJson(rows[1]);
  EXPECT_EQ(silent["id"], 2);
  EXPECT_EQ(silent["reachable"], false);
  EXPECT_EQ(silent["lag_entries"], 40);
  EXPECT_TRUE(silent["term"].is_null());
  EXPECT_EQ(silent["error"], "nothing answers");
  EXPECT_EQ(said.size(), silent.size()) << "the same names in both";
}

}  // namespace
}  // namespace larder::cli
