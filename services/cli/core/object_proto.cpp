#include "core/object_proto.h"

#include <chrono>

#include "larder/base/status.h"

namespace larder::cli {

absl::StatusOr<object::ObjectInfo> FromProto(const agent::v1::Object& proto) {
  object::ObjectInfo info{.id = {.ns = proto.namespace_(), .key = proto.key()},
                          .state = static_cast<object::ObjectState>(proto.state()),
                          .epoch = {proto.epoch()},
                          .size = proto.size_bytes(),
                          .pinned = proto.pinned(),
                          .tier = proto.tier()};
  if (info.state < object::ObjectState::kCreating || info.state > object::ObjectState::kDeleted) {
    return base::Error(absl::StatusCode::kDataLoss, "BAD_ANSWER", "'{}' is in a state that has no name here",
                       proto.key());
  }
  if (!proto.digest().empty()) {
    LARDER_ASSIGN_OR_RETURN(info.digest, base::ParseDigest(proto.digest()));
  }
  info.meta = {.tags = {proto.tags().begin(), proto.tags().end()},
               .application = proto.application(),
               .wanted_replicas = proto.wanted_replicas(),
               .piece_length = proto.piece_length_bytes()};
  if (proto.has_ttl_left_ms()) info.ttl_left = std::chrono::milliseconds(proto.ttl_left_ms());
  return info;
}

object::Placement FromProto(const agent::v1::Placement& proto) {
  object::Placement placement{
      .live_replicas = proto.live_replicas(), .creator = proto.creator(), .conflict = proto.conflict()};
  for (const agent::v1::Location& location : proto.locations()) {
    placement.locations.push_back({.node = location.node(),
                                   .kind = location.kind(),
                                   .live = location.live(),
                                   .last_seen = std::chrono::milliseconds(location.last_seen_ms())});
  }
  if (proto.has_staged_age_ms()) placement.staged_age = std::chrono::milliseconds(proto.staged_age_ms());
  return placement;
}

}  // namespace larder::cli
