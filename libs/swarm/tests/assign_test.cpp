#include "larder/swarm/assign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>

namespace larder::swarm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

PieceSet SetOf(uint32_t size, std::initializer_list<uint32_t> pieces) {
  PieceSet set(size);
  for (const uint32_t piece : pieces) set.Add(piece);
  return set;
}

// A view by chance, with all that it points to.
struct Drawn {
  explicit Drawn(uint64_t seed) : random(seed) {
    const uint32_t size = 1 + Below(40);
    wanted = RandomSet(size, 1 + Below(3));
    urgent = RandomSet(size, 3);
    const uint32_t count = Below(6);
    held.reserve(count);
    arriving.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
      held.push_back(RandomSet(size, 2));
      arriving.push_back(RandomSet(size, 3));
      parents.push_back({.held = Below(4) == 0 ? nullptr : &held.back(),
                         .arriving = Below(2) == 0 ? nullptr : &arriving.back(),
                         .free = Below(6),
                         .distance = static_cast<Distance>(Below(3))});
    }
    view = {.wanted = &wanted,
            .parents = parents,
            .run_length = 1 + Below(5),
            .lead_end = Below(2) == 0 ? 0 : Below(size),
            .urgent = Below(2) == 0 ? nullptr : &urgent,
            .seed = random()};
    if (count == 0) return;
    for (uint32_t piece = 0; piece < size; ++piece) {
      if (!wanted.Has(piece) && Below(4) == 0) in_flight.push_back({.piece = piece, .parent = Below(count)});
    }
    view.in_flight = in_flight;
  }
  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>(random() % bound); }
  PieceSet RandomSet(uint32_t size, uint32_t one_in) {
    PieceSet set(size);
    for (uint32_t piece = 0; piece < size; ++piece) {
      if (Below(one_in) == 0) set.Add(piece);
    }
    return set;
  }

  std::mt19937_64 random;
  PieceSet wanted;
  PieceSet urgent;
  std::vector<PieceSet> held;
  std::vector<PieceSet> arriving;
  std::vector<AssignView::Parent> parents;
  std::vector<AssignView::InFlight> in_flight;
  AssignView view;
};

bool Holds(const AssignView::Parent& parent, uint32_t piece) {
  return parent.held == nullptr || parent.held->Has(piece);
}

void ForEachPiece(const std::vector<Assignment>& chosen,
                  const std::function<void(const Assignment&, uint32_t)>& visit) {
  for (const Assignment& assignment : chosen) {
    for (uint32_t i = 0; i < assignment.run.count; ++i) visit(assignment, assignment.run.first + i);
  }
}

constexpr uint64_t kViews = 3000;

TEST(AssignProperty, AsksNobodyForWhatItNeitherHoldsNorAwaits) {
  for (uint64_t seed = 0; seed < kViews; ++seed) {
    const Drawn drawn(seed);
    ForEachPiece(Assign(drawn.view), [&](const Assignment& assignment, uint32_t piece) {
      const AssignView::Parent& parent = drawn.parents[assignment.parent];
      const bool somebody = std::ranges::any_of(drawn.parents, [&](const auto& p) { return Holds(p, piece); });
      const bool awaits = parent.arriving != nullptr && parent.arriving->Has(piece);
      EXPECT_TRUE(Holds(parent, piece) || (!somebody && awaits && !assignment.duplicate)) << seed;
    });
  }
}

TEST(AssignProperty, AsksForWantedPiecesOnceAndForOthersOnlyWhenNoneIsWanted) {
  for (uint64_t seed = 0; seed < kViews; ++seed) {
    const Drawn drawn(seed);
    std::set<uint32_t> seen;
    ForEachPiece(Assign(drawn.view), [&](const Assignment& assignment, uint32_t piece) {
      EXPECT_TRUE(seen.insert(piece).second) << seed;
      EXPECT_EQ(drawn.wanted.Has(piece), !assignment.duplicate) << seed;
      EXPECT_TRUE(!assignment.duplicate || drawn.wanted.empty()) << seed;
    });
  }
}

TEST(AssignProperty, AsksNobodyForMoreThanIsFreeOrTheSameTwice) {
  for (uint64_t seed = 0; seed < kViews; ++seed) {
    const Drawn drawn(seed);
    std::map<uint32_t, uint32_t> asked;
    for (const Assignment& assignment : Assign(drawn.view)) {
      asked[assignment.parent] += assignment.run.count;
      EXPECT_GE(assignment.run.count, 1) << seed;
      EXPECT_LE(assignment.run.count, drawn.view.run_length) << seed;
      for (const auto& flight : drawn.in_flight) {
        EXPECT_FALSE(assignment.duplicate && flight.piece == assignment.run.first &&
                     flight.parent == assignment.parent);
      }
    }
    for (const auto& [parent, pieces] : asked) EXPECT_LE(pieces, drawn.parents[parent].free) << seed;
  }
}

TEST(AssignProperty, LeavesNothingThatSomebodyWithRoomHolds) {
  for (uint64_t seed = 0; seed < kViews; ++seed) {
    const Drawn drawn(seed);
    if (drawn.wanted.empty()) continue;
    PieceSet left = drawn.wanted;
    std::vector<uint32_t> free;
    for (const auto& parent : drawn.parents) free.push_back(parent.free);
    ForEachPiece(Assign(drawn.view), [&](const Assignment& assignment, uint32_t piece) {
      left.Remove(piece);
      --free[assignment.parent];
    });
    for (uint32_t piece = left.NextFrom(0); piece < left.size(); piece = left.NextFrom(piece + 1)) {
      for (uint32_t parent = 0; parent < free.size(); ++parent) {
        EXPECT_FALSE(free[parent] > 0 && Holds(drawn.parents[parent], piece)) << seed << ' ' << piece;
      }
    }
  }
}

TEST(AssignProperty, IsTheSameForTheSameView) {
  for (uint64_t seed = 0; seed < kViews; ++seed) EXPECT_EQ(Assign(Drawn(seed).view), Assign(Drawn(seed).view));
}

// A simulated child that asks as it is told gets everything, whatever its parents have, if together they have it.
TEST(AssignProperty, AConnectedSwarmCompletes) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Drawn drawn(seed);
    if (drawn.parents.empty()) continue;
    const uint32_t size = drawn.wanted.size();
    for (auto& parent : drawn.parents) parent.free = std::max(1U, parent.free);
    PieceSet reachable(size);
    for (uint32_t piece = 0; piece < size; ++piece) {
      const auto holds = [&](const auto& parent) { return Holds(parent, piece); };
      if (drawn.wanted.Has(piece) && std::ranges::any_of(drawn.parents, holds)) reachable.Add(piece);
    }
    for (uint32_t round = 0; round <= size; ++round) {
      ForEachPiece(Assign(drawn.view), [&](const Assignment& assignment, uint32_t piece) {
        if (!Holds(drawn.parents[assignment.parent], piece)) return;
        reachable.Remove(piece);
        drawn.wanted.Remove(piece);
      });
    }
    EXPECT_TRUE(reachable.empty()) << seed;
  }
}

TEST(Assign, TakesTheRarestFirst) {
  const PieceSet wanted = PieceSet::All(4);
  const PieceSet all_but_two = SetOf(4, {0, 1, 3});
  const std::vector<AssignView::Parent> parents = {{.free = 1}, {.held = &all_but_two}, {.held = &all_but_two}};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_THAT(Assign({.wanted = &wanted, .parents = parents, .seed = seed}),
                ElementsAre(Assignment{.parent = 0, .run = {2, 1}}));
  }
}

TEST(Assign, BreaksTiesDifferentlyForDifferentChildren) {
  const PieceSet wanted = PieceSet::All(100);
  const std::vector<AssignView::Parent> parents = {{.free = 1}};
  std::set<uint32_t> first;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    first.insert(Assign({.wanted = &wanted, .parents = parents, .seed = seed}).at(0).run.first);
  }
  EXPECT_GT(first.size(), 50);
}

TEST(Assign, TakesTheLeadInOrderBeforeWhatIsRarer) {
  const PieceSet wanted = PieceSet::All(8);
  const PieceSet first_ones = SetOf(8, {0, 1, 2, 3});
  const std::vector<AssignView::Parent> parents = {{.free = 3}, {.held = &first_ones}};
  EXPECT_THAT(Assign({.wanted = &wanted, .parents = parents, .lead_end = 2, .seed = 1}),
              ElementsAre(Assignment{.run = {0, 1}}, Assignment{.run = {1, 1}},
                          testing::Field(&Assignment::run, testing::Field(&PieceRun::first, testing::Ge(4)))));
}

TEST(Assign, TakesTheLeadThenWhatIsUrgentTheRarestFirst) {
  const PieceSet wanted = PieceSet::All(40);
  const PieceSet urgent = SetOf(40, {9, 33, 35});
  const PieceSet others = SetOf(40, {9, 10, 11});
  const std::vector<AssignView::Parent> parents = {{.free = 4}, {.held = &others}};
  std::set<uint32_t> second;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto chosen = Assign({.wanted = &wanted, .parents = parents, .lead_end = 1, .urgent = &urgent, .seed = seed});
    ASSERT_EQ(chosen.size(), 4u);
    EXPECT_EQ(chosen[0].run, (PieceRun{0, 1}));
    EXPECT_THAT((std::vector{chosen[1].run.first, chosen[2].run.first}), testing::UnorderedElementsAre(33, 35));
    EXPECT_EQ(chosen[3].run, (PieceRun{9, 1}));
    second.insert(chosen[1].run.first);
  }
  EXPECT_EQ(second.size(), 2u) << "who wait for the same do not all ask for the same";
}

TEST(Assign, BeginsARunAtWhatIsUrgentInIt) {
  const PieceSet wanted = PieceSet::All(40);
  const PieceSet urgent = SetOf(40, {18});
  for (const uint32_t free : {1, 2, 4}) {
    const std::vector<AssignView::Parent> parents = {{.free = free}};
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const auto chosen =
          Assign({.wanted = &wanted, .parents = parents, .run_length = 4, .urgent = &urgent, .seed = seed});
      EXPECT_EQ(chosen.at(0).run, (PieceRun{18, std::min(free, 2u)}));
      EXPECT_EQ(chosen.size(), free == 4 ? 2u : 1u);
    }
  }
}

TEST(Assign, AsksTheNearestThenTheOneWithTheMostRoom) {
  const PieceSet wanted = SetOf(1, {0});
  const auto chosen = [&](std::vector<AssignView::Parent> parents) {
    return Assign({.wanted = &wanted, .parents = parents}).at(0).parent;
  };
  EXPECT_EQ(chosen({{.free = 9, .distance = Distance::kZone}, {.free = 1, .distance = Distance::kRack}}), 1);
  EXPECT_EQ(chosen({{.free = 1}, {.free = 9}}), 1);
  EXPECT_EQ(chosen({{.free = 9}, {.free = 0, .distance = Distance::kRack}}), 0);
}

TEST(Assign, AsksForRunsWithinABlock) {
  const PieceSet wanted = SetOf(8, {0, 1, 2, 3, 5, 6, 7});
  const std::vector<AssignView::Parent> parents = {{.free = 100}};
  std::vector<PieceRun> runs;
  for (const Assignment& assignment : Assign({.wanted = &wanted, .parents = parents, .run_length = 4})) {
    runs.push_back(assignment.run);
  }
  EXPECT_THAT(runs, testing::UnorderedElementsAre(PieceRun{0, 4}, PieceRun{5, 3}));
}

TEST(Assign, AsksForWhatIsArrivingOnlyIfNobodyHoldsIt) {
  const PieceSet wanted = PieceSet::All(1);
  const PieceSet none(1);
  const PieceSet one = SetOf(1, {0});
  const AssignView::Parent awaiting = {.held = &none, .arriving = &one, .free = 1};
  const std::vector<AssignView::Parent> alone = {awaiting};
  EXPECT_THAT(Assign({.wanted = &wanted, .parents = alone}), ElementsAre(Assignment{.run = {0, 1}}));
  const std::vector<AssignView::Parent> busy_holder = {awaiting, {.held = &one, .free = 0}};
  EXPECT_THAT(Assign({.wanted = &wanted, .parents = busy_holder}), IsEmpty());
}

TEST(Assign, WhatArrivesSomewhereIsLessRareThanWhatDoesNot) {
  const PieceSet wanted = PieceSet::All(4);
  const PieceSet none(4);
  const PieceSet three = SetOf(4, {0, 1, 3});
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<AssignView::Parent> parents = {{.free = 1}, {.held = &none, .arriving = &three, .free = 0}};
    EXPECT_THAT(Assign({.wanted = &wanted, .parents = parents, .seed = seed}), ElementsAre(Assignment{.run = {2, 1}}));
  }
}

TEST(Assign, AsksASecondParentAtTheEnd) {
  const PieceSet wanted(8);
  const std::vector<AssignView::Parent> parents = {{.free = 4}, {.free = 4}};
  const std::vector<AssignView::InFlight> in_flight = {{.piece = 7, .parent = 1}};
  EXPECT_THAT(Assign({.wanted = &wanted, .parents = parents, .in_flight = in_flight}),
              ElementsAre(Assignment{.parent = 0, .run = {7, 1}, .duplicate = true}));
}

}  // namespace
}  // namespace larder::swarm
