#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/object/ids.h"
#include "larder/swarm/assign.h"

namespace larder::cache_agent {

// Another node that fetches an object now, as a peer manager says: it gives the pieces that it has.
struct SwarmMember {
  std::string node;
  uint64_t node_epoch = 0;
  object::Epoch epoch;  // of the object, in the cluster
  std::string address;  // HOST:PORT where it gives pieces
  swarm::Distance distance = swarm::Distance::kElsewhere;
  bool operator==(const SwarmMember&) const = default;
};

// What this node fetches now, for those who tell the peer managers. Thread-safe.
class FetchBoard {
 public:
  struct Entry {
    object::Epoch epoch;   // in the cluster; 0: not known yet
    uint32_t percent = 0;  // of its pieces that are here
    uint32_t parents = 0;  // that are asked for it
  };
  struct View {
    uint64_t revision = 0;  // of which objects and epochs there are; grows
    std::map<object::ObjectId, Entry> entries;
  };
  // What is more is not told of, and fetched without the others' help.
  static constexpr size_t kMost = 256;

  // `changed` is called when the revision has: under no lock of this one's, and maybe under its caller's.
  explicit FetchBoard(std::function<void()> changed) : changed_(std::move(changed)) {}

  // Also how far it is, which nobody is told for itself alone.
  void Put(const object::ObjectId& id, const Entry& entry) LARDER_EXCLUDES(mutex_);
  void Erase(const object::ObjectId& id) LARDER_EXCLUDES(mutex_);
  View view() const LARDER_EXCLUDES(mutex_);

 private:
  const std::function<void()> changed_;
  mutable base::Mutex mutex_;
  View view_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::cache_agent
