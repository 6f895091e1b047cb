#pragma once
#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "larder/base/mutex.h"
#include "larder/raft/node.h"

namespace larder::tracker {

// A node whose proposals and reads a test may hold back, so that calls are in flight for as long as it wants.
// Thread-safe.
class HeldNode final : public raft::Node {
 public:
  explicit HeldNode(raft::Node& node) : node_(node) {}

  // From now on.
  void Hold() LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    holding_ = true;
  }
  // Waits until so many are held; false after ten seconds.
  bool WaitForHeld(size_t count) LARDER_EXCLUDES(mutex_) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    base::MutexLock lock(mutex_);
    while (held_.size() < count) {
      if (!changed_.WaitUntil(mutex_, until)) return false;
    }
    return true;
  }
  // The first one that is held goes on.
  void ReleaseOne() LARDER_EXCLUDES(mutex_) {
    std::function<void()> next;
    {
      base::MutexLock lock(mutex_);
      next = std::move(held_.front());
      held_.pop_front();
    }
    next();
  }
  // All go on, and those to come.
  void Release() LARDER_EXCLUDES(mutex_) {
    std::deque<std::function<void()>> held;
    {
      base::MutexLock lock(mutex_);
      holding_ = false;
      held.swap(held_);
    }
    for (const auto& next : held) next();
  }
  size_t most_held() const LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return most_held_;
  }

  void Propose(std::string command, ProposeDone done, uint64_t term) override {
    Pass([this, command = std::move(command), done = std::move(done), term] { node_.Propose(command, done, term); });
  }
  void Read(ReadDone done) override {
    Pass([this, done = std::move(done)] { node_.Read(done); });
  }
  void ChangeMembers(std::vector<raft::MemberChange> changes, ReadDone done) override {
    node_.ChangeMembers(std::move(changes), std::move(done));
  }
  void TransferLeader(raft::MemberId to) override { node_.TransferLeader(to); }
  void Receive(std::string message) override { node_.Receive(std::move(message)); }
  void Unreachable(raft::MemberId member) override { node_.Unreachable(member); }
  raft::NodeStatus status() const override { return node_.status(); }
  void Stop() override { node_.Stop(); }

 private:
  void Pass(std::function<void()> call) LARDER_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      if (holding_) {
        held_.push_back(std::move(call));
        most_held_ = std::max(most_held_, held_.size());
        changed_.NotifyAll();
        return;
      }
    }
    call();
  }

  raft::Node& node_;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  bool holding_ LARDER_GUARDED_BY(mutex_) = false;
  std::deque<std::function<void()>> held_ LARDER_GUARDED_BY(mutex_);
  size_t most_held_ LARDER_GUARDED_BY(mutex_) = 0;
};

}  // namespace larder::tracker
