#include "rpc/record_proto.h"

#include <fmt/format.h>

#include <limits>

#include "larder/base/status.h"

namespace larder::tracker {
namespace {

using tracker::ToProto;  // beside those of this file

constexpr uint64_t kNsPerMs = 1'000'000;
constexpr int kMaxTags = 16;
constexpr size_t kMaxTagBytes = 128;
constexpr int64_t kMaxMs = std::numeric_limits<int64_t>::max() / static_cast<int64_t>(kNsPerMs);

base::Digest DigestOf(const std::string& text, std::string_view field, FieldErrors& errors) {
  if (text.empty()) return {};
  const absl::StatusOr<base::Digest> digest = base::ParseDigest(text);
  if (!digest.ok()) errors.Bad(field, "is neither sha256:<64 hex> nor crc32c:<8 hex>");
  return digest.value_or(base::Digest{});
}

v1::Origin ToProto(const Origin& origin) {
  v1::Origin message;
  *message.mutable_at() = ToProto(origin.at);
  message.set_ticket(origin.ticket.value);
  message.set_etag(origin.etag);
  message.set_crc32c(origin.crc32c);
  return message;
}

v1::SealedVersion ToProto(const SealedVersion& sealed, LogTime now) {
  v1::SealedVersion message;
  message.set_epoch(sealed.epoch.value);
  *message.mutable_author() = ToProto(sealed.author);
  message.set_alias(sealed.alias.value);
  *message.mutable_meta() = ToProto(sealed.meta);
  if (sealed.expires() != kNever) message.set_ttl_left_ms(MillisecondsLeft(now, sealed.expires()));
  message.set_sealed_ms(MillisecondsSince(now, sealed.sealed_at));
  if (sealed.staged_since != kNever) message.set_staged_ms(MillisecondsSince(now, sealed.staged_since));
  message.set_upload_ticket(sealed.ticket.value);
  if (sealed.origin) *message.mutable_origin() = ToProto(*sealed.origin);
  return message;
}

v1::PendingCreate ToProto(const PendingCreate& pending) {
  v1::PendingCreate message;
  message.set_epoch(pending.epoch.value);
  *message.mutable_author() = ToProto(pending.author);
  return message;
}

v1::Copy ToProto(const Copy& copy, LogTime now) {
  v1::Copy message;
  message.set_node(copy.node);
  message.set_address(copy.address);
  message.set_kind(ToProto(copy.kind));
  message.set_node_epoch(copy.node_epoch.value);
  message.set_version(copy.version.value);
  message.set_confirmed(copy.confirmed);
  message.set_live(copy.live);
  message.set_last_seen_ms(MillisecondsSince(now, copy.last_seen));
  return message;
}

v1::ObjectState ToProto(ObjectState state) {
  switch (state) {
    case ObjectState::kAbsent:
      return v1::OBJECT_STATE_ABSENT;
    case ObjectState::kCreating:
      return v1::OBJECT_STATE_CREATING;
    case ObjectState::kSealed:
      return v1::OBJECT_STATE_SEALED;
  }
  return v1::OBJECT_STATE_UNSPECIFIED;
}

}  // namespace

absl::Status CheckName(const ObjectId& id) {
  LARDER_RETURN_IF_ERROR(object::CheckNamespace(id.ns));
  return object::CheckKey(id.key);
}

uint32_t PageLimit(uint32_t page_size) { return page_size == 0 ? kMaxPage : page_size; }

ObjectId FromProto(const v1::ObjectId& id) { return {.ns = id.namespace_(), .key = id.key()}; }
NodeRef FromProto(const v1::NodeRef& ref) { return {.node = ref.node(), .epoch = NodeEpoch{ref.epoch()}}; }

ObjectMeta FromProto(const v1::ObjectMeta& meta, FieldErrors& errors) {
  const FieldErrors::Inside inside(errors, "meta");
  return {.size = meta.size_bytes(),
          .piece_length = meta.piece_length_bytes(),
          .digest = DigestOf(meta.digest(), "digest", errors),
          .manifest = DigestOf(meta.manifest_digest(), "manifest_digest", errors),
          .ttl = DurationOf(meta.ttl_ms(), "ttl_ms", errors),
          .pinned = meta.pinned(),
          .wanted = meta.wanted_replicas(),
          .tags = TagsOf(meta.tags(), "tags", errors),
          .application = TextOf(meta.application(), kMaxTagBytes, "application", errors)};
}

CopyKind FromProto(v1::CopyKind kind, FieldErrors& errors) {
  switch (kind) {
    case v1::COPY_KIND_REPLICA:
      return CopyKind::kReplica;
    case v1::COPY_KIND_STAGED:
      return CopyKind::kStaged;
    default:
      errors.Bad("kind", "is neither COPY_KIND_REPLICA nor COPY_KIND_STAGED");
      return CopyKind::kReplica;
  }
}

base::Duration DurationOf(int64_t ms, std::string_view field, FieldErrors& errors) {
  if (ms < 0) errors.Bad(field, "is negative");
  if (ms > kMaxMs) errors.Bad(field, "is above 2^63 ns");
  return ms < 0 || ms > kMaxMs ? base::Duration::zero() : std::chrono::milliseconds(ms);
}

std::string TextOf(const std::string& text, size_t max, std::string_view field, FieldErrors& errors) {
  if (text.size() > max) errors.Bad(field, fmt::format("is longer than {} bytes", max));
  return text;
}

std::vector<std::string> TagsOf(const TagList& tags, std::string_view field, FieldErrors& errors) {
  if (tags.size() > kMaxTags) errors.Bad(field, fmt::format("has more than {} elements", kMaxTags));
  for (const std::string& tag : tags) TextOf(tag, kMaxTagBytes, field, errors);
  return {tags.begin(), tags.end()};
}

v1::ObjectId ToProto(const ObjectId& id) {
  v1::ObjectId message;
  message.set_namespace_(id.ns);
  message.set_key(id.key);
  return message;
}

v1::NodeRef ToProto(const NodeRef& ref) {
  v1::NodeRef message;
  message.set_node(ref.node);
  message.set_epoch(ref.epoch.value);
  return message;
}

v1::ObjectMeta ToProto(const ObjectMeta& meta) {
  v1::ObjectMeta message;
  message.set_size_bytes(meta.size);
  message.set_piece_length_bytes(meta.piece_length);
  message.set_digest(base::FormatDigest(meta.digest));
  message.set_manifest_digest(base::FormatDigest(meta.manifest));
  message.set_ttl_ms(std::chrono::ceil<std::chrono::milliseconds>(meta.ttl).count());
  message.set_pinned(meta.pinned);
  message.set_wanted_replicas(meta.wanted);
  for (const std::string& tag : meta.tags) message.add_tags(tag);
  message.set_application(meta.application);
  return message;
}

v1::CopyKind ToProto(CopyKind kind) {
  switch (kind) {
    case CopyKind::kReplica:
      return v1::COPY_KIND_REPLICA;
    case CopyKind::kStaged:
      return v1::COPY_KIND_STAGED;
  }
  return v1::COPY_KIND_UNSPECIFIED;
}

int64_t MillisecondsLeft(LogTime now, LogTime end) {
  if (end <= now) return 0;
  const uint64_t left = end.ns - now.ns;
  return static_cast<int64_t>(left / kNsPerMs + (left % kNsPerMs == 0 ? 0 : 1));
}

int64_t MillisecondsSince(LogTime now, LogTime begin) {
  return begin <= now ? static_cast<int64_t>((now.ns - begin.ns) / kNsPerMs) : 0;
}

v1::Object ToProto(const ObjectId& id, const ObjectRecord& record, LogTime now) {
  v1::Object message;
  *message.mutable_id() = ToProto(id);
  message.set_state(ToProto(record.sealed ? ObjectState::kSealed : ObjectState::kCreating));
  message.set_blob(record.blob.value);
  if (record.sealed) *message.mutable_sealed() = ToProto(*record.sealed, now);
  if (record.pending) *message.mutable_pending() = ToProto(*record.pending);
  return message;
}

v1::LocatedObject ToProto(const ObjectStat& stat, LogTime now) {
  v1::LocatedObject message;
  v1::Object& object = *message.mutable_object();
  *object.mutable_id() = ToProto(stat.id);
  object.set_state(ToProto(stat.state));
  object.set_blob(stat.blob.value);
  if (stat.sealed) *object.mutable_sealed() = ToProto(*stat.sealed, now);
  if (stat.pending) *object.mutable_pending() = ToProto(*stat.pending);
  for (const Copy& copy : stat.copies) *message.add_copies() = ToProto(copy, now);
  message.set_live_replicas(stat.live_replicas);
  if (stat.creator) *message.mutable_creator() = ToProto(*stat.creator, now);
  return message;
}

}  // namespace larder::tracker
