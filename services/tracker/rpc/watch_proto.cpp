#include "rpc/watch_proto.h"

#include "rpc/field_errors.h"
#include "rpc/record_proto.h"

namespace larder::tracker {
namespace {

constexpr size_t kMaxNodeBytes = 253;

// The messages' kinds begin behind UNSPECIFIED.
constexpr int kFirstKind = v1::EVENT_KIND_CREATE_GRANTED;
static_assert(v1::EventKind_MAX == static_cast<int>(EventKind::kLast) + kFirstKind);

v1::Event ToProto(const WatchedEvent& watched) {
  v1::Event message;
  message.set_revision(watched.revision);
  message.set_at_log_ns(watched.at.ns);
  const Event& event = watched.event;
  message.set_kind(static_cast<v1::EventKind>(static_cast<int>(event.kind) + kFirstKind));
  if (event.object) {
    v1::EventObject& object = *message.mutable_object();
    *object.mutable_id() = tracker::ToProto(event.object->id);
    object.set_blob(event.object->blob.value);
    object.set_epoch(event.object->epoch.value);
    object.set_to(event.object->to);
  }
  if (event.node) *message.mutable_node() = tracker::ToProto(*event.node);
  if (event.lease) {
    v1::EventLease& lease = *message.mutable_lease();
    lease.set_name(event.lease->name);
    lease.set_holder(event.lease->holder);
    lease.set_token(event.lease->token.value);
  }
  return message;
}

}  // namespace

WatchPosition FromProto(const v1::WatchPosition& position) {
  return {.revision = position.revision(), .ordinal = position.ordinal()};
}

absl::Status FromProto(const v1::WatchRequest& request, WatchFilter& filter) {
  FieldErrors errors;
  filter = {.ns = request.namespace_(),
            .prefix = request.prefix(),
            .node = TextOf(request.node(), kMaxNodeBytes, "node", errors)};
  for (int i = 0; i < request.kinds_size(); ++i) {
    const int kind = request.kinds(i);
    if (kind < kFirstKind || kind > v1::EventKind_MAX) {
      const FieldErrors::Inside inside(errors, "kinds", i);
      errors.Bad("kind", "is missing, or of a newer version");
      break;
    }
    filter.kinds.push_back(static_cast<EventKind>(kind - kFirstKind));
  }
  return errors.status();
}

v1::WatchPosition ToProto(const WatchPosition& position) {
  v1::WatchPosition message;
  message.set_revision(position.revision);
  message.set_ordinal(position.ordinal);
  return message;
}

v1::WatchResponse ToProto(const WatchPage& page) {
  v1::WatchResponse message;
  for (const WatchedEvent& event : page.events) *message.add_events() = ToProto(event);
  *message.mutable_next() = ToProto(page.next);
  return message;
}

}  // namespace larder::tracker
