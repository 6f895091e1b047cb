#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/cluster_registry.h"
#include "larder/base/clock.h"
#include "larder/object/ids.h"

namespace larder::cache_agent {

// A node that registered less than this ago, or was seen, may yet tell that it has a copy: unknown is not absent.
inline constexpr base::Duration kMayComeBack = std::chrono::seconds(10);

// What came of asking a node for an object: why it is not asked again under that registration.
struct Refused {
  uint64_t node_epoch = 0;
  absl::Status why;
};
using RefusedBy = std::map<std::string, Refused>;  // by node

struct HolderView {
  std::string self;                     // this node
  std::span<const ClusterCopy> copies;  // as the cluster knows them now
  const RefusedBy* refused = nullptr;   // by this fetch's parents
  base::Duration waited{};              // since the fetch began
};
struct HolderChoice {
  std::vector<ClusterCopy> ask;  // may be asked for it, those that count as copies first
  bool wait = false;  // if there is none to be asked: some may come back, so the cluster is to be asked again
};

// Whom to fetch an object from. Those that are known to be gone are not asked. Pure.
HolderChoice ChooseHolders(const HolderView& view);

// UNAVAILABLE (NO_HOLDER), naming each node that is said to have it, when it was last seen, and why it was of no use.
absl::Status NobodyHasIt(const object::ObjectId& id, const HolderView& view);

}  // namespace larder::cache_agent
