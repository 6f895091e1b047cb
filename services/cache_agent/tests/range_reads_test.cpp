#include "larder/base/testing/status_matchers.h"
#include "tests/tracked_reads_fixture.h"

// Reads of some bytes of objects that lie on other nodes.
namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::StatusIs;
using object::ByteRange;
using object::ReadGrant;
using std::chrono::milliseconds;
using std::chrono::seconds;
using swarm::PieceRun;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

const auto kBadRange = StatusIs(absl::StatusCode::kOutOfRange, "BAD_RANGE");
const auto kNoObject = StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT");

// Of four whole pieces and a short one.
class RangeReadsTest : public TrackedReadsTest {
 protected:
  static ByteRange InPiece(uint32_t first, uint32_t last) {
    return {.first = uint64_t{first} * kPiece + 3, .last = uint64_t{last} * kPiece + 50};
  }
  Read RangeLater(const ByteRange& range, base::Deadline deadline = base::kNoDeadline) {
    return RangeLater(*caller_, range, deadline);
  }
  Read RangeLater(object::Caller& caller, const ByteRange& range, base::Deadline deadline = base::kNoDeadline) {
    Read answer;
    peer_->GetRange(caller.session(), "k", range, deadline, answer.Slot());
    return answer;
  }
  // A read that the cluster sends to node b, whose fetch has begun, and says which pieces there are.
  Read BeginRange(const ByteRange& range) {
    Read read = RangeLater(range);
    AnswerLocate(std::vector{On({"b"})});
    EXPECT_THAT(fetch().Open(Bytes(), kPiece), IsOk());
    return read;
  }
  void Send(uint32_t piece) { ASSERT_THAT(fetch().SendPiece(Bytes(), piece), IsOk()); }
  static void ExpectBytes(const Read& read, uint64_t offset, uint64_t length) {
    ASSERT_TRUE(read.ready());
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, read.Get());
    std::string bytes(length, '\0');
    EXPECT_THAT(grant.view->Read(offset, std::as_writable_bytes(std::span(bytes))), IsOk());
    EXPECT_TRUE(bytes == Bytes().substr(offset, length));
  }
  void ExpectPiece(const Read& read, uint32_t piece) { ExpectBytes(read, uint64_t{piece} * kPiece + 3, 48); }
  static absl::StatusOr<std::vector<ClusterObject>> Deleted() {
    return std::vector{ClusterObject{.info = {.state = object::ObjectState::kDeleted}}};
  }
};

TEST_P(RangeReadsTest, OnlyThePiecesOfARangeAreAskedForAndItIsServedWhenTheyAreHere) {
  Read read = BeginRange(InPiece(1, 2));
  EXPECT_THAT(fetch().request.wanted, Optional(ElementsAre(PieceRun{1, 2})));
  Send(1);
  EXPECT_FALSE(read.ready());
  Send(2);
  ExpectBytes(read, kPiece + 3, kPiece);
  EXPECT_TRUE(read.Get()->partial);
  EXPECT_TRUE(read.Get()->brought);
  EXPECT_FALSE(peer_->FindSealed(kK));
  EXPECT_EQ(peer_->usage().objects, 0u);
  EXPECT_THAT(cluster_.open(), IsEmpty()) << "nobody is told of a copy that is none";
}

TEST_P(RangeReadsTest, RangesThatOverlapShareOneFetchAndEachPieceIsWantedOnce) {
  Read first = BeginRange(InPiece(0, 1));
  const auto other = Open();
  Read second = RangeLater(*other, InPiece(1, 2));
  EXPECT_THAT(fetcher_.fetches, SizeIs(1));
  EXPECT_THAT(cluster_.located, IsEmpty());
  EXPECT_THAT(fetch().wanted, ElementsAre(PieceRun{0, 2}, PieceRun{1, 2})) << "of which the machine takes what is new";
  Send(1);
  Send(2);
  ExpectPiece(second, 2);
  EXPECT_FALSE(first.ready());
  Send(0);
  ExpectPiece(first, 0);
  Read third = RangeLater({.first = 10, .last = 20});
  ExpectBytes(third, 10, 11);
}

TEST_P(RangeReadsTest, TheLastBytesAndThoseFromSomewhereOnAreRanges) {
  Read last = BeginRange({.last = 100});
  EXPECT_THAT(fetch().request.wanted, Optional(ElementsAre(PieceRun{3, 2}))) << "the last piece has 77 bytes";
  Read from = RangeLater({.first = 4 * kPiece + 7});
  Send(3);
  Send(4);
  ExpectBytes(last, Bytes().size() - 100, 100);
  ExpectBytes(from, 4 * kPiece + 7, 70);
}

TEST_P(RangeReadsTest, MostOfAnObjectIsReadAsAll) {
  Read read = RangeLater(InPiece(0, 2));
  AnswerLocate(std::vector{On({"b"})});
  EXPECT_FALSE(fetch().request.wanted) << "three of five";
  ASSERT_THAT(fetch().Send(Bytes(), kPiece), IsOk());
  fetch().End(absl::OkStatus());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, read.Get());
  EXPECT_FALSE(grant.partial);
  EXPECT_TRUE(base::AsText(object::BytesOf(*grant.view)) == Bytes());
  EXPECT_FALSE(RangeLater(InPiece(1, 1)).Get()->partial) << "it is here now";
}

TEST_P(RangeReadsTest, AWholeReadAfterARangeUsesItsPieces) {
  Read part = BeginRange(InPiece(1, 1));
  Send(1);
  ExpectPiece(part, 1);
  Read whole = GetLater();
  EXPECT_THAT(fetcher_.fetches, SizeIs(1));
  EXPECT_EQ(fetch().wanted.back(), swarm::kAllPieces);
  for (const uint32_t piece : {0U, 2U, 3U, 4U}) Send(piece);
  EXPECT_EQ(fetch().sent, 5u);
  fetch().End(absl::OkStatus());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, whole.Get());
  EXPECT_TRUE(base::AsText(object::BytesOf(*grant.view)) == Bytes());
  ExpectPiece(part, 1);
}

TEST_P(RangeReadsTest, ARangeOfWhatIsBeingReadAsAWholeDoesNotWaitForTheRest) {
  Read whole = Begin();
  ASSERT_THAT(fetch().Open(Bytes(), kPiece), IsOk());
  Read part = RangeLater(InPiece(3, 3));
  EXPECT_THAT(fetcher_.fetches, SizeIs(1));
  Send(3);
  ExpectPiece(part, 3);
  EXPECT_FALSE(whole.ready());
}

TEST_P(RangeReadsTest, ThatComesLastIsServedBeforeAllIsSealed) {
  Read whole = Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 4), IsOk());
  Read part = RangeLater({.last = 10});
  Send(4);
  ASSERT_TRUE(part.ready());
  fetch().End(absl::OkStatus());
  ExpectBytes(part, Bytes().size() - 10, 10);
  EXPECT_THAT(whole.Get().status(), IsOk());
}

TEST_P(RangeReadsTest, WhatCameIsKeptForTheNextRange) {
  Read read = BeginRange(InPiece(1, 1));
  Send(1);
  ExpectPiece(read, 1);
  Pass(milliseconds(50));
  EXPECT_FALSE(fetch().cancelled) << "somebody may read on";
  Pass(Fetches::kIdle);
  Pass(milliseconds(50));
  EXPECT_TRUE(fetch().cancelled);
  fetch().End(absl::CancelledError());
  EXPECT_GT(node_->Used(), used_at_start_);
  Read again = BeginRange(InPiece(1, 1));
  ExpectPiece(again, 1);
  EXPECT_EQ(fetch().sent, 0u);
  fetch().End(absl::CancelledError());
  ExpectPiece(read, 1);
}

TEST_P(RangeReadsTest, WhoReadsOnWhereItLeftOffHasTheNextPiecesOnTheirWay) {
  Read read = BeginRange(InPiece(0, 0));
  Send(0);
  ASSERT_TRUE(read.ready());
  const auto other = Open();
  RangeLater(*other, InPiece(1, 1));
  EXPECT_THAT(fetch().wanted.back(), (PieceRun{1, 1})) << "another session";
  RangeLater(*other, InPiece(3, 3));
  EXPECT_THAT(fetch().wanted.back(), (PieceRun{3, 1})) << "it jumps";
  RangeLater(*other, InPiece(3, 3));
  EXPECT_THAT(fetch().wanted.back(), (PieceRun{3, 2})) << "as many as there are";
}

// ---- ranges that are none

TEST_P(RangeReadsTest, ABadRangeEndsOnlyWhoAskedForIt) {
  Read good = RangeLater(InPiece(1, 1));
  Read bad = RangeLater({.first = 5 * kPiece});
  EXPECT_FALSE(bad.ready());
  AnswerLocate(std::vector{On({"b"})});
  EXPECT_THAT(bad.Get(), kBadRange);
  EXPECT_THAT(RangeLater({.first = 2, .last = 1}).Get(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_RANGE"));
  ASSERT_THAT(fetch().Open(Bytes(), kPiece), IsOk());
  Send(1);
  ExpectPiece(good, 1);
}

TEST_P(RangeReadsTest, ABadRangeAloneMakesNoRoomAndBringsNothing) {
  Read bad = RangeLater({.first = 5 * kPiece});
  AnswerLocate(std::vector{On({"b"})});
  EXPECT_THAT(bad.Get(), kBadRange);
  EXPECT_THAT(fetcher_.fetches, IsEmpty());
  Read good = RangeLater(InPiece(1, 1));
  Pass(milliseconds(50));
  AnswerLocate(std::vector{On({"b"})});
  ASSERT_THAT(fetch().Open(Bytes(), kPiece), IsOk());
  Send(1);
  ExpectPiece(good, 1);
}

TEST_P(RangeReadsTest, AreJudgedByWhatTheObjectIsNow) {
  Read old = BeginRange(InPiece(1, 1));
  peer_->Recheck(kK);  // another node has replaced it
  Read beyond = RangeLater({.first = 5 * kPiece, .last = 6 * kPiece});
  EXPECT_FALSE(beyond.ready()) << "it may be longer now";
  Send(1);
  EXPECT_FALSE(old.ready()) << "it may be of what is no more";
  ClusterObject longer = On({"b"}, {8});
  const std::string bytes = Bytes() + std::string(9 * kPiece, 'l');
  longer.info.size = bytes.size();
  longer.info.digest = base::Crc32cDigest(base::Crc32c(base::AsBytes(bytes)));
  AnswerLocate(std::vector{longer});
  ASSERT_THAT(fetcher_.fetches, SizeIs(2));
  EXPECT_TRUE(fetcher_.fetches[0]->cancelled);
  fetcher_.fetches[0]->End(absl::CancelledError());
  EXPECT_EQ(fetch().request.epoch, object::Epoch{8});
  EXPECT_THAT(fetch().request.wanted, Optional(ElementsAre(PieceRun{1, 1}, PieceRun{5, 2})));
  ASSERT_THAT(fetch().Open(bytes, kPiece), IsOk());
  for (const uint32_t piece : {1U, 5U, 6U}) ASSERT_THAT(fetch().SendPiece(bytes, piece), IsOk());
  EXPECT_THAT(old.Get().status(), IsOk());
  EXPECT_THAT(beyond.Get().status(), IsOk());
}

TEST_P(RangeReadsTest, ABadRangeOfWhatMayHaveChangedEndsNobodyElse) {
  Read good = BeginRange(InPiece(1, 1));
  Read whole = GetLater();
  peer_->Recheck(kK);
  Read bad = RangeLater({.first = 5 * kPiece});
  AnswerLocate(std::vector{On({"b"})});  // it has not
  EXPECT_THAT(bad.Get(), kBadRange);
  EXPECT_FALSE(good.ready());
  EXPECT_FALSE(whole.ready());
  Send(1);
  ExpectPiece(good, 1);
}

// ---- what was deleted or replaced

TEST_P(RangeReadsTest, AnAnswerFromBeforeADeletionLendsNothingAndParksNothing) {
  Read first = RangeLater(InPiece(1, 1));
  peer_->Recheck(kK);                    // deleted elsewhere, after the question
  AnswerLocate(std::vector{On({"b"})});  // before that
  ASSERT_THAT(fetch().Open(Bytes(), kPiece), IsOk());
  Send(1);
  EXPECT_FALSE(first.ready());
  Pass(milliseconds(50));
  AnswerLocate(Deleted());
  EXPECT_THAT(first.Get(), kNoObject);
  fetch().End(absl::CancelledError());
  ExpectNothingLeft();
}

TEST_P(RangeReadsTest, WhatIsParkedAsItsObjectIsDeletedIsNot) {
  Read read = BeginRange(InPiece(1, 1));
  Send(1);
  ASSERT_TRUE(read.ready());
  peer_->Release(caller_->session(), read.Get()->lease);
  read = {};
  Pass(Fetches::kIdle);
  Pass(Fetches::kIdle);
  ASSERT_TRUE(fetch().cancelled);
  peer_->Recheck(kK);  // before the fetch has heard that it is over
  fetch().End(absl::CancelledError());
  ExpectNothingLeft();
}

TEST_P(RangeReadsTest, AReplacedObjectsPiecesAreOfNoUse) {
  Read read = BeginRange(InPiece(1, 1));
  Send(1);
  ASSERT_TRUE(read.ready());
  fetch().End(base::Error(absl::StatusCode::kUnavailable, "NO_PROGRESS", "closed"));
  Read next = RangeLater(InPiece(1, 1));
  AnswerLocate(std::vector{On({"b"}, {8})});
  EXPECT_EQ(fetch().request.held->count(), 0u);
  EXPECT_FALSE(next.ready());
  ExpectPiece(read, 1);
}

TEST_P(RangeReadsTest, WhileNobodyCanSayWhetherItIsStillTheSameReadsOfPartsFail) {
  Read read = BeginRange(InPiece(1, 1));
  Send(1);
  ASSERT_TRUE(read.ready());
  peer_->Recheck(kK);
  Read next = RangeLater(InPiece(1, 1));
  EXPECT_FALSE(next.ready());
  AnswerLocate(ClusterDown());
  EXPECT_THAT(next.Get(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
  next = RangeLater(InPiece(1, 1));
  Pass(Fetches::kAskAgain);
  AnswerLocate(std::vector{On({"b"})});
  ExpectPiece(next, 1);
}

// ---- time, and errors that pass

TEST_P(RangeReadsTest, PastItsTimeToLiveNoRangeIsServed) {
  ClusterObject mortal = On({"b"});
  mortal.info.ttl_left = seconds(1);
  Read read = RangeLater(InPiece(1, 1));
  AnswerLocate(std::vector{mortal});
  ASSERT_THAT(fetch().Open(Bytes(), kPiece), IsOk());
  Send(1);
  ExpectPiece(read, 1);
  node_->clock().Advance(seconds(1));
  EXPECT_THAT(RangeLater(InPiece(1, 1)).Get(), kNoObject);
  ExpectPiece(read, 1);
}

TEST_P(RangeReadsTest, AnErrorOfAFetchIsNotRemembered) {
  Read read = BeginRange(InPiece(0, 1));
  Send(1);
  fetch().End(base::Error(absl::StatusCode::kUnavailable, "NO_PROGRESS", "nothing came"));
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kUnavailable, "NO_PROGRESS"));
  read = BeginRange(InPiece(0, 1));
  Send(0);
  EXPECT_EQ(fetch().sent, 1u) << "what came before is there";
  ExpectPiece(read, 0);
}

TEST_P(RangeReadsTest, WhoHungUpWhileNothingWasWantedIsNoReasonToGiveUp) {
  Read read = BeginRange(InPiece(1, 1));
  Send(1);
  ASSERT_TRUE(read.ready());
  Pass(milliseconds(50));
  fetch().Fail("b", base::Error(absl::StatusCode::kUnavailable, "DISCONNECTED", "closed"), false);
  Pass(milliseconds(600));
  Read next = RangeLater(InPiece(2, 2));
  Pass(milliseconds(50));
  Pass(kMayComeBack + seconds(1));
  EXPECT_FALSE(next.ready());
  Send(2);
  ExpectPiece(next, 2);
}

TEST_P(RangeReadsTest, WhoWaitsTooLongForARangeHearsSo) {
  Read read = RangeLater(InPiece(1, 1), In(seconds(1)));
  AnswerLocate(std::vector{On({"b"})});
  Pass(seconds(2));
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kDeadlineExceeded, "FETCHING"));
}

TEST_P(RangeReadsTest, ASessionThatEndedLeavesNoLease) {
  Read read = BeginRange(InPiece(1, 1));
  caller_->Close();
  Send(1);
  EXPECT_EQ(peer_->usage().read_leases, 0u);
  fetch().End(absl::CancelledError());
}

TEST_P(RangeReadsTest, WhoWaitForTheirTurnDoNotWaitForThoseWhoReadParts) {
  const std::string small = Bytes().substr(0, kPiece + 1);  // so many have room
  const auto on_b = [&](const std::string& key) {
    ClusterObject object = On({"b"});
    object.info.id.key = key;
    object.info.size = small.size();
    object.info.digest = base::Crc32cDigest(base::Crc32c(base::AsBytes(small)));
    return std::vector{object};
  };
  std::vector<Read> reads(Fetches::kAtOnce);
  for (size_t i = 0; i < reads.size(); ++i) {
    const std::string key = "k" + std::to_string(i);
    peer_->GetRange(caller_->session(), key, {.last = 1}, base::kNoDeadline, reads[i].Slot());
    AnswerLocate(on_b(key));
    ASSERT_THAT(fetcher_.fetches, SizeIs(i + 1));
    ASSERT_THAT(fetch().Open(small, kPiece), IsOk());
    ASSERT_THAT(fetch().SendPiece(small, 1), IsOk());
    ASSERT_TRUE(reads[i].ready());
  }
  Read next = GetLater();
  AnswerLocate(on_b("k"));
  EXPECT_EQ(fetcher_.fetches.size(), Fetches::kAtOnce);
  Pass(milliseconds(10));
  EXPECT_EQ(fetcher_.fetches.size(), Fetches::kAtOnce + 1);
}

INSTANTIATE_TEST_SUITE_P(Stores, RangeReadsTest, testing::Values("memory", "file"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace larder::cache_agent
