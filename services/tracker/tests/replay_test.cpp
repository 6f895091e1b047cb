// The same entries make the same rows and replies: on both tables, however they are grouped, and after a restart.
#include <algorithm>
#include <map>
#include <set>

#include "core/layout.h"
#include "tests/random_commands.h"
#include "tests/registry_under_test.h"
#include "tests/temp_rocks.h"

namespace larder::tracker {
namespace {

using base::IsOk;

struct Log {
  std::vector<std::string> entries;
  std::vector<std::string> replies;
};

// Applies entries [from, to) of the log in groups of `group()`, and holds the replies to the log's.
template <typename Group>
void Replay(const Log& log, size_t from, size_t to, TrackerState& state, Group group) {
  while (from < to) {
    const size_t count = std::min<size_t>(group(), to - from);
    std::vector<raft::Command> commands;
    for (size_t i = from; i < from + count; ++i) {
      commands.push_back({.at = {.index = i + 1, .term = 1}, .payload = base::AsBytes(log.entries[i])});
    }
    std::vector<std::string> replies;
    ASSERT_THAT(state.Apply(commands, {.at = commands.back().at, .configuration = "c"}, replies), IsOk());
    ASSERT_EQ(replies, std::vector<std::string>(log.replies.begin() + static_cast<ptrdiff_t>(from),
                                                log.replies.begin() + static_cast<ptrdiff_t>(from + count)));
    from += count;
  }
}

std::unique_ptr<TrackerState> Open(Table& table) {
  auto state = TrackerState::Open(table);
  EXPECT_THAT(state, IsOk());
  return *std::move(state);
}

class ReplayTest : public testing::TestWithParam<uint64_t> {
 protected:
  static constexpr size_t kEntries = 1500;

  // One entry an Apply, in memory.
  void SetUp() override {
    RandomCommands random(GetParam());
    const auto state = Open(table_);
    while (log_.entries.size() < kEntries) {
      const Entry entry = random.NextEntry();
      log_.entries.push_back(EncodeEntry(entry));
      const raft::Command command{.at = {.index = log_.entries.size(), .term = 1},
                                  .payload = base::AsBytes(log_.entries.back())};
      ASSERT_THAT(state->Apply(std::span(&command, 1), {.at = command.at, .configuration = "c"}, log_.replies), IsOk());
      const auto replies = DecodeReplies(base::AsBytes(log_.replies.back()));
      ASSERT_THAT(replies, IsOk());
      // A number used twice gets the first answer, which may be to fewer commands.
      for (size_t i = 0; i < std::min(replies->size(), entry.commands.size()); ++i) {
        random.Saw(entry.commands[i], (*replies)[i]);
        if (!std::holds_alternative<Refusal>((*replies)[i])) done_.insert(entry.commands[i].index());
      }
    }
    digest_ = DigestOf(*table_.NewSnapshot());
  }

  MemoryTable table_;
  Log log_;
  base::Sha256Digest digest_{};
  std::set<size_t> done_;  // kinds that were done, not only refused
};

TEST_P(ReplayTest, TheLogDoesMostKindsOfCommands) { EXPECT_GE(done_.size(), std::variant_size_v<Command> - 6); }

TEST_P(ReplayTest, TheLogIsLongerThanHistory) {
  EXPECT_GT(Load<Meta>(*table_.NewSnapshot(), layout::Meta())->history.gone, 0u);
}

TEST_P(ReplayTest, GroupsMakeNoDifference) {
  MemoryTable table;
  RandomCommands random(GetParam() + 1000);
  Replay(log_, 0, kEntries, *Open(table), [&random] { return 1 + random.Below(20); });
  EXPECT_EQ(DigestOf(*table.NewSnapshot()), digest_);
}

TEST_P(ReplayTest, BothTablesHoldTheSame) {
  TempRocks rocks;
  const auto table = rocks.Open();
  Replay(log_, 0, kEntries, *Open(*table), [] { return 7u; });
  EXPECT_EQ(DigestOf(*table->NewSnapshot()), digest_);
}

TEST_P(ReplayTest, AfterACrashItGoesOnAtTheFlushedIndex) {
  TempRocks rocks;
  const auto table = rocks.Open();
  const auto state = Open(*table);
  const size_t flushed = kEntries / 3;
  Replay(log_, 0, flushed, *state, [] { return 5u; });
  ASSERT_THAT(state->Flush(), IsOk());
  const raft::AppliedState at_flush = state->applied();
  Replay(log_, flushed, kEntries / 2, *state, [] { return 5u; });

  const auto after_crash = rocks.OpenAsAfterACrash();
  const auto again = Open(*after_crash);
  ASSERT_EQ(again->applied(), at_flush);
  Replay(log_, flushed, kEntries, *again, [] { return 3u; });
  EXPECT_EQ(DigestOf(*after_crash->NewSnapshot()), digest_);
}

// What each node's inventory must be, from the locations alone. Returns how many there are.
size_t CompareInventories(Reader& reader) {
  std::map<std::string, uint64_t> sums;  // by row
  std::set<std::string> items;
  const std::string prefix = layout::LocationPrefix({}, {}).substr(0, 2);
  reader.Scan(prefix, "", [&](std::string_view key, std::string_view value) {
    key.remove_prefix(prefix.size());
    const BlobId blob{layout::ParseNumber(key)};
    const Epoch epoch{layout::ParseNumber(key.substr(8))};
    const std::string_view node = key.substr(16);
    items.insert(layout::InventoryItem(node, blob, epoch));
    sums[layout::Bucket(node, BucketOf(blob))] +=
        ItemHash({blob, epoch, DecodeRecord<LocationRecord>(reader, value)->kind});
    return true;
  });
  std::set<std::string> rows;
  reader.Scan(layout::InventoryPrefix("", 0).substr(0, 2), "",
              [&rows](std::string_view key, std::string_view) { return rows.emplace(key), true; });
  EXPECT_EQ(rows, items);
  std::map<std::string, uint64_t> stored;
  reader.Scan(layout::Bucket("", 0).substr(0, 2), "", [&](std::string_view key, std::string_view value) {
    const uint64_t hash = DecodeRecord<BucketRecord>(reader, value)->hash;
    if (hash != 0) stored.emplace(key, hash);
    return true;
  });
  EXPECT_EQ(stored, sums);
  return items.size();
}

TEST_P(ReplayTest, InventoriesAreTheLocationsAtAllTimes) {
  MemoryTable table;
  const auto state = Open(table);
  size_t most = 0;
  for (size_t from = 0; from < kEntries; from += 10) {
    Replay(log_, from, from + 10, *state, [] { return 10u; });
    most = std::max(most, CompareInventories(*table.NewSnapshot()));
  }
  EXPECT_GE(most, 3u);
}

// Rows that point at each other do, and nothing points at what is gone.
TEST_P(ReplayTest, RowsAgree) {
  const auto snapshot = table_.NewSnapshot();
  std::map<std::string, int> rows;  // by area and kind
  snapshot->Scan("", "", [&](std::string_view key, std::string_view) {
    ++rows[std::string(key.substr(0, 2))];
    return true;
  });
  int objects = 0;
  int pending = 0;
  int staged = 0;
  int locations = 0;
  const std::string prefix = layout::ObjectPrefix("team");
  snapshot->Scan(prefix, "", [&](std::string_view key, std::string_view value) {
    if (key.ends_with('/')) return true;
    ++objects;
    const auto record = DecodeRecord<ObjectRecord>(*snapshot, value);
    const auto name = Load<NameRecord>(*snapshot, layout::Blob(record->blob));
    EXPECT_EQ(layout::Object(name->object), key);
    if (record->pending) {
      ++pending;
      const NodeRef& author = record->pending->author;
      EXPECT_TRUE(snapshot->Get(layout::Create(author.node, record->pending->epoch)));
      const auto node = Load<NodeRecord>(*snapshot, layout::Node(author.node));
      EXPECT_EQ(node->epoch, author.epoch);
      EXPECT_FALSE(node->fenced);
    }
    if (!record->sealed) return true;
    int staged_copies = 0;
    snapshot->Scan(layout::LocationPrefix(record->blob, record->sealed->epoch), "",
                   [&](std::string_view, std::string_view location) {
                     ++locations;
                     staged_copies += DecodeRecord<LocationRecord>(*snapshot, location)->kind == CopyKind::kStaged;
                     return true;
                   });
    EXPECT_EQ(staged_copies > 0, record->sealed->staged_since != kNever);
    EXPECT_TRUE(staged_copies == 0 || !record->sealed->origin);
    staged += staged_copies > 0;
    return true;
  });
  EXPECT_THAT(snapshot->status(), IsOk());
  EXPECT_EQ(rows["\2b"], objects);
  EXPECT_EQ(rows["\2c"], pending);
  EXPECT_EQ(rows["\2s"], staged);
  EXPECT_EQ(rows["\2l"], locations);
  EXPECT_EQ(Load<Meta>(*snapshot, layout::Meta())->sessions, static_cast<uint64_t>(rows["\1s"]));
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReplayTest, testing::Range<uint64_t>(1, 13));

TEST(TrackerState, AnEntryThatIsNoneNamesItsIndexAndAppliesNothing) {
  MemoryTable table;
  const auto state = Open(table);
  const std::string good = EncodeEntry({.commands = {OpenSession{}}});
  const std::string bad = "bad";
  const std::vector<raft::Command> commands = {{.at = {.index = 7, .term = 1}, .payload = base::AsBytes(good)},
                                               {.at = {.index = 8, .term = 1}, .payload = base::AsBytes(bad)}};
  std::vector<std::string> replies;
  const absl::Status status = state->Apply(commands, {.at = commands[1].at}, replies);
  EXPECT_THAT(status, base::StatusIs(absl::StatusCode::kDataLoss, "BAD_ENTRY"));
  EXPECT_THAT(base::Message(status), testing::HasSubstr("entry 8"));
  EXPECT_EQ(DigestOf(*table.NewSnapshot()), DigestOf(*MemoryTable().NewSnapshot()));
}

TEST(TrackerState, ApplyingNothingStillMovesTheIndexAndConfiguration) {
  MemoryTable table;
  const raft::AppliedState after{.at = {.index = 3, .term = 2}, .configuration = "three voters"};
  std::vector<std::string> replies;
  ASSERT_THAT(Open(table)->Apply({}, after, replies), IsOk());
  EXPECT_EQ(Open(table)->applied(), after);
}

TEST(TrackerState, ATableOfOthersIsRefused) {
  MemoryTable table;
  const auto batch = table.NewBatch();
  batch->Put("x", "y");
  ASSERT_THAT(batch->Commit(), IsOk());
  EXPECT_THAT(TrackerState::Open(table), base::StatusIs(absl::StatusCode::kDataLoss, "TABLE_DAMAGED"));
}

}  // namespace
}  // namespace larder::tracker
