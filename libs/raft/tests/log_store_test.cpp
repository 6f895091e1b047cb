#include "larder/raft/log_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/raft/rocks_log_store.h"
#include "larder/raft/testing/memory_log_store.h"

namespace larder::raft {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

const auto kCompacted = StatusIs(absl::StatusCode::kOutOfRange, "COMPACTED");
const auto kUnavailable = StatusIs(absl::StatusCode::kOutOfRange, "UNAVAILABLE_INDEX");
const auto kBug = StatusIs(absl::StatusCode::kInternal, "BAD_LOG_WRITE");
constexpr uint64_t kNoLimit = UINT64_MAX;

// A log that can be closed and opened again.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual LogStore& store() = 0;
  virtual void Reopen() = 0;
};

class MemorySubject final : public Subject {
 public:
  LogStore& store() override { return store_; }
  void Reopen() override {}

 private:
  MemoryLogStore store_;
};

class RocksSubject final : public Subject {
 public:
  RocksSubject() { Reopen(); }
  LogStore& store() override { return *store_; }
  void Reopen() override {
    store_.reset();
    auto opened = OpenRocksLog({.dir = dir_.path()});
    ASSERT_THAT(opened, IsOk());
    store_ = *std::move(opened);
  }

 private:
  base::TempDir dir_;
  std::unique_ptr<LogStore> store_;
};

LogEntry Entry(uint64_t index, uint64_t term, std::string payload = "p") {
  return {.at = {.index = index, .term = term}, .payload = std::move(payload)};
}

// Entries [first, last] of one term.
LogWrite Entries(uint64_t first, uint64_t last, uint64_t term) {
  LogWrite write;
  for (uint64_t i = first; i <= last; ++i) write.entries.push_back(Entry(i, term, fmt::format("{}.{}", term, i)));
  return write;
}

absl::StatusOr<std::vector<LogEntry>> ReadAll(const LogStore& store, uint64_t first, uint64_t end,
                                              uint64_t max_bytes = kNoLimit) {
  std::vector<LogEntry> entries;
  LARDER_RETURN_IF_ERROR(
      store.Read(first, end, max_bytes, [&](LogEntry entry) { entries.push_back(std::move(entry)); }));
  return entries;
}

std::vector<LogEntry> Everything(const LogStore& store) {
  const LogExtent extent = store.extent();
  if (extent.truncated.index == extent.last.index) return {};
  return ReadAll(store, extent.truncated.index + 1, extent.last.index + 1).value();
}

class LogStoreContract : public ::testing::TestWithParam<const char*> {
 protected:
  LogStoreContract() {
    if (GetParam() == std::string_view("memory")) {
      subject_ = std::make_unique<MemorySubject>();
    } else {
      subject_ = std::make_unique<RocksSubject>();
    }
  }
  LogStore& store() { return subject_->store(); }
  absl::Status Write(const LogWrite& write) { return store().Write({&write, 1}); }
  void Reopen() { subject_->Reopen(); }

 private:
  std::unique_ptr<Subject> subject_;
};

INSTANTIATE_TEST_SUITE_P(All, LogStoreContract, ::testing::Values("memory", "rocks"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(LogStoreContract, ANewLogIsEmpty) {
  EXPECT_EQ(store().extent(), LogExtent{});
  EXPECT_EQ(store().bytes(), 0u);
  EXPECT_THAT(store().TermAt(0), IsOk());
  EXPECT_THAT(store().TermAt(1), kUnavailable);
  EXPECT_THAT(ReadAll(store(), 1, 2), kUnavailable);
  EXPECT_THAT(ReadAll(store(), 0, 1), kCompacted);
}

TEST_P(LogStoreContract, GivesBackWhatWasAppended) {
  LogWrite write;
  write.entries = {Entry(1, 1, ""), Entry(2, 1, std::string(100'000, 'x')), Entry(3, 4, std::string("\0\xff", 2))};
  write.entries[1].kind = EntryKind::kConfiguration;
  write.entries[2].kind = EntryKind::kConfigurationV2;
  ASSERT_THAT(Write(write), IsOk());
  EXPECT_THAT(Everything(store()), ElementsAreArray(write.entries));
  EXPECT_EQ(store().extent(), (LogExtent{.last = {.index = 3, .term = 4}}));
  EXPECT_EQ(store().bytes(), 100'002u);
  EXPECT_EQ(*store().TermAt(2), 1u);
  EXPECT_EQ(*store().TermAt(3), 4u);
  EXPECT_THAT(store().TermAt(4), kUnavailable);
}

TEST_P(LogStoreContract, AConflictReplacesTheWholeTail) {
  ASSERT_THAT(Write(Entries(1, 9, 1)), IsOk());
  ASSERT_THAT(Write(Entries(4, 5, 2)), IsOk());
  Reopen();
  EXPECT_EQ(store().extent().last, (LogPosition{.index = 5, .term = 2}));
  EXPECT_THAT(Everything(store()), ElementsAre(Entry(1, 1, "1.1"), Entry(2, 1, "1.2"), Entry(3, 1, "1.3"),
                                               Entry(4, 2, "2.4"), Entry(5, 2, "2.5")));
  EXPECT_EQ(store().bytes(), 15u);
  EXPECT_EQ(*store().TermAt(3), 1u);
  EXPECT_EQ(*store().TermAt(4), 2u);
  EXPECT_THAT(store().TermAt(6), kUnavailable);
}

TEST_P(LogStoreContract, BeginsAnewAfterASnapshot) {
  ASSERT_THAT(Write(Entries(1, 9, 1)), IsOk());
  LogWrite write = Entries(101, 102, 8);
  write.restart = LogPosition{.index = 100, .term = 7};
  ASSERT_THAT(Write(write), IsOk());
  Reopen();
  EXPECT_EQ(store().extent().truncated, (LogPosition{.index = 100, .term = 7}));
  EXPECT_THAT(Everything(store()), ElementsAreArray(write.entries));
  EXPECT_EQ(*store().TermAt(100), 7u);
  EXPECT_THAT(store().TermAt(99), kCompacted);
  EXPECT_EQ(store().bytes(), 10u);
}

TEST_P(LogStoreContract, ARestartWithoutEntriesLeavesItsPosition) {
  ASSERT_THAT(Write(Entries(1, 3, 1)), IsOk());
  ASSERT_THAT(Write({.restart = LogPosition{.index = 2, .term = 5}}), IsOk()) << "back, too";
  Reopen();
  EXPECT_EQ(store().extent().last, (LogPosition{.index = 2, .term = 5}));
  EXPECT_EQ(store().bytes(), 0u);
  EXPECT_THAT(ReadAll(store(), 3, 4), kUnavailable);
  ASSERT_THAT(Write(Entries(3, 3, 5)), IsOk());
  EXPECT_THAT(Everything(store()), ElementsAre(Entry(3, 5, "5.3")));
}

TEST_P(LogStoreContract, PurgeForgetsUpToAndIncluding) {
  ASSERT_THAT(Write(Entries(1, 4, 1)), IsOk());
  ASSERT_THAT(Write(Entries(5, 9, 2)), IsOk());
  ASSERT_THAT(store().Purge(5), IsOk());
  ASSERT_THAT(store().Purge(3), IsOk()) << "gone already";
  Reopen();
  EXPECT_EQ(store().extent().truncated, (LogPosition{.index = 5, .term = 2}));
  EXPECT_THAT(ReadAll(store(), 5, 6), kCompacted);
  EXPECT_THAT(store().TermAt(4), kCompacted);
  EXPECT_EQ(*store().TermAt(5), 2u);
  EXPECT_EQ(*store().TermAt(6), 2u);
  EXPECT_THAT(Everything(store()), ElementsAreArray(Entries(6, 9, 2).entries));
  EXPECT_EQ(store().bytes(), 12u);
  ASSERT_THAT(store().Purge(9), IsOk());
  EXPECT_EQ(store().bytes(), 0u);
  EXPECT_THAT(Write(Entries(10, 10, 2)), IsOk());
  EXPECT_THAT(store().Purge(11), kBug);
}

TEST_P(LogStoreContract, ReadStopsAtItsLimitsButGivesAtLeastOne) {
  LogWrite write;
  for (uint64_t i = 1; i <= 5; ++i) write.entries.push_back(Entry(i, 1, std::string(10, 'x')));
  ASSERT_THAT(Write(write), IsOk());
  const auto count = [&](uint64_t end, uint64_t max_bytes) { return ReadAll(store(), 2, end, max_bytes)->size(); };
  EXPECT_EQ(count(6, kNoLimit), 4u);
  EXPECT_EQ(count(4, kNoLimit), 2u);
  EXPECT_EQ(count(6, 30), 3u);
  EXPECT_EQ(count(6, 29), 2u);
  EXPECT_EQ(count(6, 0), 1u);
  EXPECT_EQ(count(2, kNoLimit), 0u);
  EXPECT_THAT(ReadAll(store(), 2, 7), kUnavailable);
}

TEST_P(LogStoreContract, DoesSeveralWritesInTheirOrder) {
  const std::vector<LogWrite> writes = {Entries(1, 6, 1),
                                        {.hard_state = HardState{.term = 1, .vote = 3}},
                                        Entries(3, 4, 2),
                                        {.hard_state = HardState{.term = 2, .vote = 1, .commit = 3}},
                                        Entries(4, 4, 3)};
  ASSERT_THAT(store().Write(writes), IsOk());
  Reopen();
  EXPECT_THAT(Everything(store()),
              ElementsAre(Entry(1, 1, "1.1"), Entry(2, 1, "1.2"), Entry(3, 2, "2.3"), Entry(4, 3, "3.4")));
  EXPECT_EQ(store().extent().hard_state, (HardState{.term = 2, .vote = 1, .commit = 3}));
  const std::vector<LogWrite> restarts = {
      Entries(5, 6, 3), {.restart = LogPosition{.index = 50, .term = 4}}, Entries(51, 52, 4), Entries(52, 52, 5)};
  ASSERT_THAT(store().Write(restarts), IsOk());
  Reopen();
  EXPECT_THAT(Everything(store()), ElementsAre(Entry(51, 4, "4.51"), Entry(52, 5, "5.52")));
  EXPECT_EQ(store().extent().hard_state, (HardState{.term = 2, .vote = 1, .commit = 3})) << "a restart keeps it";
}

TEST_P(LogStoreContract, RefusesWhatOnlyABugWouldWriteAndDoesNothing) {
  ASSERT_THAT(Write(Entries(1, 5, 2)), IsOk());
  ASSERT_THAT(store().Purge(2), IsOk());
  const LogExtent before = store().extent();
  LogWrite hole = Entries(6, 8, 2);
  hole.entries.erase(hole.entries.begin() + 1);
  LogWrite backwards = Entries(6, 7, 3);
  backwards.entries[1].at.term = 2;
  const std::vector<LogWrite> second_is_bad = {Entries(6, 7, 2), Entries(9, 9, 2)};
  EXPECT_THAT(Write(Entries(7, 7, 2)), kBug) << "a gap";
  EXPECT_THAT(Write(Entries(2, 6, 2)), kBug) << "replaces what is truncated";
  EXPECT_THAT(Write(hole), kBug);
  EXPECT_THAT(Write(backwards), kBug);
  EXPECT_THAT(store().Write(second_is_bad), kBug);
  EXPECT_THAT(Write({.restart = LogPosition{.index = 9, .term = 2}, .entries = Entries(9, 9, 2).entries}), kBug);
  EXPECT_EQ(store().extent(), before);
  Reopen();
  EXPECT_EQ(store().extent(), before);
  EXPECT_THAT(Everything(store()), ElementsAreArray(Entries(3, 5, 2).entries));
}

TEST_P(LogStoreContract, ReadersSeeOnlyWholeRunsWhileAnotherWrites) {
  ASSERT_THAT(Write(Entries(1, 8, 1)), IsOk());
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done.load()) {
      const auto entries = ReadAll(store(), 1, 9);
      // Not there for a moment, or all of one write.
      if (!entries.ok()) {
        EXPECT_THAT(entries, kUnavailable);
        continue;
      }
      for (size_t i = 0; i < entries->size(); ++i) {
        EXPECT_EQ((*entries)[i].at, (LogPosition{.index = i + 1, .term = entries->front().at.term}));
      }
    }
  });
  for (uint64_t term = 2; term < 100; ++term) EXPECT_THAT(Write(Entries(1, 8 + term % 3, term)), IsOk());
  done = true;
  reader.join();
}

// The same steps on a log and on a plain list.
class Model {
 public:
  void Apply(const LogWrite& write) {
    if (write.restart) {
      extent_.truncated = *write.restart;
      entries_.clear();
    }
    if (!write.entries.empty()) entries_.resize(write.entries.front().at.index - extent_.truncated.index - 1);
    entries_.insert(entries_.end(), write.entries.begin(), write.entries.end());
    if (write.hard_state) extent_.hard_state = *write.hard_state;
  }
  void Purge(uint64_t through) {
    const auto end = entries_.begin() + static_cast<ptrdiff_t>(through - extent_.truncated.index);
    extent_.truncated = std::prev(end)->at;
    entries_.erase(entries_.begin(), end);
  }
  LogExtent extent() const {
    LogExtent extent = extent_;
    extent.last = entries_.empty() ? extent.truncated : entries_.back().at;
    return extent;
  }
  const std::vector<LogEntry>& entries() const { return entries_; }

 private:
  LogExtent extent_;
  std::vector<LogEntry> entries_;
};

LogWrite RandomWrite(const Model& model, uint64_t term, std::mt19937& random) {
  LogWrite write;
  LogExtent extent = model.extent();
  if (random() % 12 == 0) {
    extent.truncated = extent.last = {.index = extent.last.index + random() % 20, .term = term};
    write.restart = extent.truncated;
  }
  if (random() % 4 != 0) {
    const uint64_t held = extent.last.index - extent.truncated.index;
    const uint64_t kept = random() % 3 == 0 ? random() % (held + 1) : held;
    const uint64_t first = extent.truncated.index + kept + 1;
    for (uint64_t i = 0; i < 1 + random() % 6; ++i) {
      write.entries.push_back(Entry(first + i, term, std::string(random() % 40, static_cast<char>('a' + term % 26))));
      write.entries.back().kind = static_cast<EntryKind>(random() % 3);
    }
  }
  if (random() % 3 == 0) write.hard_state = HardState{.term = term, .vote = random() % 4, .commit = random()};
  return write;
}

TEST_P(LogStoreContract, AgreesWithAListOverRandomSteps) {
  for (const unsigned seed : {1u, 2u, 3u}) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    Model model;
    ASSERT_THAT(Write({.restart = LogPosition{}, .hard_state = HardState{}}), IsOk());
    for (uint64_t step = 1; step <= 200; ++step) {
      const Model before = model;
      std::vector<LogWrite> writes;
      for (uint64_t i = 0; i < 1 + random() % 3; ++i) {
        writes.push_back(RandomWrite(model, step, random));
        model.Apply(writes.back());
      }
      ASSERT_THAT(store().Write(writes), IsOk());
      if (random() % 5 == 0 && !model.entries().empty()) {
        const uint64_t through = model.extent().truncated.index + 1 + random() % model.entries().size();
        ASSERT_THAT(store().Purge(through), IsOk());
        model.Purge(through);
      }
      if (random() % 25 == 0) Reopen();
      ASSERT_EQ(store().extent(), model.extent()) << step;
      ASSERT_THAT(Everything(store()), ElementsAreArray(model.entries())) << step;
      uint64_t bytes = 0;
      for (const LogEntry& entry : model.entries()) {
        bytes += entry.payload.size();
        ASSERT_EQ(*store().TermAt(entry.at.index), entry.at.term);
      }
      ASSERT_EQ(store().bytes(), bytes);
    }
  }
}

TEST(MemoryLogStore, FailsTheWriteThatATestAsksFor) {
  MemoryLogStore store;
  const LogWrite write = Entries(1, 1, 1);
  store.FailNextWrite(absl::InternalError("EIO"));
  EXPECT_THAT(store.Write({&write, 1}), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(Everything(store), IsEmpty());
  EXPECT_THAT(store.Write({&write, 1}), IsOk());
}

TEST(RocksLogStore, BelongsToOneOwner) {
  const base::TempDir dir;
  const auto first = OpenRocksLog({.dir = dir.path()});
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(OpenRocksLog({.dir = dir.path()}), StatusIs(absl::StatusCode::kAlreadyExists, "LOCKED"));
}

TEST(RocksLogStore, KeepsGroupsApart) {
  const base::TempDir dir;
  for (const uint32_t group : {0u, 1u, 256u}) {
    LARDER_ASSERT_OK_AND_ASSIGN(const auto store, OpenRocksLog({.dir = dir.path(), .group = {group}}));
    EXPECT_EQ(store->extent(), LogExtent{}) << group;
    LogWrite write = Entries(1, 2 + group, 1);
    write.restart = LogPosition{};
    ASSERT_THAT(store->Write({&write, 1}), IsOk());
  }
  LARDER_ASSERT_OK_AND_ASSIGN(const auto store, OpenRocksLog({.dir = dir.path(), .group = {1}}));
  EXPECT_THAT(Everything(*store), ElementsAreArray(Entries(1, 3, 1).entries));
}

TEST(RocksLogStore, TellsHowLongEachSyncTook) {
  const base::TempDir dir;
  int syncs = 0;
  LARDER_ASSERT_OK_AND_ASSIGN(const auto store, OpenRocksLog({.dir = dir.path(), .on_sync = [&](base::Duration took) {
                                                                EXPECT_GT(took, base::Duration(0));
                                                                ++syncs;
                                                              }}));
  const std::vector<LogWrite> writes = {Entries(1, 2, 1), Entries(3, 3, 1)};
  ASSERT_THAT(store->Write(writes), IsOk());
  EXPECT_EQ(syncs, 1);
  ASSERT_THAT(store->Purge(2), IsOk());
  ASSERT_THAT(store->Write({}), IsOk());
  EXPECT_EQ(syncs, 1);
}

}  // namespace
}  // namespace larder::raft
