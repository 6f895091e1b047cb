#include "core/queries.h"
#include "larder/base/status.h"
#include "rpc/answers.h"
#include "rpc/record_proto.h"

namespace larder::tracker {

absl::Status Answer(Reader& snapshot, LogTime now, const v1::ListStagedRequest& request,
                    v1::ListStagedResponse& response) {
  LARDER_ASSIGN_OR_RETURN(const StagedPage page, ListStaged(snapshot, request.namespace_(),
                                                            PageLimit(request.page_size()), request.page_token()));
  for (const StagedEntry& found : page.entries) {
    v1::StagedObject& object = *response.add_objects();
    *object.mutable_id() = ToProto(found.id);
    object.set_blob(found.blob.value);
    object.set_epoch(found.epoch.value);
    object.set_staged_ms(MillisecondsSince(now, found.since));
  }
  response.set_next_page_token(page.next);
  return absl::OkStatus();
}

}  // namespace larder::tracker
