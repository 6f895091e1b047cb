#include "larder/swarm/piece_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace larder::swarm {
namespace {

using State = PieceMap::State;

TEST(PieceSet, IsASetOfNumbers) {
  std::mt19937 random(1);
  for (const uint32_t size : {1U, 63U, 64U, 65U, 200U}) {
    PieceSet pieces(size);
    std::set<uint32_t> model;
    for (int step = 0; step < 500; ++step) {
      const uint32_t piece = static_cast<uint32_t>(random()) % size;
      if (random() % 2 == 0) {
        pieces.Add(piece);
        model.insert(piece);
      } else {
        pieces.Remove(piece);
        model.erase(piece);
      }
      ASSERT_EQ(pieces.count(), model.size());
      ASSERT_EQ(pieces.full(), model.size() == size);
      ASSERT_EQ(pieces.Has(piece), model.contains(piece));
      const uint32_t from = static_cast<uint32_t>(random()) % (size + 1);
      const auto next = model.lower_bound(from);
      ASSERT_EQ(pieces.NextFrom(from), next == model.end() ? size : *next);
    }
  }
}

TEST(PieceSet, IsMadeAgainFromItsRuns) {
  std::mt19937 random(2);
  for (int round = 0; round < 50; ++round) {
    PieceSet pieces(130);
    for (int i = 0; i < 100; ++i) pieces.Add(static_cast<uint32_t>(random()) % 130);
    PieceSet again(130);
    for (const PieceRun& run : pieces.Runs()) again.Add(run);
    EXPECT_EQ(again, pieces);
  }
  EXPECT_THAT(PieceSet::All(130).Runs(), testing::ElementsAre(PieceRun{0, 130}));
  EXPECT_THAT(PieceSet(130).Runs(), testing::IsEmpty());
  EXPECT_TRUE(PieceSet(0).full() && PieceSet(0).empty());
}

TEST(PieceMap, APieceArrivesAndThenIsHeldForGood) {
  PieceMap map(PieceSet(2));
  EXPECT_EQ(map.at(1), State::kAbsent);
  map.Set(1, State::kArriving);
  EXPECT_EQ(map.at(1), State::kArriving);
  map.Set(1, State::kAbsent);
  EXPECT_EQ(map.at(1), State::kAbsent);
  map.Set(1, State::kHeld);
  map.Set(1, State::kArriving);
  map.Set(1, State::kAbsent);
  EXPECT_EQ(map.at(1), State::kHeld);
  EXPECT_EQ(map.at(0), State::kAbsent);
}

TEST(PieceMap, StopLeavesWhatIsHeld) {
  PieceMap map(PieceSet(2));
  map.Set(0, State::kHeld);
  map.Set(1, State::kArriving);
  map.Stop();
  EXPECT_EQ(map.held().Runs(), (std::vector<PieceRun>{{0, 1}}));
  EXPECT_TRUE(map.arriving().empty());
}

TEST(PieceMap, WhatMovesArrivesForAMomentAndIsHeldAllTheSame) {
  PieceMap map(PieceSet::All(1));
  int told = 0;
  const auto token = map.Listen([&] { ++told; });
  map.SetMoving(true);
  EXPECT_EQ(map.at(0), State::kArriving);
  EXPECT_TRUE(map.held().full());
  EXPECT_TRUE(map.arriving().empty());
  map.SetMoving(false);
  EXPECT_EQ(map.at(0), State::kHeld);
  EXPECT_EQ(told, 2);
}

TEST(PieceMap, TellsOfChangesAsLongAsSomebodyListens) {
  PieceMap map(PieceSet(2));
  int told = 0;
  auto token = map.Listen([&] { ++told; });
  map.Set(0, State::kArriving);
  map.Set(0, State::kArriving);  // none
  map.Set(0, State::kHeld);
  map.Set(0, State::kHeld);  // none
  EXPECT_EQ(told, 2);
  token.reset();
  map.Set(1, State::kHeld);
  EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace larder::swarm
