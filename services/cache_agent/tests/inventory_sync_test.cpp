#include "core/inventory_sync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "larder/base/testing/manual_clock.h"
#include "tests/scripted_cluster.h"

namespace larder::cache_agent {
namespace {

using object::BlobId;
using object::InventoryBucket;
using object::InventoryHash;
using object::InventorySums;
using object::ObjectId;
using object::TrackedAs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const ObjectId kId{"team-a", "k"};

InventorySums SumsOf(const std::set<TrackedAs>& copies) {
  InventorySums sums{};
  for (const TrackedAs& copy : copies) sums.at(InventoryBucket(copy.blob)) += InventoryHash(copy, false);
  return sums;
}

TrackedAs Copy(uint64_t blob, uint64_t epoch = 1) { return {.blob = {blob}, .epoch = {epoch}}; }

// The first blobs of one bucket.
std::vector<TrackedAs> CopiesOfBucket(uint8_t bucket, size_t count) {
  std::vector<TrackedAs> copies;
  for (uint64_t blob = 1; copies.size() < count; ++blob) {
    if (InventoryBucket({blob}) == bucket) copies.push_back(Copy(blob));
  }
  return copies;
}

class InventorySyncTest : public testing::Test {
 protected:
  template <typename T, typename Answer>
  static void Take(std::vector<T>& asked, const Answer& answer) {
    ASSERT_FALSE(asked.empty());
    T one = std::move(asked.front());
    asked.erase(asked.begin());
    answer(one);
  }
  void AnswerSums(const absl::StatusOr<InventorySums>& sums) {
    Take(cluster_.sums, [&](auto& done) { done(sums); });
  }
  void AnswerConfirmed(std::vector<uint8_t> differing = {}) {
    Take(cluster_.confirmed, [&](auto& one) { one.second(std::move(differing)); });
  }
  void AnswerPage(const InventoryAnswer& answer) {
    Take(cluster_.pages, [&](auto& one) { one.second(answer); });
  }
  void Pass(base::Duration time) {
    clock_.Advance(time);
    sync_.Tick();
  }

  base::ManualClock clock_;
  ScriptedCluster cluster_;
  std::set<TrackedAs> here_;
  std::set<TrackedAs> over_;
  InventorySync::Presence presence_ = InventorySync::Presence::kGone;
  InventorySync sync_{cluster_,
                      clock_,
                      {.presence = [this](const ObjectId&, const TrackedAs&) { return presence_; },
                       .copies = [this] { return std::vector<TrackedAs>(here_.begin(), here_.end()); },
                       .over = [this](const std::set<TrackedAs>& over) { over_ = over; }}};
};

TEST_F(InventorySyncTest, EqualSumsAreConfirmedInOneCommand) {
  for (uint64_t blob = 1; blob < 2000; ++blob) here_.insert(Copy(blob));
  sync_.Tick();
  EXPECT_THAT(cluster_.sums, IsEmpty()) << "nobody asked for a pass";
  sync_.Request();
  sync_.Tick();
  AnswerSums(SumsOf(here_));
  ASSERT_EQ(cluster_.confirmed.size(), 1u);
  EXPECT_EQ(cluster_.confirmed[0].first.size(), 256u);
  AnswerConfirmed();
  EXPECT_THAT(cluster_.pages, IsEmpty());
  Pass(seconds(60));
  EXPECT_THAT(cluster_.sums, IsEmpty());
}

TEST_F(InventorySyncTest, ABucketThatDiffersIsGoneThroughInPagesThatPartNoBlob) {
  const std::vector<TrackedAs> copies = CopiesOfBucket(7, 2500);
  here_.insert(copies.begin(), copies.end());
  here_.insert(Copy(copies[999].blob.value, 2));  // two epochs of the last blob that would fit
  sync_.Request();
  sync_.Tick();
  AnswerSums(InventorySums{});
  AnswerConfirmed();  // the 255 empty ones
  ASSERT_EQ(cluster_.pages.size(), 1u);
  EXPECT_EQ(cluster_.pages[0].first.bucket, 7);
  EXPECT_EQ(cluster_.pages[0].first.from, BlobId{});
  EXPECT_EQ(cluster_.pages[0].first.to, copies[999].blob);
  EXPECT_EQ(cluster_.pages[0].first.copies, std::vector(copies.begin(), copies.begin() + 999));
  // The tracker may have come less far than it was asked to.
  AnswerPage({.next = copies[500].blob, .over = {copies[3]}});
  EXPECT_EQ(cluster_.pages[0].first.from, copies[500].blob);
  EXPECT_EQ(cluster_.pages[0].first.copies.front(), copies[500]);
  EXPECT_EQ(cluster_.pages[0].first.copies.size(), 1000u);
  for (int i = 0; i < 2; ++i) AnswerPage({.next = cluster_.pages[0].first.to});
  EXPECT_EQ(cluster_.pages[0].first.to, BlobId{InventoryPage::kEnd});
  EXPECT_EQ(cluster_.pages[0].first.copies.back(), copies.back());
  EXPECT_THAT(over_, IsEmpty()) << "told at the end of the pass";
  AnswerPage({.next = InventoryPage::kEnd, .over = {copies.back()}});
  EXPECT_THAT(over_, ElementsAre(copies[3], copies.back()));
  EXPECT_THAT(cluster_.pages, IsEmpty());
}

TEST_F(InventorySyncTest, ABucketThatChangedBeforeItWasConfirmedIsGoneThroughToo) {
  sync_.Request();
  sync_.Tick();
  AnswerSums(InventorySums{});
  AnswerConfirmed({9});
  ASSERT_EQ(cluster_.pages.size(), 1u);
  EXPECT_EQ(cluster_.pages[0].first.bucket, 9);
}

TEST_F(InventorySyncTest, WhatGoesDuringAPassIsToldAfterIt) {
  sync_.Request();
  sync_.Tick();
  sync_.GiveUp(kId, Copy(1, 5));
  EXPECT_THAT(cluster_.open(), IsEmpty());
  AnswerSums(InventorySums{});
  EXPECT_THAT(cluster_.open(), IsEmpty());
  AnswerConfirmed();
  EXPECT_THAT(cluster_.open(), ElementsAre("give up k 5"));
  // And a pass waits for what is being told.
  sync_.Request();
  Pass(seconds(1));
  EXPECT_THAT(cluster_.sums, IsEmpty());
  sync_.GiveUp(kId, Copy(1, 6));
  EXPECT_THAT(cluster_.open(), ElementsAre("give up k 5")) << "or it would never begin";
  cluster_.Answer("give up k 5");
  Pass(milliseconds(100));
  EXPECT_EQ(cluster_.sums.size(), 1u);
}

TEST_F(InventorySyncTest, WhatFailsIsTriedAgainAndNothingIsForgotten) {
  sync_.Request();
  sync_.Tick();
  AnswerSums(ClusterDown());
  sync_.Tick();
  EXPECT_THAT(cluster_.sums, IsEmpty()) << "not at once";
  Pass(seconds(10));
  AnswerSums(InventorySums{});
  AnswerConfirmed();
  sync_.GiveUp(kId, Copy(1, 5));
  cluster_.Answer("give up k 5", ClusterDown());
  EXPECT_THAT(cluster_.open(), IsEmpty());
  Pass(seconds(10));
  cluster_.Answer("give up k 5");
  Pass(seconds(60));
  EXPECT_THAT(cluster_.open(), IsEmpty());
  EXPECT_THAT(cluster_.sums, IsEmpty());
}

TEST_F(InventorySyncTest, WhatCameBackIsNotGivenUp) {
  presence_ = InventorySync::Presence::kUndecided;
  sync_.GiveUp(kId, Copy(1, 5));
  Pass(seconds(1));
  EXPECT_THAT(cluster_.open(), IsEmpty());
  presence_ = InventorySync::Presence::kHere;
  Pass(seconds(1));
  presence_ = InventorySync::Presence::kGone;
  Pass(seconds(1));
  EXPECT_THAT(cluster_.open(), IsEmpty()) << "that it went was forgotten";
  // It comes back while the cluster is being told: the next pass puts that right.
  sync_.GiveUp(kId, Copy(1, 6));
  presence_ = InventorySync::Presence::kHere;
  cluster_.Answer("give up k 6");
  Pass(milliseconds(100));
  EXPECT_EQ(cluster_.sums.size(), 1u);
}

// A registry that keeps the rules of services/tracker/core/inventory_commands.h, of one node that registered just now.
class ModelRegistry {
 public:
  std::set<TrackedAs> known;
  std::set<TrackedAs> over;
  InventoryAnswer Take(const InventoryPage& page, size_t most) {
    InventoryAnswer answer{.next = page.to};
    if (page.copies.size() > most) answer.next = page.copies[most].blob;
    for (auto it = known.begin(); it != known.end();) {
      const bool meant = InventoryBucket(it->blob) == page.bucket && it->blob >= page.from && it->blob < answer.next;
      it = meant ? known.erase(it) : std::next(it);
    }
    for (const TrackedAs& copy : page.copies) {
      if (copy.blob >= answer.next) break;
      if (over.contains(copy)) {
        answer.over.push_back(copy);
      } else {
        known.insert(copy);
      }
    }
    return answer;
  }
};

TEST_F(InventorySyncTest, AfterOnePassBothKnowTheSame) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    ModelRegistry registry;
    here_.clear();
    over_.clear();
    for (uint64_t blob = 1; blob < 1 + random() % 3000; ++blob) {
      const TrackedAs copy = Copy(blob, 1 + random() % 3);
      const uint32_t fate = random() % 4;
      if (fate != 0) here_.insert(copy);
      if (fate != 1) registry.known.insert(copy);
      if (fate == 2 && random() % 4 == 0) {
        registry.known.erase(copy);
        registry.over.insert(copy);
      }
    }
    sync_.Request();
    sync_.Tick();
    AnswerSums(SumsOf(registry.known));
    if (!cluster_.confirmed.empty()) AnswerConfirmed();
    while (!cluster_.pages.empty()) {
      const InventoryPage page = cluster_.pages.front().first;
      AnswerPage(registry.Take(page, 1 + random() % 20));
    }
    for (const TrackedAs& copy : over_) here_.erase(copy);
    EXPECT_EQ(here_, registry.known) << seed;
    EXPECT_EQ(over_, registry.over) << seed;
  }
}

}  // namespace
}  // namespace larder::cache_agent
