// A member that is far behind, over the real transport.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "larder/base/mutex.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/raft/membership.h"
#include "larder/raft/node.h"
#include "larder/raft/tcp_transport.h"
#include "larder/raft/testing/memory_log_store.h"

namespace larder::raft {
namespace {

using base::IsOk;

constexpr MemberId kLeader{1};
constexpr MemberId kBehind{2};

class Nothing final : public StateMachine {
 public:
  explicit Nothing(AppliedState first) : applied_(std::move(first)) {}
  const AppliedState& applied() const override { return applied_; }
  absl::Status Apply(std::span<const Command> commands, const AppliedState& after,
                     std::vector<std::string>& replies) override {
    replies.resize(commands.size());
    applied_ = after;
    return absl::OkStatus();
  }
  absl::Status Flush() override { return absl::OkStatus(); }

 private:
  AppliedState applied_;
};

// A node and its transport. What it hears after the first long message waits until Release.
class Member {
 public:
  explicit Member(MemberId self) : machine_({.configuration = EncodeVoters({&kLeader, 1})}) {
    auto transport = TcpTransport::Listen({.listen = "127.0.0.1:0",
                                           .cluster = "blue",
                                           .node = "node",
                                           .self = self,
                                           .receive = [this](MemberId, std::string message) { Hear(message); },
                                           .unreachable =
                                               [this](MemberId member) {
                                                 ++dropped_;
                                                 node_->Unreachable(member);
                                               }});
    EXPECT_THAT(transport, IsOk());
    transport_ = *std::move(transport);
    auto node = Node::Start({.self = self, .seed = 1, .boot = 1, .tick = std::chrono::milliseconds(5)}, log_, machine_,
                            *transport_);
    EXPECT_THAT(node, IsOk());
    node_ = *std::move(node);
  }
  ~Member() {
    Release();
    transport_->Stop();
    node_->Stop();
  }
  TcpTransport& transport() { return *transport_; }
  Node& node() { return *node_; }
  int dropped() const { return dropped_; }
  void HoldAfterLong() {
    base::MutexLock lock(mutex_);
    hold_ = true;
  }
  void Release() {
    base::MutexLock lock(mutex_);
    hold_ = held_ = false;
    changed_.NotifyAll();
  }

 private:
  void Hear(const std::string& message) {
    {
      base::MutexLock lock(mutex_);
      while (held_) changed_.Wait(mutex_);
      held_ = hold_ && message.size() > 60'000;
    }
    node_->Receive(message);
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  bool hold_ LARDER_GUARDED_BY(mutex_) = false;
  bool held_ LARDER_GUARDED_BY(mutex_) = false;
  std::atomic<int> dropped_ = 0;
  MemoryLogStore log_;
  Nothing machine_;
  std::unique_ptr<TcpTransport> transport_;
  std::unique_ptr<Node> node_;
};

uint64_t Matched(Node& leader) {
  for (const MemberStatus& member : leader.status().members) {
    if (member.id == kBehind) return member.matched;
  }
  return 0;
}

TEST(CatchUp, WhoIsFarBehindIsSentNoMoreThanTheQueueTakes) {
  Member leader(kLeader), behind(kBehind);
  constexpr int kCommands = 1024;  // 64 MiB, twice what the queue takes
  for (int i = 0; i < kCommands; ++i) {
    std::promise<absl::Status> done;
    leader.node().Propose(std::string(64 * base::kKiB, 'x'),
                          [&](const absl::StatusOr<std::string>& reply) { done.set_value(reply.status()); });
    ASSERT_THAT(done.get_future().get(), IsOk());
  }
  behind.HoldAfterLong();
  leader.transport().SetMember(kBehind, behind.transport().address());
  behind.transport().SetMember(kLeader, leader.transport().address());
  std::promise<absl::Status> changed;
  leader.node().ChangeMembers({{.what = MemberChange::What::kAddLearner, .id = kBehind}},
                              [&](absl::Status status) { changed.set_value(std::move(status)); });
  ASSERT_THAT(changed.get_future().get(), IsOk());
  while (Matched(leader.node()) == 0) std::this_thread::yield();
  behind.Release();
  while (behind.node().status().applied < kCommands) std::this_thread::yield();
  leader.transport().Stop();
  EXPECT_EQ(leader.dropped(), 0);
}

}  // namespace
}  // namespace larder::raft
