#include "core/leadership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "larder/base/status.h"

namespace larder::peer_manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Ask = Leadership::Ask;

constexpr base::Duration kTtl = seconds(5);

absl::Status Error(std::string_view reason) { return base::MakeError(absl::StatusCode::kAborted, reason, ""); }
absl::Status Silence() { return absl::UnavailableError("nobody answers"); }

class LeadershipTest : public testing::Test {
 protected:
  Ask Next() { return leadership_.Next(now_); }
  void Look(std::optional<LeaderLease> lease) {
    ASSERT_EQ(Next(), Ask::kLook);
    leadership_.OnLooked(lease, now_);
  }
  // Of a lease that nobody has; the answer takes `time`.
  void Lead(uint64_t term, base::Duration time = {}) {
    Look(std::nullopt);
    ASSERT_EQ(Next(), Ask::kGrant);
    now_ += time;
    leadership_.OnGranted(Term{term}, now_);
  }
  bool Leads() const { return leadership_.Leads(now_); }
  void PassUntilItAsks() {
    for (int i = 0; i < 100 && (last_ = Next()) == Ask::kNothing; ++i) now_ += kTtl / 100;
  }

  base::MonotonicTime now_{std::chrono::hours(1)};
  Leadership leadership_{"self", kTtl};
  Ask last_ = Ask::kNothing;
};

TEST_F(LeadershipTest, TakesALeaseThatNobodyHas) {
  EXPECT_FALSE(Leads());
  Lead(7);
  EXPECT_TRUE(Leads());
  EXPECT_EQ(leadership_.Leader(now_)->holder, "self");
  EXPECT_EQ(leadership_.Leader(now_)->term, Term{7});
}

TEST_F(LeadershipTest, LooksNowAndThenWhileAnotherHasItAndChangesNothing) {
  Look(LeaderLease{.holder = "other", .term = {3}, .left = seconds(4)});
  EXPECT_EQ(Next(), Ask::kNothing);
  EXPECT_EQ(leadership_.Leader(now_)->holder, "other");
  now_ += kTtl / 5;
  EXPECT_EQ(Next(), Ask::kLook);
  EXPECT_EQ(Next(), Ask::kNothing) << "one question at a time";
  leadership_.OnLooked(std::optional(LeaderLease{.holder = "other", .term = {3}, .left = milliseconds(400)}), now_);
  now_ += milliseconds(400);
  EXPECT_EQ(Next(), Ask::kLook) << "when it ends";
  EXPECT_FALSE(Leads());
}

TEST_F(LeadershipTest, TheLeaseIsCountedFromTheQuestionAndEndsEarly) {
  Lead(7, seconds(2));
  EXPECT_TRUE(Leads());
  now_ += kTtl * 9 / 10 - seconds(2) - milliseconds(1);
  EXPECT_TRUE(Leads());
  now_ += milliseconds(1);
  EXPECT_FALSE(Leads());
}

TEST_F(LeadershipTest, RenewsInTimeAndLeadsOnInTheSameTerm) {
  Lead(7);
  for (int i = 0; i < 10; ++i) {
    now_ += kTtl / 3;
    ASSERT_EQ(Next(), Ask::kRenew);
    EXPECT_EQ(leadership_.term(), Term{7});
    leadership_.OnRenewed(absl::OkStatus(), now_);
    EXPECT_TRUE(Leads());
  }
}

TEST_F(LeadershipTest, LeadsNoMoreWhenItCannotRenew) {
  Lead(7);
  int tries = 0;
  for (PassUntilItAsks(); last_ == Ask::kRenew; PassUntilItAsks(), ++tries) leadership_.OnRenewed(Silence(), now_);
  EXPECT_GE(tries, 3);
  EXPECT_EQ(last_, Ask::kLook);
  EXPECT_FALSE(Leads());
  EXPECT_EQ(leadership_.term(), Term());
}

TEST_F(LeadershipTest, ARenewalThatComesTooLateIsNotTakenUp) {
  Lead(7);
  now_ += kTtl / 3;
  ASSERT_EQ(Next(), Ask::kRenew);
  now_ += kTtl * 9 / 10 - kTtl / 3;
  leadership_.OnRenewed(absl::OkStatus(), now_);
  EXPECT_FALSE(Leads()) << "what was asked in that term may still be done";
  Look(LeaderLease{.holder = "self", .term = {7}, .left = kTtl});
  ASSERT_EQ(Next(), Ask::kGrant) << "the next term ends the one before";
  leadership_.OnGranted(Term{8}, now_);
  EXPECT_TRUE(Leads());
  EXPECT_EQ(leadership_.term(), Term{8});
}

TEST_F(LeadershipTest, IsLostAtOnceWhenTheTrackerSaysSo) {
  Lead(7);
  now_ += kTtl / 3;
  ASSERT_EQ(Next(), Ask::kRenew);
  leadership_.OnRenewed(Error("TOKEN_STALE"), now_);
  EXPECT_FALSE(Leads());
  Lead(9);
  leadership_.Lose();
  EXPECT_FALSE(Leads());
}

TEST_F(LeadershipTest, WithoutAnswersItAsksOnAndKnowsNoLeaderAfterALease) {
  Look(LeaderLease{.holder = "other", .term = {3}, .left = kTtl});
  int asked = 0;
  for (base::MonotonicTime end = now_ + kTtl; now_ < end; ++asked) {
    EXPECT_TRUE(leadership_.Leader(now_).has_value());
    PassUntilItAsks();
    ASSERT_EQ(last_, Ask::kLook);
    leadership_.OnLooked(Silence(), now_);
  }
  EXPECT_GE(asked, 10);
  EXPECT_EQ(leadership_.Leader(now_), std::nullopt);
}

TEST_F(LeadershipTest, AGrantThatFailsIsFollowedByALook) {
  for (const absl::Status& failure : {Error("HELD"), Silence()}) {
    Look(std::nullopt);
    ASSERT_EQ(Next(), Ask::kGrant);
    leadership_.OnGranted(failure, now_);
    EXPECT_EQ(Next(), Ask::kNothing);
    PassUntilItAsks();
    EXPECT_EQ(last_, Ask::kLook);
    leadership_.OnLooked(Silence(), now_);
    now_ += kTtl;
  }
}

}  // namespace
}  // namespace larder::peer_manager
