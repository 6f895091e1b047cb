// Which pieces a complete copy offers to whom.
#include "src/super_seeding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace larder::swarm {
namespace {

using std::chrono::milliseconds;
using Child = SuperSeeding::Child;

constexpr base::MonotonicTime kBegin{std::chrono::hours(1)};
constexpr auto kPatience = milliseconds(500);

// Children that take what they are offered, at a parent that sends a piece in `piece_time`.
class Seeds {
 public:
  explicit Seeds(uint32_t pieces, uint64_t seed = 1) : pieces_(pieces), seeding(pieces, seed, now, kPatience) {}
  // What the child is told and did not take yet.
  std::vector<uint32_t> Offers(Child child) const {
    std::vector<uint32_t> offers;
    const PieceSet& told = seeding.told(child);
    for (uint32_t piece = told.NextFrom(0); piece < pieces_; piece = told.NextFrom(piece + 1)) {
      if (!taken.contains({child, piece})) offers.push_back(piece);
    }
    return offers;
  }
  // It asks at once for all that it is offered, if it is `prompt`.
  void Join(Child child, bool is_prompt = true) {
    seeding.Join(child, now);
    if (is_prompt) prompt.insert(child);
    Advance();
  }
  void Leave(Child child) {
    seeding.Leave(child);
    prompt.erase(child);
    Advance();
  }
  void Take(Child child, uint32_t piece) {
    seeding.Asked(child, {piece, 1}, now);
    Pass(piece_time);
    seeding.Moved(child, now);
    seeding.Sent(child, piece, now);
    taken.insert({child, piece});
    ++sent[piece];
    Advance();
  }
  // One of its offers, if it has any.
  bool TakeOne(Child child) {
    const auto offers = Offers(child);
    if (!offers.empty()) Take(child, offers.front());
    return !offers.empty();
  }
  void Pass(base::Duration time) {
    now += time;
    Advance();
  }
  void Advance() {
    seeding.Advance(now);
    for (const Child child : prompt) {
      for (const uint32_t piece : Offers(child)) seeding.Asked(child, {piece, 1}, now);
    }
  }

  const uint32_t pieces_;
  base::MonotonicTime now = kBegin;
  base::Duration piece_time = milliseconds(10);
  SuperSeeding seeding;
  std::set<Child> prompt;
  std::set<std::pair<Child, uint32_t>> taken;
  std::map<uint32_t, int> sent;
};

TEST(SuperSeeding, OffersEachPieceToOneChildAndFewAtATime) {
  Seeds seeds(64);
  seeds.piece_time = milliseconds(1);
  for (const Child child : {1, 2, 3}) seeds.Join(child);
  while (!seeds.seeding.over()) {
    size_t open = 0;
    for (const Child child : {1, 2, 3}) open += seeds.Offers(child).size();
    EXPECT_LE(open, 4);
    bool some = false;
    for (const Child child : {1, 2, 3}) some = seeds.TakeOne(child) || some;
    ASSERT_TRUE(some);
  }
  EXPECT_EQ(seeds.sent.size(), 64);
  for (const auto& [piece, times] : seeds.sent) EXPECT_EQ(times, 1) << piece;
  for (const Child child : {1, 2, 3}) EXPECT_GE(seeds.seeding.told(child).count(), 20) << "each has its share";
}

TEST(SuperSeeding, OneChildAloneIsAlwaysAFewPiecesAhead) {
  Seeds seeds(64);
  seeds.Join(1);
  for (int i = 0; i < 60; ++i) {
    EXPECT_GE(seeds.Offers(1).size(), 4) << i;
    seeds.TakeOne(1);
  }
}

TEST(SuperSeeding, OffersMoreWhereTheLinkRunsDry) {
  Seeds seeds(256);
  seeds.Join(1, false);
  // All that was offered is on its way before the next offers have come.
  size_t most = 0;
  for (int i = 0; i < 20; ++i) {
    const auto offers = seeds.Offers(1);
    most = std::max(most, offers.size());
    for (const uint32_t piece : offers) seeds.Take(1, piece);
  }
  EXPECT_GE(most, 8);
}

TEST(SuperSeeding, WhatAChildWasOfferedAndDidNotTakeGoesToOthersWhenItLeaves) {
  Seeds seeds(64);
  seeds.Join(1);
  const auto offered = seeds.Offers(1);
  seeds.Join(2);
  seeds.Leave(1);
  while (seeds.TakeOne(2)) {
  }
  EXPECT_TRUE(seeds.seeding.over());
  EXPECT_TRUE(seeds.seeding.told(2).full());
}

TEST(SuperSeeding, WhoTakesNothingHoldsOthersUpOnce) {
  Seeds seeds(64);
  seeds.Join(1);
  seeds.Join(2);
  EXPECT_TRUE(seeds.Offers(2).empty()) << "all that may be under way is offered to the first";
  seeds.Pass(kPatience);
  EXPECT_TRUE(seeds.seeding.told(1).full()) << "it is kept from nothing";
  const auto begun = seeds.now;
  while (seeds.TakeOne(2)) {
  }
  EXPECT_TRUE(seeds.seeding.told(2).full());
  EXPECT_EQ(seeds.now - begun, 64 * seeds.piece_time);
}

TEST(SuperSeeding, WhoIsFarSlowerThanOthersDoesNotHoldThemUp) {
  Seeds seeds(64);
  for (const Child child : {1, 2, 3, 4, 5}) seeds.Join(child);
  // These take a byte now and then.
  const std::set<Child> slow = {1, 2, 3};
  for (int step = 0; step < 1000 && seeds.sent.size() < 50; ++step) {
    for (const Child child : slow) seeds.seeding.Moved(child, seeds.now);
    if (!seeds.TakeOne(4 + step % 2)) seeds.Pass(seeds.piece_time);
  }
  EXPECT_EQ(seeds.sent.size(), 50);
  EXPECT_LE(seeds.now - kBegin, kPatience + 2 * 50 * seeds.piece_time);
}

TEST(SuperSeeding, WhoHasNotGotItFromOthersInTimeHasItFromHere) {
  Seeds seeds(32);
  seeds.piece_time = milliseconds(100);
  seeds.Join(1);
  seeds.Join(2);
  while (!seeds.seeding.over()) {
    seeds.TakeOne(1);
    seeds.TakeOne(2);
  }
  EXPECT_FALSE(seeds.seeding.told(1).full());
  seeds.Pass(milliseconds(790));
  EXPECT_FALSE(seeds.seeding.told(1).full()) << "a quarter of the time in which all left";
  seeds.Pass(milliseconds(20));
  EXPECT_TRUE(seeds.seeding.told(1).full());
  EXPECT_TRUE(seeds.seeding.told(2).full());
}

TEST(SuperSeeding, WhatIsAskedForOutOfTurnIsOfferedToNobodyElse) {
  Seeds seeds(64);
  seeds.Join(1);
  seeds.Join(2);
  uint32_t other = 0;
  while (seeds.seeding.told(1).Has(other) || seeds.seeding.told(2).Has(other)) ++other;
  seeds.Take(1, other);
  while (seeds.TakeOne(1) || seeds.TakeOne(2)) {
    if (seeds.seeding.over()) break;
  }
  EXPECT_EQ(seeds.sent[other], 1);
}

// Children come and go, some take nothing, some what they were not offered, some are slow.
TEST(SuperSeedingProperty, WhateverOthersDoWhoTakesItsOffersGetsOn) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    const auto pieces = static_cast<uint32_t>(16 + random() % 100);
    Seeds seeds(pieces, seed);
    const Child sound = 1;
    seeds.Join(sound);
    std::set<Child> others;
    std::map<Child, PieceSet> told;
    Child next = 2;
    base::Duration idle{};
    for (int step = 0; step < 3000 && !seeds.seeding.told(sound).full(); ++step) {
      const uint64_t what = random() % 16;
      Child child = sound;
      if (!others.empty()) child = *std::next(others.begin(), static_cast<ptrdiff_t>(random() % others.size()));
      if (what == 0 && others.size() < 6) {
        others.insert(next);
        seeds.Join(next++, random() % 2 == 0);
      } else if (what == 1 && child != sound && random() % 4 == 0) {
        others.erase(child);
        told.erase(child);
        seeds.Leave(child);
      } else if (what == 2) {
        seeds.seeding.Asked(child, {static_cast<uint32_t>(random() % pieces), 1}, seeds.now);
      } else if (what == 3) {
        seeds.seeding.Moved(child, seeds.now);
      } else if (what < 8 && child % 2 == 0) {
        seeds.TakeOne(child);
      }
      // Who takes its offers never waits long for the next one, as long as there are any.
      if (seeds.TakeOne(sound) || seeds.seeding.over()) {
        idle = {};
      } else {
        seeds.Pass(milliseconds(50));
        idle += milliseconds(50);
      }
      ASSERT_LE(idle, std::chrono::seconds(10)) << "seed " << seed;
      for (const Child each : others) {
        const PieceSet& now = seeds.seeding.told(each);
        for (uint32_t piece = 0; told.contains(each) && piece < pieces; ++piece) {
          ASSERT_TRUE(now.Has(piece) || !told[each].Has(piece)) << "seed " << seed << ": nothing is taken back";
        }
        told[each] = now;
      }
      if (seeds.seeding.over()) seeds.Pass(milliseconds(50));
    }
    EXPECT_TRUE(seeds.seeding.told(sound).full()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace larder::swarm
