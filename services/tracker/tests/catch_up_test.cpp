#include "background/catch_up.h"

#include <gmock/gmock.h>

#include "larder/base/status.h"
#include "tests/scripted_node.h"

namespace larder::tracker {
namespace {

using testing::SizeIs;

absl::Status Unavailable(const char* reason) { return base::Error(absl::StatusCode::kUnavailable, reason, "no"); }

class CatchUpTest : public testing::Test {
 protected:
  // Answers the question that was asked last.
  void Answer(const absl::Status& status) {
    const raft::Node::ReadDone done = node_.reads.back();
    done(status);
  }

  ScriptedNode node_;
  int told_ = 0;
  CatchUp catch_up_{node_, [this] { ++told_; }};
};

TEST_F(CatchUpTest, IsDoneOnceTheGroupsWordIsAppliedHere) {
  catch_up_.Start();
  ASSERT_THAT(node_.reads, SizeIs(1));
  EXPECT_EQ(told_, 0);
  Answer(absl::OkStatus());
  EXPECT_EQ(told_, 1);
  EXPECT_THAT(node_.reads, SizeIs(1)) << "nothing is asked any more";
}

TEST_F(CatchUpTest, AsksOnWhileThereIsNoQuorum) {
  catch_up_.Start();
  Answer(Unavailable("NO_QUORUM"));
  Answer(Unavailable("NO_QUORUM"));
  ASSERT_THAT(node_.reads, SizeIs(3));
  EXPECT_EQ(told_, 0);
  Answer(absl::OkStatus());
  EXPECT_EQ(told_, 1);
}

TEST_F(CatchUpTest, EndsWithTheNode) {
  catch_up_.Start();
  Answer(Unavailable("STOPPED"));
  EXPECT_THAT(node_.reads, SizeIs(1));
  EXPECT_EQ(told_, 0);
}

TEST_F(CatchUpTest, TellsNothingOnceItWasStopped) {
  catch_up_.Start();
  catch_up_.Stop();
  Answer(absl::OkStatus());
  EXPECT_EQ(told_, 0);
}

TEST_F(CatchUpTest, AsksNothingOnceItWasStopped) {
  catch_up_.Start();
  catch_up_.Stop();
  Answer(Unavailable("NO_QUORUM"));
  EXPECT_THAT(node_.reads, SizeIs(1));
}

}  // namespace
}  // namespace larder::tracker
