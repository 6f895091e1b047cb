#include "core/holders.h"

#include <algorithm>

#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::cache_agent {
namespace {

const Refused* RefusalOf(const HolderView& view, const ClusterCopy& copy) {
  const auto it = view.refused->find(copy.node);
  return it != view.refused->end() && it->second.node_epoch == copy.node_epoch ? &it->second : nullptr;
}

// It may hold a copy, though the cluster does not know yet whether it does.
bool MayCome(const ClusterCopy& copy) { return copy.last_seen < kMayComeBack; }

}  // namespace

HolderChoice ChooseHolders(const HolderView& view) {
  HolderChoice choice;
  for (const ClusterCopy& copy : view.copies) {
    if (copy.node == view.self || copy.address.empty()) continue;
    const Refused* refused = RefusalOf(view, copy);
    if (refused == nullptr && (copy.confirmed || MayCome(copy))) choice.ask.push_back(copy);
    // It registered anew, and the cluster is about to hear so.
    const bool anew = refused != nullptr && base::Reason(refused->why) == "NODE_EPOCH_STALE";
    if (anew && MayCome(copy) && view.waited < kMayComeBack) choice.wait = true;
  }
  std::ranges::stable_partition(choice.ask, &ClusterCopy::live);
  return choice;
}

absl::Status NobodyHasIt(const object::ObjectId& id, const HolderView& view) {
  std::string each;
  for (const ClusterCopy& copy : view.copies) {
    const Refused* refused = RefusalOf(view, copy);
    std::string why = "is gone";
    if (copy.node == view.self) {
      why = "is this node, and has lost it";
    } else if (refused != nullptr) {
      why = base::Reason(refused->why) + ": " + base::Message(refused->why);
    } else if (copy.arriving) {
      why = "fetches it, too";
    } else if (copy.address.empty()) {
      why = "gives no pieces";
    }
    each += fmt::format("{}{}, seen {} ago, {}", each.empty() ? "" : "; ", copy.node,
                        base::FormatDuration(std::chrono::floor<std::chrono::seconds>(copy.last_seen)), why);
  }
  return base::Error(absl::StatusCode::kUnavailable, "NO_HOLDER",
                     "no node that has '{}' can be reached: {} (start one of them, or create it anew)", id.key,
                     each.empty() ? "none is known" : each);
}

}  // namespace larder::cache_agent
