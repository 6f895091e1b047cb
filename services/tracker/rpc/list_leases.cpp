#include "core/queries.h"
#include "larder/base/status.h"
#include "rpc/answers.h"
#include "rpc/record_proto.h"

namespace larder::tracker {

absl::Status Answer(Reader& snapshot, LogTime now, const v1::ListLeasesRequest& request,
                    v1::ListLeasesResponse& response) {
  LARDER_ASSIGN_OR_RETURN(const LeasePage page,
                          ListLeases(snapshot, PageLimit(request.page_size()), request.page_token()));
  for (const auto& [name, record] : page.entries) {
    v1::Lease& lease = *response.add_leases();
    lease.set_name(name);
    lease.set_holder(record.holder);
    lease.set_token(record.token.value);
    lease.set_left_ms(MillisecondsLeft(now, record.until));
  }
  response.set_next_page_token(page.next);
  return absl::OkStatus();
}

}  // namespace larder::tracker
