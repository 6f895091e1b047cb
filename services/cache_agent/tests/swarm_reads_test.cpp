#include "tests/tracked_reads_fixture.h"

// Reads of what other nodes read at the same time: they are met, asked, and given what has come here.
namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::StatusIs;
using object::Epoch;
using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SwarmReadsTest : public TrackedReadsTest {};

SwarmMember Fetches7(const std::string& node, uint64_t epoch = 7) {
  return {
      .node = node, .node_epoch = 6, .epoch = {epoch}, .address = "127.0.0.1:2", .distance = swarm::Distance::kRack};
}

TEST_P(SwarmReadsTest, PeerManagersAreToldOfAFetchFromItsBeginningToItsEnd) {
  Read read = GetLater();
  EXPECT_EQ(board_.view().entries.at(kK).epoch, Epoch()) << "beside the question where it is";
  AnswerLocate(std::vector{On({"b"})});
  EXPECT_EQ(board_.view().entries.at(kK).epoch, Epoch{7});
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 3), IsOk());
  Pass(milliseconds(50));
  EXPECT_EQ(board_.view().entries.at(kK).percent, 60u);
  EXPECT_EQ(board_.view().entries.at(kK).parents, 1u);
  fetch().End(base::Error(absl::StatusCode::kUnavailable, "NO_PROGRESS", "nothing came"));
  EXPECT_THAT(read.Get(), StatusIs(absl::StatusCode::kUnavailable, "NO_PROGRESS"));
  EXPECT_THAT(board_.view().entries, IsEmpty());
}

TEST_P(SwarmReadsTest, PeerManagersAreToldOfWhatCameBeforeToo) {
  Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 2), IsOk());
  fetch().End(base::Error(absl::StatusCode::kUnavailable, "NO_PROGRESS", "nothing came"));
  Read again = Begin();
  Pass(milliseconds(50));
  EXPECT_EQ(board_.view().entries.at(kK).percent, 40u) << "two of five are here already";
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 3), IsOk());
  Pass(milliseconds(50));
  EXPECT_EQ(board_.view().entries.at(kK).percent, 60u);
}

TEST_P(SwarmReadsTest, WhatIsOnePieceIsFetchedAlone) {
  Read read = GetLater();
  ClusterObject small = On({"b"});
  small.info.size = kPiece;
  AnswerLocate(std::vector{small});
  EXPECT_THAT(fetcher_.fetches, SizeIs(1));
  EXPECT_THAT(board_.view().entries, IsEmpty());
}

TEST_P(SwarmReadsTest, WhoFetchesItTooBecomesAParentWhenItIsMet) {
  Read read = Begin();
  peer_->Meet(kK, {Fetches7("c"), Fetches7("d", 8), Fetches7("b")});
  EXPECT_THAT(fetch().Parents(), ElementsAre("b", "c")) << "neither of another epoch, nor twice";
  EXPECT_EQ(fetch().request.parents[1].distance, swarm::Distance::kRack);
  peer_->Meet(kK, {Fetches7("c")});
  peer_->Meet({"team-a", "other"}, {Fetches7("e")});
  EXPECT_THAT(fetch().Parents(), ElementsAre("b", "c"));
}

TEST_P(SwarmReadsTest, WhoWasMetBeforeTheClusterAnsweredIsAskedFromTheBeginning) {
  Read read = GetLater();
  peer_->Meet(kK, {Fetches7("c"), Fetches7("d", 8)});
  EXPECT_THAT(fetcher_.fetches, IsEmpty()) << "what is meant, only the cluster knows";
  AnswerLocate(std::vector{On({"b"})});
  EXPECT_THAT(fetch().Parents(), ElementsAre("b", "c"));
}

TEST_P(SwarmReadsTest, WhoFetchesItTooWillDoWhereNobodyHasIt) {
  Read read = GetLater();
  peer_->Meet(kK, {Fetches7("c")});
  AnswerLocate(std::vector{On({})});
  EXPECT_THAT(fetch().Parents(), ElementsAre("c"));
}

TEST_P(SwarmReadsTest, WhoDoesNotFetchItAnyMoreIsNoNewsForTheClusterAndAskedAgainWhenItDoes) {
  Read read = Begin();
  peer_->Meet(kK, {Fetches7("c")});
  fetch().Fail("c", base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "gave up"));
  EXPECT_THAT(cluster_.open(), IsEmpty());
  EXPECT_THAT(cluster_.located, IsEmpty());
  peer_->Meet(kK, {Fetches7("c")});
  EXPECT_THAT(fetch().Parents(), ElementsAre("b", "c", "c"));
  fetch().Fail("c", base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH", "lied"));
  peer_->Meet(kK, {Fetches7("c")});
  EXPECT_THAT(fetch().Parents(), SizeIs(3));
}

TEST_P(SwarmReadsTest, ThoseWhoWaitForEachOtherGiveUpAndNameWhoShouldHaveIt) {
  Read read = Begin();
  peer_->Meet(kK, {Fetches7("c")});
  fetch().Fail("b", base::Error(absl::StatusCode::kUnavailable, "CANNOT_DIAL", "no answer"), false);
  for (int i = 0; i < 110 && !read.ready(); ++i) {
    Pass(milliseconds(100));
    while (!cluster_.located.empty()) AnswerLocate(std::vector{On({"b"})});
  }
  const absl::Status over = read.Get().status();
  EXPECT_THAT(over, StatusIs(absl::StatusCode::kUnavailable, "NO_HOLDER"));
  EXPECT_THAT(base::Message(over), AllOf(HasSubstr("CANNOT_DIAL"), HasSubstr("c, seen 0s ago, fetches it, too")));
}

TEST_P(SwarmReadsTest, WhatComesFromThoseWhoFetchItTooKeepsAFetchGoing) {
  Read read = Begin();
  peer_->Meet(kK, {Fetches7("c")});
  fetch().Fail("b", base::Error(absl::StatusCode::kUnavailable, "CANNOT_DIAL", "no answer"), false);
  for (uint32_t i = 0; i < 40; ++i) {
    Pass(milliseconds(500));
    if (i % 8 == 0) {
      ASSERT_THAT(fetch().Send(Bytes(), kPiece, 1), IsOk());
    }
    while (!cluster_.located.empty()) AnswerLocate(std::vector{On({"b"})});
  }
  EXPECT_FALSE(read.ready());
}

TEST_P(SwarmReadsTest, WhatComesFromThoseWhoFetchItTooKeepsAFetchGoingAlsoWithoutAHolder) {
  Read read = Begin();
  peer_->Meet(kK, {Fetches7("c")});
  fetch().Fail("b", base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "not here"), true);
  const auto pass = [&] {
    Pass(milliseconds(500));
    while (!cluster_.located.empty()) AnswerLocate(std::vector{On({"b"})});
  };
  for (uint32_t i = 0; i < 40; ++i) {
    if (i % 8 == 0) {
      ASSERT_THAT(fetch().Send(Bytes(), kPiece, 1), IsOk());
    }
    pass();
    ASSERT_FALSE(read.ready()) << i;
  }
  for (uint32_t i = 0; i < 200 && !read.ready(); ++i) pass();
  EXPECT_THAT(read.Get().status(), StatusIs(absl::StatusCode::kUnavailable, "NO_HOLDER")) << "nothing comes any more";
}

TEST_P(SwarmReadsTest, WhatHasComeIsGivenToOthersUntilAllOfItHas) {
  Read read = Begin();
  EXPECT_FALSE(arriving_.Find(kK, {7}));
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 2), IsOk());
  auto served = arriving_.Find(kK, {7});
  ASSERT_TRUE(served);
  EXPECT_EQ(served->pieces->held().count(), 2u);
  const swarm::PieceBytes::Stretch given = served->bytes->At(kPiece, kPiece);
  EXPECT_TRUE(base::AsText(given.memory) == std::string_view(Bytes()).substr(kPiece, kPiece));
  EXPECT_FALSE(arriving_.Find(kK, {107})) << "its own epoch means nothing to others";
  EXPECT_FALSE(peer_->FindSealed(kK));
  ASSERT_THAT(fetch().Send(Bytes(), kPiece), IsOk());
  served = arriving_.Find(kK, {7});
  fetch().End(absl::OkStatus());
  EXPECT_THAT(read.Get().status(), IsOk());
  EXPECT_FALSE(arriving_.Find(kK, {7}));
  EXPECT_THAT(peer_->Serve(kK, {7}), IsOk());
  EXPECT_GT(served->bytes->At(0, kPiece).size, 0u) << "who is being given pieces gets the rest";
}

TEST_P(SwarmReadsTest, WhatIsKeptOfAFetchThatFailedIsGivenToNobodyUntilAnotherGoesOn) {
  Read read = Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 2), IsOk());
  const auto served = arriving_.Find(kK, {7});
  fetch().End(base::Error(absl::StatusCode::kUnavailable, "NO_PROGRESS", "nothing came"));
  EXPECT_FALSE(arriving_.Find(kK, {7}));
  EXPECT_EQ(served->bytes->At(0, kPiece).size, 0u);
  Read again = Begin();
  ASSERT_THAT(fetch().Send(Bytes(), kPiece, 2), IsOk());
  const auto anew = arriving_.Find(kK, {7});
  ASSERT_TRUE(anew);
  EXPECT_EQ(fetch().sent, 0u);
  const swarm::PieceBytes::Stretch given = anew->bytes->At(kPiece, kPiece);
  EXPECT_TRUE(base::AsText(given.memory) == std::string_view(Bytes()).substr(kPiece, kPiece));
}

INSTANTIATE_TEST_SUITE_P(Stores, SwarmReadsTest, testing::Values("memory", "file"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace larder::cache_agent
