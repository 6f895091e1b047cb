#include "core/swarms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/testing/status_matchers.h"

namespace larder::peer_manager {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const object::ObjectId kModel{"team", "model"};
const object::ObjectId kData{"team", "data"};

bool All(const NodeRef&) { return true; }

Place PlaceOf(const std::string& node, const std::string& zone = "", const std::string& rack = "") {
  return {.address = node + ":7461", .zone = zone, .rack = rack};
}

class SwarmsTest : public testing::Test {
 protected:
  std::vector<std::string> Announce(const std::string& node, std::vector<Fetching> fetching, uint64_t epoch = 1) {
    const auto others =
        swarms_.Announce({.node = {node, {epoch}}, .place = PlaceOf(node), .fetching = std::move(fetching)});
    EXPECT_THAT(others, IsOk());
    return {others->begin(), others->end()};
  }
  std::vector<SwarmNews> News(const std::string& node) { return swarms_.NewsFor(node, All); }
  // Of its only news.
  std::vector<std::string> Members(const std::string& node) {
    std::vector<std::string> names;
    for (const SwarmNews& news : News(node)) {
      for (const SwarmMember& member : news.members) names.push_back(member.node.node);
    }
    std::ranges::sort(names);
    return names;
  }
  // As of what it was told now.
  Fetching Told(const std::string& node, object::Epoch epoch) {
    const auto news = News(node);
    EXPECT_THAT(news, SizeIs(1));
    return {.id = kModel, .epoch = epoch, .parents = 1, .known = news.empty() ? SwarmVersion() : news[0].version};
  }

  Swarms swarms_{1000};
};

TEST_F(SwarmsTest, WhoFetchesAnObjectHearsOfTheOthersOnceAndTheyOfIt) {
  EXPECT_THAT(Announce("a", {{.id = kModel, .epoch = {7}, .percent = 30}}), IsEmpty());
  EXPECT_THAT(News("a"), IsEmpty());
  EXPECT_THAT(Announce("b", {{.id = kModel, .epoch = {7}}}), ElementsAre("a"));
  const auto news = News("b");
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].id, kModel);
  EXPECT_THAT(news[0].members,
              ElementsAre(SwarmMember{.node = {"a", {1}}, .epoch = {7}, .place = PlaceOf("a"), .percent = 30}));
  EXPECT_THAT(Members("a"), ElementsAre("b"));
  EXPECT_THAT(Announce("a", {Told("a", {7})}), IsEmpty()) << "nothing new for the others";
  EXPECT_THAT(News("a"), IsEmpty());
  Announce("b", {Told("b", {7})});
  EXPECT_THAT(News("b"), IsEmpty()) << "it was told of a, which did not join anew";
  EXPECT_THAT(Announce("c", {{.id = kModel, .epoch = {7}}}), ElementsAre("a", "b"));
  EXPECT_THAT(Members("a"), ElementsAre("c")) << "it knows of b";
}

TEST_F(SwarmsTest, EpochsAndObjectsDoNotMix) {
  Announce("a", {{.id = kModel, .epoch = {7}}, {.id = kData, .epoch = {3}}});
  Announce("b", {{.id = kModel, .epoch = {8}}});
  Announce("c", {{.id = kData, .epoch = {7}}});
  EXPECT_THAT(News("a"), IsEmpty());
  EXPECT_THAT(News("b"), IsEmpty());
  EXPECT_THAT(News("c"), IsEmpty());
  EXPECT_EQ(swarms_.swarms(), 2u);
  EXPECT_EQ(swarms_.members(), 4u);
}

TEST_F(SwarmsTest, WhoDoesNotKnowTheEpochYetHearsOfAllAndIsNotNamed) {
  Announce("a", {{.id = kModel, .epoch = {7}}});
  EXPECT_THAT(Announce("b", {{.id = kModel}}), IsEmpty());
  EXPECT_THAT(Members("b"), ElementsAre("a"));
  EXPECT_THAT(News("a"), IsEmpty());
  EXPECT_THAT(Announce("b", {Told("b", {7})}), ElementsAre("a"));
  EXPECT_THAT(Members("a"), ElementsAre("b"));
  EXPECT_THAT(News("b"), IsEmpty());
}

TEST_F(SwarmsTest, WhatIsNotNamedAnyMoreIsLeft) {
  Announce("a", {{.id = kModel, .epoch = {7}}, {.id = kData, .epoch = {3}}});
  Announce("a", {{.id = kData, .epoch = {3}}});
  EXPECT_EQ(swarms_.swarms(), 1u);
  Announce("b", {{.id = kModel, .epoch = {7}}});
  EXPECT_THAT(News("b"), IsEmpty());
  Announce("a", {});
  swarms_.Leave("b");
  swarms_.Leave("b");
  EXPECT_EQ(swarms_.swarms(), 0u);
  EXPECT_EQ(swarms_.members(), 0u);
  EXPECT_THAT(swarms_.Nodes(), IsEmpty());
}

TEST_F(SwarmsTest, WhoComesBackOrRegistersAnewIsToldOfAgain) {
  Announce("a", {{.id = kModel, .epoch = {7}}});
  Announce("b", {{.id = kModel, .epoch = {7}}});
  Announce("a", {Told("a", {7})});
  Announce("b", {{.id = kModel, .epoch = {7}}}, 2);
  EXPECT_THAT(Members("a"), ElementsAre("b"));
  Announce("a", {Told("a", {7})});
  swarms_.Leave("b");
  Announce("b", {{.id = kModel, .epoch = {7}}}, 2);
  EXPECT_THAT(Members("a"), ElementsAre("b"));
}

TEST_F(SwarmsTest, WhoMayNotBeNamedOrGivesNothingIsNot) {
  Announce("a", {{.id = kModel, .epoch = {7}}});
  ASSERT_THAT(swarms_.Announce({.node = {"mute", {1}}, .place = {}, .fetching = {{.id = kModel, .epoch = {7}}}}),
              IsOk());
  Announce("b", {{.id = kModel, .epoch = {7}}});
  EXPECT_THAT(Members("b"), ElementsAre("a"));
  EXPECT_THAT(swarms_.NewsFor("b", [](const NodeRef& node) { return node.node != "a"; }), IsEmpty());
}

TEST_F(SwarmsTest, WhoHasEnoughParentsHearsOfNobody) {
  Announce("a", {{.id = kModel, .epoch = {7}, .parents = kMostParents}});
  Announce("b", {{.id = kModel, .epoch = {7}, .parents = kMostParents - 1}});
  Announce("c", {{.id = kModel, .epoch = {7}}});
  EXPECT_THAT(News("a"), IsEmpty());
  EXPECT_THAT(Members("b"), SizeIs(1)) << "and of no more than it has room for";
}

TEST_F(SwarmsTest, KeepsNoMoreThanItMay) {
  Swarms few(2);
  const auto said = [](const std::string& node, std::vector<Fetching> fetching) {
    return Announcement{.node = {node, {1}}, .place = PlaceOf(node), .fetching = std::move(fetching)};
  };
  ASSERT_THAT(few.Announce(said("a", {{.id = kModel, .epoch = {7}}})), IsOk());
  EXPECT_THAT(few.Announce(said("b", {{.id = kModel, .epoch = {7}}, {.id = kData, .epoch = {3}}})),
              StatusIs(StatusCode::kResourceExhausted, "TOO_MANY_FETCHES"));
  EXPECT_EQ(few.members(), 1u);
  ASSERT_THAT(few.Announce(said("a", {{.id = kModel, .epoch = {7}}, {.id = kData, .epoch = {3}}})), IsOk())
      << "what it said before counts no more";
  EXPECT_EQ(few.members(), 2u);
}

// ---- whom to name first

std::vector<SwarmMember> Members(int count) {
  std::vector<SwarmMember> members;
  for (int i = 0; i < count; ++i) {
    const std::string name = "node-" + std::to_string(i);
    members.push_back({.node = {name, {1}},
                       .epoch = {7},
                       .place = PlaceOf(name, "z" + std::to_string(i % 3), "r" + std::to_string(i % 5)),
                       .percent = static_cast<uint32_t>(i % 2)});
  }
  return members;
}

int DistanceOf(const SwarmMember& member) {
  if (member.place.zone != "z0") return 2;
  return member.place.rack == "r0" ? 0 : 1;
}

TEST(ChooseParents, TheNearestComeFirstAndWhoHasSomethingBeforeWhoHasNot) {
  const auto chosen = ChooseParents("me", PlaceOf("me", "z0", "r0"), Members(40), kMostParents);
  ASSERT_THAT(chosen, SizeIs(40));
  EXPECT_TRUE(std::ranges::is_sorted(
      chosen, {}, [](const SwarmMember& member) { return std::pair(DistanceOf(member), member.percent == 0); }));
}

TEST(ChooseParents, PlacesThatAreNotKnownAreNotTheSame) {
  const auto chosen = ChooseParents("me", PlaceOf("me", "", "r0"),
                                    {{.node = {"far", {1}}, .place = PlaceOf("far", "", "r0"), .percent = 0},
                                     {.node = {"also", {1}}, .place = PlaceOf("also", "z0", "r0"), .percent = 1}},
                                    kMostParents);
  EXPECT_EQ(chosen[0].node.node, "also") << "a rack without its zone says nothing";
}

TEST(ChooseParents, NamesNobodyTwiceAndNoMoreThanItMay) {
  for (const size_t most : {size_t{0}, size_t{1}, kParentsByChance, kMostParents, size_t{500}}) {
    const auto chosen = ChooseParents("me", PlaceOf("me", "z0", "r0"), Members(300), most);
    std::set<std::string> names;
    for (const SwarmMember& member : chosen) names.insert(member.node.node);
    EXPECT_EQ(chosen.size(), std::min<size_t>(most, 300));
    EXPECT_EQ(names.size(), chosen.size());
  }
}

TEST(ChooseParents, ALargeRackDoesNotFetchFromItselfAlone) {
  std::vector<SwarmMember> members = Members(300);
  for (int i = 0; i < 250; ++i) members[static_cast<size_t>(i)].place = PlaceOf("near", "z0", "r0");
  for (int i = 250; i < 300; ++i) members[static_cast<size_t>(i)].place = PlaceOf("far", "z1", "r0");
  int far = 0;
  for (int i = 0; i < 100; ++i) {
    const auto chosen = ChooseParents("asker-" + std::to_string(i), PlaceOf("me", "z0", "r0"), members, kMostParents);
    const auto near = std::ranges::count(chosen, 0, DistanceOf);
    EXPECT_GE(near, static_cast<std::ptrdiff_t>(kMostParents - kParentsByChance));
    far += static_cast<int>(kMostParents) - static_cast<int>(near);
  }
  // 50 of the 252 that are left once the nearest 48 are taken.
  EXPECT_GT(far, 100 * 16 / 10);
}

// Whoever can get at a first holder gets everything: each in turn is told of others, and nobody is named too often.
TEST(ChooseParents, ASwarmOfManyHangsTogetherAndSharesItsLoad) {
  constexpr int kNodes = 1000;
  const std::vector<SwarmMember> all = Members(kNodes);
  std::map<std::string, int> named;
  std::map<std::string, std::vector<std::string>> links;
  for (const SwarmMember& asker : all) {
    std::vector<SwarmMember> others = all;
    std::erase(others, asker);
    for (const SwarmMember& member : ChooseParents(asker.node.node, asker.place, std::move(others), kMostParents)) {
      ++named[member.node.node];
      links[member.node.node].push_back(asker.node.node);
    }
  }
  std::set<std::string> reached = {"node-0"};
  for (std::vector<std::string> next = {"node-0"}; !next.empty();) {
    const std::string node = next.back();
    next.pop_back();
    for (const std::string& child : links[node]) {
      if (reached.insert(child).second) next.push_back(child);
    }
  }
  EXPECT_EQ(reached.size(), size_t{kNodes});
  const auto busiest = std::ranges::max_element(named, {}, [](const auto& item) { return item.second; });
  EXPECT_LT(busiest->second, 4 * static_cast<int>(kMostParents));
}

// Whatever is said in whatever order: names hold only who fetches that object and epoch, and nothing is left at the
// end.
TEST(Swarms, HoldsWhatWasSaidLastByEach) {
  for (uint32_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto below = [&](uint32_t bound) { return static_cast<uint32_t>(random() % bound); };
    Swarms swarms(1000);
    std::map<std::string, std::map<object::ObjectId, uint64_t>> truth;
    for (int step = 0; step < 200; ++step) {
      const std::string node = "node-" + std::to_string(below(8));
      if (below(4) == 0) {
        swarms.Leave(node);
        truth.erase(node);
      } else {
        std::vector<Fetching> fetching;
        std::map<object::ObjectId, uint64_t> said;
        for (const object::ObjectId& id : {kModel, kData}) {
          if (below(2) == 0) continue;
          fetching.push_back({.id = id, .epoch = {below(3)}, .known = {below(static_cast<uint32_t>(step) + 1)}});
          said[id] = fetching.back().epoch.value;
        }
        ASSERT_THAT(swarms.Announce({.node = {node, {1}}, .place = PlaceOf(node), .fetching = fetching}), IsOk());
        said.empty() ? void(truth.erase(node)) : void(truth[node] = said);
      }
      size_t fetches = 0;
      for (const auto& [name, said] : truth) fetches += said.size();
      ASSERT_EQ(swarms.members(), fetches);
      ASSERT_THAT(swarms.Nodes(), SizeIs(truth.size()));
      for (const auto& [name, said] : truth) {
        for (const SwarmNews& news : swarms.NewsFor(name, All)) {
          for (const SwarmMember& member : news.members) {
            ASSERT_NE(member.node.node, name);
            ASSERT_EQ(truth.at(member.node.node).at(news.id), member.epoch.value);
            ASSERT_TRUE(said.at(news.id) == 0 || said.at(news.id) == member.epoch.value);
            ASSERT_NE(member.epoch.value, 0u);
          }
        }
      }
    }
    for (int i = 0; i < 8; ++i) swarms.Leave("node-" + std::to_string(i));
    EXPECT_EQ(swarms.swarms(), 0u);
  }
}

}  // namespace
}  // namespace larder::peer_manager
