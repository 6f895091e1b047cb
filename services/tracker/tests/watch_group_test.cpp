// Watches on the members of a group, while its leader changes.
#include <array>

#include "tests/group_under_test.h"

namespace larder::tracker {
namespace {

using base::IsOk;

class WatchGroupTest : public GroupTest {
 protected:
  // By any member; a repeat under its request id, where the outcome is unknown, does it once.
  void MakeDir(uint64_t member, const std::string& key) {
    v1::ApplyRequest request;
    *request.add_commands() =
        Parsed<v1::Command>(R"(make_dir { directory { namespace: "team" key: ")" + key + R"(" } })");
    request.mutable_request_id()->set_session(session_);
    request.mutable_request_id()->set_sequence(++sequence_);
    request.mutable_request_id()->set_low_water(1);
    absl::Status status = absl::UnknownError("not sent");
    for (const auto until = Soon(); !status.ok() && std::chrono::system_clock::now() < until;) {
      status = Call(member, &v1::Tracker::Stub::Apply, request).status();
    }
    ASSERT_THAT(status, IsOk());
  }
  void OpenSession() {
    const auto request = Parsed<v1::ApplyRequest>("commands { open_session {} }");
    for (const auto until = Soon(); session_ == 0 && std::chrono::system_clock::now() < until;) {
      const auto response = Call(1, &v1::Tracker::Stub::Apply, request);
      if (response.ok()) session_ = response->results(0).session_opened().session();
    }
    ASSERT_GT(session_, 0u);
  }
  void MoveLeader() {
    const uint64_t leader = Leader();
    if (leader > 0) group_.at(leader)->node().TransferLeader({1 + leader % kMembers});
  }
  // What a member tells from `from` until `count` directories are made, each event as bytes; goes on at `next`.
  std::vector<std::string> Told(uint64_t member, size_t count, v1::WatchPosition& next) {
    grpc::ClientContext context;
    context.set_deadline(Soon());
    v1::WatchRequest request = Parsed<v1::WatchRequest>("kinds: EVENT_KIND_DIRECTORY_MADE page_size: 1");
    *request.mutable_from() = next;
    const auto stream = group_.at(member)->stub().Watch(&context, request);
    std::vector<std::string> told;
    for (v1::WatchResponse response; told.size() < count && stream->Read(&response);) {
      for (const v1::Event& event : response.events()) told.push_back(event.SerializeAsString());
      next = response.next();
    }
    context.TryCancel();
    return told;
  }

  uint64_t session_ = 0;
  uint64_t sequence_ = 0;
};

TEST_F(WatchGroupTest, AllMembersTellTheSameWhoeverLeads) {
  constexpr size_t kDirs = 60;
  OpenSession();
  for (size_t i = 0; i < kDirs; ++i) {
    if (i % 20 == 10) MoveLeader();
    MakeDir(1 + i % kMembers, "d" + std::to_string(i));
  }
  std::array<v1::WatchPosition, kMembers> ends;
  const std::vector<std::string> first = Told(1, kDirs, ends[0]);
  ASSERT_EQ(first.size(), kDirs);
  EXPECT_TRUE(Told(2, kDirs, ends[1]) == first);
  EXPECT_TRUE(Told(3, kDirs, ends[2]) == first);
  EXPECT_EQ(ends[0].ShortDebugString(), ends[1].ShortDebugString());
}

TEST_F(WatchGroupTest, AClientGoesOnAtAnotherMemberWhenTheLeaderIsLost) {
  constexpr size_t kBefore = 10;
  constexpr size_t kAfter = 10;
  OpenSession();
  for (size_t i = 0; i < kBefore; ++i) MakeDir(1, "d" + std::to_string(i));
  const uint64_t lost = Leader();
  ASSERT_GT(lost, 0u);
  v1::WatchPosition next;
  std::vector<std::string> told = Told(lost, kBefore, next);
  network_.Cut({lost});
  const uint64_t other = 1 + lost % kMembers;
  for (size_t i = 0; i < kAfter; ++i) MakeDir(other, "e" + std::to_string(i));
  const std::vector<std::string> rest = Told(other, kAfter, next);
  told.insert(told.end(), rest.begin(), rest.end());
  ASSERT_EQ(told.size(), kBefore + kAfter);
  for (size_t i = 0; i < told.size(); ++i) {
    v1::Event event;
    ASSERT_TRUE(event.ParseFromString(told[i]));
    EXPECT_EQ(event.object().id().key(), i < kBefore ? "d" + std::to_string(i) : "e" + std::to_string(i - kBefore));
  }
  // The lost one tells the same when it is back, from where it was left.
  network_.Mend();
  v1::WatchPosition from_the_beginning;
  EXPECT_TRUE(Told(lost, kBefore + kAfter, from_the_beginning) == told);
}

}  // namespace
}  // namespace larder::tracker
