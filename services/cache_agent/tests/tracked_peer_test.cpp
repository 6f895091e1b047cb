#include "tests/tracked_peer_fixture.h"

namespace larder::cache_agent {
namespace {

using base::AsBytes;
using base::IsOk;
using base::StatusIs;
using object::AckPolicy;
using object::Answer;
using object::Caller;
using object::CreateGrant;
using object::CreateRequest;
using object::Epoch;
using object::SealResult;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(TrackedPeerTest, ACreateHasTheRightOfTheWholeClusterAndASealIsAcknowledgedWhenTracked) {
  auto created = caller_->CreateLater({.key = "k"});
  EXPECT_FALSE(created.ready());
  cluster_.Answer("acquire k", Epoch{7});
  const CreateGrant grant = created.Get().value();
  auto sealed = SealLater(grant, "hello");
  EXPECT_FALSE(sealed.ready());
  cluster_.Answer("seal k 7");
  const SealResult result = sealed.Get().value();
  EXPECT_EQ(result.ack, AckPolicy::kTracked);
  EXPECT_EQ(result.info.epoch, Epoch{7});
  EXPECT_TRUE(Readable("k"));
  EXPECT_THAT(cluster_.open(), IsEmpty());
}

TEST_F(TrackedPeerTest, ContentAddressedObjectsArePublishedAtTheirSeal) {
  const CreateGrant grant = caller_->CreateLater({}).Get().value();
  auto sealed = SealLater(grant, "hello");
  ASSERT_EQ(cluster_.open().size(), 1u);
  EXPECT_THAT(cluster_.open()[0], HasSubstr("publish sha256:"));
  cluster_.Answer(cluster_.open()[0], Epoch{8});
  EXPECT_EQ(sealed.Get().value().ack, AckPolicy::kTracked);
}

TEST_F(TrackedPeerTest, LocalCreatesAskNobodyAndArePublishedBehind) {
  const CreateGrant grant = caller_->CreateLater({.key = "k", .ack = kLocal}).Get().value();
  const SealResult result = SealLater(grant, "hello").Get().value();
  EXPECT_EQ(result.ack, kLocal);
  EXPECT_THAT(cluster_.open(), ElementsAre("publish k"));
  // With the cluster down it is tried again and again.
  cluster_.Answer("publish k", ClusterDown());
  EXPECT_TRUE(Readable("k"));
  EXPECT_EQ(SealAgain(grant, "hello").Get().value().ack, kLocal);
  Pass(seconds(1));
  EXPECT_THAT(cluster_.open(), ElementsAre("publish k"));
  cluster_.Answer("publish k", Epoch{9});
  EXPECT_EQ(publisher_->pending(), 0u);
  Pass(seconds(60));
  EXPECT_THAT(cluster_.open(), IsEmpty());
}

TEST_F(TrackedPeerTest, ALocalOneThatLosesStaysHereAndSaysSo) {
  const CreateGrant grant = caller_->CreateLater({.key = "k", .ack = kLocal}).Get().value();
  EXPECT_THAT(SealLater(grant, "hello").Get(), IsOk());
  cluster_.Answer("publish k", ExistsElsewhere());
  EXPECT_TRUE(Readable("k"));
  EXPECT_TRUE(publisher_->InConflict({"team-a", "k"}));
  EXPECT_EQ(publisher_->pending(), 0u);
}

TEST_F(TrackedPeerTest, WhatExistsElsewhereIsNotCreated) {
  auto created = caller_->CreateLater({.key = "k"});
  cluster_.Answer("acquire k", ExistsElsewhere());
  EXPECT_THAT(created.Get(), StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS"));
  // And nothing of it is left here.
  EXPECT_EQ(peer_->usage().create_leases, 0u);
}

TEST_F(TrackedPeerTest, TheSameContentElsewhereIsDecidedAtTheSeal) {
  for (const bool same : {true, false}) {
    auto created = caller_->CreateLater({.key = "k", .accept_same_content = true});
    cluster_.Answer("acquire k", ExistsElsewhere());
    auto sealed = SealLater(created.Get().value(), "hello");
    if (same) {
      cluster_.Answer("publish k", Epoch{5});
      EXPECT_EQ(sealed.Get().value().info.epoch, Epoch{5});
      DeleteLater("k");
      cluster_.Answer("delete k");
    } else {
      cluster_.Answer("publish k", ExistsElsewhere());
      EXPECT_THAT(sealed.Get(), StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS"));
      EXPECT_FALSE(Readable("k")) << "it lost: nobody was told that it is here";
    }
  }
}

TEST_F(TrackedPeerTest, TheSameContentElsewhereGetsTheSettingsThatWereAskedFor) {
  auto created =
      caller_->CreateLater({.key = "k", .accept_same_content = true, .meta = {.ttl = seconds(1), .tags = {"x"}}});
  cluster_.Answer("acquire k", ExistsElsewhere());
  auto sealed = SealLater(created.Get().value(), "hello");
  cluster_.Answer("publish k", Epoch{5});
  EXPECT_FALSE(sealed.ready());
  cluster_.Answer("set k 5 ttl 1000000000 tags x");
  EXPECT_THAT(sealed.Get(), IsOk());
}

TEST_F(TrackedPeerTest, ALoserGoesHoweverFastTheClusterAnswers) {
  auto created = caller_->CreateLater({.key = "k", .accept_same_content = true});
  cluster_.Answer("acquire k", ExistsElsewhere());
  cluster_.answers.emplace("publish k", ExistsElsewhere());
  EXPECT_THAT(SealLater(created.Get().value(), "hello").Get(), StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS"));
  EXPECT_FALSE(Readable("k"));
  EXPECT_FALSE(publisher_->InConflict({"team-a", "k"}));
}

TEST_F(TrackedPeerTest, ASecondCreatorWaitsForTheOneOnAnotherNode) {
  auto created = caller_->CreateLater({.key = "k"}, In(seconds(60)));
  cluster_.Answer("acquire k", HeldElsewhere());
  EXPECT_THAT(cluster_.open(), IsEmpty());
  // Longer than a lease TTL: the client could not renew what it does not know.
  for (int i = 0; i < 40; ++i) {
    Pass(seconds(1));
    ASSERT_THAT(cluster_.open(), ElementsAre("acquire k"));
    cluster_.Answer("acquire k", HeldElsewhere());
  }
  EXPECT_FALSE(created.ready());
  Pass(seconds(1));
  cluster_.Answer("acquire k", Epoch{9});
  EXPECT_THAT(created.Get(), IsOk());
}

TEST_F(TrackedPeerTest, AndNoLongerThanItsDeadline) {
  auto created = caller_->CreateLater({.key = "k"}, In(seconds(5)));
  cluster_.Answer("acquire k", HeldElsewhere());
  Pass(seconds(5));
  cluster_.Answer("acquire k", HeldElsewhere());
  EXPECT_THAT(created.Get(), StatusIs(absl::StatusCode::kDeadlineExceeded, "CREATING"));
  EXPECT_EQ(peer_->usage().create_leases, 0u);
}

TEST_F(TrackedPeerTest, WithoutAQuorumTrackedCreatesFailAndLocalOnesDoNot) {
  auto created = caller_->CreateLater({.key = "k"});
  cluster_.Answer("acquire k", ClusterDown());
  EXPECT_THAT(created.Get(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
  created = caller_->CreateLater({.key = "k"});
  cluster_.Answer("acquire k", base::Error(absl::StatusCode::kDeadlineExceeded, "OUTCOME_UNKNOWN", "who knows"));
  EXPECT_THAT(created.Get(), StatusIs(absl::StatusCode::kUnavailable, "NO_TRACKER"));
  EXPECT_THAT(caller_->CreateLater({.key = "k", .ack = kLocal}).Get(), IsOk());
}

TEST_F(TrackedPeerTest, ASealThatCannotBeToldIsAnErrorAndARepeatOnlyWaits) {
  const CreateGrant grant = Begin({.key = "k"});
  auto sealed = SealLater(grant, "hello");
  cluster_.Answer("seal k 7", ClusterDown());
  EXPECT_THAT(sealed.Get(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
  auto again = SealAgain(grant, "hello");
  EXPECT_FALSE(again.ready());
  Pass(seconds(1));
  cluster_.Answer("seal k 7");
  EXPECT_EQ(again.Get().value().ack, AckPolicy::kTracked);
  // Once told, a repeat is answered at once.
  EXPECT_EQ(SealAgain(grant, "hello").Get().value().ack, AckPolicy::kTracked);
  EXPECT_THAT(cluster_.open(), IsEmpty());
}

TEST_F(TrackedPeerTest, ARightThatWasLostIsNoLossOfTheBytes) {
  const CreateGrant grant = Begin({.key = "k"});
  auto sealed = SealLater(grant, "hello");
  cluster_.Answer("seal k 7", base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "over"));
  EXPECT_THAT(cluster_.open(), ElementsAre("publish k"));
  cluster_.Answer("publish k", Epoch{12});
  EXPECT_EQ(sealed.Get().value().info.epoch, Epoch{12});
}

TEST_F(TrackedPeerTest, WhoeverGivesUpGivesTheRightBack) {
  const CreateGrant discarded = Begin({.key = "a"}, {1});
  EXPECT_THAT(caller_->Discard(discarded), IsOk());
  EXPECT_THAT(cluster_.open(), ElementsAre("abandon a 1"));
  cluster_.Answer("abandon a 1");

  Begin({.key = "b"}, {2});
  caller_->Close();
  EXPECT_THAT(cluster_.open(), ElementsAre("abandon b 2"));
  cluster_.Answer("abandon b 2");

  caller_ = Open();
  Begin({.key = "c"}, {3});
  Pass(seconds(31));  // it was not renewed
  EXPECT_THAT(cluster_.open(), ElementsAre("abandon c 3"));
}

TEST_F(TrackedPeerTest, ASessionThatEndsWhileItAsksGetsNoRight) {
  auto created = caller_->CreateLater({.key = "k"});
  caller_->Close();
  cluster_.Answer("acquire k", Epoch{4});
  EXPECT_THAT(created.Get(), StatusIs(absl::StatusCode::kAborted, "LEASE_LOST"));
  EXPECT_THAT(cluster_.open(), ElementsAre("abandon k 4"));

  caller_ = Open();
  auto waiting = caller_->CreateLater({.key = "k"});
  cluster_.Answer("acquire k", HeldElsewhere());
  caller_->Close();
  EXPECT_THAT(waiting.Get(), StatusIs(absl::StatusCode::kAborted, "LEASE_LOST"));
}

TEST_F(TrackedPeerTest, ARightThatIsNoLongerNeededIsGivenBack) {
  const CreateGrant grant = Begin({.key = "k"});
  auto sealed = SealLater(grant, "one");
  cluster_.Answer("seal k 7", ClusterDown());
  EXPECT_THAT(sealed.Get(), StatusIs(absl::StatusCode::kUnavailable));
  // It goes before the cluster was told: nobody else may be kept from the key.
  const CreateGrant second = caller_->CreateLater({.key = "k", .overwrite = true, .ack = kLocal}).Get().value();
  EXPECT_THAT(SealLater(second, "two").Get(), IsOk());
  EXPECT_THAT(cluster_.open(), ElementsAre("abandon k 7", "publish k over"));
}

TEST_F(TrackedPeerTest, AWrongSizeKeepsTheRight) {
  const CreateGrant grant = Begin({.key = "k"});
  EXPECT_THAT(SealAgain(grant, "hello").Get(), StatusIs(absl::StatusCode::kInvalidArgument, "SIZE_MISMATCH"));
  EXPECT_THAT(cluster_.open(), IsEmpty());
  auto sealed = SealLater(grant, "hello");
  cluster_.Answer("seal k 7");
  EXPECT_THAT(sealed.Get(), IsOk());
}

TEST_F(TrackedPeerTest, PoliciesThatNeedMoreAreRefused) {
  for (const CreateRequest& request : {CreateRequest{.key = "k", .ack = AckPolicy::kOrigin},
                                       CreateRequest{.key = "k", .ack = AckPolicy::kReplicated, .ack_replicas = 2}}) {
    EXPECT_THAT(caller_->CreateLater(request).Get(), StatusIs(absl::StatusCode::kInvalidArgument, "ACK_IMPOSSIBLE"));
  }
  EXPECT_THAT(cluster_.open(), IsEmpty());
}

TEST_F(TrackedPeerTest, StatJoinsWhatTheClusterAndTheNodeKnow) {
  const SealResult put = PutTracked("k", "hello");
  auto stat = StatLater("k");
  ClusterObject found{.info = put.info, .copies = {{.node = "a", .live = true}, {.node = "b"}}, .live_replicas = 1};
  found.info.tier.clear();
  AnswerLocate(std::vector{found});
  const object::ObjectStat joined = stat.Get().value();
  EXPECT_EQ(joined.info.tier, "hot");
  EXPECT_EQ(joined.info.epoch, Epoch{7});
  ASSERT_TRUE(joined.placement);
  EXPECT_EQ(joined.placement->locations.size(), 2u);
  EXPECT_EQ(joined.placement->live_replicas, 1u);

  // Without the cluster: what is here.
  stat = StatLater("k");
  AnswerLocate(ClusterDown());
  EXPECT_FALSE(stat.Get().value().placement);
  stat = StatLater("other");
  AnswerLocate(ClusterDown());
  EXPECT_THAT(stat.Get(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));

  // Elsewhere only, and nowhere.
  stat = StatLater("other");
  AnswerLocate(std::vector{found});
  EXPECT_THAT(stat.Get(), IsOk());
  stat = StatLater("k");
  found.info.state = object::ObjectState::kDeleted;
  AnswerLocate(std::vector{found});
  EXPECT_THAT(stat.Get(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT")) << "deleted elsewhere";
}

TEST_F(TrackedPeerTest, StatOfWhatTheClusterWasNotToldOfYetIsTheNodes) {
  const CreateGrant grant = caller_->CreateLater({.key = "k", .ack = kLocal}).Get().value();
  const ClusterObject none{.info = {.state = object::ObjectState::kDeleted}};
  auto stat = StatLater("k");
  AnswerLocate(std::vector{none});
  EXPECT_EQ(stat.Get().value().info.state, object::ObjectState::kCreating);
  EXPECT_THAT(SealLater(grant, "hello").Get(), IsOk());
  stat = StatLater("k");
  AnswerLocate(std::vector{none});
  EXPECT_EQ(stat.Get().value().info.state, object::ObjectState::kSealed);
  cluster_.Answer("publish k", ExistsElsewhere());
  stat = StatLater("k");
  AnswerLocate(std::vector{none});
  EXPECT_TRUE(stat.Get().value().placement->conflict);
}

TEST_F(TrackedPeerTest, StatOfACreationThatEndedHereDoesNotWaitForTheClusterToHearOfIt) {
  ClusterObject creating{.info = {.state = object::ObjectState::kCreating}, .creator = "a"};
  const CreateGrant grant = Begin({.key = "k"});
  auto stat = StatLater("k");
  AnswerLocate(std::vector{creating});
  EXPECT_EQ(stat.Get().value().info.state, object::ObjectState::kCreating);
  EXPECT_THAT(caller_->Discard(grant), IsOk());
  EXPECT_THAT(cluster_.open(), ElementsAre("abandon k 7"));
  stat = StatLater("k");
  AnswerLocate(std::vector{creating});
  EXPECT_THAT(stat.Get(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  creating.creator = "b";
  stat = StatLater("k");
  AnswerLocate(std::vector{creating});
  EXPECT_EQ(stat.Get().value().info.state, object::ObjectState::kCreating);
}

TEST_F(TrackedPeerTest, DeletesAreTheClustersFirst) {
  PutTracked("k", "hello");
  auto deleted = DeleteLater("k");
  EXPECT_TRUE(Readable("k"));
  cluster_.Answer("delete k", ClusterDown());
  EXPECT_THAT(deleted.Get(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
  EXPECT_TRUE(Readable("k"));
  deleted = DeleteLater("k");
  cluster_.Answer("delete k");
  EXPECT_THAT(deleted.Get(), IsOk());
  EXPECT_FALSE(Readable("k"));
  // Of what other nodes have.
  deleted = DeleteLater("other");
  cluster_.Answer("delete other");
  EXPECT_THAT(deleted.Get(), IsOk());
  EXPECT_THAT(DeleteLater("").Get(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_KEY"));
}

TEST_F(TrackedPeerTest, WhatIsOnlyHereIsDeletedHere) {
  const absl::Status none = base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "none");
  const CreateGrant grant = caller_->CreateLater({.key = "k", .ack = kLocal}).Get().value();
  EXPECT_THAT(SealLater(grant, "hello").Get(), IsOk());
  cluster_.Answer("publish k", ClusterDown());
  auto deleted = DeleteLater("k");
  cluster_.Answer("delete k", none);
  EXPECT_THAT(deleted.Get(), IsOk());
  EXPECT_FALSE(Readable("k"));
  EXPECT_EQ(publisher_->pending(), 0u);
  // A copy of what was deleted elsewhere goes, and there was nothing to delete.
  PutTracked("gone", "hello");
  deleted = DeleteLater("gone");
  cluster_.Answer("delete gone", none);
  EXPECT_THAT(deleted.Get(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_FALSE(Readable("gone"));
}

TEST_F(TrackedPeerTest, ADeleteSparesWhatIsCreatedMeanwhile) {
  PutTracked("k", "hello");
  auto deleted = DeleteLater("k");
  const CreateGrant grant = caller_->CreateLater({.key = "k", .overwrite = true, .ack = kLocal}).Get().value();
  EXPECT_THAT(SealLater(grant, "newer").Get(), IsOk());
  cluster_.Answer("delete k");
  EXPECT_THAT(deleted.Get(), IsOk());
  EXPECT_TRUE(Readable("k"));
  EXPECT_EQ(publisher_->pending(), 1u) << "and it is told of";
}

TEST_F(TrackedPeerTest, WhatIsDeletedIsNotPublishedAfterwards) {
  const CreateGrant grant = caller_->CreateLater({.key = "k", .overwrite = true, .ack = kLocal}).Get().value();
  EXPECT_THAT(SealLater(grant, "hello").Get(), IsOk());
  cluster_.Answer("publish k over", ClusterDown());
  auto deleted = DeleteLater("k");
  cluster_.Answer("delete k");  // another node's, of that name
  EXPECT_THAT(deleted.Get(), IsOk());
  EXPECT_FALSE(Readable("k"));
  Pass(seconds(60));
  EXPECT_THAT(cluster_.open(), IsEmpty());
}

TEST_F(TrackedPeerTest, APinCancelsNoPublication) {
  const CreateGrant grant = caller_->CreateLater({.key = "k", .ack = kLocal}).Get().value();
  EXPECT_THAT(SealLater(grant, "hello").Get(), IsOk());
  Answer<absl::Status> pinned;
  peer_->SetPinned(caller_->session(), "k", true, pinned.Slot());
  cluster_.Answer("set k pinned", base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "none"));
  EXPECT_THAT(pinned.Get(), IsOk());
  EXPECT_EQ(publisher_->pending(), 1u);
}

TEST_F(TrackedPeerTest, ListsAreTheClustersUnlessTheNodesAreAskedFor) {
  PutTracked("k", "hello");
  Answer<absl::StatusOr<object::ListPage>> listed;
  peer_->List(caller_->session(), {.prefix = "p"}, listed.Slot());
  ASSERT_EQ(cluster_.listed.size(), 1u);
  EXPECT_EQ(cluster_.listed[0].first, "team-a/p");
  cluster_.listed[0].second(ClusterPage{.objects = {{.id = {"team-a", "p1"}}}, .more = true});
  EXPECT_TRUE(listed.Get().value().more);
  Answer<absl::StatusOr<object::ListPage>> local;
  peer_->List(caller_->session(), {.local = true}, local.Slot());
  EXPECT_EQ(local.Get().value().objects.at(0).id.key, "k");
  EXPECT_THAT(caller_->List({.limit = 0}), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_LIMIT"));
}

TEST_F(TrackedPeerTest, ANewerObjectTakesThePlaceOfOneThatIsToBeTold) {
  const CreateGrant first = caller_->CreateLater({.key = "k", .ack = kLocal}).Get().value();
  EXPECT_THAT(SealLater(first, "one").Get(), IsOk());
  const CreateGrant second = caller_->CreateLater({.key = "k", .overwrite = true, .ack = kLocal}).Get().value();
  EXPECT_THAT(SealLater(second, "two").Get(), IsOk());
  EXPECT_THAT(cluster_.open(), ElementsAre("publish k", "publish k over"));
  cluster_.Answer("publish k", ClusterDown());  // of the first: nobody tries it again
  EXPECT_EQ(publisher_->pending(), 1u);
  cluster_.Answer("publish k over", Epoch{5});
  EXPECT_EQ(publisher_->pending(), 0u);
  Pass(seconds(60));
  EXPECT_THAT(cluster_.open(), IsEmpty());
}

}  // namespace
}  // namespace larder::cache_agent
