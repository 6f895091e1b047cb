#include "core/queries.h"
#include "larder/base/status.h"
#include "rpc/answers.h"
#include "rpc/record_proto.h"

namespace larder::tracker {

absl::Status Answer(Reader& snapshot, LogTime now, const v1::ListNodesRequest& request,
                    v1::ListNodesResponse& response) {
  LARDER_ASSIGN_OR_RETURN(const NodePage page,
                          ListNodes(snapshot, PageLimit(request.page_size()), request.page_token()));
  for (const auto& [name, record] : page.entries) {
    v1::Node& node = *response.add_nodes();
    node.set_name(name);
    node.set_epoch(record.epoch.value);
    node.set_incarnation(record.incarnation);
    node.set_fenced(record.fenced);
    node.set_draining(record.draining);
    node.set_quarantined(record.quarantined);
    node.set_address(record.address);
    node.set_zone(record.zone);
    node.set_rack(record.rack);
    node.set_last_seen_ms(MillisecondsSince(now, record.last_seen));
  }
  response.set_next_page_token(page.next);
  return absl::OkStatus();
}

}  // namespace larder::tracker
