#include "tests/tracked_peer_fixture.h"

// What becomes of seals whose answers come late, twice, or not at all, and of deletes in between.
namespace larder::cache_agent {
namespace {

using base::AsBytes;
using base::IsOk;
using base::StatusIs;
using object::Answer;
using object::Caller;
using object::CreateGrant;
using object::Epoch;
using object::SealResult;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::Status Busy() { return base::Error(absl::StatusCode::kResourceExhausted, "TRACKER_BUSY", "too much waits"); }
absl::Status Unknown() { return base::Error(absl::StatusCode::kDeadlineExceeded, "OUTCOME_UNKNOWN", "nobody knows"); }
absl::Status Stale() { return base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "that create is over"); }
absl::Status Nothing() { return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "there is none"); }

absl::Status Fenced() { return base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED", "cut off for 2 s"); }

TEST_F(TrackedPeerTest, AFencedNodePromisesNothingForTheClusterAndServesOn) {
  PutTracked("here", "hello");
  may_ask_ = Fenced();
  for (const char* key : {"k", ""}) {
    EXPECT_THAT(caller_->CreateLater({.key = key}).Get(), StatusIs(absl::StatusCode::kUnavailable, "NODE_FENCED"));
  }
  EXPECT_THAT(cluster_.open(), IsEmpty()) << "nobody waits for a tracker that does not answer";
  EXPECT_TRUE(Readable("here"));
  PutLocal("mine", "hello");
  EXPECT_TRUE(Readable("mine"));
  may_ask_ = absl::OkStatus();
  PutTracked("k", "hello");
}

TEST_F(TrackedPeerTest, WhatTheTrackerConfirmedIsAcknowledgedAlsoByANodeThatHasBeenCutOffSince) {
  auto sealed = SealLater(Begin({.key = "k"}), "hello");
  may_ask_ = Fenced();
  cluster_.Answer("seal k 7");
  ASSERT_THAT(sealed.Get(), IsOk());
  EXPECT_EQ(sealed.Get()->ack, object::AckPolicy::kTracked);
}

TEST_F(TrackedPeerTest, AFencedNodeRefusesTheAcknowledgementThatTheTrackerDoesNotGive) {
  const CreateGrant grant = Begin({.key = "k"});
  auto sealed = SealLater(grant, "hello");
  may_ask_ = Fenced();
  cluster_.Answer("seal k 7", ClusterDown());
  EXPECT_THAT(sealed.Get(), StatusIs(absl::StatusCode::kUnavailable, "NODE_FENCED"));
  EXPECT_TRUE(Readable("k")) << "it is sealed here";
  auto again = SealAgain(grant, "hello");
  may_ask_ = absl::OkStatus();
  Pass(seconds(1));
  cluster_.Answer("seal k 7");
  EXPECT_THAT(again.Get(), IsOk()) << "it was told of by itself";
}

TEST_F(TrackedPeerTest, TheSameContentPutTwiceAtOnceIsThereForBoth) {
  const std::unique_ptr<Caller> other = Open();
  const CreateGrant a = caller_->CreateLater({}).Get().value();
  const CreateGrant b = other->CreateLater({}).Get().value();
  auto first = SealLater(a, "hello");
  ASSERT_THAT(other->Append(b, AsBytes("hello")), IsOk());
  Answer<absl::StatusOr<SealResult>> second;
  peer_->Seal(other->session(), b.lease, b.epoch, {.size = 5}, second.Slot());
  ASSERT_EQ(cluster_.open().size(), 1u) << "one attempt speaks for both";
  cluster_.Answer(cluster_.open().front(), Epoch{9});
  EXPECT_EQ(first.Get().value().info.epoch, Epoch{9});
  EXPECT_EQ(second.Get().value().info.epoch, Epoch{9});
  EXPECT_TRUE(Readable(first.Get()->info.id.key));
}

TEST_F(TrackedPeerTest, ATrackerThatIsBusyCostsNoBytes) {
  auto sealed = SealLater(Begin({.key = "k"}), "hello");
  cluster_.Answer("seal k 7", Busy());
  EXPECT_THAT(sealed.Get(), StatusIs(absl::StatusCode::kUnavailable, "TRACKER_BUSY"));
  Pass(seconds(1));
  cluster_.Answer("seal k 7");
  EXPECT_TRUE(Readable("k"));
}

TEST_F(TrackedPeerTest, NoAttemptComesBehindADelete) {
  PutLocal("k", "hello");
  cluster_.Answer("publish k", ClusterDown());
  auto deleted = DeleteLater("k");
  Pass(seconds(1));  // an attempt would be due
  EXPECT_THAT(cluster_.open(), ElementsAre("delete k"));
  cluster_.Answer("delete k", Nothing());
  EXPECT_THAT(deleted.Get(), IsOk());
  Pass(seconds(60));
  EXPECT_THAT(cluster_.open(), IsEmpty());
  EXPECT_FALSE(Readable("k"));
}

TEST_F(TrackedPeerTest, NorDoesOneWhoseRightIsLost) {
  auto sealed = SealLater(Begin({.key = "k"}), "hello");
  auto deleted = DeleteLater("k");
  cluster_.Answer("seal k 7", Stale());
  EXPECT_THAT(cluster_.open(), ElementsAre("delete k"));
  cluster_.Answer("delete k", Nothing());
  EXPECT_THAT(deleted.Get(), IsOk());
  EXPECT_THAT(sealed.Get(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  Pass(seconds(60));
  EXPECT_THAT(cluster_.open(), IsEmpty());
}

TEST_F(TrackedPeerTest, ADeleteThatFailsLetsTheAttemptsGoOn) {
  PutLocal("k", "hello");
  cluster_.Answer("publish k", ClusterDown());
  auto deleted = DeleteLater("k");
  Pass(seconds(1));
  cluster_.Answer("delete k", ClusterDown());
  EXPECT_THAT(deleted.Get(), StatusIs(absl::StatusCode::kUnavailable));
  Pass(milliseconds(1));
  cluster_.Answer("publish k", Epoch{8});
  EXPECT_TRUE(Readable("k"));
}

// The first attempt was done, and another node deleted or replaced the object since.
TEST_F(TrackedPeerTest, AnAttemptOfUnknownOutcomeUndoesNothing) {
  auto sealed = SealLater(Begin({.key = "k", .overwrite = true}), "hello");
  cluster_.Answer("seal k 7", Unknown());
  EXPECT_THAT(sealed.Get(), StatusIs(absl::StatusCode::kUnavailable, "OUTCOME_UNKNOWN"));
  Pass(seconds(1));
  cluster_.Answer("seal k 7", Stale());
  Pass(seconds(60));
  EXPECT_THAT(cluster_.open(), IsEmpty());
}

TEST_F(TrackedPeerTest, AnAttemptOfUnknownOutcomeReplacesNothingNewer) {
  const CreateGrant grant = caller_->CreateLater({.key = "k", .overwrite = true, .ack = kLocal}).Get().value();
  EXPECT_THAT(SealLater(grant, "hello").Get(), IsOk());
  cluster_.Answer("publish k over", Unknown());
  Pass(seconds(1));
  EXPECT_THAT(cluster_.open(), ElementsAre("publish k"));
}

TEST_F(TrackedPeerTest, WhoWaitsForAnAnswerThatDoesNotComeHearsOfThat) {
  auto sealed = SealLater(Begin({.key = "k"}), "hello");
  Pass(Publisher::kPatience - milliseconds(1));
  EXPECT_FALSE(sealed.ready());
  Pass(milliseconds(1));
  EXPECT_THAT(sealed.Get(), StatusIs(absl::StatusCode::kUnavailable, "NO_TRACKER"));
  EXPECT_THAT(cluster_.open(), ElementsAre("seal k 7")) << "there is one attempt, not two";
  cluster_.Answer("seal k 7");
  EXPECT_TRUE(Readable("k"));
  EXPECT_EQ(publisher_->pending(), 0u);
}

TEST_F(TrackedPeerTest, WhatWasAcknowledgedBeforeIsNotLostByALaterPutThatLoses) {
  const CreateGrant local = caller_->CreateLater({.ack = kLocal}).Get().value();
  const SealResult first = SealLater(local, "hello").Get().value();
  const CreateGrant grant = caller_->CreateLater({}).Get().value();
  auto second = SealLater(grant, "hello");
  ASSERT_EQ(cluster_.open().size(), 1u);
  cluster_.Answer(cluster_.open().front(), ExistsElsewhere());
  EXPECT_THAT(second.Get(), StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS"));
  EXPECT_TRUE(Readable(first.info.id.key));
  EXPECT_TRUE(publisher_->InConflict(first.info.id));
}

// Runs what it is given when told to.
class GatedExecutor final : public base::Executor {
 public:
  bool Submit(std::function<void()> work) override {
    work_.push_back(std::move(work));
    return true;
  }
  void RunAll() {
    for (const auto& work : std::exchange(work_, {})) work();
  }
  size_t size() const { return work_.size(); }

 private:
  std::vector<std::function<void()>> work_;
};

class TrackedOutcomesTest : public TrackedPeerTest {
 protected:
  // Steps in while an object is being sealed.
  class SteppedPeer final : public object::PeerDecorator {
   public:
    using PeerDecorator::PeerDecorator;
    void Seal(object::SessionId session, object::LeaseId lease, Epoch epoch, const object::SealRequest& request,
              object::Done<absl::StatusOr<SealResult>> done) override {
      inner().Seal(session, lease, epoch, request, [this, done](absl::StatusOr<SealResult> result) {
        if (sealed) std::exchange(sealed, nullptr)();
        done(std::move(result));
      });
    }
    bool blocks() const override { return true; }
    std::function<void()> sealed;
  };
  TrackedOutcomesTest() {
    caller_.reset();
    peer_.reset();
    object::PeerRegistry peers("peer");
    peers::Register(peers);
    auto inner =
        (*peers.Get("single"))->make({.backends = {&node_->backend()}, .clock = &node_->clock(), .executor = &gated_});
    auto stepped = std::make_unique<SteppedPeer>(*std::move(inner));
    stepped_ = stepped.get();
    peer_ = std::make_unique<TrackedPeer>("a", std::move(stepped), cluster_, *publisher_, gated_, node_->clock(),
                                          [] { return absl::OkStatus(); });
    caller_ = Open();
  }
  GatedExecutor gated_;
  SteppedPeer* stepped_ = nullptr;
};

TEST_F(TrackedOutcomesTest, WhatWasSealedForNobodyGoes) {
  const CreateGrant grant = caller_->CreateLater({.key = "k", .ack = kLocal}).Get().value();
  stepped_->sealed = [&] { peer_->CloseSession(caller_->session()); };
  auto sealed = SealLater(grant, "hello");
  gated_.RunAll();
  EXPECT_THAT(sealed.Get(), StatusIs(absl::StatusCode::kAborted, "LEASE_LOST"));
  caller_ = Open();
  EXPECT_FALSE(Readable("k"));
  EXPECT_THAT(cluster_.open(), IsEmpty());
}

TEST_F(TrackedOutcomesTest, ALeaseThatLapsesWhileItsObjectIsSealedCostsTheRightAlone) {
  auto created = caller_->CreateLater({.key = "k"});
  cluster_.Answer("acquire k", Epoch{7});
  gated_.RunAll();
  const CreateGrant grant = created.Get().value();
  // The seal takes longer than the lease lasts.
  stepped_->sealed = [&] { Pass(seconds(60)); };
  auto sealed = SealLater(grant, "hello");
  const std::vector<std::string> open = cluster_.open();
  ASSERT_FALSE(open.empty());
  cluster_.Answer(open.back(), Epoch{9});
  gated_.RunAll();
  EXPECT_THAT(sealed.Get(), IsOk());
  EXPECT_TRUE(Readable("k"));
}

TEST_F(TrackedOutcomesTest, WhatIsPutAgainWhileItsCopyIsToGoStays) {
  const CreateGrant first = caller_->CreateLater({}).Get().value();
  auto sealed = SealLater(first, "hello");
  cluster_.Answer(cluster_.open().front(), Epoch{7});
  gated_.RunAll();
  const object::ObjectId id = sealed.Get()->info.id;
  peer_->Recheck(id);
  Pass(milliseconds(100));
  AnswerLocate(std::vector{ClusterObject{.info = {.state = object::ObjectState::kDeleted}}});
  ASSERT_EQ(gated_.size(), 1u) << "it is to go";
  const CreateGrant second = caller_->CreateLater({}).Get().value();
  auto again = SealLater(second, "hello");
  cluster_.Answer(cluster_.open().front(), Epoch{9});
  EXPECT_THAT(again.Get(), IsOk());
  gated_.RunAll();
  EXPECT_TRUE(Readable(id.key));
}

TEST_F(TrackedOutcomesTest, ASealRepeatedWhileTheFirstIsAnsweredHearsNoMoreThanThat) {
  const CreateGrant grant = caller_->CreateLater({}).Get().value();
  Answer<absl::StatusOr<SealResult>> repeated;
  stepped_->sealed = [&] {
    peer_->Seal(caller_->session(), grant.lease, grant.epoch, {.size = 5}, repeated.Slot());
    EXPECT_FALSE(repeated.ready());
  };
  auto sealed = SealLater(grant, "hello");
  ASSERT_EQ(cluster_.open().size(), 1u);
  EXPECT_FALSE(repeated.ready());
  cluster_.Answer(cluster_.open().front(), Epoch{7});
  EXPECT_THAT(repeated.Get(), IsOk());
  EXPECT_THAT(sealed.Get(), IsOk());
}

// A grant is followed by writes, maybe to a disk: not on the thread that brings the tracker's answers.
TEST_F(TrackedOutcomesTest, GrantsAndLossesAreDealtWithOnTheExecutor) {
  auto created = caller_->CreateLater({.key = "k"});
  cluster_.Answer("acquire k", Epoch{7});
  EXPECT_FALSE(created.ready());
  gated_.RunAll();
  auto sealed = SealLater(created.Get().value(), "hello");
  cluster_.Answer("seal k 7", ExistsElsewhere());
  EXPECT_TRUE(Readable("k"));
  EXPECT_FALSE(sealed.ready()) << "not before it is gone";
  gated_.RunAll();
  EXPECT_THAT(sealed.Get(), StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS"));
  EXPECT_FALSE(Readable("k"));
}

}  // namespace
}  // namespace larder::cache_agent
