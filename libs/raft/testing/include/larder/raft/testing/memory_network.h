#pragma once
#include <map>
#include <memory>
#include <set>

#include "larder/base/mutex.h"
#include "larder/raft/node.h"

namespace larder::raft {

// Carries messages between nodes of one process, at once and in order; whoever is cut off hears nothing and is not
// heard. Thread-safe. Nodes leave (Detach) before they end.
class MemoryNetwork {
 public:
  // The transport of a member, which lives as long as the network.
  Transport& For(MemberId member) LARDER_EXCLUDES(mutex_);
  void Attach(MemberId member, Node* node) LARDER_EXCLUDES(mutex_);
  void Detach(MemberId member) LARDER_EXCLUDES(mutex_) { Attach(member, nullptr); }
  void Cut(MemberId member) LARDER_EXCLUDES(mutex_);
  void Mend() LARDER_EXCLUDES(mutex_);

 private:
  class Port final : public Transport {
   public:
    Port(MemoryNetwork& network, MemberId self) : network_(network), self_(self) {}
    void Send(MemberId to, std::string message) override { network_.Carry(self_, to, std::move(message)); }

   private:
    MemoryNetwork& network_;
    const MemberId self_;
  };
  void Carry(MemberId from, MemberId to, std::string message) LARDER_EXCLUDES(mutex_);

  base::Mutex mutex_;
  std::map<MemberId, std::unique_ptr<Port>> ports_ LARDER_GUARDED_BY(mutex_);
  std::map<MemberId, Node*> nodes_ LARDER_GUARDED_BY(mutex_);
  std::set<MemberId> cut_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::raft
