#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/raft/testing/memory_log_store.h"
#include "src/rocks_log_store.h"
#include "tests/power_cut_file_system.h"

namespace larder::raft {
namespace {

using base::IsOk;
using ::testing::AnyOf;
using ::testing::Eq;

// All that a log holds.
struct Contents {
  LogExtent extent;
  std::vector<LogEntry> entries;
  bool operator==(const Contents&) const = default;
};

Contents ContentsOf(const LogStore& store) {
  Contents contents{.extent = store.extent()};
  const uint64_t first = contents.extent.truncated.index + 1;
  if (first > contents.extent.last.index) return contents;
  EXPECT_THAT(store.Read(first, contents.extent.last.index + 1, UINT64_MAX,
                         [&](LogEntry entry) { contents.entries.push_back(std::move(entry)); }),
              IsOk());
  return contents;
}

// A log that loses power again and again, and its twin that has what was acknowledged.
class PowerCut : public ::testing::TestWithParam<uint64_t> {
 protected:
  absl::StatusOr<std::unique_ptr<LogStore>> Open() { return OpenRocksLogOn({.dir = dir_.path()}, env_.get()); }
  uint64_t Draw(uint64_t below) { return random_() % below; }

  // Goes on after any entry that was not purged.
  LogWrite AnyWrite() {
    const LogExtent extent = twin_->extent();
    const uint64_t held = extent.last.index - extent.truncated.index;
    uint64_t index = Draw(4) == 0 ? extent.last.index - Draw(held + 1) : extent.last.index;
    LogWrite write{.hard_state = HardState{.term = ++term_, .vote = Draw(4), .commit = extent.truncated.index}};
    for (uint64_t count = Draw(4); count > 0; --count) {
      const size_t size = Draw(8) == 0 ? Draw(60'000) : Draw(200);
      write.entries.push_back(
          {.at = {.index = ++index, .term = term_}, .payload = std::string(size, 'a' + index % 26)});
    }
    return write;
  }

  // The last step was not done.
  void Rewind(const Contents& contents) {
    twin_ = std::make_unique<MemoryLogStore>();
    const LogWrite all{
        .restart = contents.extent.truncated, .entries = contents.entries, .hard_state = contents.extent.hard_state};
    ASSERT_THAT(twin_->Write({&all, 1}), IsOk());
  }

  // Until the power is cut. What may be there then, too: a step that was not acknowledged.
  Contents Run(LogStore& store) {
    while (true) {
      if (Draw(5) == 0) {
        const LogExtent extent = twin_->extent();
        const uint64_t through = extent.truncated.index + Draw(extent.last.index - extent.truncated.index + 1);
        const bool purged = store.Purge(through).ok();
        const Contents before = ContentsOf(*twin_);
        EXPECT_THAT(twin_->Purge(through), IsOk());
        if (!purged) return before;
      } else {
        const LogWrite write = AnyWrite();
        const bool written = store.Write({&write, 1}).ok();
        const Contents before = ContentsOf(*twin_);
        EXPECT_THAT(twin_->Write({&write, 1}), IsOk());
        if (!written) return before;
      }
    }
  }

  base::TempDir dir_;
  std::mt19937_64 random_{GetParam()};
  std::shared_ptr<PowerCutFileSystem> files_ = std::make_shared<PowerCutFileSystem>();
  std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(files_);
  std::unique_ptr<MemoryLogStore> twin_ = std::make_unique<MemoryLogStore>();
  uint64_t term_ = 0;
};

INSTANTIATE_TEST_SUITE_P(All, PowerCut, ::testing::Range<uint64_t>(1, 7));

TEST_P(PowerCut, WhatWasAcknowledgedIsThere) {
  Contents without = ContentsOf(*twin_);
  for (int life = 0; life < 8; ++life) {
    if (Draw(3) == 0) {
      files_->CutAfter(Draw(8));  // while it is opened, or soon after
      Open().status().IgnoreError();
      files_->Restore(random_);
    }
    auto store = Open();
    ASSERT_THAT(store, IsOk()) << "life " << life;
    ASSERT_THAT(ContentsOf(**store), AnyOf(Eq(ContentsOf(*twin_)), Eq(without))) << "life " << life;
    if (ContentsOf(**store) != ContentsOf(*twin_)) Rewind(without);
    files_->CutAfter(Draw(30));
    without = Run(**store);
    store->reset();
    ASSERT_TRUE(files_->cut());
    files_->Restore(random_);
  }
}

}  // namespace
}  // namespace larder::raft
