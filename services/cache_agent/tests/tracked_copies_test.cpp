#include "tests/tracked_peer_fixture.h"

// What is here, and what the cluster knows of it.
namespace larder::cache_agent {
namespace {

using base::AsBytes;
using base::IsOk;
using base::StatusIs;
using object::Caller;
using object::CreateGrant;
using object::Epoch;
using object::SealResult;
using object::TrackedAs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

class TrackedFilesTest : public TrackedPeerTest {
 protected:
  TrackedFilesTest() : TrackedPeerTest("file") {}
};

const object::ObjectId kK{"team-a", "k"};

ClusterObject Deleted() { return {.info = {.state = object::ObjectState::kDeleted}}; }

TEST_F(TrackedPeerTest, ACopyOfWhatIsNoMoreGoes) {
  const SealResult put = PutTracked("k", "hello");
  const auto told = [&](object::ObjectState state, Epoch epoch) {
    peer_->Recheck({"team-a", "k"});
    Pass(milliseconds(100));
    ClusterObject found{.info = put.info};
    found.info.state = state;
    found.info.epoch = epoch;
    AnswerLocate(std::vector{found});
  };
  told(object::ObjectState::kSealed, Epoch{7});
  EXPECT_TRUE(Readable("k")) << "it is the same";
  told(object::ObjectState::kSealed, Epoch{8});
  EXPECT_TRUE(Readable("k")) << "another node created the same content anew";
  EXPECT_THAT(cluster_.open(), ElementsAre("publish k")) << "this node has a copy of that, too";
  cluster_.Answer("publish k", Epoch{8});
  told(object::ObjectState::kSealed, Epoch{8});
  EXPECT_TRUE(Readable("k"));
  told(object::ObjectState::kDeleted, {});
  EXPECT_FALSE(Readable("k")) << "another node deleted it";
  // Of what is not here nobody is asked.
  peer_->Recheck({"team-a", "k"});
  Pass(milliseconds(100));
  EXPECT_THAT(cluster_.located, IsEmpty());
}

TEST_F(TrackedPeerTest, ACopyOfWhatOthersReplacedGoes) {
  const SealResult put = PutTracked("k", "hello");
  peer_->Recheck({"team-a", "k"});
  Pass(milliseconds(100));
  ClusterObject other{.info = put.info};
  other.info.epoch = Epoch{9};
  other.info.digest = base::Crc32cDigest(1);
  AnswerLocate(std::vector{other});
  EXPECT_FALSE(Readable("k"));
}

TEST_F(TrackedPeerTest, WhatIsToBeToldOfYetIsNoCopyOfWhatIsNoMore) {
  PutLocal("k", "hello");
  peer_->Recheck({"team-a", "k"});
  Pass(milliseconds(100));
  EXPECT_THAT(cluster_.located, IsEmpty());
  // Once it was told of it is looked at; and somebody creates it anew meanwhile.
  cluster_.Answer("publish k", Epoch{3});
  Pass(milliseconds(100));
  const CreateGrant second = caller_->CreateLater({.key = "k", .overwrite = true, .ack = kLocal}).Get().value();
  AnswerLocate(std::vector{ClusterObject{.info = {.state = object::ObjectState::kDeleted}}});
  EXPECT_TRUE(Readable("k")) << "what is created here will tell";
  EXPECT_THAT(SealLater(second, "newer").Get(), IsOk());
  EXPECT_TRUE(Readable("k"));
}

TEST_F(TrackedPeerTest, WithoutTheClusterCopiesStayAndAreLookedAtLater) {
  PutTracked("k", "hello");
  peer_->Recheck({"team-a", "k"});
  Pass(milliseconds(100));
  AnswerLocate(ClusterDown());
  EXPECT_TRUE(Readable("k"));
  Pass(milliseconds(100));
  AnswerLocate(std::vector{ClusterObject{.info = {.state = object::ObjectState::kDeleted}}});
  EXPECT_FALSE(Readable("k"));
}

TEST_F(TrackedPeerTest, WhatWasToldOfIsMarkedSo) {
  PutTracked("k", "hello");
  EXPECT_THAT(peer_->FindSealed(kK)->tracked, Optional(ScriptedCluster::Copy({7})));
  PutLocal("l", "hello");
  EXPECT_EQ(peer_->FindSealed({"team-a", "l"})->tracked, std::nullopt);
  cluster_.Answer("publish l", Epoch{8});
  EXPECT_THAT(peer_->FindSealed({"team-a", "l"})->tracked, Optional(ScriptedCluster::Copy({8})));
}

// What others deleted while this node was down does not come back.
TEST_F(TrackedFilesTest, AfterARestartOnlyWhatTheClusterMayNotKnowIsPublished) {
  PutTracked("k", "hello");
  PutTracked("stays", "hello");
  for (int i = 0; i < 20; ++i) PutLocal(fmt::format("l{}", i), "x");
  cluster_ = ScriptedCluster();
  Start();
  peer_->PublishUntracked();
  EXPECT_EQ(cluster_.open().size(), 20u);
  EXPECT_EQ(peer_->usage().sessions, 1u) << "the caller's";
  // It is compared, and looked for.
  peer_->Compare();
  Pass(milliseconds(100));
  ASSERT_EQ(cluster_.sums.size(), 1u);
  object::InventorySums there{};
  there.at(object::InventoryBucket(ScriptedCluster::Copy({7}).blob)) = 1;
  cluster_.sums.front()(there);
  if (!cluster_.confirmed.empty()) cluster_.confirmed.front().second(std::vector<uint8_t>());
  ASSERT_EQ(cluster_.pages.size(), 1u);
  const InventoryPage page = cluster_.pages.front().first;
  EXPECT_THAT(page.copies, ElementsAre(ScriptedCluster::Copy({7})));
  cluster_.pages.front().second(InventoryAnswer{.next = InventoryPage::kEnd, .over = page.copies});
  Pass(milliseconds(100));
  Pass(milliseconds(100));
  ASSERT_EQ(cluster_.located.size(), 2u) << "both keys have the same epoch in this script";
  AnswerLocate(std::vector{Deleted()});
  ClusterObject same{.info = *peer_->FindSealed({"team-a", "stays"})};
  same.info.epoch = Epoch{7};
  AnswerLocate(std::vector{same});
  EXPECT_FALSE(Readable("k"));
  EXPECT_TRUE(Readable("stays"));
}

TEST_F(TrackedPeerTest, WhatExpiresIsGivenUpAndNoLongerPublished) {
  const CreateGrant tracked = Begin({.key = "k", .meta = {.ttl = seconds(5)}});
  auto sealed = SealLater(tracked, "hello");
  cluster_.Answer("seal k 7");
  EXPECT_THAT(sealed.Get(), IsOk());
  const CreateGrant local =
      caller_->CreateLater({.key = "l", .ack = kLocal, .meta = {.ttl = seconds(5)}}).Get().value();
  EXPECT_THAT(SealLater(local, "hello").Get(), IsOk());
  cluster_.Answer("publish l", ClusterDown());
  const CreateGrant lost = caller_->CreateLater({.key = "m", .ack = kLocal, .meta = {.ttl = seconds(5)}}).Get().value();
  EXPECT_THAT(SealLater(lost, "hello").Get(), IsOk());
  cluster_.Answer("publish m", ExistsElsewhere());
  EXPECT_TRUE(publisher_->InConflict({"team-a", "m"}));
  Pass(seconds(6));
  EXPECT_THAT(cluster_.open(), ElementsAre("give up k 7"));
  EXPECT_EQ(publisher_->pending(), 0u);
  EXPECT_FALSE(publisher_->InConflict({"team-a", "m"}));
}

TEST_F(TrackedPeerTest, WhatGoesBeforeTheClusterHeardOfItIsGivenUpThen) {
  const CreateGrant local =
      caller_->CreateLater({.key = "k", .ack = kLocal, .meta = {.ttl = seconds(5)}}).Get().value();
  EXPECT_THAT(SealLater(local, "hello").Get(), IsOk());
  Pass(seconds(6));
  EXPECT_THAT(cluster_.open(), ElementsAre("publish k"));
  cluster_.Answer("publish k", Epoch{9});
  EXPECT_THAT(cluster_.open(), ElementsAre("give up k 9"));
}

TEST_F(TrackedPeerTest, WhatIsPutAgainWhileItIsGivenUpIsNot) {
  const CreateGrant first =
      caller_->CreateLater({.key = "k", .ack = kLocal, .meta = {.ttl = seconds(5)}}).Get().value();
  EXPECT_THAT(SealLater(first, "hello").Get(), IsOk());
  cluster_.Answer("publish k", Epoch{9});
  Pass(seconds(6));
  cluster_.Answer("give up k 9", ClusterDown());
  PutLocal("k", "hello");
  Pass(seconds(60));
  EXPECT_THAT(cluster_.open(), ElementsAre("publish k")) << "its outcome decides";
  cluster_.Answer("publish k", Epoch{9});
  Pass(seconds(60));
  EXPECT_THAT(cluster_.open(), IsEmpty());
}

TEST_F(TrackedPeerTest, AnUploadOfUnknownNameHidesNoChange) {
  PutTracked("k", "hello");
  ASSERT_THAT(caller_->CreateLater({}).Get(), IsOk());  // goes on
  peer_->Recheck(kK);
  Pass(milliseconds(100));
  AnswerLocate(std::vector{Deleted()});
  EXPECT_FALSE(Readable("k"));
}

TEST_F(TrackedPeerTest, WhatCannotBeDecidedYetHoldsUpNoOther) {
  const std::unique_ptr<Caller> other = Open("team-b");
  ASSERT_THAT(other->Put({.key = "z", .ack = kLocal}, AsBytes("hello")), IsOk());
  cluster_.Answer("publish z", Epoch{8});
  // Beyond what a Tick looks at; and at its quota no session could be opened to look.
  for (int i = 0; i < 600; ++i) {
    PutLocal(fmt::format("k{:03}", i), "hello");
    peer_->Recheck({"team-a", fmt::format("k{:03}", i)});
  }
  rules_["team-b"].connections = 1;
  peer_->Recheck({"team-b", "z"});
  for (int i = 0; i < 5; ++i) Pass(milliseconds(1));
  ASSERT_EQ(cluster_.located.size(), 1u);
  EXPECT_THAT(cluster_.located[0].first, ElementsAre(object::ObjectId{"team-b", "z"}));
}

TEST_F(TrackedPeerTest, OfWhatIsNotHereNothingIsKept) {
  for (int i = 0; i < 100'000; ++i) peer_->Recheck({"team-a", fmt::format("elsewhere{}", i)});
  PutTracked("k", "hello");
  peer_->Recheck(kK);
  Pass(milliseconds(1));
  EXPECT_EQ(cluster_.located.size(), 1u);
}

}  // namespace
}  // namespace larder::cache_agent
