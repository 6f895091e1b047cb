// What both tables promise.
#include "core/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/memory_table.h"
#include "core/rocks_table.h"
#include "larder/base/testing/status_matchers.h"
#include "tests/temp_rocks.h"

namespace larder::tracker {
namespace {

using base::IsOk;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

using Rows = std::vector<std::pair<std::string, std::string>>;

Rows All(Reader& reader, std::string_view prefix = "", std::string_view from = "") {
  Rows rows;
  reader.Scan(prefix, from, [&](std::string_view key, std::string_view value) {
    rows.emplace_back(key, value);
    return true;
  });
  EXPECT_THAT(reader.status(), IsOk());
  return rows;
}

// Parameter: whether it is RocksDB's.
class TableContract : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam()) {
      table_ = rocks_.Open();
    } else {
      table_ = std::make_unique<MemoryTable>();
    }
  }
  void Commit(const Rows& rows) {
    const auto batch = table_->NewBatch();
    for (const auto& [key, value] : rows) batch->Put(key, value);
    ASSERT_THAT(batch->Commit(), IsOk());
  }

  TempRocks rocks_;
  std::unique_ptr<Table> table_;
};

TEST_P(TableContract, ABatchReadsItsOwnWrites) {
  Commit({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  const auto batch = table_->NewBatch();
  batch->Put("b", "two");
  batch->Delete("c");
  batch->Put("d", "4");
  EXPECT_THAT(batch->Get("b"), Optional(std::string("two")));
  EXPECT_EQ(batch->Get("c"), std::nullopt);
  EXPECT_THAT(All(*batch), ElementsAre(Pair("a", "1"), Pair("b", "two"), Pair("d", "4")));
  batch->Put("c", "back");
  EXPECT_THAT(All(*batch, "", "c"), ElementsAre(Pair("c", "back"), Pair("d", "4")));
}

TEST_P(TableContract, ABatchScansItsChangesAmongTheRowsInOrder) {
  Commit({{"b", "1"}, {"d", "1"}, {"f", "1"}});
  const auto batch = table_->NewBatch();
  batch->Put("f", "0");
  EXPECT_EQ(batch->Get("d"), "1");
  EXPECT_EQ(batch->Get("c"), std::nullopt);
  EXPECT_THAT(All(*batch), ElementsAre(Pair("b", "1"), Pair("d", "1"), Pair("f", "0")));
  batch->Put("a", "2");
  batch->Put("c", "2");
  batch->Delete("d");
  batch->Delete("e");
  batch->Put("f", "2");
  batch->Put("g", "2");
  batch->Put("h", "2");
  batch->Delete("h");
  EXPECT_THAT(All(*batch), ElementsAre(Pair("a", "2"), Pair("b", "1"), Pair("c", "2"), Pair("f", "2"), Pair("g", "2")));
  EXPECT_THAT(All(*batch, "c"), ElementsAre(Pair("c", "2")));
  EXPECT_THAT(All(*batch, "", "cc"), ElementsAre(Pair("f", "2"), Pair("g", "2")));
  for (size_t enough = 1; enough <= 5; ++enough) {
    size_t seen = 0;
    batch->Scan("", "", [&](std::string_view, std::string_view) { return ++seen < enough; });
    EXPECT_EQ(seen, enough);
  }
  ASSERT_THAT(batch->Commit(), IsOk());
  EXPECT_THAT(All(*table_->NewSnapshot()),
              ElementsAre(Pair("a", "2"), Pair("b", "1"), Pair("c", "2"), Pair("f", "2"), Pair("g", "2")));
}

TEST_P(TableContract, NothingOfABatchIsSeenBeforeItsCommit) {
  Commit({{"a", "1"}});
  const auto batch = table_->NewBatch();
  batch->Put("a", "2");
  batch->Put("b", "2");
  EXPECT_THAT(All(*table_->NewSnapshot()), ElementsAre(Pair("a", "1")));
  ASSERT_THAT(batch->Commit(), IsOk());
  EXPECT_THAT(All(*table_->NewSnapshot()), ElementsAre(Pair("a", "2"), Pair("b", "2")));
}

TEST_P(TableContract, ABatchThatIsDroppedChangesNothing) {
  Commit({{"a", "1"}});
  table_->NewBatch()->Delete("a");
  EXPECT_THAT(All(*table_->NewSnapshot()), ElementsAre(Pair("a", "1")));
}

TEST_P(TableContract, ASnapshotStaysAsItWas) {
  Commit({{"a", "1"}, {"b", "1"}});
  const auto before = table_->NewSnapshot();
  const auto batch = table_->NewBatch();
  batch->Put("a", "2");
  batch->Delete("b");
  ASSERT_THAT(batch->Commit(), IsOk());
  EXPECT_THAT(before->Get("b"), Optional(std::string("1")));
  EXPECT_THAT(All(*before), ElementsAre(Pair("a", "1"), Pair("b", "1")));
  EXPECT_THAT(All(*table_->NewSnapshot()), ElementsAre(Pair("a", "2")));
}

TEST_P(TableContract, ScanGoesByBytesWithinThePrefixFromAKeyOn) {
  using namespace std::string_literals;
  Commit({{"p\xff"s, "3"}, {"p\0"s, "1"}, {"p"s, "0"}, {"pa"s, "2"}, {"o"s, "-"}, {"q"s, "-"}});
  EXPECT_THAT(All(*table_->NewSnapshot(), "p"),
              ElementsAre(Pair("p", "0"), Pair("p\0"s, "1"), Pair("pa", "2"), Pair("p\xff", "3")));
  EXPECT_THAT(All(*table_->NewSnapshot(), "p", "pa"), ElementsAre(Pair("pa", "2"), Pair("p\xff", "3")));
  EXPECT_THAT(All(*table_->NewSnapshot(), "p", "a"), testing::SizeIs(4)) << "a start before the prefix";
  EXPECT_THAT(All(*table_->NewSnapshot(), "r"), IsEmpty());
}

TEST_P(TableContract, AVisitorMayReadAndScan) {
  Commit({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  const auto snapshot = table_->NewSnapshot();
  Rows seen;
  for (int i = 0; i < 2; ++i) {
    snapshot->Scan("", "", [&](std::string_view key, std::string_view value) {
      for (const auto& [inner, of] : All(*snapshot, "", "b")) seen.emplace_back(std::string(key) + inner, of);
      EXPECT_EQ(snapshot->Get(key), value);
      return key != "b";
    });
  }
  const auto once = {Pair("ab", "2"), Pair("ac", "3"), Pair("bb", "2"), Pair("bc", "3")};
  EXPECT_THAT(Rows(seen.begin(), seen.begin() + 4), testing::ElementsAreArray(once));
  EXPECT_THAT(Rows(seen.begin() + 4, seen.end()), testing::ElementsAreArray(once));
}

TEST_P(TableContract, ScanEndsWhenTheVisitorHasEnough) {
  Commit({{"a", "1"}, {"b", "2"}});
  int seen = 0;
  const auto count = [&seen](std::string_view, std::string_view) { return ++seen < 1; };
  table_->NewSnapshot()->Scan("", "", count);
  table_->NewBatch()->Scan("", "", count);
  EXPECT_EQ(seen, 2);
}

TEST_P(TableContract, AfterAFailureNothingIsCommitted) {
  const auto batch = table_->NewBatch();
  batch->Put("a", "1");
  batch->Fail(absl::DataLossError("first"));
  batch->Fail(absl::InternalError("second"));
  EXPECT_EQ(batch->Commit(), absl::DataLossError("first"));
  EXPECT_THAT(All(*table_->NewSnapshot()), IsEmpty());
}

TEST_P(TableContract, DigestTellsRowsApart) {
  std::set<base::Sha256Digest> seen;
  const auto digest = [&] { return DigestOf(*table_->NewSnapshot()); };
  seen.insert(digest());
  Commit({{"ab", "c"}});
  const auto first = digest();
  seen.insert(first);
  Commit({{"ab", "d"}});
  seen.insert(digest());
  const auto batch = table_->NewBatch();
  batch->Delete("ab");
  batch->Put("a", "bc");
  ASSERT_THAT(batch->Commit(), IsOk());
  seen.insert(digest());
  EXPECT_THAT(seen, testing::SizeIs(4));
  const auto again = table_->NewBatch();
  again->Delete("a");
  again->Put("ab", "c");
  ASSERT_THAT(again->Commit(), IsOk());
  EXPECT_EQ(digest(), first);
}

INSTANTIATE_TEST_SUITE_P(Tables, TableContract, testing::Bool(),
                         [](const auto& info) { return info.param ? "Rocks" : "Memory"; });

TEST(RocksTable, FlushedRowsSurviveAndWholeBatchesOnly) {
  TempRocks rocks;
  const auto table = rocks.Open();
  const auto put = [&table](std::string_view value) {
    const auto batch = table->NewBatch();
    batch->Put("a", value);
    batch->Put("b", value);
    ASSERT_THAT(batch->Commit(), IsOk());
  };
  put("flushed");
  ASSERT_THAT(table->Flush(), IsOk());
  put("not flushed");
  const auto after_crash = rocks.OpenAsAfterACrash();
  EXPECT_THAT(All(*after_crash->NewSnapshot()), ElementsAre(Pair("a", "flushed"), Pair("b", "flushed")));
}

TEST(RocksTable, ADirectoryInUseIsRefusedByName) {
  TempRocks rocks;
  const auto table = rocks.Open();
  const auto again = RocksTable::Open(rocks.directory());
  ASSERT_FALSE(again.ok());
  EXPECT_THAT(std::string(again.status().message()), testing::HasSubstr(rocks.directory().string()));
}

}  // namespace
}  // namespace larder::tracker
