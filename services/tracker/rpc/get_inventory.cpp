#include "core/queries.h"
#include "larder/base/status.h"
#include "rpc/answers.h"

namespace larder::tracker {

absl::Status Answer(Reader& snapshot, LogTime, const v1::GetInventoryRequest& request,
                    v1::GetInventoryResponse& response) {
  LARDER_ASSIGN_OR_RETURN(const Inventory inventory, InventoryHashes(snapshot, request.node()));
  response.set_node_epoch(inventory.node_epoch.value);
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    response.add_sums(inventory.hashes.at(bucket));
    response.add_confirmed(inventory.confirmed.test(bucket));
  }
  return absl::OkStatus();
}

}  // namespace larder::tracker
