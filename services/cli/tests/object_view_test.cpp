#include "core/object_view.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/failure.h"
#include "core/progress.h"
#include "larder/base/error_table.h"
#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

object::ObjectInfo Sealed() {
  object::ObjectInfo info;
  info.id = {.ns = "team-a", .key = "models/m1"};
  info.state = object::ObjectState::kSealed;
  info.epoch = object::Epoch{7};
  info.size = 4 * base::kMiB;
  info.digest = base::Crc32cDigest(0xd22acaf1);
  info.meta = {.tags = {"x", "y"}, .application = "train", .wanted_replicas = 2, .piece_length = 1 << 20};
  info.ttl_left = std::chrono::milliseconds(59'500);
  info.tier = "hot";
  return info;
}

TEST(ObjectJson, HasTheContractsFieldsInItsOrder) {
  EXPECT_EQ(JsonText(ObjectJson({.info = Sealed()}, "node-0")),
            R"({"namespace":"team-a","key":"models/m1","state":"SEALED","size":4194304,"digest":"crc32c:d22acaf1",)"
            R"("epoch":7,"piece_length":1048576,"ttl_left_seconds":59.5,"wanted_replicas":2,"live_replicas":1,)"
            R"("locations":[{"node":"node-0","kind":"replica","tier":"hot","last_seen_seconds":0.0}],)"
            R"("staged_age_seconds":null,"pinned":false,"tags":["x","y"],"application":"train"})");
}

TEST(ObjectJson, SaysNullWhereThereIsNothing) {
  object::ObjectInfo info;
  info.id = {.ns = "default", .key = "k"};
  info.epoch = object::Epoch{1};
  const nlohmann::ordered_json json = ObjectJson({.info = info}, "node-0");
  EXPECT_EQ(json["state"], "CREATING");
  for (const char* field :
       {"size", "digest", "piece_length", "ttl_left_seconds", "staged_age_seconds", "application"}) {
    EXPECT_TRUE(json[field].is_null()) << field;
  }
  EXPECT_EQ(json["live_replicas"], 0);
  EXPECT_TRUE(json["locations"].empty());
}

TEST(ImportJson, IsTheFirstSixFieldsWithAckAndDurability) {
  EXPECT_EQ(JsonText(ImportJson(Sealed(), object::AckPolicy::kLocal, object::Durability::kMemory)),
            R"({"namespace":"team-a","key":"models/m1","state":"SEALED","size":4194304,"digest":"crc32c:d22acaf1",)"
            R"("epoch":7,"ack":"local","durability":"memory"})");
  EXPECT_TRUE(ImportJson(Sealed(), object::AckPolicy::kLocal, std::nullopt)["durability"].is_null());
}

TEST(JsonText, ReplacesWhatIsNotUtf8) { EXPECT_EQ(JsonText("a\xff"), "\"a\xef\xbf\xbd\""); }

TEST(ListCells, AlignUnderTheirTitles) {
  const std::vector<Column> columns = ListColumns(false);
  EXPECT_EQ(TableHead(columns), "      SIZE     TTL  PINNED  KEY");
  EXPECT_EQ(TableRow(columns, ListCells(Sealed(), false)), "     4 MiB    60 s  -       models/m1");
}

TEST(ListCells, WideOnesAddTierEpochAndDigest) {
  EXPECT_EQ(ListColumns(true).size(), ListCells(Sealed(), true).size());
  EXPECT_THAT(TableRow(ListColumns(true), ListCells(Sealed(), true)), HasSubstr("crc32c:d22acaf1"));
}

TEST(ListCells, ControlCharactersInAKeyDoNotReachTheTerminal) {
  object::ObjectInfo info = Sealed();
  info.id.key = "a\n\x1b[2Jb";
  EXPECT_EQ(ListCells(info, false).back(), "a\\n\\x1b[2Jb");
}

TEST(Description, NamesReplicasAndPlace) {
  const std::string alone = Description({.info = Sealed()}, "node-0", false);
  EXPECT_THAT(alone, HasSubstr("Replicas      1 live, 2 wanted"));
  EXPECT_THAT(alone, HasSubstr("Location      node-0 (replica, hot)"));
}

TEST(Description, TellsWhatTheClusterKnows) {
  object::Placement placement{
      .locations = {{.node = "node-0", .kind = "staged", .live = true},
                    {.node = "node-1", .kind = "replica", .last_seen = std::chrono::minutes(5)}},
      .live_replicas = 1,
      .conflict = true};
  const std::string text = Description({.info = Sealed(), .placement = placement}, "node-0", false);
  EXPECT_THAT(text, HasSubstr("Location      node-0 (staged, hot)\n"));
  EXPECT_THAT(text, HasSubstr("Location      node-1 (replica, not seen for 5 min)\n"));
  EXPECT_THAT(text, HasSubstr("Conflict      node-0 has another object of this name"));
  placement.staged_age = std::chrono::seconds(2);
  const nlohmann::ordered_json json = ObjectJson({.info = Sealed(), .placement = placement}, "node-0");
  EXPECT_EQ(json["locations"].size(), 2u);
  EXPECT_EQ(json["locations"][1]["tier"], nullptr);
  EXPECT_EQ(json["staged_age_seconds"], 2.0);
}

TEST(ObjectJson, OfAListOfTheClusterDoesNotKnowTheCopies) {
  object::ObjectInfo info = Sealed();
  info.tier.clear();
  const nlohmann::ordered_json json = ObjectJson({.info = info}, "node-0");
  EXPECT_TRUE(json["live_replicas"].is_null());
  EXPECT_TRUE(json["locations"].is_null());
}

TEST(ProgressText, TellsBytesShareRateAndTimeLeft) {
  EXPECT_EQ(ProgressText(10 * base::kMiB, 40 * base::kMiB, std::chrono::seconds(1)),
            "10 MiB of 40 MiB (25 %), 10 MiB/s, 3 s left");
  EXPECT_EQ(ProgressText(10 * base::kMiB, std::nullopt, std::chrono::seconds(2)), "10 MiB, 5 MiB/s");
  EXPECT_EQ(ProgressText(0, 10, base::Duration(0)), "0 B of 10 B (0 %), 0 B/s");
  EXPECT_THAT(ProgressText(10, 10, std::chrono::seconds(1)), Not(HasSubstr("left")));
}

TEST(FailureLine, IsOneLineThatSaysWhatToDo) {
  const absl::Status status = base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "there is no\nobject");
  EXPECT_EQ(FailureLine(base::Annotate(status, "stat")),
            "larder: stat: there is no\\nobject (larder list shows what is there)");
  EXPECT_EQ(FailureLine(base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "none (try x)")), "larder: none (try x)");
}

TEST(ExitCode, IsTheErrorTables) {
  for (const base::ErrorRow& row : base::ErrorTable()) {
    EXPECT_EQ(ExitCode(absl::Status(row.code, "x")), row.exit_code) << row.name;
  }
}

TEST(LocalFileError, IsBadInputUnlessTheDiskIsFull) {
  EXPECT_EQ(ExitCode(LocalFileError(base::ErrnoError(ENOENT, "open x"))), 2);
  EXPECT_EQ(ExitCode(LocalFileError(base::ErrnoError(EACCES, "open x"))), 2);
  EXPECT_EQ(ExitCode(LocalFileError(base::ErrnoError(ENOSPC, "write x"))), 6);
  EXPECT_EQ(base::Reason(LocalFileError(base::ErrnoError(ENOENT, "open x"))), "ENOENT");
}

}  // namespace
}  // namespace larder::cli
