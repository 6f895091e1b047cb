#include "rpc/tracker_conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "larder/base/testing/status_matchers.h"
#include "tests/talk.h"

namespace larder::cache_agent {
namespace {

using absl::StatusCode;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(TrackerConversation, RegistersAndOpensASessionBeforeAnythingElseIsSaid) {
  Talk talk({.piece_address = "10.0.0.1:7461"});
  ASSERT_TRUE(talk.Acquire("k").ok());
  const v1::StreamRequest hello = talk.Take();
  ASSERT_EQ(hello.apply().commands_size(), 2);
  EXPECT_FALSE(hello.apply().has_request_id());
  EXPECT_TRUE(hello.apply().commands(0).has_open_session());
  EXPECT_EQ(hello.apply().commands(1).register_node().node(), "n");
  EXPECT_EQ(hello.apply().commands(1).register_node().incarnation(), 3u);
  EXPECT_EQ(hello.apply().commands(1).register_node().address(), "10.0.0.1:7461");
  EXPECT_THAT(hello.apply().commands(1).register_node().offered_piece_key(), SizeIs(32));
  EXPECT_NE(hello.apply().commands(1).register_node().offered_piece_key(), TrackerOptions().offered_piece_key);
  EXPECT_THAT(talk.sent, IsEmpty());

  talk.Say(Applied(hello, {SessionResult(9), RegisteredResult(5)}));
  const v1::StreamRequest first = talk.Take();
  EXPECT_THAT(talk.registered, ElementsAre(Registration{5, "the cluster's", 1}));
  EXPECT_EQ(first.apply().request_id().session(), 9u);
  EXPECT_EQ(first.apply().commands(0).acquire_create().holder().epoch(), 5u);
  talk.Say(Applied(first, {GrantedResult(7)}));
  EXPECT_THAT(talk.told, ElementsAre("k: OK"));
}

// Else a pod that reads while its agent starts is told that no node can be asked: there is no key for tickets yet.
TEST(TrackerConversation, LocatesNothingBeforeTheNodeIsRegistered) {
  Talk talk;
  const v1::StreamRequest hello = talk.Take();
  ASSERT_TRUE(talk.talk.Locate({{"a", "k"}}, talk.clock.Now(), [](const auto&) {}).ok());
  talk.Proceed();
  EXPECT_THAT(talk.sent, IsEmpty());
  talk.Say(Applied(hello, {SessionResult(1), RegisteredResult(5)}));
  EXPECT_THAT(talk.registered, SizeIs(1));
  EXPECT_EQ(talk.Take().locate().objects(0).key(), "k");
}

TEST(TrackerConversation, WhatIsAskedWhileRequestsAreUnderWayGoesAsOne) {
  Talk talk({.commands = {.batches = 1}});
  talk.Register();
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(talk.Delete(key).ok());
  const v1::StreamRequest first = talk.Take();
  EXPECT_THAT(KeysOf(first), ElementsAre("a"));
  EXPECT_THAT(talk.sent, IsEmpty());
  talk.Say(Applied(first, {DoneResult()}));
  const v1::StreamRequest second = talk.Take();
  EXPECT_THAT(KeysOf(second), ElementsAre("b", "c"));
  EXPECT_EQ(second.apply().request_id().sequence(), 2u);
  EXPECT_EQ(second.apply().request_id().low_water(), 2u);
}

TEST(TrackerConversation, ACommandWaitsForTheEarlierOneOfItsObjectAndHoldsUpNoOther) {
  Talk talk;
  talk.Register();
  ASSERT_TRUE(talk.Acquire("k").ok());
  ASSERT_TRUE(talk.Delete("k").ok());
  ASSERT_TRUE(talk.Delete("other").ok());
  const v1::StreamRequest first = talk.Take();
  const v1::StreamRequest other = talk.Take();
  EXPECT_THAT(KeysOf(first), ElementsAre("k"));
  EXPECT_THAT(KeysOf(other), ElementsAre("other"));
  // The first did nothing: it comes before the second again.
  talk.Say(Failed(first, StatusCode::kUnavailable, "LEADER_CHANGED"));
  EXPECT_THAT(talk.sent, IsEmpty());
  talk.Wait(milliseconds(20));
  const v1::StreamRequest both = talk.Take();
  EXPECT_THAT(KeysOf(both), ElementsAre("k", "k"));
  EXPECT_TRUE(both.apply().commands(0).has_acquire_create());
}

TEST(TrackerConversation, AfterALostStreamTheSameRequestIsSentUnderTheSameId) {
  Talk talk;
  talk.Register();
  ASSERT_TRUE(talk.Acquire("k").ok());
  const v1::StreamRequest first = talk.Take();
  talk.Lose();
  EXPECT_THAT(talk.sent, IsEmpty());
  talk.Link();
  const v1::StreamRequest second = talk.Take();
  EXPECT_EQ(first.apply().SerializeAsString(), second.apply().SerializeAsString());
  talk.Say(Applied(second, {GrantedResult(7)}));
  EXPECT_THAT(talk.told, ElementsAre("k: OK"));
}

TEST(TrackerConversation, AnUnknownOutcomeIsAskedForUnderTheSameId) {
  Talk talk;
  talk.Register();
  ASSERT_TRUE(talk.Acquire("k").ok());
  const v1::StreamRequest first = talk.Take();
  talk.Say(Failed(first, StatusCode::kDeadlineExceeded, "OUTCOME_UNKNOWN"));
  talk.Wait(milliseconds(20));
  const v1::StreamRequest second = talk.Take();
  EXPECT_EQ(first.apply().SerializeAsString(), second.apply().SerializeAsString());
  // Nothing was done this time; of the first time nobody knows.
  talk.Say(Failed(second, StatusCode::kUnavailable, "LEADER_CHANGED"));
  talk.Wait(seconds(4));
  EXPECT_THAT(talk.told, ElementsAre("k: OUTCOME_UNKNOWN"));
}

TEST(TrackerConversation, WithoutAnAnswerTheOutcomeIsUnknownIfItWasSentAndElseNothingWasDone) {
  Talk talk({.commands = {.batches = 1}});
  talk.Register();
  ASSERT_TRUE(talk.Acquire("sent").ok());
  ASSERT_TRUE(talk.Acquire("queued").ok());
  talk.Lose();
  talk.Wait(milliseconds(3499));
  EXPECT_THAT(talk.told, IsEmpty());
  talk.Wait(milliseconds(1));
  EXPECT_THAT(talk.told, ElementsAre("sent: OUTCOME_UNKNOWN", "queued: NO_TRACKER"));
}

// Else it would be asked again as another command, behind what others did since.
TEST(TrackerConversation, ASealHearsOfItsOutcomeHoweverLate) {
  Talk talk({.commands = {.batches = 1}});
  talk.Register();
  ASSERT_TRUE(talk.Seal("sent").ok());
  ASSERT_TRUE(talk.Seal("queued").ok());
  const v1::StreamRequest lost = talk.Take();
  talk.Lose();
  talk.Wait(seconds(60));
  EXPECT_THAT(talk.told, ElementsAre("queued: NO_TRACKER")) << "it was never sent: nothing was done";
  talk.Link();
  const v1::StreamRequest again = talk.Take();
  EXPECT_EQ(again.apply().request_id().sequence(), lost.apply().request_id().sequence());
  talk.Say(Applied(again, {SealedResult(7)}));
  EXPECT_THAT(talk.told, ElementsAre("queued: NO_TRACKER", "sent: OK"));
}

TEST(TrackerConversation, AtTheEndASealIsToldThatItsOutcomeIsUnknown) {
  Talk talk;
  talk.Register();
  ASSERT_TRUE(talk.Seal("sent").ok());
  for (const auto& completion : talk.talk.GiveUpAll(absl::UnavailableError("stop"))) completion();
  EXPECT_THAT(talk.told, ElementsAre("sent: OUTCOME_UNKNOWN"));
}

TEST(TrackerConversation, ARightGrantedToNobodyIsGivenBack) {
  Talk talk;
  talk.Register();
  ASSERT_TRUE(talk.Acquire("k").ok());
  talk.Lose();
  talk.Wait(seconds(4));
  ASSERT_THAT(talk.told, ElementsAre("k: OUTCOME_UNKNOWN"));
  talk.sent.clear();
  talk.Link();
  talk.Say(Applied(talk.Take(), {GrantedResult(7)}));
  const v1::StreamRequest back = talk.Take();
  ASSERT_TRUE(back.apply().commands(0).has_abandon());
  EXPECT_EQ(back.apply().commands(0).abandon().epoch(), 7u);
  talk.Say(Applied(back, {DoneResult()}));
  EXPECT_THAT(talk.told, SizeIs(1));
  EXPECT_FALSE(talk.talk.busy());
}

TEST(TrackerConversation, AnAbandonIsSentThoughNobodyWaitsForItAnyMore) {
  Talk talk;
  talk.Register();
  talk.Lose();
  ASSERT_TRUE(talk.Abandon("k", 7).ok());
  talk.Wait(seconds(4));
  EXPECT_THAT(talk.told, ElementsAre("k: NO_TRACKER"));
  talk.Link();
  EXPECT_THAT(KeysOf(talk.Take()), ElementsAre("k"));
}

TEST(TrackerConversation, ALostSessionIsReplacedAndWhatWasSentOnceIsDoneInTheNewOne) {
  Talk talk;
  talk.Register(1, 5);
  ASSERT_TRUE(talk.Delete("k").ok());
  talk.Say(Applied(talk.Take(), {RefusedResult(StatusCode::kFailedPrecondition, "SESSION_EXPIRED")}));
  const v1::StreamRequest hello = talk.Take();
  ASSERT_EQ(hello.apply().commands_size(), 1);  // the registration goes on
  ASSERT_TRUE(hello.apply().commands(0).has_open_session());
  talk.Say(Applied(hello, {SessionResult(2)}));
  const v1::StreamRequest again = talk.Take();
  EXPECT_EQ(again.apply().request_id().session(), 2u);
  talk.Say(Applied(again, {DoneResult()}));
  EXPECT_THAT(talk.told, ElementsAre("k: OK"));
}

TEST(TrackerConversation, ALostSessionLeavesTheOutcomeUnknownOfWhatWasSentTwice) {
  Talk talk;
  talk.Register(1, 5);
  ASSERT_TRUE(talk.Delete("k").ok());
  talk.Lose();
  talk.sent.clear();
  talk.Link();
  talk.Say(Applied(talk.Take(), {RefusedResult(StatusCode::kFailedPrecondition, "SESSION_EXPIRED")}));
  EXPECT_THAT(talk.told, ElementsAre("k: OUTCOME_UNKNOWN"));
  talk.Say(Applied(talk.Take(), {SessionResult(2)}));
  EXPECT_THAT(talk.sent, IsEmpty());
}

TEST(TrackerConversation, AFencedNodeRegistersAnewBeforeItGoesOn) {
  Talk talk;
  talk.Register(1, 5);
  ASSERT_TRUE(talk.Acquire("a").ok());
  ASSERT_TRUE(talk.Acquire("b").ok());
  const v1::StreamRequest a = talk.Take();
  const v1::StreamRequest b = talk.Take();
  talk.Say(Applied(a, {RefusedResult(StatusCode::kUnavailable, "NODE_FENCED")}));
  const v1::StreamRequest hello = talk.Take();
  ASSERT_EQ(hello.apply().commands_size(), 1);
  ASSERT_TRUE(hello.apply().commands(0).has_register_node());
  ASSERT_TRUE(talk.Acquire("c").ok());
  EXPECT_THAT(talk.sent, IsEmpty());
  talk.Say(Applied(hello, {RegisteredResult(6)}));
  EXPECT_EQ(talk.Take().apply().commands(0).acquire_create().holder().epoch(), 6u);
  // Of the epoch before: no reason to register once more.
  talk.Say(Applied(b, {RefusedResult(StatusCode::kUnavailable, "NODE_FENCED")}));
  EXPECT_THAT(talk.sent, IsEmpty());
  EXPECT_THAT(talk.registered, ElementsAre(Registration{5, "the cluster's", 1}, Registration{6, "the cluster's", 1}));
  EXPECT_THAT(talk.fenced, ElementsAre(5u));
  EXPECT_THAT(talk.told, ElementsAre("a: NODE_FENCED", "b: NODE_FENCED"));
}

TEST(TrackerConversation, ANodeThatIsToldBesideTheStreamThatItIsFencedRegistersAnew) {
  Talk talk;
  talk.Register(1, 5);
  const absl::Status fenced = base::Error(StatusCode::kUnavailable, "NODE_FENCED", "fenced");
  talk.talk.OnAliveFailed(4, fenced);
  talk.Proceed();
  EXPECT_THAT(talk.sent, IsEmpty()) << "of the epoch before";
  talk.talk.OnAliveFailed(5, fenced);
  talk.Proceed();
  EXPECT_TRUE(talk.Take().apply().commands(0).has_register_node());
  EXPECT_THAT(talk.fenced, ElementsAre(5u));
  EXPECT_EQ(talk.talk.node_epoch(), 0u);
  talk.talk.OnAliveFailed(5, fenced);
  talk.Proceed();
  EXPECT_THAT(talk.sent, IsEmpty()) << "it is registering already";
  EXPECT_THAT(talk.fenced, ElementsAre(5u));
}

TEST(TrackerConversation, ATrackerThatSaysNothingOfTheNodeIsLeft) {
  const std::vector<std::pair<absl::Status, bool>> cases = {
      {absl::DeadlineExceededError("nothing came"), true},
      {absl::UnavailableError("connection reset"), true},
      {base::Error(StatusCode::kUnavailable, "TRACKER_NO_QUORUM", "no leader"), true},
      {base::Error(StatusCode::kUnavailable, "LEADER_CHANGED", "ask again"), false},
      {absl::UnimplementedError("an old tracker"), false},
  };
  for (const auto& [why, leaves] : cases) {
    Talk talk;
    talk.Register();
    talk.talk.OnAliveFailed(5, why);
    talk.Proceed();
    EXPECT_EQ(talk.left, leaves) << why;
    EXPECT_EQ(talk.talk.node_epoch(), 5u) << "the registration may well be in force";
    talk.Lose();
    talk.talk.OnAliveFailed(5, why);
    talk.Link();
    EXPECT_FALSE(talk.left) << "of a link that is over: " << why;
  }
}

TEST(TrackerConversation, ALaterAgentOfTheSameNameKeepsThisOneOut) {
  Talk talk;
  ASSERT_TRUE(talk.Acquire("k").ok());
  talk.Say(
      Applied(talk.Take(), {SessionResult(1), RefusedResult(StatusCode::kFailedPrecondition, "INCARNATION_STALE")}));
  EXPECT_THAT(talk.sent, IsEmpty());  // not at once again
  talk.Wait(seconds(4));
  EXPECT_THAT(talk.told, ElementsAre("k: NODE_FENCED"));
  EXPECT_TRUE(talk.Take().apply().commands(0).has_register_node());
}

TEST(TrackerConversation, OneBadCommandDoesNotTakeOthersWithIt) {
  Talk talk({.commands = {.batches = 1}});
  talk.Register();
  ASSERT_TRUE(talk.Delete("first").ok());
  ASSERT_TRUE(talk.Delete("bad").ok());
  ASSERT_TRUE(talk.Delete("good").ok());
  talk.Say(Applied(talk.Take(), {DoneResult()}));
  talk.Say(Failed(talk.Take(), StatusCode::kInvalidArgument, "BAD_FIELD"));
  const v1::StreamRequest bad = talk.Take();
  EXPECT_THAT(KeysOf(bad), ElementsAre("bad"));
  talk.Say(Failed(bad, StatusCode::kInvalidArgument, "BAD_FIELD"));
  talk.Say(Applied(talk.Take(), {DoneResult()}));
  EXPECT_THAT(talk.told, ElementsAre("first: OK", "bad: BAD_FIELD", "good: OK"));
}

TEST(TrackerConversation, IsBusyBeyondItsLimits) {
  Talk talk({.commands = {.commands = 2}, .locates = {.ids = 1}, .lists = 1});
  EXPECT_TRUE(talk.Delete("a").ok());
  EXPECT_TRUE(talk.Delete("b").ok());
  EXPECT_EQ(base::Reason(talk.Delete("c")), "TRACKER_BUSY");
  EXPECT_TRUE(talk.Abandon("d", 7).ok());  // ends what was granted: taken in any case
  const auto nothing = [](const auto&) {};
  EXPECT_TRUE(talk.talk.Locate({{"a", "k"}}, talk.clock.Now(), nothing).ok());
  EXPECT_EQ(base::Reason(talk.talk.Locate({{"a", "k"}}, talk.clock.Now(), nothing)), "TRACKER_BUSY");
  EXPECT_TRUE(talk.talk.List({.done = nothing}, talk.clock.Now()).ok());
  EXPECT_EQ(base::Reason(talk.talk.List({.done = nothing}, talk.clock.Now())), "TRACKER_BUSY");
  // Room again, once they are over.
  talk.Wait(seconds(4));
  EXPECT_THAT(talk.told, ElementsAre("a: NO_TRACKER", "b: NO_TRACKER", "d: NO_TRACKER"));
  EXPECT_TRUE(talk.Delete("c").ok());
  EXPECT_TRUE(talk.talk.List({.done = nothing}, talk.clock.Now()).ok());
}

TEST(TrackerConversation, RenewsRightsAtAThirdOfTheirTimeWhileThereAreAny) {
  Talk talk({.lease = seconds(30)});
  talk.Register();
  ASSERT_TRUE(talk.Acquire("k").ok());
  talk.Say(Applied(talk.Take(), {GrantedResult(7)}));
  talk.Wait(seconds(9));
  EXPECT_THAT(talk.sent, IsEmpty());
  talk.Wait(seconds(1));
  const v1::StreamRequest renewal = talk.Take();
  EXPECT_EQ(renewal.apply().commands(0).renew_creates().lease_ms(), 30'000);
  EXPECT_EQ(renewal.apply().commands(0).renew_creates().holder().epoch(), 5u);
  talk.Say(Applied(renewal, {DoneResult()}));

  ASSERT_TRUE(talk.Ask("k", SealCommand(object::Epoch{7}, {.id = {"a", "k"}})).ok());
  talk.Say(Applied(talk.Take(), {SealedResult(7)}));
  talk.Wait(seconds(20));
  EXPECT_THAT(talk.sent, IsEmpty());
}

TEST(TrackerConversation, ASilentTrackerIsAskedWhetherItLivesAndThenLeft) {
  Talk talk;
  talk.Register();
  talk.Wait(seconds(60));
  EXPECT_FALSE(talk.left);  // it owes nothing
  ASSERT_TRUE(talk.Delete("k").ok());
  talk.Take();
  talk.Wait(milliseconds(500));
  const v1::StreamRequest probe = talk.Take();
  EXPECT_TRUE(probe.locate().stale_ok());
  v1::StreamResponse alive;
  alive.set_number(probe.number());
  alive.mutable_located();
  talk.Say(alive);
  talk.Wait(milliseconds(500));
  EXPECT_TRUE(talk.Take().locate().stale_ok());
  EXPECT_FALSE(talk.left);
  talk.Wait(milliseconds(500));
  EXPECT_TRUE(talk.left);
}

TEST(TrackerConversation, WithoutAQuorumSaysSoAndTriesAnotherTracker) {
  Talk talk;
  talk.Register();
  ASSERT_TRUE(talk.Delete("a").ok());
  ASSERT_TRUE(talk.Delete("b").ok());
  const v1::StreamRequest a = talk.Take();
  const v1::StreamRequest b = talk.Take();
  talk.Say(Failed(a, StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
  EXPECT_THAT(talk.told, ElementsAre("a: TRACKER_NO_QUORUM"));
  EXPECT_FALSE(talk.left);  // it owes an answer yet
  talk.Say(Failed(b, StatusCode::kUnavailable, "TRACKER_NO_QUORUM"));
  EXPECT_THAT(talk.told, ElementsAre("a: TRACKER_NO_QUORUM", "b: TRACKER_NO_QUORUM"));
  EXPECT_TRUE(talk.left);
}

TEST(TrackerConversation, LocatesManyAtOnceAndAsksAgainForWhatIsMissing) {
  Talk talk({.locates = {.batches = 1}});
  talk.Register();
  std::vector<std::string> found;
  const auto ask = [&](std::vector<object::ObjectId> ids) {
    ASSERT_TRUE(talk.talk
                    .Locate(std::move(ids), talk.clock.Now(),
                            [&](const absl::StatusOr<std::vector<v1::LocatedObject>>& located) {
                              std::string keys = located.ok() ? "" : base::Reason(located.status());
                              if (located.ok()) {
                                for (const auto& one : *located) keys += one.object().id().key();
                              }
                              found.push_back(keys);
                            })
                    .ok());
  };
  const auto answer = [&](const v1::StreamRequest& request, int count) {
    v1::StreamResponse response;
    response.set_number(request.number());
    for (int i = 0; i < count; ++i) {
      *response.mutable_located()->add_objects()->mutable_object()->mutable_id() = request.locate().objects(i);
    }
    talk.Say(std::move(response));
  };
  ask({{"a", "1"}});
  talk.Proceed();
  ask({{"a", "2"}, {"a", "3"}});
  ask({{"a", "4"}});
  talk.Proceed();
  answer(talk.Take(), 1);
  const v1::StreamRequest three = talk.Take();
  EXPECT_EQ(three.locate().objects_size(), 3);
  answer(three, 2);
  EXPECT_THAT(found, ElementsAre("1", "23"));
  EXPECT_EQ(talk.Take().locate().objects(0).key(), "4");
  talk.Lose();
  talk.Link();
  EXPECT_EQ(talk.Take().locate().objects(0).key(), "4");
  talk.Lose();
  talk.Wait(seconds(4));
  EXPECT_THAT(found, ElementsAre("1", "23", "NO_TRACKER"));
}

TEST(TrackerConversation, ATrackerThatIsOnlyAskedForListsIsLeftToo) {
  for (const bool silent : {true, false}) {
    Talk talk;
    talk.Register();
    ASSERT_TRUE(talk.talk.List({.done = [](const absl::StatusOr<ClusterPage>&) {}}, talk.clock.Now()).ok());
    talk.Proceed();
    ASSERT_THAT(talk.lists, SizeIs(1));
    if (silent) {
      talk.Wait(milliseconds(500));
      EXPECT_TRUE(talk.Take().locate().stale_ok());
      talk.Wait(milliseconds(500));
    } else {
      talk.talk.OnListed(talk.lists.front(), base::Error(StatusCode::kUnavailable, "TRACKER_NO_QUORUM", "cut off"),
                         talk.clock.Now());
      talk.Proceed();
    }
    EXPECT_TRUE(talk.left) << silent;
  }
}

TEST(TrackerConversation, APageOfWhatIsOnlyBeingCreatedIsSkipped) {
  Talk talk;
  talk.Register();
  std::vector<ClusterPage> pages;
  ASSERT_TRUE(
      talk.talk
          .List({.done = [&](const absl::StatusOr<ClusterPage>& page) { pages.push_back(*page); }}, talk.clock.Now())
          .ok());
  talk.Proceed();
  ASSERT_THAT(talk.lists, SizeIs(1));
  v1::ListResponse creating;
  creating.add_entries()->mutable_object()->mutable_pending();
  creating.set_next_page_token("k1");
  const auto first = talk.lists.front();
  talk.lists.clear();
  talk.talk.OnListed(first, creating, talk.clock.Now());
  talk.Proceed();
  ASSERT_THAT(talk.lists, SizeIs(1));
  EXPECT_EQ(talk.lists[0]->request.page_token(), "k1");
  v1::ListResponse sealed;
  sealed.add_entries()->mutable_object()->mutable_id()->set_key("k2");
  sealed.mutable_entries(0)->mutable_object()->mutable_sealed()->set_epoch(7);
  talk.talk.OnListed(talk.lists[0], sealed, talk.clock.Now());
  talk.Proceed();
  ASSERT_THAT(pages, SizeIs(1));
  EXPECT_EQ(pages[0].objects.at(0).id.key, "k2");
  EXPECT_FALSE(pages[0].more);
}

}  // namespace
}  // namespace larder::cache_agent
