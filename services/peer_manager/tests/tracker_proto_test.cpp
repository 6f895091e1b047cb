#include "rpc/tracker_proto.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <chrono>

#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::peer_manager {
namespace {

namespace tv1 = larder::tracker::v1;
using base::IsOkAndHolds;
using base::StatusIs;
using std::chrono::seconds;

template <typename Message>
Message Parsed(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}
std::string Text(const google::protobuf::Message& message) { return message.ShortDebugString(); }
std::string Request(const std::string& text) { return Text(Parsed<tv1::ApplyRequest>(text)); }

TEST(TrackerProto, AsksForTheLeaseOfTheManagersAndFencesUnderIt) {
  EXPECT_EQ(Text(GrantRequest("me", seconds(5))),
            Request(R"(commands { grant_lease { name: "peer_manager" holder: "me" ttl_ms: 5000 } })"));
  EXPECT_EQ(Text(RenewRequest({7}, seconds(5))),
            Request(R"(commands { renew_lease { name: "peer_manager" token: 7 ttl_ms: 5000 } })"));
  EXPECT_EQ(Text(ReleaseRequest({7})), Request(R"(commands { release_lease { name: "peer_manager" token: 7 } })"));
  EXPECT_EQ(
      Text(FenceRequest({"a", {5}}, {7})),
      Request(R"(fence { lease: "peer_manager" token: 7 } commands { fence_node { node { node: "a" epoch: 5 } } })"));
}

TEST(TrackerProto, ARefusalIsAnErrorWithItsReason) {
  const auto result = [](const std::string& text) { return ResultOf(Parsed<tv1::ApplyResponse>(text)); };
  EXPECT_THAT(result(R"(results { refusal { code: 10 reason: "HELD" message: "m" } })"),
              StatusIs(absl::StatusCode::kAborted, "HELD"));
  EXPECT_THAT(result(""), StatusIs(absl::StatusCode::kInternal, "BAD_ANSWER"));
  LARDER_ASSERT_OK_AND_ASSIGN(const tv1::Result granted, result("results { lease_granted { token: 9 } }"));
  EXPECT_THAT(TermOf(granted), IsOkAndHolds(Term{9}));
  LARDER_ASSERT_OK_AND_ASSIGN(const tv1::Result other, result("results { done {} }"));
  EXPECT_THAT(TermOf(other), StatusIs(absl::StatusCode::kInternal, "BAD_ANSWER"));
}

TEST(TrackerProto, FindsTheManagersLeaseAmongOthers) {
  const auto found = FindLease(Parsed<tv1::ListLeasesResponse>(R"(
      leases { name: "other" holder: "x" token: 1 left_ms: 1 }
      leases { name: "peer_manager" holder: "me" token: 7 left_ms: 1500 })"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->holder, "me");
  EXPECT_EQ(found->term, Term{7});
  EXPECT_EQ(found->left, std::chrono::milliseconds(1500));
  EXPECT_FALSE(FindLease(Parsed<tv1::ListLeasesResponse>(R"(leases { name: "other" })")).has_value());
}

TEST(TrackerProto, ReadsAllOfANode) {
  const TrackedNode node = FromProto(Parsed<tv1::Node>(R"(
      name: "a" epoch: 5 incarnation: 2 fenced: true draining: true quarantined: true address: "a:1" zone: "z" rack: "r"
      last_seen_ms: 1500)"));
  EXPECT_EQ(node.name, "a");
  EXPECT_EQ(node.epoch, NodeEpoch{5});
  EXPECT_EQ(node.incarnation, 2u);
  EXPECT_TRUE(node.fenced && node.draining && node.quarantined);
  EXPECT_EQ(node.place, (Place{.address = "a:1", .zone = "z", .rack = "r"}));
  EXPECT_EQ(node.since_seen, std::chrono::milliseconds(1500));
}

}  // namespace
}  // namespace larder::peer_manager
