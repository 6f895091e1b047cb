#include "rpc/node_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "rpc/node_room.h"

namespace larder::cache_agent {
namespace {

namespace pb = larder::agent::v1;
using base::IsOk;
using base::StatusIs;
using testing::ElementsAre;
using testing::IsEmpty;

class NodeListTest : public testing::Test {
 protected:
  absl::StatusOr<pb::ListNodesResponse> List(const std::string& page_token = "") {
    pb::ListNodesRequest request;
    request.set_page_size(7);
    request.set_page_token(page_token);
    std::optional<absl::StatusOr<pb::ListNodesResponse>> listed;
    list_.List(request, [&](absl::StatusOr<pb::ListNodesResponse> response) { listed = std::move(response); });
    return *std::move(listed);
  }
  static absl::Status Nobody() { return base::Error(absl::StatusCode::kUnavailable, "NO_PEER_MANAGER", "none"); }

  absl::StatusOr<peers::v1::ListNodesResponse> managers_ = Nobody();
  absl::StatusOr<tracker::v1::ListNodesResponse> tracker_ = absl::UnavailableError("connection refused");
  std::vector<std::string> asked_;
  const NodeList list_{[this](const peers::v1::ListNodesRequest& request, base::Duration, const auto& done) {
                         EXPECT_EQ(request.page_size(), 7u);
                         asked_.push_back("managers " + request.page_token());
                         done(managers_);
                       },
                       [this](const tracker::v1::ListNodesRequest& request, base::Duration, const auto& done) {
                         EXPECT_EQ(request.page_size(), 7u);
                         asked_.push_back("tracker " + request.page_token());
                         done(tracker_);
                       }};
};

TEST_F(NodeListTest, IsThePeerManagersAndGoesOnThere) {
  managers_.emplace().add_nodes()->set_name("a");
  managers_->set_next_page_token("a");
  const auto first = List();
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->source(), pb::NODE_SOURCE_PEER_MANAGER);
  EXPECT_EQ(first->nodes(0).name(), "a");
  managers_->clear_next_page_token();
  const auto last = List(first->next_page_token());
  ASSERT_THAT(last, IsOk());
  EXPECT_THAT(last->next_page_token(), IsEmpty());
  EXPECT_THAT(asked_, ElementsAre("managers ", "managers a"));
  managers_ = Nobody();
  EXPECT_THAT(List(first->next_page_token()), StatusIs(absl::StatusCode::kUnavailable, "NO_PEER_MANAGER"))
      << "the tracker does not know that token";
}

TEST_F(NodeListTest, IsTheTrackersWhereNoManagerAnswersAndGoesOnThere) {
  tracker_.emplace().add_nodes()->set_name("a");
  tracker_->set_next_page_token(std::string("\xff\0", 2));
  const auto first = List();
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->source(), pb::NODE_SOURCE_TRACKER);
  managers_.emplace();  // it is back, in the middle of the list
  ASSERT_THAT(List(first->next_page_token()), IsOk());
  EXPECT_THAT(asked_, ElementsAre("managers ", "tracker ", std::string("tracker \xff\0", 10)));
}

TEST_F(NodeListTest, SaysWhoeverDoesNotAnswer) {
  for (const absl::Status& why : {absl::UnavailableError("connection refused"),
                                  base::Error(absl::StatusCode::kUnavailable, "NO_TRACKER", "no link")}) {
    tracker_ = why;
    const absl::Status listed = List().status();
    EXPECT_THAT(listed, StatusIs(absl::StatusCode::kUnavailable, "NO_TRACKER"));
    EXPECT_THAT(base::Message(listed), testing::HasSubstr("look at them"));
  }
  managers_ = base::InvalidArgument("BAD_LIMIT", "too many");
  EXPECT_THAT(List(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_LIMIT"));
  tracker_ = base::Error(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM", "no leader");
  managers_ = Nobody();
  EXPECT_THAT(List(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
}

TEST_F(NodeListTest, AnAgentThatIsAloneSaysSo) {
  pb::ListNodesRequest request;
  const auto status = [&] {
    absl::Status listed;
    NodeList().List(request,
                    [&](const absl::StatusOr<pb::ListNodesResponse>& response) { listed = response.status(); });
    return listed;
  };
  EXPECT_THAT(status(), StatusIs(absl::StatusCode::kUnavailable, "NO_TRACKER"));
  request.set_page_size(1001);
  EXPECT_THAT(status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_LIMIT"));
}

TEST_F(NodeListTest, ATokenThatNobodyGaveIsRefused) {
  for (const std::string token : {"x", "xa", "m\xff"}) {
    EXPECT_THAT(List(token), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD")) << token;
  }
  EXPECT_THAT(asked_, IsEmpty());
}

TEST(ToNode, TellsAllThatAManagerKnows) {
  peers::v1::Node told;
  told.set_name("a");
  told.set_node_epoch(5);
  told.set_state(peers::v1::NODE_STATE_SUSPECT);
  told.set_state_ms(100);
  told.set_draining(true);
  told.set_address("a:7461");
  told.set_zone("z");
  told.set_rack("r");
  pb::Node node = ToNode(told);
  EXPECT_EQ(node.state(), pb::NODE_STATE_SUSPECT);
  EXPECT_EQ(node.state_ms(), 100);
  EXPECT_TRUE(node.draining());
  EXPECT_FALSE(node.quarantined());
  EXPECT_EQ(node.address(), "a:7461");
  EXPECT_EQ(node.zone(), "z");
  EXPECT_EQ(node.rack(), "r");
  EXPECT_EQ(node.node_epoch(), 5u);
  EXPECT_FALSE(node.has_last_seen_ms());
  EXPECT_FALSE(node.has_memory());
  told.set_last_seen_ms(20);
  told.mutable_capacity()->set_memory_bytes(100);
  told.mutable_load()->set_memory_used_bytes(30);
  EXPECT_FALSE(node.has_uplink_bytes_per_second());
  told.mutable_load()->set_uplink_bytes_per_second(7);
  told.mutable_load()->set_upload_queue(3);
  node = ToNode(told);
  EXPECT_EQ(node.uplink_bytes_per_second(), 7u);
  EXPECT_EQ(node.upload_queue(), 3u);
  EXPECT_EQ(node.last_seen_ms(), 20);
  EXPECT_EQ(node.memory().used_bytes(), 30u);
  EXPECT_EQ(node.memory().total_bytes(), 100u);
  EXPECT_FALSE(node.has_disk()) << "it has none";
  told.mutable_capacity()->set_disk_bytes(1000);
  told.mutable_load()->set_disk_used_bytes(40);
  node = ToNode(told);
  EXPECT_EQ(node.disk().used_bytes(), 40u);
  EXPECT_EQ(node.disk().total_bytes(), 1000u);
}

TEST(ToNode, OfATrackerOnlyTheEndOfARegistrationIsAState) {
  tracker::v1::Node told;
  told.set_name("a");
  told.set_epoch(5);
  told.set_last_seen_ms(20);
  pb::Node node = ToNode(told);
  EXPECT_EQ(node.state(), pb::NODE_STATE_UNSPECIFIED);
  EXPECT_EQ(node.node_epoch(), 5u);
  EXPECT_EQ(node.last_seen_ms(), 20);
  EXPECT_FALSE(node.has_memory());
  told.set_draining(true);
  EXPECT_EQ(ToNode(told).state(), pb::NODE_STATE_UNSPECIFIED) << "a tracker does not know who is alive";
  EXPECT_TRUE(ToNode(told).draining());
  told.set_fenced(true);
  EXPECT_EQ(ToNode(told).state(), pb::NODE_STATE_LOST);
}

TEST(ByteRate, IsOfTheLastSecondOrMore) {
  ByteRate rate;
  base::MonotonicTime now{};
  EXPECT_EQ(rate.Next(1000, now), 0u) << "of one look there is none";
  EXPECT_EQ(rate.Next(5000, now + std::chrono::milliseconds(999)), 0u);
  EXPECT_EQ(rate.Next(5000, now + std::chrono::seconds(2)), 2000u);
  EXPECT_EQ(rate.Next(9000, now + std::chrono::milliseconds(2001)), 2000u) << "two looks a moment apart tell nothing";
  EXPECT_EQ(rate.Next(9000, now + std::chrono::seconds(6)), 1000u);
  EXPECT_EQ(rate.Next(9000, now + std::chrono::seconds(8)), 0u);
}

TEST(RoomOf, IsWhatANewObjectCouldGet) {
  const arena::Arena::Usage memory = {.limit = 100, .free = 30, .live = 70, .reserved = 10};
  NodeRoom room = RoomOf(memory, std::nullopt);
  EXPECT_EQ(room.capacity.memory_bytes(), 90u);
  EXPECT_EQ(room.load.memory_used_bytes(), 70u);
  EXPECT_EQ(room.load.memory_free_bytes(), 20u);
  EXPECT_EQ(room.capacity.disk_bytes(), 0u);
  room = RoomOf(memory, AgentStatus::Disk{.space = {.total = 5000, .free = 1000}, .used = 200});
  EXPECT_EQ(room.capacity.disk_bytes(), 1200u);
  EXPECT_EQ(room.load.disk_used_bytes(), 200u);
  EXPECT_EQ(room.load.disk_free_bytes(), 1000u);
  room = RoomOf(memory, AgentStatus::Disk{.space = {.total = 5000, .free = 1000}, .used = 200, .limit = 500});
  EXPECT_EQ(room.capacity.disk_bytes(), 500u);
  EXPECT_EQ(room.load.disk_free_bytes(), 300u);
  room = RoomOf(memory, AgentStatus::Disk{.space = {.total = 5000, .free = 1000}, .used = 600, .limit = 500});
  EXPECT_EQ(room.load.disk_free_bytes(), 0u) << "above a limit that was lowered";
}

}  // namespace
}  // namespace larder::cache_agent
