#include "rpc/reply_proto.h"

#include <variant>

#include "larder/base/status.h"
#include "rpc/record_proto.h"

namespace larder::tracker {
namespace {

void Fill(v1::Result& result, const Refusal& refusal) {
  v1::Refusal& message = *result.mutable_refusal();
  message.set_code(static_cast<int>(refusal.code));
  message.set_reason(refusal.reason);
  message.set_message(refusal.message);
  message.set_holder(refusal.holder);
}
void Fill(v1::Result& result, const Done&) { result.mutable_done(); }
void Fill(v1::Result& result, const NodeRegistered& reply) {
  result.mutable_node_registered()->set_node_epoch(reply.epoch.value);
}
void Fill(v1::Result& result, const RegisteredWithKey& reply) {
  v1::NodeRegistered& message = *result.mutable_node_registered();
  message.set_node_epoch(reply.epoch.value);
  message.set_piece_key(reply.piece_key);
  message.set_piece_key_id(reply.piece_key_id);
}
void Fill(v1::Result& result, const CreateGranted& reply) {
  v1::CreateGranted& message = *result.mutable_create_granted();
  message.set_blob(reply.blob.value);
  message.set_epoch(reply.epoch.value);
}
void Fill(v1::Result& result, const Sealed& reply) {
  v1::Sealed& message = *result.mutable_sealed();
  message.set_blob(reply.blob.value);
  message.set_epoch(reply.epoch.value);
}
void Fill(v1::Result& result, const Effect& reply) { result.mutable_effect()->set_changed(reply.changed); }
void Fill(v1::Result& result, const TicketGranted& reply) {
  v1::TicketGranted& message = *result.mutable_ticket_granted();
  message.set_ticket(reply.ticket.value);
  *message.mutable_object() = ToProto(reply.object);
  message.set_until_log_ns(reply.until.ns);
  message.set_replaces(reply.replaces);
}
void Fill(v1::Result& result, const LeaseGranted& reply) {
  v1::LeaseGranted& message = *result.mutable_lease_granted();
  message.set_token(reply.token.value);
  message.set_until_log_ns(reply.until.ns);
}
void Fill(v1::Result& result, const SessionOpened& reply) {
  result.mutable_session_opened()->set_session(reply.session.value);
}
void Fill(v1::Result& result, const BucketsCompared& reply) {
  v1::BucketsCompared& message = *result.mutable_buckets_compared();
  for (const uint8_t bucket : reply.differing) message.add_differing(bucket);
}
void Fill(v1::Result& result, const BucketSynced& reply) {
  v1::BucketSynced& message = *result.mutable_bucket_synced();
  message.set_next(reply.next.value);
  message.set_added(reply.added);
  message.set_dropped(reply.dropped);
  message.set_staged_lost(reply.staged_lost);
  for (const BucketSynced::Answer& answer : reply.answers) {
    v1::BucketSynced::Answer& one = *message.add_answers();
    one.mutable_item()->set_blob(answer.item.blob.value);
    one.mutable_item()->set_epoch(answer.item.epoch.value);
    one.mutable_item()->set_kind(ToProto(answer.item.kind));
    one.set_reason(answer.reason);
  }
}
// Of commands that no request holds: a client that repeats the id of somebody else's request learns nothing of it.
void Fill(v1::Result&, const Expired&) {}
void Fill(v1::Result&, const RespSetDone&) {}
void Fill(v1::Result&, const Count&) {}

}  // namespace

v1::ApplyResponse ToProto(const std::vector<Reply>& replies) {
  v1::ApplyResponse response;
  response.mutable_results()->Reserve(static_cast<int>(replies.size()));
  size_t text = 0;
  for (const Reply& reply : replies) {
    v1::Result& result = *response.add_results();
    std::visit([&result](const auto& held) { Fill(result, held); }, reply);
    if (!result.has_refusal()) continue;
    text += result.refusal().message().size();
    if (text > kMaxMessageText) result.mutable_refusal()->clear_message();
  }
  return response;
}

v1::Failure ToProto(const absl::Status& error) {
  v1::Failure failure;
  failure.set_code(error.raw_code());
  failure.set_reason(base::Reason(error));
  failure.set_message(base::Message(error));
  return failure;
}

}  // namespace larder::tracker
