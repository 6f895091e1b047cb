#include "background/record_count.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/layout.h"
#include "core/memory_table.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::tracker {
namespace {

using base::IsOkAndHolds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

std::vector<std::pair<std::string, uint64_t>> Told(const RecordCounts& counts) {
  std::vector<std::pair<std::string, uint64_t>> told;
  for (const RecordCounts::Count& count : counts.Largest()) told.emplace_back(count.ns, count.records);
  return told;
}

TEST(RecordCounts, TellNothingBeforeAllAreCounted) {
  RecordCounts counts;
  counts.Add({{"a", 2}, {"b", -1}});
  EXPECT_THAT(Told(counts), IsEmpty());
  counts.Add({{"b", 4}});
  counts.Complete();
  EXPECT_THAT(Told(counts), ElementsAre(Pair("a", 2), Pair("b", 3)));
  counts.Add({{"a", -2}});
  EXPECT_THAT(Told(counts), ElementsAre(Pair("b", 3))) << "a namespace without objects is none";
}

TEST(RecordCounts, TellTheLargestNamespacesApartAndTheRestTogether) {
  RecordCounts counts;
  counts.Complete();
  for (size_t i = 0; i < RecordCounts::kTold; ++i) counts.Add({{"large" + std::to_string(i), 10}});
  EXPECT_EQ(Told(counts).size(), RecordCounts::kTold);
  counts.Add({{"a", 3}, {"z", 4}});
  const auto told = Told(counts);
  ASSERT_EQ(told.size(), RecordCounts::kTold + 1);
  EXPECT_THAT(told.front(), Pair("large0", 10));
  EXPECT_THAT(told.back(), Pair(RecordCounts::kOthers, 7));
}

TEST(RecordCount, CountsTheSnapshotInPartsAndNotWhatCameAfter) {
  MemoryTable table;
  const auto put = [&table](const std::string& row) {
    const auto batch = table.NewBatch();
    batch->Put(row, "x");
    ASSERT_THAT(batch->Commit(), base::IsOk());
  };
  for (const std::string key : {"a", "a/b", "c", "d", "e"}) put(layout::Object({"team", key}));
  put(layout::Object({"tea", "a"}));
  put(layout::Directory({"team", "a"}));
  put(layout::Node("n"));
  put(layout::Blob(BlobId{1}));
  RecordCounts counts;
  RecordCount count(table.NewSnapshot(), counts, 3);
  put(layout::Object({"team", "later"}));
  EXPECT_THAT(count.Round(), IsOkAndHolds(false));
  EXPECT_THAT(count.Round(), IsOkAndHolds(false));
  EXPECT_THAT(Told(counts), IsEmpty());
  EXPECT_THAT(count.Round(), IsOkAndHolds(true));
  EXPECT_THAT(Told(counts), ElementsAre(Pair("tea", 1), Pair("team", 5)));
  EXPECT_THAT(count.Round(), IsOkAndHolds(true)) << "and no more";
  EXPECT_THAT(Told(counts), ElementsAre(Pair("tea", 1), Pair("team", 5)));
}

}  // namespace
}  // namespace larder::tracker
