#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include "rpc/answers.h"
#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

using base::IsOk;
using base::StatusIs;
using std::chrono::milliseconds;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class Answers : public RegistryTest {
 protected:
  // The answer at `now_`, which the registry need not have reached.
  template <typename Response, typename Request>
  Response Get(const Request& request) {
    Response response;
    EXPECT_THAT(Answer(*Snapshot(), now_, request, response), IsOk());
    return response;
  }
  template <typename Response, typename Request>
  absl::Status Error(const Request& request) {
    Response response;
    return Answer(*Snapshot(), now_, request, response);
  }
  v1::LocatedObject StatOf(const ObjectId& id) {
    v1::StatRequest request;
    request.mutable_object()->set_namespace_(id.ns);
    request.mutable_object()->set_key(id.key);
    return Get<v1::StatResponse>(request).located();
  }
  static void Expect(const google::protobuf::Message& message, const std::string& text) {
    const std::unique_ptr<google::protobuf::Message> wanted(message.New());
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, wanted.get())) << text;
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(message, *wanted))
        << message.DebugString() << "is not\n"
        << wanted->DebugString();
  }
};

TEST_F(Answers, StatTellsAllOfASealedObject) {
  const NodeRef a = Register("a");
  const Sealed sealed = Put(a, id_,
                            {.size = 5,
                             .piece_length = 4096,
                             .digest = base::Crc32cDigest(1),
                             .manifest = base::Crc32cDigest(2),
                             .ttl = seconds(60),
                             .pinned = true,
                             .wanted = 2,
                             .tags = {"x"},
                             .application = "app"},
                            CopyKind::kStaged);
  const CreateGranted next = Create(a, id_, true);
  Pass(milliseconds(1500));
  const v1::LocatedObject located = StatOf(id_);
  Expect(located, fmt::format(R"(
      object {{
        id {{ namespace: "team" key: "a/b" }} state: OBJECT_STATE_SEALED blob: {0}
        sealed {{
          epoch: {1} author {{ node: "a" epoch: {2} }} ttl_left_ms: 58500 sealed_ms: 1500 staged_ms: 1500
          meta {{
            size_bytes: 5 piece_length_bytes: 4096 digest: "crc32c:00000001" manifest_digest: "crc32c:00000002"
            ttl_ms: 60000 pinned: true wanted_replicas: 2 tags: "x" application: "app"
          }}
        }}
        pending {{ epoch: {3} author {{ node: "a" epoch: {2} }} }}
      }}
      copies {{
        node: "a" address: "a:7461" kind: COPY_KIND_STAGED node_epoch: {2} version: {4} confirmed: true live: true
        last_seen_ms: 1500
      }}
      live_replicas: 1
      creator {{
        node: "a" address: "a:7461" kind: COPY_KIND_REPLICA node_epoch: {2} confirmed: true live: true
        last_seen_ms: 1500
      }})",
                              sealed.blob.value, sealed.epoch.value, a.epoch.value, next.epoch.value,
                              located.copies(0).version()));
  EXPECT_GT(located.copies(0).version(), 0u);
}

TEST_F(Answers, StatTellsWhereTheOriginHasIt) {
  const NodeRef a = Register("a");
  const Sealed sealed = Put(a, id_);
  const auto ticket = RegistryTest::Get<TicketGranted>(BeginUpload{sealed.blob, sealed.epoch, a, seconds(60)}).ticket;
  EXPECT_EQ(StatOf(id_).object().sealed().upload_ticket(), ticket.value);
  Ok(CommitOrigin{ticket, "e", 7});
  const v1::SealedVersion version = StatOf(id_).object().sealed();
  EXPECT_EQ(version.upload_ticket(), 0u);
  Expect(version.origin(),
         fmt::format(R"(at {{ namespace: "team" key: "a/b" }} ticket: {} etag: "e" crc32c: 7)", ticket.value));
  EXPECT_FALSE(version.has_ttl_left_ms()) << "it has no end";
  EXPECT_FALSE(version.has_staged_ms());
}

TEST_F(Answers, StatTellsTheAliasOfWhatWasPublished) {
  const NodeRef a = Register("a");
  RegistryTest::Get<Sealed>(Publish{id_, Epoch{77}, a, CopyKind::kReplica, {}, false});
  EXPECT_EQ(StatOf(id_).object().sealed().alias(), 77u);
}

TEST_F(Answers, StatTellsWhoCreatesAnObject) {
  const NodeRef a = Register("a");
  const CreateGranted create = Create(a, id_);
  const v1::LocatedObject located = StatOf(id_);
  EXPECT_EQ(located.object().state(), v1::OBJECT_STATE_CREATING);
  EXPECT_FALSE(located.object().has_sealed());
  EXPECT_EQ(located.object().pending().epoch(), create.epoch.value);
  EXPECT_EQ(located.creator().node(), "a");
}

// Existence goes by applied time: an end that is due, but not applied, is no negative rest.
TEST_F(Answers, NothingIsLeftOfWhatIsDue) {
  Put(Register("a"), id_, {.ttl = seconds(1)});
  now_ = After(now_, seconds(5));
  EXPECT_EQ(StatOf(id_).object().sealed().ttl_left_ms(), 0);
}

TEST_F(Answers, WhatIsLeftIsRoundedUpAndWhatHasPassedDown) {
  Put(Register("a"), id_, {.ttl = seconds(1)});
  Pass(base::Duration(1));
  const v1::SealedVersion version = StatOf(id_).object().sealed();
  EXPECT_EQ(version.ttl_left_ms(), 1000);
  EXPECT_EQ(version.sealed_ms(), 0);
}

TEST_F(Answers, LocateTakesAThousandNamesAndNoMore) {
  v1::LocateRequest request;
  EXPECT_THAT(Error<v1::LocateResponse>(request), StatusIs(kInvalid, "BAD_BATCH"));
  for (int i = 0; i < 1000; ++i) {
    v1::ObjectId& id = *request.add_objects();
    id.set_namespace_("team");
    id.set_key(std::to_string(i));
  }
  const auto response = Get<v1::LocateResponse>(request);
  ASSERT_EQ(response.objects_size(), 1000);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(response.objects(i).object().id().key(), std::to_string(i));
  *request.add_objects() = request.objects(0);
  EXPECT_THAT(Error<v1::LocateResponse>(request), StatusIs(kInvalid, "BAD_BATCH"));
}

TEST_F(Answers, LocateSaysWhichNameIsNone) {
  v1::LocateRequest request;
  v1::ObjectId& good = *request.add_objects();
  good.set_namespace_("team");
  good.set_key("k");
  *request.add_objects() = good;
  request.mutable_objects(1)->set_key("/");
  const absl::Status bad_key = Error<v1::LocateResponse>(request);
  EXPECT_THAT(bad_key, StatusIs(kInvalid, "BAD_KEY"));
  EXPECT_THAT(base::Message(bad_key), testing::StartsWith("objects[1]: "));
  request.mutable_objects(0)->set_namespace_("");
  EXPECT_THAT(Error<v1::LocateResponse>(request), StatusIs(kInvalid, "BAD_NAMESPACE"));
}

// Each has 900 copies of over 250 bytes: 17 of them are about 4 MiB.
TEST_F(Answers, LocateAnswersAPartIfAllWouldBeTooLong) {
  const auto name = [](int i) { return std::string(240, 'n') + std::to_string(i); };
  std::vector<NodeRef> nodes;
  for (int i = 0; i < 900; ++i) nodes.push_back(Register(name(i)));
  v1::LocateRequest request;
  for (int i = 0; i < 30; ++i) {
    const ObjectId id{"team", "k" + std::to_string(i)};
    const Sealed sealed = Put(nodes[0], id);
    Entry copies;
    for (const NodeRef& node : nodes) {
      copies.commands.push_back(AddLocation{sealed.blob, sealed.epoch, node, CopyKind::kReplica});
    }
    RunEntry(copies);
    v1::ObjectId& asked = *request.add_objects();
    asked.set_namespace_(id.ns);
    asked.set_key(id.key);
  }
  const auto response = Get<v1::LocateResponse>(request);
  EXPECT_GT(response.objects_size(), 1);
  EXPECT_LT(response.objects_size(), 30);
  EXPECT_LE(response.ByteSizeLong(), 4u << 20);
  EXPECT_EQ(response.objects(0).copies_size(), 900) << "what is answered is whole";
}

TEST_F(Answers, ListTellsWhatStatDoesButTheCopies) {
  Put(Register("a"), id_, {.ttl = seconds(60)});
  Pass(seconds(1));
  v1::ListRequest request;
  request.set_namespace_("team");
  const auto response = Get<v1::ListResponse>(request);
  ASSERT_EQ(response.entries_size(), 1);
  EXPECT_EQ(response.entries(0).key(), "a/b");
  Expect(response.entries(0).object(), StatOf(id_).object().DebugString());
  EXPECT_EQ(response.entries(0).object().sealed().ttl_left_ms(), 59'000);
}

TEST_F(Answers, ListStagedTellsHowLong) {
  const Sealed sealed = Put(Register("a"), id_, {}, CopyKind::kStaged);
  Pass(seconds(3));
  v1::ListStagedRequest request;
  Expect(Get<v1::ListStagedResponse>(request),
         fmt::format(R"(objects {{ id {{ namespace: "team" key: "a/b" }} blob: {} epoch: {} staged_ms: 3000 }})",
                     sealed.blob.value, sealed.epoch.value));
  request.set_namespace_("other");
  EXPECT_EQ(Get<v1::ListStagedResponse>(request).objects_size(), 0);
}

TEST_F(Answers, ListNodesTellsAllOfANode) {
  const NodeRef a = Register("a", 7);
  Ok(MarkNode{"a", true, true});
  Ok(FenceNode{a});
  Register("b");
  Pass(seconds(3));
  v1::ListNodesRequest request;
  request.set_page_size(1);
  const auto first = Get<v1::ListNodesResponse>(request);
  Expect(first, fmt::format(R"(
      nodes {{
        name: "a" epoch: {} incarnation: 7 fenced: true draining: true quarantined: true address: "a:7461" zone: "zone"
        rack: "rack" last_seen_ms: 3000
      }}
      next_page_token: "a")",
                            a.epoch.value));
  request.set_page_token(first.next_page_token());
  EXPECT_EQ(Get<v1::ListNodesResponse>(request).nodes(0).name(), "b");
}

TEST_F(Answers, ListLeasesTellsWhatIsLeft) {
  const auto granted = RegistryTest::Get<LeaseGranted>(GrantLease{"l", "pod", seconds(10)});
  Pass(seconds(4));
  Expect(Get<v1::ListLeasesResponse>(v1::ListLeasesRequest()),
         fmt::format(R"(leases {{ name: "l" holder: "pod" token: {} left_ms: 6000 }})", granted.token.value));
}

TEST_F(Answers, ListEndedTicketsTellsAllOfAnUpload) {
  const NodeRef a = Register("a");
  const Sealed sealed = Put(a, id_);
  const auto ticket = RegistryTest::Get<TicketGranted>(BeginUpload{sealed.blob, sealed.epoch, a, seconds(60)}).ticket;
  Ok(CommitOrigin{ticket, "e", 7});
  Ok(Delete{id_, {}});
  Expect(Get<v1::ListEndedTicketsResponse>(v1::ListEndedTicketsRequest()),
         fmt::format(R"(tickets {{
             ticket: {} blob: {} epoch: {} uploader {{ node: "a" epoch: {} }} etag: "e" crc32c: 7
             object {{ namespace: "team" key: "a/b" }} }})",
                     ticket.value, sealed.blob.value, sealed.epoch.value, a.epoch.value));
}

TEST_F(Answers, PagesHaveAtMostAThousandEntries) {
  v1::ListRequest list;
  list.set_namespace_("team");
  list.set_page_size(1001);
  EXPECT_THAT(Error<v1::ListResponse>(list), StatusIs(kInvalid, "BAD_LIMIT"));
  v1::ListStagedRequest staged;
  staged.set_page_size(1001);
  EXPECT_THAT(Error<v1::ListStagedResponse>(staged), StatusIs(kInvalid, "BAD_LIMIT"));
  v1::ListNodesRequest nodes;
  nodes.set_page_size(1001);
  EXPECT_THAT(Error<v1::ListNodesResponse>(nodes), StatusIs(kInvalid, "BAD_LIMIT"));
  v1::ListLeasesRequest leases;
  leases.set_page_size(1001);
  EXPECT_THAT(Error<v1::ListLeasesResponse>(leases), StatusIs(kInvalid, "BAD_LIMIT"));
  v1::ListEndedTicketsRequest tickets;
  tickets.set_page_size(1001);
  EXPECT_THAT(Error<v1::ListEndedTicketsResponse>(tickets), StatusIs(kInvalid, "BAD_LIMIT"));
}

TEST_F(Answers, StatusTellsAllThatANodeDoes) {
  const raft::NodeStatus status = {.self = {1},
                                   .role = raft::Role::kLeader,
                                   .leader = {2},
                                   .term = 3,
                                   .last_index = 9,
                                   .durable = 8,
                                   .committed = 7,
                                   .applied = 6,
                                   .voter = true,
                                   .joint = true,
                                   .members = {{.id = {4}, .matched = 5, .recently_active = true, .learner = true}}};
  v1::StatusResponse response = ToProto(status);
  response.clear_version();
  Expect(response, R"(
      member: 1 role: MEMBER_ROLE_LEADER leader: 2 term: 3 last_index: 9 durable_index: 8 committed_index: 7
      applied_index: 6 voter: true joint: true members { id: 4 matched_index: 5 recently_active: true learner: true })");
  EXPECT_EQ(ToProto(raft::NodeStatus{.role = raft::Role::kCandidate}).role(), v1::MEMBER_ROLE_CANDIDATE);
  EXPECT_EQ(ToProto(raft::NodeStatus{}).role(), v1::MEMBER_ROLE_FOLLOWER);
}

}  // namespace
}  // namespace larder::tracker
