// Nodes that count on being alive, and whoever fences them, while the group's leader changes.
#include "tests/group_under_test.h"

namespace larder::tracker {
namespace {

using base::IsOk;
using base::StatusIs;
using Stub = v1::Tracker::Stub;

class AliveGroupTest : public GroupTest {
 protected:
  // What `ask` says once `enough` takes it, as leaders change; or what it says after half a minute.
  template <typename Ask, typename Enough>
  static auto Until(Ask ask, Enough enough) {
    auto answer = ask();
    for (const auto until = Soon(); !enough(answer) && std::chrono::system_clock::now() < until;) answer = ask();
    return answer;
  }
  void SetUp() override {
    const auto registered = Until([&] { return Apply(1, R"(register_node { node: "n" incarnation: 1 })"); },
                                  [](const auto& response) { return response.ok(); });
    ASSERT_THAT(registered, IsOk());
    node_ = R"(node { node: "n" epoch: )" + std::to_string(registered->results(0).node_registered().node_epoch()) + "}";
  }

  absl::StatusOr<v1::ApplyResponse> Apply(uint64_t member, const std::string& command) {
    v1::ApplyRequest request;
    *request.add_commands() = Parsed<v1::Command>(command);
    return Call(member, &Stub::Apply, request);
  }
  absl::Status Fence(uint64_t member) {
    const auto response = Apply(member, "fence_node {" + node_ + "}");
    EXPECT_TRUE(!response.ok() || response->results(0).has_done()) << response->DebugString();
    return response.status();
  }
  absl::StatusOr<v1::NodeAliveResponse> NodeAlive(uint64_t member) {
    return Call(member, &Stub::NodeAlive, Parsed<v1::NodeAliveRequest>(node_));
  }
  // Of what a leader says that it is sure of.
  static bool Sure(const absl::Status& status) {
    const std::string reason = base::Reason(status);
    return status.ok() || reason == "NODE_ALIVE" || reason == "NODE_FENCED";
  }
  absl::Status SureFence(uint64_t member) {
    return Until([&] { return Fence(member); }, Sure);
  }
  absl::Status SureAlive(uint64_t member) {
    return Until([&] { return NodeAlive(member).status(); }, Sure);
  }

  // A session after the last answer, or the last change of leaders.
  void FenceInTheEnd(uint64_t member) {
    const auto fence = [&] {
      clock_.Advance(kNodeSession);
      return Fence(member);
    };
    EXPECT_THAT(Until(fence, [](const absl::Status& status) { return status.ok(); }), IsOk());
  }

  static auto Alive() { return StatusIs(absl::StatusCode::kFailedPrecondition, "NODE_ALIVE"); }
  static auto Fenced() { return StatusIs(absl::StatusCode::kUnavailable, "NODE_FENCED"); }

  std::string node_;
};

TEST_F(AliveGroupTest, WhicheverMemberIsAskedTheLeaderKnowsOfIt) {
  EXPECT_THAT(SureFence(1), Alive()) << "the leader is new";
  for (uint64_t asked = 1; asked <= kMembers; ++asked) {
    clock_.Advance(kNodeSession);
    ASSERT_THAT(SureAlive(asked), IsOk()) << asked;
    for (uint64_t fencer = 1; fencer <= kMembers; ++fencer) {
      EXPECT_THAT(SureFence(fencer), Alive()) << asked << " was asked, " << fencer << " fences";
    }
  }
  const auto answer = NodeAlive(1);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->session_ms(), kNodeSession / std::chrono::milliseconds(1));
  FenceInTheEnd(2);
  for (uint64_t asked = 1; asked <= kMembers; ++asked) EXPECT_THAT(SureAlive(asked), Fenced()) << asked;
}

TEST_F(AliveGroupTest, ALeaderThatIsCutOffAnswersNobodyAndTheNextOneWaitsASession) {
  ASSERT_THAT(SureAlive(1), IsOk());
  clock_.Advance(kNodeSession / 2);
  const uint64_t lost = Leader();
  ASSERT_GT(lost, 0u);
  network_.Cut({lost});
  EXPECT_FALSE(NodeAlive(lost).ok()) << "no quorum follows it";
  const uint64_t other = 1 + lost % kMembers;
  EXPECT_THAT(SureFence(other), Alive()) << "it does not know what the lost one answered";
  clock_.Advance(kNodeSession / 2);
  EXPECT_THAT(SureFence(other), Alive());
  FenceInTheEnd(other);
  network_.Mend();
  EXPECT_THAT(SureAlive(lost), Fenced());
}

}  // namespace
}  // namespace larder::tracker
