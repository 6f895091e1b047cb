// What a node holds in memory, and joins into one step.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <future>
#include <thread>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/units.h"
#include "larder/raft/membership.h"
#include "larder/raft/node.h"
#include "larder/raft/testing/memory_network.h"
#include "tests/log_decorator.h"

namespace larder::raft {
namespace {

using base::IsOk;
using base::kMiB;
using base::StatusIs;

constexpr MemberId kSelf{1};

// Closed, whoever comes waits until it is opened.
class Gate {
 public:
  void Close() { Set(true); }
  void Open() { Set(false); }
  void Pass() {
    base::MutexLock lock(mutex_);
    ++waiting_;
    changed_.NotifyAll();
    while (closed_) changed_.Wait(mutex_);
    --waiting_;
  }
  void AwaitSomebody() {
    base::MutexLock lock(mutex_);
    while (waiting_ == 0) changed_.Wait(mutex_);
  }

 private:
  void Set(bool closed) {
    base::MutexLock lock(mutex_);
    closed_ = closed;
    changed_.NotifyAll();
  }
  base::Mutex mutex_;
  base::CondVar changed_;
  bool closed_ LARDER_GUARDED_BY(mutex_) = false;
  int waiting_ LARDER_GUARDED_BY(mutex_) = 0;
};

class GatedLog final : public LogDecorator {
 public:
  absl::Status Write(std::span<const LogWrite> writes) override {
    uint64_t bytes = 0;
    for (const LogWrite& write : writes) {
      for (const LogEntry& entry : write.entries) bytes += entry.payload.size();
    }
    most = std::max(most, bytes);
    gate.Pass();
    return LogDecorator::Write(writes);
  }

  Gate gate;
  uint64_t most = 0;  // of one Write
};

class GatedMachine final : public StateMachine {
 public:
  explicit GatedMachine(AppliedState first) : applied_(std::move(first)) {}
  const AppliedState& applied() const override { return applied_; }
  absl::Status Apply(std::span<const Command> commands, const AppliedState& after,
                     std::vector<std::string>& replies) override {
    uint64_t bytes = 0;
    for (const Command& command : commands) bytes += command.payload.size();
    most = std::max(most, bytes);
    if (!commands.empty()) gate.Pass();
    replies.resize(commands.size());
    applied_ = after;
    return absl::OkStatus();
  }
  absl::Status Flush() override { return absl::OkStatus(); }

  Gate gate;
  uint64_t most = 0;  // of one Apply

 private:
  AppliedState applied_;
};

class NodeLimits : public testing::Test {
 protected:
  NodeLimits() : machine_({.configuration = EncodeVoters({&kSelf, 1})}) {
    auto node = Node::Start({.self = kSelf, .seed = 1, .boot = 1, .tick = std::chrono::milliseconds(5)}, log_, machine_,
                            network_.For(kSelf));
    EXPECT_THAT(node, IsOk());
    node_ = *std::move(node);
    EXPECT_THAT(Propose("first").get_future().get(), IsOk());
  }
  ~NodeLimits() override {
    log_.gate.Open();
    machine_.gate.Open();
    node_->Stop();
  }
  using Reply = std::promise<absl::Status>;
  Reply& Propose(std::string command) {
    Reply& reply = replies_.emplace_back();
    node_->Propose(std::move(command), [&](const absl::StatusOr<std::string>& got) { reply.set_value(got.status()); });
    return reply;
  }

  MemoryNetwork network_;
  GatedLog log_;
  GatedMachine machine_;
  std::deque<Reply> replies_;
  std::unique_ptr<Node> node_;
};

// One that waits at the gate, and 20 MiB behind it.
TEST_F(NodeLimits, WritesAreJoinedUpToABound) {
  log_.gate.Close();
  std::vector<Reply*> replies{&Propose("waits")};
  log_.gate.AwaitSomebody();
  for (int i = 0; i < 20; ++i) replies.push_back(&Propose(std::string(kMiB, 'x')));
  std::promise<absl::Status> read;  // answered after all of them are taken in
  node_->Read([&](absl::Status status) { read.set_value(std::move(status)); });
  log_.gate.Open();
  EXPECT_THAT(read.get_future().get(), IsOk());
  for (Reply* reply : replies) EXPECT_THAT(reply->get_future().get(), IsOk());
  EXPECT_LE(log_.most, 5 * kMiB);
}

TEST_F(NodeLimits, CommandsAreJoinedUpToABound) {
  machine_.gate.Close();
  std::vector<Reply*> replies{&Propose("waits")};
  machine_.gate.AwaitSomebody();
  for (int i = 0; i < 20; ++i) replies.push_back(&Propose(std::string(kMiB, 'x')));
  while (node_->status().committed < replies.size() + 2) std::this_thread::yield();
  machine_.gate.Open();
  for (Reply* reply : replies) EXPECT_THAT(reply->get_future().get(), IsOk());
  EXPECT_LE(machine_.most, 5 * kMiB);
}

// As long as its loop is held, a node takes in no more than it has room for.
class HeldLoop : public NodeLimits {
 protected:
  HeldLoop() {
    loop_.Close();
    node_->Read([this](const absl::Status&) { loop_.Pass(); });
    loop_.AwaitSomebody();
  }
  ~HeldLoop() override {
    loop_.Open();
    node_->Stop();
  }
  Gate loop_;
};

TEST_F(HeldLoop, ProposalsThatWaitForItAreBoundedAndMoreAreRefusedAtOnce) {
  std::vector<Reply*> taken;
  for (int i = 0; i < 3; ++i) taken.push_back(&Propose(std::string(kEntryLimit, 'x')));
  EXPECT_THAT(Propose(std::string(kEntryLimit, 'x')).get_future().get(),
              StatusIs(absl::StatusCode::kResourceExhausted, "RAFT_BUSY"));
  taken.push_back(&Propose("there is room for a small one"));
  loop_.Open();
  for (Reply* reply : taken) EXPECT_THAT(reply->get_future().get(), IsOk());
  EXPECT_THAT(Propose(std::string(kEntryLimit, 'x')).get_future().get(), IsOk()) << "the room is free again";
}

TEST_F(HeldLoop, MessagesThatWaitForItAreBoundedAndMoreAreDropped) {
  for (int i = 0; i < 6; ++i) node_->Receive(std::string(16 * kMiB, 'x'));
  loop_.Open();
  std::promise<void> after;
  node_->Read([&](const absl::Status&) { after.set_value(); });
  after.get_future().wait();
  // What no member says; it is shown with the next tick.
  while (node_->status().refused_messages == 0) std::this_thread::yield();
  EXPECT_EQ(node_->status().refused_messages, 4u);
}

}  // namespace
}  // namespace larder::raft
