#include "core/holders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::cache_agent {
namespace {

using base::StatusIs;
using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// "b" is a live copy; others change one thing about it.
ClusterCopy Copy(std::string node = "b") {
  return {.node = std::move(node),
          .address = "10.0.0.2:7461",
          .node_epoch = 5,
          .version = 9,
          .confirmed = true,
          .live = true,
          .last_seen = seconds(1)};
}
absl::Status Said(std::string_view reason) {
  return base::Error(absl::StatusCode::kAborted, reason, "as the parent says");
}

struct Choosing {
  std::vector<ClusterCopy> copies;
  RefusedBy refused;
  base::Duration waited{};
  HolderView view() const { return {.self = "a", .copies = copies, .refused = &refused, .waited = waited}; }
  std::vector<std::string> Asked() const {
    std::vector<std::string> nodes;
    for (const ClusterCopy& copy : ChooseHolders(view()).ask) nodes.push_back(copy.node);
    return nodes;
  }
  bool Waits() const { return ChooseHolders(view()).wait; }
};

TEST(ChooseHolders, AsksThoseThatCountFirstAndNeverThisNode) {
  ClusterCopy drains = Copy("drains"), mute = Copy("mute");
  drains.live = false;
  mute.address = "";
  const Choosing choosing{.copies = {drains, Copy("a"), mute, Copy("b"), Copy("c")}};
  EXPECT_THAT(choosing.Asked(), ElementsAre("b", "c", "drains"));
}

TEST(ChooseHolders, AsksWhoMayHaveItThoughItHasNotSaidSoYetButNotWhoIsGone) {
  ClusterCopy back = Copy("back"), gone = Copy("gone");
  back.confirmed = back.live = gone.confirmed = gone.live = false;
  gone.last_seen = kMayComeBack;
  const Choosing choosing{.copies = {gone, back}};
  EXPECT_THAT(choosing.Asked(), ElementsAre("back"));
  EXPECT_FALSE(choosing.Waits());
  EXPECT_THAT((Choosing{.copies = {gone}}).Asked(), IsEmpty());
}

TEST(ChooseHolders, AsksNobodyTwiceUnderOneRegistration) {
  Choosing choosing{.copies = {Copy("b"), Copy("c")}, .refused = {{"b", {.node_epoch = 5, .why = Said("NO_OBJECT")}}}};
  EXPECT_THAT(choosing.Asked(), ElementsAre("c"));
  choosing.copies[0].node_epoch = 6;
  EXPECT_THAT(choosing.Asked(), ElementsAre("b", "c"));
}

TEST(ChooseHolders, WaitsForWhoRegisteredAnewForATime) {
  Choosing choosing{.copies = {Copy()}, .refused = {{"b", {.node_epoch = 5, .why = Said("NODE_EPOCH_STALE")}}}};
  EXPECT_THAT(choosing.Asked(), IsEmpty());
  EXPECT_TRUE(choosing.Waits());
  choosing.waited = kMayComeBack;
  EXPECT_FALSE(choosing.Waits());
  choosing.waited = {};
  choosing.refused["b"].why = Said("NO_OBJECT");
  EXPECT_FALSE(choosing.Waits()) << "it is not there";
}

TEST(NobodyHasIt, NamesEachNodeWhenItWasSeenAndWhy) {
  ClusterCopy gone = Copy("gone");
  gone.confirmed = gone.live = false;
  gone.last_seen = seconds(90);
  const Choosing choosing{.copies = {Copy("b"), gone, Copy("a")},
                          .refused = {{"b", {.node_epoch = 5, .why = Said("NO_OBJECT")}}}};
  const absl::Status status = NobodyHasIt({"team-a", "models/w"}, choosing.view());
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, "NO_HOLDER"));
  EXPECT_THAT(base::Message(status),
              AllOf(HasSubstr("'models/w'"), HasSubstr("b, seen 1s ago, NO_OBJECT: as the parent says"),
                    HasSubstr("gone, seen 90s ago, is gone"), HasSubstr("a, seen 1s ago, is this node")));
  EXPECT_THAT(base::Message(NobodyHasIt({"team-a", "k"}, Choosing{}.view())), HasSubstr("none is known"));
}

}  // namespace
}  // namespace larder::cache_agent
