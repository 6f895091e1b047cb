#include "core/queries.h"
#include "larder/base/status.h"
#include "rpc/answers.h"
#include "rpc/record_proto.h"

namespace larder::tracker {

absl::Status Answer(Reader& snapshot, LogTime, const v1::ListEndedTicketsRequest& request,
                    v1::ListEndedTicketsResponse& response) {
  LARDER_ASSIGN_OR_RETURN(const TicketPage page,
                          ListEndedTickets(snapshot, PageLimit(request.page_size()), request.page_token()));
  for (const auto& [id, record] : page.entries) {
    v1::EndedTicket& ticket = *response.add_tickets();
    ticket.set_ticket(id.value);
    ticket.set_blob(record.blob.value);
    ticket.set_epoch(record.epoch.value);
    *ticket.mutable_uploader() = ToProto(record.uploader);
    *ticket.mutable_object() = ToProto(record.object);
    ticket.set_etag(record.etag);
    ticket.set_crc32c(record.crc32c);
  }
  response.set_next_page_token(page.next);
  return absl::OkStatus();
}

}  // namespace larder::tracker
