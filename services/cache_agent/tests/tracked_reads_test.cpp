#include "tests/tracked_reads_fixture.h"

// What is read here and lies on other nodes, and what others read from here.
namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::kMiB;
using base::StatusIs;
using object::Epoch;
using object::ReadGrant;
using object::TrackedAs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_P(TrackedReadsTest, WhatAnotherNodeHasIsBroughtHereAndTheClusterHearsOfIt) {
  Read read = Begin();
  EXPECT_THAT(fetch().Parents(), ElementsAre("b"));
  EXPECT_EQ(fetch().request.epoch, Epoch{7});
  EXPECT_EQ(fetch().request.piece_length, kPiece) << "as the cluster knows it, whatever b chose";
  EXPECT_FALSE(read.ready());
  ASSERT_THAT(fetch().Send(Bytes(), kPiece), IsOk());
  EXPECT_FALSE(peer_->FindSealed(kK)) << "not before all is there";
  fetch().End(absl::OkStatus());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, read.Get());
  EXPECT_TRUE(base::AsText(object::BytesOf(*grant.view)) == Bytes());
  EXPECT_TRUE(grant.brought) << "a miss";
  EXPECT_THAT(cluster_.open(), ElementsAre("add 107 7"));
  cluster_.Answer("add 107 7");
  EXPECT_FALSE(GetLater().Get()->brought) << "a hit";
}

TEST_P(TrackedReadsTest, ATicketIsForThisObjectFromThatRegistration) {
  Begin();
  LARDER_ASSERT_OK_AND_ASSIGN(
      const swarm::PieceTicket ticket,
      tickets_.Verify(base::AsBytes(fetch().request.parents[0].ticket), node_->clock().WallNow()));
  EXPECT_EQ(ticket.id, kK);
  EXPECT_EQ(ticket.epoch, Epoch{7});
  EXPECT_EQ(ticket.child, "a");
  EXPECT_EQ(ticket.parent, swarm::NodeEpoch{5});
}

TEST_P(TrackedReadsTest, AllWhoReadItAtOnceShareOneFetch) {
  Read first = Begin();
  Read second = GetLater();
  EXPECT_THAT(fetcher_.fetches, SizeIs(1));
  EXPECT_THAT(cluster_.located, IsEmpty());
  ASSERT_THAT(fetch().Send(Bytes(), kPiece), IsOk());
  fetch().End(absl::OkStatus());
  EXPECT_THAT(first.Get().status(), IsOk());
  EXPECT_THAT(second.Get().status(), IsOk());
}

TEST_P(TrackedReadsTest, WhatNobodyHasIsNotFound) {
  Read read = GetLater();
  AnswerLocate(std::vector{ClusterObject{.info = {.state = object::ObjectState::kDeleted}}});
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(fetcher_.fetches, IsEmpty());
}

TEST_P(TrackedReadsTest, WithoutTheClusterAMissSaysSo) {
  Read read = GetLater();
  AnswerLocate(ClusterDown());
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
}

TEST_P(TrackedReadsTest, WithoutTheClusterWhatItSaidAMomentAgoWillDo) {
  auto stat = StatLater("k");
  AnswerLocate(std::vector{On({"b"})});
  EXPECT_THAT(stat.Get().status(), IsOk());
  Read read = GetLater();
  AnswerLocate(ClusterDown());
  EXPECT_THAT(fetch().Parents(), ElementsAre("b"));
  fetch().Fail("b", base::Error(absl::StatusCode::kUnavailable, "CANNOT_DIAL", "refused"), false);
  fetch().End(ClusterDown());
  EXPECT_FALSE(read.Get().ok());
  Read again = GetLater();
  AnswerLocate(ClusterDown());
  EXPECT_THAT(again.Get(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM")) << "it was not there";
}

TEST_P(TrackedReadsTest, WithoutTheClusterWhatWasDeletedOrReplacedIsNotFetchedFromWhereItWas) {
  const auto stat = [&] {
    auto answer = StatLater("k");
    AnswerLocate(std::vector{On({"b"})});
    ASSERT_THAT(answer.Get().status(), IsOk());
  };
  const auto expect_unknown = [&] {
    Read read = GetLater();
    AnswerLocate(ClusterDown());
    EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
  };
  stat();
  auto deleted = DeleteLater("k");
  cluster_.Answer("delete k");
  ASSERT_THAT(deleted.Get(), IsOk());
  expect_unknown();
  stat();
  peer_->Recheck(kK);  // another node did
  expect_unknown();
  EXPECT_THAT(fetcher_.fetches, IsEmpty());
}

TEST_P(TrackedReadsTest, WhoDoesNotHaveItIsReportedAndOthersAreAsked) {
  Read read = GetLater();
  AnswerLocate(std::vector{On({"b", "c"})});
  EXPECT_THAT(fetch().Parents(), ElementsAre("b", "c"));
  fetch().Fail("b", base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "not here"));
  EXPECT_THAT(cluster_.open(), ElementsAre("bad 107 7 b 5 9"));
  Pass(milliseconds(50));
  AnswerLocate(std::vector{On({"c", "d"})});
  EXPECT_THAT(fetch().Parents(), ElementsAre("b", "c", "d")) << "who has it by now";
  EXPECT_FALSE(read.ready());
}

TEST_P(TrackedReadsTest, WhenNobodyIsLeftTheErrorNamesEach) {
  Read read = GetLater();
  AnswerLocate(std::vector{On({"b"})});
  fetch().Fail("b", base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH", "piece 3"));
  EXPECT_THAT(cluster_.open(), IsEmpty()) << "one child's word is not enough to take a copy off the list";
  Pass(milliseconds(50));
  AnswerLocate(std::vector{On({"b"})});
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kUnavailable, "NO_HOLDER"));
  EXPECT_THAT(base::Message(read.Get().status()), AllOf(HasSubstr("b, seen"), HasSubstr("DIGEST_MISMATCH: piece 3")));
  EXPECT_TRUE(fetch().cancelled);
  fetch().End(absl::CancelledError());
  ExpectNothingLeft();
}

TEST_P(TrackedReadsTest, AParentThatRegistersAnewIsAskedAgainUnderThat) {
  Read read = Begin();
  fetch().Fail("b", base::Error(absl::StatusCode::kAborted, "NODE_EPOCH_STALE", "registered anew"));
  Pass(milliseconds(50));
  AnswerLocate(std::vector{On({"b"})});
  EXPECT_FALSE(read.ready()) << "the cluster has not heard of it yet";
  Pass(Fetches::kAskAgain);
  ClusterObject anew = On({"b"});
  anew.copies[0].node_epoch = 6;
  AnswerLocate(std::vector{anew});
  ASSERT_THAT(fetch().request.parents, SizeIs(2));
  EXPECT_EQ(fetch().request.parents[1].node_epoch, swarm::NodeEpoch{6});
}

TEST_P(TrackedReadsTest, WhatWasReplacedMeanwhileIsFetchedAsItIsNow) {
  Read read = Begin();
  fetch().Fail("b", base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "another epoch"));
  cluster_.Answer("bad 107 7 b 5 9");
  Pass(milliseconds(50));
  AnswerLocate(std::vector{On({"c"}, {8})});
  ASSERT_THAT(fetcher_.fetches, SizeIs(2));
  EXPECT_TRUE(fetcher_.fetches[0]->cancelled);
  fetcher_.fetches[0]->End(absl::CancelledError());
  EXPECT_EQ(fetch().request.epoch, Epoch{8});
  ASSERT_THAT(fetch().Send(Bytes(), kPiece), IsOk());
  fetch().End(absl::OkStatus());
  EXPECT_THAT(read.Get().status(), IsOk());
  EXPECT_EQ(peer_->FindSealed(kK)->tracked, ScriptedCluster::Copy({8}));
}

TEST_P(TrackedReadsTest, WhatWasDeletedMeanwhileIsNotFoundAndLeavesNothing) {
  Read read = Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 2), IsOk());
  fetch().Fail("b", base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "deleted"));
  Pass(milliseconds(50));
  AnswerLocate(std::vector{ClusterObject{.info = {.state = object::ObjectState::kDeleted}}});
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  fetch().End(absl::CancelledError());
  ExpectNothingLeft();
}

TEST_P(TrackedReadsTest, ACopyOfWhatTheClusterNoLongerWantsGoes) {
  for (const auto& refusal : {base::Error(absl::StatusCode::kNotFound, "DELETED", "deleted"),
                              base::Error(absl::StatusCode::kFailedPrecondition, "SUPERSEDED", "overwritten")}) {
    Read read = Begin();
    ASSERT_THAT(fetch().Send(Bytes(), kPiece), IsOk());
    fetch().End(absl::OkStatus());
    {
      ASSERT_THAT(read.Get().status(), IsOk());
      caller_->Release(*read.Get());
    }
    cluster_.Answer("add 107 7", refusal);
    Pass(milliseconds(50));
    AnswerLocate(std::vector{ClusterObject{.info = {.state = object::ObjectState::kDeleted}}});
    EXPECT_FALSE(peer_->FindSealed(kK));
  }
}

TEST_P(TrackedReadsTest, WrongListsOfPiecesAreNotTaken) {
  Read read = Begin();
  EXPECT_THAT(fetch().Send(Bytes().substr(1), kPiece), StatusIs(absl::StatusCode::kDataLoss, "BAD_MANIFEST"));
  std::string other = Bytes();
  other[5] ^= 1;
  EXPECT_THAT(fetch().Send(other, kPiece), StatusIs(absl::StatusCode::kDataLoss, "BAD_MANIFEST"));
  EXPECT_THAT(fetch().Send(Bytes(), 2 * kPiece), StatusIs(absl::StatusCode::kDataLoss, "BAD_MANIFEST"));
}

TEST_P(TrackedReadsTest, WhoWaitsTooLongHearsSoAndTheFetchGoesOnForAWhile) {
  Read read = GetLater(In(seconds(1)));
  AnswerLocate(std::vector{On({"b"})});
  Pass(seconds(2));
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kDeadlineExceeded, "FETCHING"));
  EXPECT_FALSE(fetch().cancelled);
  Read later = GetLater();
  EXPECT_THAT(fetcher_.fetches, SizeIs(1)) << "the same";
  ASSERT_THAT(fetch().Send(Bytes(), kPiece), IsOk());
  fetch().End(absl::OkStatus());
  EXPECT_THAT(later.Get().status(), IsOk());
}

TEST_P(TrackedReadsTest, AFetchForASessionThatEndedStops) {
  Read read = Begin();
  caller_->Close();
  Pass(milliseconds(50));
  EXPECT_FALSE(fetch().cancelled);
  Pass(Fetches::kLinger);
  EXPECT_TRUE(fetch().cancelled);
  fetch().End(absl::CancelledError());
  ExpectNothingLeft();
}

TEST_P(TrackedReadsTest, WhereTheLastCopyWasDamagedAndIsGoneItsReaderHearsWhy) {
  Read read = Begin();
  fetch().Fail("b", base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH", "piece 2"));
  Pass(milliseconds(50));
  AnswerLocate(std::vector{ClusterObject{.info = {.state = object::ObjectState::kDeleted}}});
  const absl::Status over = read.Get().status();
  EXPECT_THAT(over, StatusIs(absl::StatusCode::kUnavailable, "NO_HOLDER"));
  EXPECT_THAT(base::Message(over), HasSubstr("DIGEST_MISMATCH: piece 2"));
}

// ---- what came is kept

TEST_P(TrackedReadsTest, AFetchThatNobodyWaitedForGoesOnWhereItStopped) {
  Read read = GetLater(In(seconds(1)));
  AnswerLocate(std::vector{On({"b"})});
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 2), IsOk());
  Pass(Fetches::kLinger + seconds(2));
  Pass(Fetches::kLinger);
  ASSERT_TRUE(fetch().cancelled);
  fetch().End(absl::CancelledError());
  EXPECT_FALSE(peer_->FindSealed(kK));
  EXPECT_EQ(peer_->usage().objects, 0u) << "it counts as no object";
  EXPECT_THAT(peer_->Serve(kK, {7}), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT")) << "nor is it given to others";
  read = Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece), IsOk());
  EXPECT_EQ(fetch().sent, 3u) << "the rest";
  fetch().End(absl::OkStatus());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, read.Get());
  EXPECT_TRUE(base::AsText(object::BytesOf(*grant.view)) == Bytes());
}

TEST_P(TrackedReadsTest, WhatCameSurvivesThatAllParentsDie) {
  Read read = Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 3), IsOk());
  fetch().End(base::Error(absl::StatusCode::kUnavailable, "NO_PROGRESS", "nothing came"));
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kUnavailable, "NO_PROGRESS"));
  // Nobody answers; what came before is kept all the same.
  read = Begin();
  fetch().End(base::Error(absl::StatusCode::kUnavailable, "NO_PROGRESS", "nothing came"));
  read = Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece), IsOk());
  EXPECT_EQ(fetch().sent, 2u);
  fetch().End(absl::OkStatus());
  EXPECT_THAT(read.Get().status(), IsOk());
}

TEST_P(TrackedReadsTest, WhatCameOfAnObjectThatWasDeletedOrReplacedIsDropped) {
  const auto begin_and_stop = [&] {
    Begin();
    ASSERT_THAT(fetch().Send(Bytes(), kPiece, 3), IsOk());
    fetch().End(base::Error(absl::StatusCode::kUnavailable, "NO_PROGRESS", "nothing came"));
  };
  begin_and_stop();
  EXPECT_GT(node_->Used(), used_at_start_);
  peer_->Recheck(kK);  // another node did
  ExpectNothingLeft();

  Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 3), IsOk());
  peer_->Recheck(kK);  // while it comes
  fetch().End(base::Error(absl::StatusCode::kUnavailable, "NO_PROGRESS", "nothing came"));
  ExpectNothingLeft();

  begin_and_stop();  // and this node was not told
  GetLater();
  AnswerLocate(std::vector{On({"b"}, {8})});
  EXPECT_EQ(fetch().request.held->count(), 0u);
}

TEST_P(TrackedReadsTest, WhatCameSurvivesARestartWhereObjectsDo) {
  Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 3), IsOk());
  peer_->StopFetching();
  fetch().End(absl::CancelledError());
  Start();
  peer_->FetchBy(fetcher_, tickets_, arriving_, &board_, log_);
  Read read = Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece), IsOk());
  EXPECT_EQ(fetch().sent, GetParam() == "file" ? 2u : 5u);
  fetch().End(absl::OkStatus());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, read.Get());
  EXPECT_TRUE(base::AsText(object::BytesOf(*grant.view)) == Bytes());
}

TEST_P(TrackedReadsTest, OnlySoManyAreFetchedAtOnceAndNobodyWaitsForThemToHearThatThereIsNothing) {
  std::vector<Read> reads(Fetches::kAtOnce + 2);
  for (size_t i = 0; i < reads.size(); ++i) {
    const std::string key = "k" + std::to_string(i);
    peer_->Get(caller_->session(), key, base::kNoDeadline, reads[i].Slot());
    ClusterObject small = On({"b"});
    small.info.id.key = key;
    small.info.size = 1;
    AnswerLocate(std::vector{small});
  }
  EXPECT_THAT(fetcher_.fetches, SizeIs(Fetches::kAtOnce));
  Read none = GetLater();
  AnswerLocate(std::vector{ClusterObject{.info = {.state = object::ObjectState::kDeleted}}});
  EXPECT_THAT(none.Get(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  fetcher_.fetches[3]->End(ClusterDown());
  EXPECT_FALSE(reads[3].Get().ok());
  EXPECT_THAT(fetcher_.fetches, SizeIs(Fetches::kAtOnce + 1)) << "the next one's turn";
}

TEST_P(TrackedReadsTest, WhenNobodyGivesAnythingForSomeTimeTheErrorSaysWhoAndWhy) {
  ClusterObject gone = On({"b"});
  gone.copies[0].last_seen = seconds(60);
  Read read = GetLater();
  AnswerLocate(std::vector{gone});
  fetch().Fail("b", base::Error(absl::StatusCode::kUnavailable, "CANNOT_DIAL", "refused"), false);
  Pass(Fetches::kAskAgain);
  AnswerLocate(std::vector{gone});
  EXPECT_FALSE(read.ready());
  Pass(Fetches::kGivenUp);
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kUnavailable, "NO_HOLDER"));
  EXPECT_THAT(base::Message(read.Get().status()), HasSubstr("b, seen 1m ago, CANNOT_DIAL: refused"));
}

TEST_P(TrackedReadsTest, AnElectionOfTheTrackerEndsNoFetch) {
  Read read = Begin();
  fetch().Fail("b", base::Error(absl::StatusCode::kUnavailable, "DISCONNECTED", "closed"), false);
  Pass(Fetches::kAskAgain);
  AnswerLocate(ClusterDown());
  EXPECT_FALSE(read.ready());
  Pass(Fetches::kAskAgain);
  AnswerLocate(std::vector{On({"b", "c"})});
  EXPECT_THAT(fetch().Parents(), ElementsAre("b", "c"));
}

TEST_P(TrackedReadsTest, WhatCouldNotBeVerifiedIsNotFetched) {
  ClusterObject unknown = On({"b"});
  unknown.info.digest = base::Sha256DigestOf({1});
  Read read = GetLater();
  AnswerLocate(std::vector{unknown});
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kFailedPrecondition, "NO_MANIFEST"));
}

TEST_P(TrackedReadsTest, OneSessionsReadsAreBounded) {
  Begin();
  for (size_t i = 1; i < Fetches::kMostWaiting; ++i) GetLater();
  EXPECT_THAT(GetLater().Get(), StatusIs(absl::StatusCode::kResourceExhausted, "FETCHES_BUSY"));
  const auto other = Open();
  Read theirs;
  peer_->Get(other->session(), "k", base::kNoDeadline, theirs.Slot());
  EXPECT_FALSE(theirs.ready());
}

TEST_P(TrackedReadsTest, WhatDoesNotFitIsRefused) {
  rules_["team-a"] = {.memory = kMiB, .disk = kMiB};
  Read read = GetLater();
  AnswerLocate(std::vector{On({"b"})});
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED"));
  EXPECT_THAT(fetcher_.fetches, IsEmpty());
  ExpectNothingLeft();
}

TEST_P(TrackedReadsTest, WhoStopsAnswersAllWhoWait) {
  Read read = Begin();
  peer_->StopFetching();
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kUnavailable, "STOPPING"));
  EXPECT_TRUE(fetch().cancelled);
  fetch().End(absl::CancelledError());
  EXPECT_THAT(GetLater().Get(), StatusIs(absl::StatusCode::kUnavailable, "STOPPING"));
  ExpectNothingLeft();
}

TEST_P(TrackedReadsTest, ACopyThatWentBeforeTheClusterHeardOfItIsTakenOffItsList) {
  Read read = Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece), IsOk());
  fetch().End(absl::OkStatus());
  caller_->Release(*read.Get());
  ASSERT_THAT(peer_->Drop(kK, peer_->FindSealed(kK)->epoch), IsOk());
  cluster_.Answer("add 107 7");
  EXPECT_THAT(cluster_.open(), ElementsAre("give up k 7"));
}

TEST_P(TrackedReadsTest, WhatTheClusterHasEnoughOfMayGo) {
  PutTracked("k", "hello");
  std::vector<bool> may_go;
  const auto ask = [&] {
    may_go.clear();
    peer_->AskWhetherTheyMayGo({*peer_->FindSealed(kK)}, [&](std::vector<bool> answer) { may_go = std::move(answer); });
  };
  ask();
  EXPECT_THAT(may_go, IsEmpty());
  cluster_.Answer("offer k 7", base::Error(absl::StatusCode::kFailedPrecondition, "LAST_COPIES", "one is wanted"));
  EXPECT_THAT(may_go, ElementsAre(false));
  ask();
  cluster_.Answer("offer k 7");
  EXPECT_THAT(may_go, ElementsAre(true));
  peer_->Compare();
  ask();
  EXPECT_THAT(may_go, ElementsAre(false)) << "not while both are to be compared";
}

// ---- what others read from here

TEST_P(TrackedReadsTest, OthersAreGivenWhatTheClusterKnowsThisNodeToHave) {
  const object::SealResult put = PutTracked("k", "hello");
  LARDER_ASSERT_OK_AND_ASSIGN(const TrackedPeer::Served served, peer_->Serve(kK, {7}));
  EXPECT_EQ(served.info.digest, put.info.digest);
  EXPECT_EQ(base::AsText(object::BytesOf(*served.view)), "hello");
  EXPECT_THAT(peer_->Serve(kK, {8}), StatusIs(absl::StatusCode::kAborted, "EPOCH_STALE"));
  EXPECT_THAT(peer_->Serve({"team-b", "k"}, {7}), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(peer_->Serve({"team-a", "l"}, {7}), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_P(TrackedReadsTest, WhatTheClusterIsBeingToldOfIsNotSaidToBeMissing) {
  PutLocal("k", "hello");
  EXPECT_THAT(peer_->Serve(kK, {7}), StatusIs(absl::StatusCode::kUnavailable, "NOT_YET"));
  cluster_.Answer("publish k", Epoch{7});
  EXPECT_THAT(peer_->Serve(kK, {7}).status(), IsOk());
}

TEST_P(TrackedReadsTest, TheNameOfItsListOfPiecesIsPublishedWithAnObject) {
  PutTracked("k", "hello");
  object::GrainSums sums;
  sums.Append(base::AsBytes(std::string_view("hello")));
  const auto manifest = swarm::MakeManifest(5, sums.grains(), 0, {});
  ASSERT_THAT(cluster_.told, SizeIs(1));
  EXPECT_EQ(cluster_.told[0].manifest, swarm::ManifestDigest(*manifest));
}

INSTANTIATE_TEST_SUITE_P(Stores, TrackedReadsTest, testing::Values("memory", "file"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace larder::cache_agent
