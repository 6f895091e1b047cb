#include "core/queries.h"
#include "larder/base/status.h"
#include "rpc/answers.h"
#include "rpc/record_proto.h"

namespace larder::tracker {

absl::Status Answer(Reader& snapshot, LogTime now, const v1::ListRequest& request, v1::ListResponse& response) {
  const ListRequest asked = {.ns = request.namespace_(),
                             .prefix = request.prefix(),
                             .delimited = request.delimited(),
                             .limit = PageLimit(request.page_size()),
                             .token = request.page_token()};
  LARDER_ASSIGN_OR_RETURN(const ListPage page, List(snapshot, asked));
  for (const ListEntry& found : page.entries) {
    v1::ListEntry& entry = *response.add_entries();
    entry.set_key(found.key);
    if (found.object) *entry.mutable_object() = ToProto({asked.ns, found.key}, *found.object, now);
  }
  response.set_next_page_token(page.next);
  return absl::OkStatus();
}

}  // namespace larder::tracker
