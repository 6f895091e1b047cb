#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

class Leases : public RegistryTest {
 protected:
  LeaseGranted Grant(const std::string& holder) { return Get<LeaseGranted>(GrantLease{"leader", holder, seconds(10)}); }
};

TEST_F(Leases, ALeaseIsHeldByOneAndTheOtherIsToldByWhom) {
  Grant("x");
  const Reply reply = Run(GrantLease{"leader", "y", seconds(10)});
  ASSERT_THAT(reply, Refused("HELD"));
  EXPECT_EQ(std::get<Refusal>(reply).holder, "x");
  Get<LeaseGranted>(GrantLease{"another", "y", seconds(10)});
}

TEST_F(Leases, EachGrantHasAHigherTokenAndEndsTheOneBefore) {
  const LeaseGranted first = Grant("x");
  const LeaseGranted second = Grant("x");
  EXPECT_LT(first.token, second.token);
  EXPECT_THAT(Run(RenewLease{"leader", first.token, seconds(10)}), Refused("TOKEN_STALE"));
  EXPECT_THAT(Run(ReleaseLease{"leader", first.token}), Refused("TOKEN_STALE"));
  EXPECT_THAT(Run(PutPlan{"leader", first.token, "p"}), Refused("TOKEN_STALE"));
  Ok(ReleaseLease{"leader", second.token});
  EXPECT_LT(second.token, Grant("y").token) << "tokens go on after a release";
}

TEST_F(Leases, ALeaseEndsWithItsTimeAndNotBefore) {
  const LeaseGranted granted = Grant("x");
  Pass(seconds(10) - base::Duration(1));
  EXPECT_THAT(Run(GrantLease{"leader", "y", seconds(10)}), Refused("HELD"));
  const LeaseGranted renewed = Get<LeaseGranted>(RenewLease{"leader", granted.token, seconds(10)});
  EXPECT_EQ(renewed.token, granted.token);
  EXPECT_EQ(renewed.until, After(now_, seconds(10)));
  Pass(seconds(10));
  EXPECT_THAT(Run(RenewLease{"leader", granted.token, seconds(10)}), Refused("TOKEN_STALE"));
  EXPECT_LT(granted.token, Grant("y").token);
}

TEST_F(Leases, NamesAndDurationsThatAreNoneAreRefused) {
  EXPECT_THAT(Run(GrantLease{"", "x", seconds(1)}), Refused("BAD_LEASE"));
  EXPECT_THAT(Run(GrantLease{std::string(256, 'a'), "x", seconds(1)}), Refused("BAD_LEASE"));
  EXPECT_THAT(Run(GrantLease{"leader", "x", {}}), Refused("BAD_DURATION"));
  EXPECT_THAT(Run(RenewLease{"leader", Grant("x").token, {}}), Refused("BAD_DURATION"));
}

TEST_F(Leases, APlanOutlivesItsLeaseAndIsBounded) {
  const LeaseToken token = Grant("x").token;
  const std::string plan(kMaxPlanBytes, 'p');
  Ok(PutPlan{"leader", token, plan});
  EXPECT_THAT(Run(PutPlan{"leader", token, plan + "p"}), Refused("PLAN_TOO_LONG"));
  Ok(ReleaseLease{"leader", token});
  EXPECT_THAT(Run(PutPlan{"leader", token, "late"}), Refused("TOKEN_STALE"));
  const auto found = FindPlan(*Snapshot(), "leader");
  ASSERT_THAT(found, base::IsOk());
  EXPECT_EQ((*found)->plan, plan);
  EXPECT_EQ((*found)->token, token);
}

TEST_F(Leases, AFencedEntryIsDoneForTheCurrentTokenOnly) {
  const LeaseToken old = Grant("x").token;
  const LeaseToken now = Grant("x").token;
  const auto run = [this](LeaseToken token) {
    return RunEntry({.fence = Fence{"leader", token}, .commands = {OpenSession{}, MakeDir{id_}}});
  };
  for (const Reply& reply : run(old)) EXPECT_THAT(reply, Refused("TOKEN_STALE"));
  EXPECT_EQ(run(now)[1], Reply(Done{})) << "the refused one did nothing";
}

}  // namespace
}  // namespace larder::tracker
