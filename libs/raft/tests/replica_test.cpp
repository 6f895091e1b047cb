// What the replica adds to the engine, each with the disk, the state machine and the network held where it matters.
#include "src/replica.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "larder/base/testing/status_matchers.h"
#include "tests/replicas.h"

namespace larder::raft {
namespace {

using base::IsOk;
using testing::IsEmpty;
using testing::Not;

using What = MemberChange::What;

// One voter that leads.
std::unique_ptr<HeldReplica> Alone(ReplicaOptions options = {}) {
  auto one = std::make_unique<HeldReplica>(1, std::vector<uint64_t>{1}, std::move(options));
  one->Campaign();
  one->Run();
  EXPECT_EQ((*one)->status().role, Role::kLeader);
  return one;
}

// Else it could lead the same term again after a crash, and give its learner other entries.
TEST(Replica, ALoneVoterSaysNothingBeforeItsTermIsDurable) {
  const auto one = Alone();
  ASSERT_THAT(one->Change({{.what = What::kAddLearner, .id = {2}}}), IsOk());
  one->Run();
  one->Restart(one->applied);
  one->Campaign();
  one->Propose("x");
  one->Tick(3);
  ASSERT_EQ((*one)->status().role, Role::kLeader);
  ASSERT_THAT(one->writes, Not(IsEmpty()));
  EXPECT_THAT(one->sent, IsEmpty());
  one->Write();
  EXPECT_THAT(one->sent, Not(IsEmpty()));
  one->Propose("y");
  one->sent.clear();
  one->Tick(2);
  ASSERT_THAT(one->writes, Not(IsEmpty()));
  EXPECT_THAT(one->sent, Not(IsEmpty())) << "from then on beside its own writes";
  EXPECT_THAT(one->died, IsOk());
}

}  // namespace
}  // namespace larder::raft
