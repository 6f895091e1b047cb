#include "core/self_fence.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>
#include <vector>

#include "larder/base/testing/status_matchers.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::StatusIs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using State = SelfFence::State;

constexpr base::Duration kSession = seconds(10);

base::MonotonicTime At(base::Duration since_start) { return base::MonotonicTime(std::chrono::hours(1)) + since_start; }
auto Fenced() { return StatusIs(absl::StatusCode::kUnavailable, "NODE_FENCED"); }

TEST(SelfFence, ANodeIsAMemberForHalfASessionFromWhenItSentWhatWasAnswered) {
  SelfFence fence;
  fence.OnRegistered(5);
  EXPECT_EQ(fence.StateAt(At(seconds(1))), State::kJoining);
  // The answer came at 4 s; that counts for nothing.
  fence.OnAnswered(5, At(seconds(1)), kSession);
  EXPECT_THAT(fence.MayAct(At(seconds(6) - milliseconds(1))), IsOk());
  EXPECT_THAT(fence.MayAct(At(seconds(6))), Fenced());
  EXPECT_EQ(fence.StateAt(At(seconds(6))), State::kFenced);
}

TEST(SelfFence, WhatNobodyChecksIsRefusedBeforeTheFirstAnswerAndWhatTheTrackerChecksIsNot) {
  SelfFence fence;
  EXPECT_THAT(fence.MayAct(At(seconds(1))), Fenced());
  EXPECT_THAT(fence.MayAsk(At(seconds(1))), IsOk());
  fence.OnRegistered(5);
  EXPECT_THAT(fence.MayAct(At(seconds(100))), Fenced());
  EXPECT_THAT(fence.MayAsk(At(seconds(100))), IsOk());
  fence.OnAnswered(5, At(seconds(100)), kSession);
  EXPECT_THAT(fence.MayAct(At(seconds(101))), IsOk());
  EXPECT_THAT(fence.MayAsk(At(seconds(105))), Fenced());
}

TEST(SelfFence, ALaterAnswerOfTheSameRegistrationEndsIt) {
  SelfFence fence;
  fence.OnAnswered(5, At(seconds(0)), kSession);
  EXPECT_THAT(fence.MayAct(At(seconds(60))), Fenced());
  fence.OnAnswered(5, At(seconds(59)), kSession);
  EXPECT_THAT(fence.MayAct(At(seconds(60))), IsOk());
}

TEST(SelfFence, AfterTheTrackersWordOnlyANewRegistrationCounts) {
  SelfFence fence;
  fence.OnRegistered(5);
  fence.OnAnswered(5, At(seconds(1)), kSession);
  fence.OnFenced(5, At(seconds(2)));
  fence.OnAnswered(5, At(seconds(2)), kSession);  // of another, who did not know yet
  EXPECT_THAT(fence.MayAct(At(seconds(3))), Fenced());
  EXPECT_THAT(fence.MayAsk(At(seconds(3))), Fenced());
  EXPECT_EQ(fence.node_epoch(), 0u);
  fence.OnRegistered(6);
  EXPECT_EQ(fence.StateAt(At(seconds(3))), State::kJoining);
  fence.OnFenced(5, At(seconds(3)));
  fence.OnAnswered(5, At(seconds(3)), kSession);
  EXPECT_EQ(fence.StateAt(At(seconds(3))), State::kJoining) << "both of the registration before";
  fence.OnAnswered(6, At(seconds(3)), kSession);
  EXPECT_THAT(fence.MayAct(At(seconds(4))), IsOk());
  EXPECT_EQ(fence.node_epoch(), 6u);
}

TEST(SelfFence, AnAnswerInNoRegistrationIsNone) {
  SelfFence fence;
  fence.OnAnswered(0, At(seconds(1)), kSession);
  EXPECT_EQ(fence.StateAt(At(seconds(1))), State::kJoining);
}

TEST(SelfFence, SaysSinceWhenAndWhatToDo) {
  SelfFence fence;
  fence.OnAnswered(5, At(seconds(0)), kSession);
  const std::string silent = base::Message(fence.MayAct(At(milliseconds(7500))));
  EXPECT_THAT(silent, HasSubstr("2.5 s"));
  EXPECT_THAT(silent, HasSubstr("look at"));
  fence.OnFenced(5, At(seconds(8)));
  EXPECT_THAT(base::Message(fence.MayAct(At(seconds(9)))), HasSubstr("the tracker ended this node's registration 1.0"));
}

TEST(SelfFence, TheTrackerIsAskedEachFifthOfASessionAndOftenWhileTheNodeIsNoMember) {
  SelfFence fence;
  fence.OnRegistered(5);
  EXPECT_EQ(fence.AskTrackerAt(At(seconds(1)), false), At(seconds(1)));
  fence.OnTrackerAsked(At(seconds(1)));
  EXPECT_EQ(fence.AskTrackerAt(At(seconds(1)), false), At(milliseconds(1500)));
  fence.OnAnswered(5, At(seconds(1)), kSession);
  EXPECT_EQ(fence.AskTrackerAt(At(seconds(1)), false), At(seconds(3)));
  fence.OnTrackerAsked(At(seconds(3)));
  EXPECT_EQ(fence.AskTrackerAt(At(seconds(4)), false), At(milliseconds(3500))) << "it did not answer";
  EXPECT_EQ(fence.AskTrackerAt(At(seconds(6)), false), At(milliseconds(3500))) << "fenced";
  fence.OnRegistered(6);
  EXPECT_EQ(fence.AskTrackerAt(At(seconds(6)), false), At(seconds(6))) << "registered anew";
}

TEST(SelfFence, WithPeerManagersTheTrackerIsAskedWhenTheyAreSilentForAQuarter) {
  SelfFence fence;
  fence.OnRegistered(5);
  EXPECT_EQ(fence.AskTrackerAt(At(seconds(0)), true), At(seconds(0))) << "at the beginning in any case";
  fence.OnTrackerAsked(At(seconds(0)));
  fence.OnAnswered(5, At(seconds(0)), kSession);
  fence.OnAnswered(5, At(seconds(2)), kSession);  // a manager's
  EXPECT_EQ(fence.AskTrackerAt(At(seconds(3)), true), At(milliseconds(4500)));
  fence.OnTrackerAsked(At(milliseconds(4500)));
  EXPECT_EQ(fence.AskTrackerAt(At(seconds(5)), true), At(seconds(5))) << "it did not answer either";
}

// Whatever is answered, lost, late or out of order, of whichever registration: the node acts only within half a session
// of the sending of something that was answered before, in the latest registration that it knows of.
TEST(SelfFence, NeverActsLaterThanHalfASessionAfterWhatWasAnswered) {
  struct Beat {
    uint64_t node_epoch;
    base::MonotonicTime sent;
  };
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&random](uint32_t bound) { return static_cast<uint32_t>(random() % bound); };
    SelfFence fence;
    std::vector<Beat> under_way;
    std::vector<Beat> answered;
    uint64_t node_epoch = 1;
    std::optional<uint64_t> over;  // the epoch that the tracker ended, as the node knows
    base::MonotonicTime now = At(seconds(0));
    fence.OnRegistered(node_epoch);
    for (int step = 0; step < 300; ++step) {
      now += below(50) == 0 ? seconds(60) : milliseconds(below(1500));  // now and then it is stopped, or asleep
      if (below(3) > 0) under_way.push_back({node_epoch, now});
      if (!under_way.empty() && below(2) == 0) {
        const size_t which = below(static_cast<uint32_t>(under_way.size()));
        const Beat beat = under_way[which];
        under_way.erase(under_way.begin() + static_cast<std::ptrdiff_t>(which));
        if (below(4) > 0) {
          fence.OnAnswered(beat.node_epoch, beat.sent, kSession);
          answered.push_back(beat);
        }
      }
      if (below(40) == 0) {
        fence.OnFenced(node_epoch, now);
        over = node_epoch;
      }
      if (below(30) == 0) fence.OnRegistered(++node_epoch);
      now += milliseconds(below(3000));
      const bool may = std::ranges::any_of(answered, [&](const Beat& beat) {
        return beat.node_epoch == node_epoch && over != node_epoch && now - beat.sent < kSession / 2;
      });
      EXPECT_EQ(fence.MayAct(now).ok(), may) << "seed " << seed << ", step " << step;
    }
  }
}

}  // namespace
}  // namespace larder::cache_agent
