#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster.h"
#include "larder/base/mutex.h"

namespace larder::peer_manager {

// A tracker that says what a test wants, when it wants it: what is asked waits for an answer. Thread-safe.
class ScriptedCluster final : public Cluster {
 public:
  using Leases = Done<absl::StatusOr<std::optional<LeaderLease>>>;
  using Grants = Done<absl::StatusOr<Term>>;
  using Dones = Done<absl::Status>;
  using Records = Done<absl::StatusOr<std::vector<TrackedNode>>>;
  struct AskedFence {
    NodeRef node;
    Term term;
    Dones done;
  };

  void Look(Leases done) override { Keep(looks_, std::move(done)); }
  void Grant(const std::string&, base::Duration, Grants done) override { Keep(grants_, std::move(done)); }
  void Renew(Term, base::Duration, Dones done) override { Keep(renewals_, std::move(done)); }
  void Release(Term term, Dones done) override {
    {
      base::MutexLock lock(mutex_);
      released_ = term;
    }
    done(absl::OkStatus());
  }
  void Fence(const NodeRef& node, Term term, Dones done) override { Keep(fences_, {node, term, std::move(done)}); }
  void Nodes(Records done) override { Keep(readings_, std::move(done)); }

  // What was asked since the last time.
  std::vector<Leases> looks() { return Take(looks_); }
  std::vector<Grants> grants() { return Take(grants_); }
  std::vector<Dones> renewals() { return Take(renewals_); }
  std::vector<AskedFence> fences() { return Take(fences_); }
  std::vector<Records> readings() { return Take(readings_); }
  Term released() {
    base::MutexLock lock(mutex_);
    return released_;
  }

 private:
  template <typename T>
  void Keep(std::vector<T>& list, T asked) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    list.push_back(std::move(asked));
  }
  template <typename T>
  std::vector<T> Take(std::vector<T>& list) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return std::exchange(list, {});
  }

  base::Mutex mutex_;
  std::vector<Leases> looks_;
  std::vector<Grants> grants_;
  std::vector<Dones> renewals_;
  std::vector<AskedFence> fences_;
  std::vector<Records> readings_;
  Term released_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::peer_manager
