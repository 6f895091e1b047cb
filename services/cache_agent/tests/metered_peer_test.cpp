#include "core/metered_peer.h"

#include <gmock/gmock.h>

#include "larder/base/status.h"
#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "tests/mock_peer.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::StatusIs;
using object::CreateGrant;
using object::Done;
using object::Epoch;
using object::LeaseId;
using object::ReadGrant;
using object::SealResult;
using object::SessionId;
using testing::_;
using testing::HasSubstr;
using testing::Not;
using testing::Return;

class MeteredPeerTest : public testing::Test {
 protected:
  std::string Metrics() { return registry_.Render(); }
  absl::Status Get(absl::StatusOr<ReadGrant> answer) {
    EXPECT_CALL(*inner_, Get(kSession, "k", _, _)).WillOnce([&](auto, auto&, auto, auto done) { done(answer); });
    absl::Status status = absl::UnknownError("not called");
    peer_.Get(kSession, "k", base::kNoDeadline, [&](absl::StatusOr<ReadGrant> grant) { status = grant.status(); });
    return status;
  }

  static constexpr SessionId kSession{1};
  static constexpr LeaseId kLease{2};
  static constexpr Epoch kEpoch{3};
  observe::Registry registry_;
  base::ManualClock clock_;
  testing::NiceMock<MockPeer>* inner_ = new testing::NiceMock<MockPeer>();
  MeteredPeer peer_{std::unique_ptr<object::Peer>(inner_), registry_, clock_};
};

TEST_F(MeteredPeerTest, GetsAreHitsByTierOrMissesOrNeither) {
  EXPECT_THAT(Get(ReadGrant{.info = {.tier = "warm"}}), IsOk());
  EXPECT_THAT(Get(ReadGrant{.info = {.tier = "hot"}}), IsOk());
  EXPECT_THAT(Get(base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "no")),
              StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(Get(base::Error(absl::StatusCode::kNotFound, "NO_SESSION", "no")),
              StatusIs(absl::StatusCode::kNotFound, "NO_SESSION"));
  const std::string text = Metrics();
  EXPECT_THAT(text, HasSubstr("larder_agent_hits_total{tier=\"hot\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("larder_agent_hits_total{tier=\"warm\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("larder_agent_misses_total 1\n"));
  EXPECT_THAT(text, HasSubstr("larder_agent_requests_total{op=\"get\",code=\"OK\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("larder_agent_requests_total{op=\"get\",code=\"NOT_FOUND\"} 2\n"));
}

TEST_F(MeteredPeerTest, RangesCountAsGets) {
  EXPECT_CALL(*inner_, Get(kSession, "k", _, _)).WillOnce([](auto, auto&, auto, auto done) {
    done(ReadGrant{.info = {.tier = "hot"}, .brought = true, .partial = true});
  });
  bool answered = false;
  peer_.GetRange(kSession, "k", {.last = 1}, base::kNoDeadline, [&](auto grant) { answered = grant->partial; });
  EXPECT_TRUE(answered);
  EXPECT_THAT(Metrics(), HasSubstr("larder_agent_misses_total 1\n"));
  EXPECT_THAT(Metrics(), HasSubstr("larder_agent_requests_total{op=\"get\",code=\"OK\"} 1\n"));
}

TEST_F(MeteredPeerTest, TotalsAddUpWhatWasCounted) {
  EXPECT_EQ(peer_.totals().requests[static_cast<size_t>(Op::kGet)].ok, 0u);
  EXPECT_THAT(Get(ReadGrant{.info = {.size = 10, .tier = "warm"}}), IsOk());
  EXPECT_THAT(Get(ReadGrant{.info = {.size = 5, .tier = "hot"}}), IsOk());
  EXPECT_THAT(Get(base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "no")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_CALL(*inner_, Seal(_, _, _, _, _))
      .WillOnce([](auto, auto, auto, auto&, auto done) { done(SealResult{.info = {.size = 7}}); })
      .WillOnce([](auto, auto, auto, auto&, auto done) { done(absl::AbortedError("late")); });
  for (int i = 0; i < 2; ++i) peer_.Seal(kSession, kLease, kEpoch, {}, [](auto) {});
  const RequestTotals totals = peer_.totals();
  EXPECT_EQ(totals.requests[static_cast<size_t>(Op::kGet)].ok, 2u);
  EXPECT_EQ(totals.requests[static_cast<size_t>(Op::kGet)].failed, 1u);
  EXPECT_EQ(totals.requests[static_cast<size_t>(Op::kSeal)].failed, 1u);
  EXPECT_EQ(totals.hits, 2u);
  EXPECT_EQ(totals.misses, 1u);
  EXPECT_EQ(totals.bytes_in, 7u);
  EXPECT_EQ(totals.bytes_out, 15u);
  EXPECT_THAT(Metrics(), HasSubstr("larder_agent_client_bytes_total{direction=\"out\"} 15\n"));
}

TEST_F(MeteredPeerTest, ARequestTakesUntilItsAnswerIsCalled) {
  Done<absl::StatusOr<CreateGrant>> answer;
  EXPECT_CALL(*inner_, Create(kSession, _, _, _)).WillOnce([&](auto, auto, auto, auto done) { answer = done; });
  bool granted = false;
  peer_.Create(kSession, {.key = "k"}, base::kNoDeadline, [&](auto grant) { granted = grant->lease == kLease; });
  EXPECT_THAT(Metrics(), Not(HasSubstr("op=\"create\"")));
  clock_.Advance(std::chrono::seconds(2));
  answer(CreateGrant{.lease = kLease});
  EXPECT_TRUE(granted);
  EXPECT_THAT(Metrics(), HasSubstr("larder_agent_request_duration_seconds_sum{op=\"create\",tier=\"none\"} 2\n"));
}

TEST_F(MeteredPeerTest, EveryOtherRequestIsPassedOnAndCountedWithItsCode) {
  EXPECT_CALL(*inner_, OpenSession(_, _)).WillOnce(Return(kSession));
  EXPECT_THAT(peer_.OpenSession({.ns = "n"}), IsOk());
  EXPECT_CALL(*inner_, Append(kSession, kLease, kEpoch, _)).WillOnce(Return(absl::AbortedError("late")));
  EXPECT_THAT(peer_.Append(kSession, kLease, kEpoch, {}), StatusIs(absl::StatusCode::kAborted));
  EXPECT_CALL(*inner_, Seal(kSession, kLease, kEpoch, _, _)).WillOnce([](auto, auto, auto, auto&, auto done) {
    done(SealResult{.info = {.tier = "hot"}});
  });
  peer_.Seal(kSession, kLease, kEpoch, {}, [](auto result) { EXPECT_THAT(result, IsOk()); });
  EXPECT_CALL(*inner_, Discard(kSession, kLease, kEpoch)).WillOnce(Return(absl::OkStatus()));
  EXPECT_THAT(peer_.Discard(kSession, kLease, kEpoch), IsOk());
  EXPECT_CALL(*inner_, Release(kSession, kLease));
  peer_.Release(kSession, kLease);
  EXPECT_CALL(*inner_, Renew(kSession)).WillOnce(Return(std::vector<LeaseId>{kLease}));
  EXPECT_THAT(*peer_.Renew(kSession), testing::ElementsAre(kLease));
  EXPECT_CALL(*inner_, Stat(kSession, "k", _)).WillOnce([](auto, auto&, auto done) { done(object::ObjectStat{}); });
  peer_.Stat(kSession, "k", [](auto stat) { EXPECT_THAT(stat, IsOk()); });
  EXPECT_CALL(*inner_, List(kSession, _, _)).WillOnce([](auto, auto&, auto done) { done(object::ListPage{}); });
  peer_.List(kSession, {}, [](auto page) { EXPECT_THAT(page, IsOk()); });
  EXPECT_CALL(*inner_, Delete(kSession, "k", _)).WillOnce([](auto, auto&, auto done) {
    done(absl::NotFoundError("no"));
  });
  peer_.Delete(kSession, "k", [](const auto& status) { EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound)); });
  EXPECT_CALL(*inner_, SetPinned(kSession, "k", true, _)).WillOnce([](auto, auto&, auto, auto done) {
    done(absl::OkStatus());
  });
  peer_.SetPinned(kSession, "k", true, [](const auto& status) { EXPECT_THAT(status, IsOk()); });
  const std::string text = Metrics();
  for (const char* labels : {R"({op="open",code="OK"})", R"({op="append",code="ABORTED"})", R"({op="seal",code="OK"})",
                             R"({op="discard",code="OK"})", R"({op="release",code="OK"})", R"({op="renew",code="OK"})",
                             R"({op="stat",code="OK"})", R"({op="list",code="OK"})",
                             R"({op="delete",code="NOT_FOUND"})", R"({op="pin",code="OK"})"}) {
    EXPECT_THAT(text, HasSubstr(std::string("larder_agent_requests_total") + labels + " 1\n"));
  }
  EXPECT_THAT(text, HasSubstr("larder_agent_request_duration_seconds_count{op=\"seal\",tier=\"hot\"} 1\n"));
}

TEST_F(MeteredPeerTest, WhatThePeerHoldsIsReadAtEachScrape) {
  object::PeerUsage usage{.create_leases = 1,
                          .read_leases = 2,
                          .objects = 3,
                          .stored = {{.tier = "hot", .ns = "a", .bytes = 10}, {.tier = "warm", .ns = "b", .bytes = 20}},
                          .reclaimed_closed = 4,
                          .reclaimed_lapsed = 5};
  EXPECT_CALL(*inner_, usage()).WillRepeatedly([&] { return usage; });
  EXPECT_THAT(Metrics(), HasSubstr("larder_lease_active{kind=\"create\"} 1\n"));
  usage.create_leases = 0;
  const std::string text = Metrics();
  EXPECT_THAT(text, HasSubstr("larder_lease_active{kind=\"create\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("larder_lease_active{kind=\"read\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("larder_lease_reclaimed_total{reason=\"closed\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("larder_lease_reclaimed_total{reason=\"lapsed\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("larder_agent_objects{state=\"sealed\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("larder_agent_bytes{tier=\"hot\",namespace=\"a\"} 10\n"));
  EXPECT_THAT(text, HasSubstr("larder_agent_bytes{tier=\"warm\",namespace=\"b\"} 20\n"));
}

}  // namespace
}  // namespace larder::cache_agent
