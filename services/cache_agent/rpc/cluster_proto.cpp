#include "rpc/cluster_proto.h"

#include <algorithm>
#include <string>

#include "larder/base/digest.h"
#include "larder/base/status.h"

namespace larder::cache_agent {

namespace v1 = larder::tracker::v1;
using object::ObjectId;
using object::ObjectInfo;
using object::TrackedAs;

namespace {

int64_t MillisecondsOf(base::Duration duration) {
  return std::chrono::ceil<std::chrono::milliseconds>(duration).count();
}

v1::ObjectMeta MetaOf(const ObjectInfo& info) {
  v1::ObjectMeta meta;
  meta.set_size_bytes(info.size);
  meta.set_piece_length_bytes(info.meta.piece_length);
  meta.set_digest(base::FormatDigest(info.digest));
  if (info.manifest) meta.set_manifest_digest(base::FormatDigest(base::Sha256DigestOf(*info.manifest)));
  // What is told of later, or again after a restart, lives no longer for that.
  if (info.meta.ttl) meta.set_ttl_ms(MillisecondsOf(info.ttl_left.value_or(*info.meta.ttl)));
  meta.set_pinned(info.pinned);
  meta.set_wanted_replicas(info.meta.wanted_replicas);
  for (const std::string& tag : info.meta.tags) meta.add_tags(tag);
  meta.set_application(info.meta.application);
  return meta;
}

ObjectId FromProto(const v1::ObjectId& id) { return {.ns = id.namespace_(), .key = id.key()}; }

absl::Status ErrorOf(int code, const std::string& reason, const std::string& message) {
  const auto known = static_cast<absl::StatusCode>(code);
  // A later version may have codes that are none here; and OK is no error.
  const bool is_error = code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  return base::MakeError(is_error ? known : absl::StatusCode::kUnknown, reason == "NOT_FOUND" ? "NO_OBJECT" : reason,
                         message);
}

absl::Status BadAnswer() {
  return base::Error(absl::StatusCode::kInternal, "BAD_ANSWER", "the tracker answered something else");
}

// Where a command says who gives it; null where nobody in particular does.
v1::NodeRef* ActorOf(v1::Command& command) {
  switch (command.command_case()) {
    case v1::Command::kAcquireCreate:
      return command.mutable_acquire_create()->mutable_holder();
    case v1::Command::kRenewCreates:
      return command.mutable_renew_creates()->mutable_holder();
    case v1::Command::kSeal:
      return command.mutable_seal()->mutable_author();
    case v1::Command::kAbandon:
      return command.mutable_abandon()->mutable_author();
    case v1::Command::kPublish:
      return command.mutable_publish()->mutable_author();
    case v1::Command::kAddLocation:
      return command.mutable_add_location()->mutable_holder();
    case v1::Command::kGiveUp:
      return command.mutable_give_up()->mutable_holder();
    case v1::Command::kConfirmBuckets:
      return command.mutable_confirm_buckets()->mutable_holder();
    case v1::Command::kSyncBucket:
      return command.mutable_sync_bucket()->mutable_holder();
    default:
      return nullptr;
  }
}

}  // namespace

v1::ObjectId ToProto(const ObjectId& id) {
  v1::ObjectId message;
  message.set_namespace_(id.ns);
  message.set_key(id.key);
  return message;
}

v1::Command AcquireCommand(const ObjectId& id, bool overwrite, base::Duration lease) {
  v1::Command command;
  v1::AcquireCreate& acquire = *command.mutable_acquire_create();
  *acquire.mutable_object() = ToProto(id);
  acquire.set_overwrite(overwrite);
  acquire.set_lease_ms(MillisecondsOf(lease));
  return command;
}

v1::Command RenewCommand(base::Duration lease) {
  v1::Command command;
  command.mutable_renew_creates()->set_lease_ms(MillisecondsOf(lease));
  return command;
}

v1::Command SealCommand(object::Epoch epoch, const ObjectInfo& info) {
  v1::Command command;
  v1::Seal& seal = *command.mutable_seal();
  *seal.mutable_object() = ToProto(info.id);
  seal.set_epoch(epoch.value);
  seal.set_kind(v1::COPY_KIND_REPLICA);
  *seal.mutable_meta() = MetaOf(info);
  return command;
}

v1::Command PublishCommand(const ObjectInfo& info, bool overwrite) {
  v1::Command command;
  v1::Publish& publish = *command.mutable_publish();
  *publish.mutable_object() = ToProto(info.id);
  publish.set_alias(info.epoch.value);
  publish.set_kind(v1::COPY_KIND_REPLICA);
  *publish.mutable_meta() = MetaOf(info);
  publish.set_overwrite(overwrite);
  return command;
}

v1::Command AbandonCommand(const ObjectId& id, object::Epoch epoch) {
  v1::Command command;
  *command.mutable_abandon()->mutable_object() = ToProto(id);
  command.mutable_abandon()->set_epoch(epoch.value);
  return command;
}

v1::Command DeleteCommand(const ObjectId& id) {
  v1::Command command;
  *command.mutable_delete_()->mutable_object() = ToProto(id);
  return command;
}

v1::Command MetaCommand(const ObjectId& id, object::Epoch epoch, const MetaChange& change) {
  v1::Command command;
  v1::SetMeta& set_meta = *command.mutable_set_meta();
  *set_meta.mutable_object() = ToProto(id);
  set_meta.set_epoch(epoch.value);
  if (change.ttl) set_meta.set_ttl_ms(std::chrono::ceil<std::chrono::milliseconds>(*change.ttl).count());
  if (change.pinned) set_meta.set_pinned(*change.pinned);
  if (change.wanted_replicas) set_meta.set_wanted_replicas(*change.wanted_replicas);
  if (change.tags) set_meta.mutable_tags()->mutable_tags()->Assign(change.tags->begin(), change.tags->end());
  return command;
}

v1::Command ConfirmCommand(const std::vector<std::pair<uint8_t, uint64_t>>& sums) {
  v1::Command command;
  for (const auto& [bucket, sum] : sums) {
    v1::BucketHash& hash = *command.mutable_confirm_buckets()->add_buckets();
    hash.set_bucket(bucket);
    hash.set_hash(sum);
  }
  return command;
}

v1::Command SyncCommand(const InventoryPage& page) {
  v1::Command command;
  v1::SyncBucket& sync = *command.mutable_sync_bucket();
  sync.set_bucket(page.bucket);
  sync.set_from(page.from.value);
  sync.set_to(page.to.value);
  for (const TrackedAs& copy : page.copies) {
    v1::InventoryItem& item = *sync.add_items();
    item.set_blob(copy.blob.value);
    item.set_epoch(copy.epoch.value);
    item.set_kind(v1::COPY_KIND_REPLICA);
  }
  return command;
}

v1::Command GiveUpCommand(const TrackedAs& copy, bool gone) {
  v1::Command command;
  v1::GiveUp& give_up = *command.mutable_give_up();
  give_up.set_blob(copy.blob.value);
  give_up.set_epoch(copy.epoch.value);
  give_up.set_evict_last(gone);
  return command;
}

v1::Command AddCommand(const TrackedAs& copy) {
  v1::Command command;
  v1::AddLocation& add = *command.mutable_add_location();
  add.set_blob(copy.blob.value);
  add.set_epoch(copy.epoch.value);
  add.set_kind(v1::COPY_KIND_REPLICA);
  return command;
}

v1::Command ReportCommand(const TrackedAs& copy, const std::string& node, uint64_t node_epoch, uint64_t version) {
  v1::Command command;
  v1::ReportBad& report = *command.mutable_report_bad();
  report.set_blob(copy.blob.value);
  report.set_epoch(copy.epoch.value);
  report.mutable_holder()->set_node(node);
  report.mutable_holder()->set_epoch(node_epoch);
  report.set_version(version);
  return command;
}

void SetActor(v1::Command& command, const v1::NodeRef& actor) {
  if (v1::NodeRef* field = ActorOf(command)) *field = actor;
}

uint64_t ActorEpoch(const v1::Command& command) {
  switch (command.command_case()) {
    case v1::Command::kAcquireCreate:
      return command.acquire_create().holder().epoch();
    case v1::Command::kRenewCreates:
      return command.renew_creates().holder().epoch();
    case v1::Command::kSeal:
      return command.seal().author().epoch();
    case v1::Command::kAbandon:
      return command.abandon().author().epoch();
    case v1::Command::kPublish:
      return command.publish().author().epoch();
    case v1::Command::kAddLocation:
      return command.add_location().holder().epoch();
    case v1::Command::kGiveUp:
      return command.give_up().holder().epoch();
    case v1::Command::kConfirmBuckets:
      return command.confirm_buckets().holder().epoch();
    case v1::Command::kSyncBucket:
      return command.sync_bucket().holder().epoch();
    default:
      return 0;
  }
}

absl::Status FromProto(const v1::Refusal& refusal) {
  return ErrorOf(refusal.code(), refusal.reason(), refusal.message());
}
absl::Status FromProto(const v1::Failure& failure) {
  return ErrorOf(failure.code(), failure.reason(), failure.message());
}

absl::Status StatusOf(const absl::StatusOr<v1::Result>& result) {
  if (!result.ok()) return result.status();
  return result->has_refusal() ? FromProto(result->refusal()) : absl::OkStatus();
}

absl::StatusOr<object::Epoch> GrantedEpochOf(const absl::StatusOr<v1::Result>& result) {
  LARDER_RETURN_IF_ERROR(StatusOf(result));
  if (!result->has_create_granted()) return BadAnswer();
  return object::Epoch{result->create_granted().epoch()};
}

absl::StatusOr<TrackedAs> SealedAsOf(const absl::StatusOr<v1::Result>& result) {
  LARDER_RETURN_IF_ERROR(StatusOf(result));
  if (!result->has_sealed()) return BadAnswer();
  return TrackedAs{.blob = {result->sealed().blob()}, .epoch = {result->sealed().epoch()}};
}

absl::StatusOr<std::vector<uint8_t>> DifferingOf(const absl::StatusOr<v1::Result>& result) {
  LARDER_RETURN_IF_ERROR(StatusOf(result));
  if (!result->has_buckets_compared()) return BadAnswer();
  std::vector<uint8_t> differing;
  for (const uint32_t bucket : result->buckets_compared().differing()) {
    if (bucket >= object::kInventoryBuckets) return BadAnswer();
    differing.push_back(static_cast<uint8_t>(bucket));
  }
  return differing;
}

absl::StatusOr<InventoryAnswer> SyncedOf(const absl::StatusOr<v1::Result>& result) {
  LARDER_RETURN_IF_ERROR(StatusOf(result));
  if (!result->has_bucket_synced()) return BadAnswer();
  const v1::BucketSynced& synced = result->bucket_synced();
  InventoryAnswer answer{.next = {synced.next()}};
  for (const v1::BucketSynced::Answer& one : synced.answers()) {
    // Without a reason it is only staged there, not a replica.
    if (one.reason() != "DELETED" && one.reason() != "SUPERSEDED") continue;
    answer.over.push_back({.blob = {one.item().blob()}, .epoch = {one.item().epoch()}});
  }
  return answer;
}

absl::StatusOr<object::InventorySums> SumsOf(const absl::StatusOr<v1::GetInventoryResponse>& response) {
  LARDER_RETURN_IF_ERROR(response.status());
  object::InventorySums sums{};
  if (response->sums_size() != static_cast<int>(sums.size())) return BadAnswer();
  std::ranges::copy(response->sums(), sums.begin());
  return sums;
}

ObjectInfo SealedInfo(const v1::Object& object) {
  const v1::SealedVersion& sealed = object.sealed();
  const v1::ObjectMeta& meta = sealed.meta();
  ObjectInfo info{.id = FromProto(object.id()),
                  .state = object::ObjectState::kSealed,
                  .epoch = object::Epoch{sealed.epoch()},
                  .size = meta.size_bytes(),
                  .digest = base::ParseDigest(meta.digest()).value_or(base::Digest{}),
                  .meta = {.tags = {meta.tags().begin(), meta.tags().end()},
                           .application = meta.application(),
                           .wanted_replicas = meta.wanted_replicas(),
                           .piece_length = meta.piece_length_bytes()},
                  .pinned = meta.pinned(),
                  .tracked = TrackedAs{.blob = {object.blob()}, .epoch = {sealed.epoch()}}};
  const auto manifest = base::ParseDigest(meta.manifest_digest());
  if (manifest.ok() && manifest->kind == base::Digest::Kind::kSha256) info.manifest = manifest->sha256;
  if (meta.ttl_ms() > 0) info.meta.ttl = std::chrono::milliseconds(meta.ttl_ms());
  if (sealed.has_ttl_left_ms()) info.ttl_left = std::chrono::milliseconds(sealed.ttl_left_ms());
  return info;
}

ClusterObject FromProto(const v1::LocatedObject& located) {
  const v1::Object& object = located.object();
  ClusterObject found{.info = {.id = FromProto(object.id()), .state = object::ObjectState::kDeleted},
                      .live_replicas = located.live_replicas()};
  if (object.has_pending()) {
    found.info.state = object::ObjectState::kCreating;
    found.info.epoch = object::Epoch{object.pending().epoch()};
    found.creator = object.pending().author().node();
  }
  if (object.has_sealed()) {
    found.info = SealedInfo(object);
    found.at_origin = object.sealed().has_origin();
    if (object.sealed().has_staged_ms()) found.staged_age = std::chrono::milliseconds(object.sealed().staged_ms());
  }
  found.copies.reserve(static_cast<size_t>(located.copies_size()));
  for (const v1::Copy& copy : located.copies()) {
    found.copies.push_back({.node = copy.node(),
                            .address = copy.address(),
                            .node_epoch = copy.node_epoch(),
                            .version = copy.version(),
                            .staged = copy.kind() == v1::COPY_KIND_STAGED,
                            .confirmed = copy.confirmed(),
                            .live = copy.live(),
                            .last_seen = std::chrono::milliseconds(copy.last_seen_ms())});
  }
  return found;
}

}  // namespace larder::cache_agent
