#include "rpc/tracker_rpc.h"

#include <future>

#include "tests/member_under_test.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;
using base::IsOk;
using base::StatusIs;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using Stub = v1::Tracker::Stub;

const std::string kA = R"(object { namespace: "team" key: "a" } )";

class TrackerRpcTest : public MemberTest {
 protected:
  // A node "n" with a sealed object team/a; its blob and epoch are known.
  void PutA() {
    node_epoch_ = Run(R"(register_node { node: "n" incarnation: 1 address: "n:7461" })").node_registered().node_epoch();
    const v1::Result sealed =
        Run("publish { " + kA + Author() + R"(kind: COPY_KIND_STAGED meta { size_bytes: 5 wanted_replicas: 1 } })");
    ASSERT_TRUE(sealed.has_sealed()) << sealed.ShortDebugString();
    blob_ = sealed.sealed().blob();
    epoch_ = sealed.sealed().epoch();
  }
  std::string Ref() const { return R"({ node: "n" epoch: )" + std::to_string(node_epoch_) + "} "; }
  std::string Author() const { return "author " + Ref(); }

  uint64_t node_epoch_ = 0;
  uint64_t blob_ = 0;
  uint64_t epoch_ = 0;
};

TEST_F(TrackerRpcTest, ABatchHasAResultForEachCommand) {
  PutA();
  const auto response =
      Ask(&Stub::Apply, "commands { delete { " + kA + " epoch: 1000000 } } commands { delete { " + kA + " } }" +
                            "commands { delete { " + kA + " } } commands { open_session {} }");
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->results_size(), 4);
  EXPECT_EQ(response->results(0).refusal().reason(), "EPOCH_STALE");
  EXPECT_EQ(response->results(0).refusal().code(), static_cast<int>(StatusCode::kAborted));
  EXPECT_TRUE(response->results(1).has_done());
  EXPECT_EQ(response->results(2).refusal().reason(), "NOT_FOUND");
  EXPECT_GT(response->results(3).session_opened().session(), 0u);
}

TEST_F(TrackerRpcTest, ARefusalNamesTheHolder) {
  ASSERT_TRUE(Run(R"(grant_lease { name: "l" holder: "pod-1" ttl_ms: 60000 })").has_lease_granted());
  const v1::Result refused = Run(R"(grant_lease { name: "l" holder: "pod-2" ttl_ms: 60000 })");
  EXPECT_EQ(refused.refusal().reason(), "HELD");
  EXPECT_EQ(refused.refusal().holder(), "pod-1");
}

TEST_F(TrackerRpcTest, ARepeatUnderARequestIdGetsTheFirstAnswer) {
  const uint64_t session = Run("open_session {}").session_opened().session();
  const std::string request = "request_id { session: " + std::to_string(session) +
                              R"( sequence: 1 low_water: 1 } commands { register_node { node: "n" incarnation: 1 } })";
  const auto first = Ask(&Stub::Apply, request);
  const auto second = Ask(&Stub::Apply, request);
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(second, IsOk());
  EXPECT_GT(first->results(0).node_registered().node_epoch(), 0u);
  EXPECT_EQ(first->results(0).node_registered().node_epoch(), second->results(0).node_registered().node_epoch());
}

TEST_F(TrackerRpcTest, AFencedRequestNeedsTheCurrentToken) {
  const uint64_t token = Run(R"(grant_lease { name: "l" holder: "p" ttl_ms: 60000 })").lease_granted().token();
  const auto with_token = [&](uint64_t given) {
    return Ask(&Stub::Apply,
               R"(fence { lease: "l" token: )" + std::to_string(given) + "} commands { open_session {} }");
  };
  const auto taken = with_token(token);
  ASSERT_THAT(taken, IsOk());
  EXPECT_TRUE(taken->results(0).has_session_opened());
  const auto refused = with_token(token - 1);
  ASSERT_THAT(refused, IsOk());
  EXPECT_EQ(refused->results(0).refusal().reason(), "TOKEN_STALE");
}

TEST_F(TrackerRpcTest, WhatIsNoCommandEndsTheCall) {
  EXPECT_THAT(Ask(&Stub::Apply), StatusIs(StatusCode::kInvalidArgument, "BAD_BATCH"));
  EXPECT_THAT(Ask(&Stub::Apply, "commands { renew_creates { lease_ms: -1 } }"),
              StatusIs(StatusCode::kInvalidArgument, "BAD_FIELD"));
}

TEST_F(TrackerRpcTest, LocateAnswersEachInTheOrderAsked) {
  PutA();
  const auto response = Ask(&Stub::Locate, R"(objects { namespace: "team" key: "none" } objects { namespace: "team"
                                                                                                   key: "a" })");
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->objects_size(), 2);
  EXPECT_EQ(response->objects(0).object().state(), v1::OBJECT_STATE_ABSENT);
  const v1::LocatedObject& found = response->objects(1);
  EXPECT_EQ(found.object().state(), v1::OBJECT_STATE_SEALED);
  EXPECT_EQ(found.object().blob(), blob_);
  ASSERT_EQ(found.copies_size(), 1);
  EXPECT_EQ(found.copies(0).address(), "n:7461");
  EXPECT_EQ(found.live_replicas(), 1u);
}

TEST_F(TrackerRpcTest, StatTellsOfOneObject) {
  PutA();
  const auto response = Ask(&Stub::Stat, kA);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->located().object().sealed().epoch(), epoch_);
  EXPECT_THAT(Ask(&Stub::Stat, R"(object { namespace: "team" key: "none" })"),
              StatusIs(StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(Ask(&Stub::Stat), StatusIs(StatusCode::kInvalidArgument, "BAD_NAMESPACE"));
}

TEST_F(TrackerRpcTest, ListsComeInPages) {
  PutA();
  ASSERT_TRUE(Run(R"(make_dir { directory { namespace: "team" key: "d" } })").has_done());
  const auto first = Ask(&Stub::List, R"(namespace: "team" delimited: true page_size: 1)");
  ASSERT_THAT(first, IsOk());
  ASSERT_EQ(first->entries_size(), 1);
  EXPECT_EQ(first->entries(0).key(), "a");
  EXPECT_EQ(first->entries(0).object().blob(), blob_);
  v1::ListRequest request = Parsed<v1::ListRequest>(R"(namespace: "team" delimited: true)");
  request.set_page_token(first->next_page_token());
  const auto second = Call(&Stub::List, request);
  ASSERT_THAT(second, IsOk());
  ASSERT_EQ(second->entries_size(), 1);
  EXPECT_EQ(second->entries(0).key(), "d/");
  EXPECT_FALSE(second->entries(0).has_object());
  EXPECT_THAT(second->next_page_token(), IsEmpty());
  EXPECT_THAT(Ask(&Stub::List, R"(namespace: "team" page_size: 1001)"),
              StatusIs(StatusCode::kInvalidArgument, "BAD_LIMIT"));
}

TEST_F(TrackerRpcTest, ListsStagedObjectsAndNodes) {
  PutA();
  const auto staged = Ask(&Stub::ListStaged);
  ASSERT_THAT(staged, IsOk());
  ASSERT_EQ(staged->objects_size(), 1);
  EXPECT_EQ(staged->objects(0).id().key(), "a");
  const auto nodes = Ask(&Stub::ListNodes);
  ASSERT_THAT(nodes, IsOk());
  ASSERT_EQ(nodes->nodes_size(), 1);
  EXPECT_EQ(nodes->nodes(0).epoch(), node_epoch_);
}

TEST_F(TrackerRpcTest, ListsLeasesAndGivesTheirPlan) {
  EXPECT_THAT(Ask(&Stub::GetPlan, R"(lease: "l")"), StatusIs(StatusCode::kNotFound, "NO_PLAN"));
  const uint64_t token = Run(R"(grant_lease { name: "l" holder: "p" ttl_ms: 60000 })").lease_granted().token();
  ASSERT_TRUE(Run(R"(put_plan { name: "l" plan: "x" token: )" + std::to_string(token) + "}").has_done());
  const auto plan = Ask(&Stub::GetPlan, R"(lease: "l")");
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->plan(), "x");
  EXPECT_EQ(plan->token(), token);
  const auto leases = Ask(&Stub::ListLeases);
  ASSERT_THAT(leases, IsOk());
  ASSERT_EQ(leases->leases_size(), 1);
  EXPECT_EQ(leases->leases(0).holder(), "p");
  EXPECT_GT(leases->leases(0).left_ms(), 0);
  EXPECT_LE(leases->leases(0).left_ms(), 60'000);
}

TEST_F(TrackerRpcTest, ListsEndedTickets) {
  PutA();
  const std::string begin = "begin_upload { blob: " + std::to_string(blob_) + " epoch: " + std::to_string(epoch_) +
                            " ttl_ms: 60000 uploader " + Ref() + "}";
  const uint64_t ticket = Run(begin).ticket_granted().ticket();
  ASSERT_TRUE(Run(begin).has_ticket_granted());
  const auto ended = Ask(&Stub::ListEndedTickets);
  ASSERT_THAT(ended, IsOk());
  ASSERT_EQ(ended->tickets_size(), 1);
  EXPECT_EQ(ended->tickets(0).ticket(), ticket);
  EXPECT_EQ(ended->tickets(0).object().key(), "a");
}

TEST_F(TrackerRpcTest, GivesTheSumsOfANodesInventory) {
  PutA();
  const auto inventory = Ask(&Stub::GetInventory, R"(node: "n")");
  ASSERT_THAT(inventory, IsOk());
  EXPECT_EQ(inventory->node_epoch(), node_epoch_);
  ASSERT_EQ(inventory->sums_size(), 256);
  ASSERT_EQ(inventory->confirmed_size(), 256);
  const int bucket = BucketOf(BlobId{blob_});
  for (int i = 0; i < inventory->sums_size(); ++i) {
    const uint64_t wanted = i == bucket ? ItemHash({BlobId{blob_}, Epoch{epoch_}, CopyKind::kStaged}) : 0;
    EXPECT_EQ(inventory->sums(i), wanted) << i;
    EXPECT_FALSE(inventory->confirmed(i)) << i;
  }
  // What is equal is confirmed as a whole.
  const std::string equal =
      "buckets { bucket: " + std::to_string(bucket) + " hash: " + std::to_string(inventory->sums(bucket)) + " }";
  ASSERT_TRUE(Run("confirm_buckets { holder " + Ref() + equal + "}").has_buckets_compared());
  const auto confirmed = Ask(&Stub::GetInventory, R"(node: "n")");
  ASSERT_THAT(confirmed, IsOk());
  for (int i = 0; i < confirmed->confirmed_size(); ++i) EXPECT_EQ(confirmed->confirmed(i), i == bucket) << i;

  const auto unknown = Ask(&Stub::GetInventory, R"(node: "other")");
  ASSERT_THAT(unknown, IsOk());
  EXPECT_EQ(unknown->node_epoch(), 0u);
}

TEST_F(TrackerRpcTest, AnswersTellFromWhereToWatch) {
  PutA();
  const uint64_t revision = state_.mark().at.index + 1;
  EXPECT_EQ(Ask(&Stub::Locate, R"(objects { namespace: "team" key: "none" })")->revision(), revision);
  EXPECT_EQ(Ask(&Stub::Stat, kA)->revision(), revision);
  EXPECT_EQ(Ask(&Stub::List, R"(namespace: "team")")->revision(), revision);
  EXPECT_EQ(Ask(&Stub::ListStaged)->revision(), revision);
  EXPECT_EQ(Ask(&Stub::ListNodes)->revision(), revision);
  EXPECT_EQ(Ask(&Stub::ListLeases)->revision(), revision);
  EXPECT_EQ(Ask(&Stub::GetInventory, R"(node: "n")")->revision(), revision);
  Run("open_session {}");
  EXPECT_EQ(Ask(&Stub::ListNodes)->revision(), revision + 1);
}

TEST_F(TrackerRpcTest, StatusTellsHowTheMemberIs) {
  Run("open_session {}");
  const auto status = Ask(&Stub::Status);
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->member(), 1u);
  EXPECT_EQ(status->role(), v1::MEMBER_ROLE_LEADER);
  EXPECT_EQ(status->leader(), 1u);
  EXPECT_GE(status->term(), 1u);
  EXPECT_GE(status->last_index(), 1u);
  EXPECT_TRUE(status->voter());
  EXPECT_GT(status->log_bytes(), 0u);
  EXPECT_EQ(status->members_size(), 1);
  EXPECT_THAT(status->version(), testing::Not(IsEmpty()));
}

TEST_F(TrackerRpcTest, CountsWhatItAnswers) {
  Run("open_session {}");
  EXPECT_FALSE(Ask(&Stub::Stat, kA).ok());
  EXPECT_FALSE(Ask(&Stub::Apply, "commands { delete { } } commands { }").ok());
  EXPECT_THAT(Ask(&Stub::Status), IsOk());
  const std::string text = registry_.Render();
  for (const std::string line :
       {R"({op="open_session",code="OK"} 1)", R"({op="stat",code="NOT_FOUND"} 1)", R"({op="status",code="OK"} 1)",
        R"({op="delete",code="INVALID_ARGUMENT"} 1)", R"({op="unknown",code="INVALID_ARGUMENT"} 1)"}) {
    EXPECT_THAT(text, HasSubstr("larder_tracker_requests_total" + line));
  }
}

TEST_F(TrackerRpcTest, AnswersStopWhenTheMemberDoes) {
  consensus_.Stop();
  EXPECT_THAT(Ask(&Stub::Apply, "commands { open_session {} }"), StatusIs(StatusCode::kUnavailable, "STOPPING"));
  readers_.Stop();
  EXPECT_THAT(Ask(&Stub::Stat, kA), StatusIs(StatusCode::kUnavailable, "STOPPING"));
}

TEST_F(TrackerRpcTest, TheServerDoesNotWaitForCallsThatNobodyEnds) {
  Run("open_session {}");
  held_.Hold();
  auto applied = std::async(std::launch::async, [this] { return Ask(&Stub::Apply, "commands { open_session {} }"); });
  auto read = std::async(std::launch::async, [this] { return Ask(&Stub::Stat, kA); });
  ASSERT_TRUE(held_.WaitForHeld(2));
  StopServer(base::Duration::zero());
  EXPECT_FALSE(applied.get().ok());
  EXPECT_FALSE(read.get().ok());
  held_.Release();  // the calls are over: whoever touched them would crash
}

TEST_F(TrackerRpcTest, TheServerWaitsForCallsThatEndInTime) {
  Run("open_session {}");
  held_.Hold();
  auto applied = std::async(std::launch::async, [this] { return Ask(&Stub::Apply, "commands { open_session {} }"); });
  ASSERT_TRUE(held_.WaitForHeld(1));
  auto stopped = std::async(std::launch::async, [this] { StopServer(seconds(10)); });
  held_.Release();
  EXPECT_THAT(applied.get(), IsOk());
  stopped.get();
}

class WithoutQuorum : public MemberTest {
 protected:
  WithoutQuorum() : MemberTest(2) {}
};

TEST_F(WithoutQuorum, StatusAndStaleAnswersStillCome) {
  const auto status = Ask(&Stub::Status);
  ASSERT_THAT(status, IsOk());
  EXPECT_NE(status->role(), v1::MEMBER_ROLE_LEADER);
  EXPECT_EQ(status->leader(), 0u);
  const auto located = Ask(&Stub::Locate, R"(stale_ok: true objects { namespace: "team" key: "a" })");
  ASSERT_THAT(located, IsOk());
  EXPECT_EQ(located->objects(0).object().state(), v1::OBJECT_STATE_ABSENT);
  EXPECT_THAT(Ask(&Stub::ListNodes, "stale_ok: true"), IsOk());
}

TEST_F(WithoutQuorum, ChangesAndCurrentAnswersDoNot) {
  auto applied = std::async(std::launch::async, [this] { return Ask(&Stub::Apply, "commands { open_session {} }"); });
  EXPECT_THAT(Ask(&Stub::ListNodes), StatusIs(StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
  EXPECT_THAT(applied.get(), StatusIs(StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
}

}  // namespace
}  // namespace larder::tracker
