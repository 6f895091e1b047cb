#include "larder/raft/testing/memory_network.h"

namespace larder::raft {

Transport& MemoryNetwork::For(MemberId member) {
  base::MutexLock lock(mutex_);
  std::unique_ptr<Port>& port = ports_[member];
  if (port == nullptr) port = std::make_unique<Port>(*this, member);
  return *port;
}

void MemoryNetwork::Attach(MemberId member, Node* node) {
  base::MutexLock lock(mutex_);
  nodes_[member] = node;
}

void MemoryNetwork::Cut(MemberId member) {
  base::MutexLock lock(mutex_);
  cut_.insert(member);
}

void MemoryNetwork::Mend() {
  base::MutexLock lock(mutex_);
  cut_.clear();
}

void MemoryNetwork::Carry(MemberId from, MemberId to, std::string message) {
  base::MutexLock lock(mutex_);  // held while it is received: a node that has left is not called any more
  const auto node = nodes_.find(to);
  if (node == nodes_.end() || node->second == nullptr || cut_.contains(from) || cut_.contains(to)) return;
  node->second->Receive(std::move(message));
}

}  // namespace larder::raft
