#include "rpc/command_proto.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "rpc/field_errors.h"
#include "rpc/record_proto.h"

namespace larder::tracker {
namespace {

// Longest that is kept of what has no rule of its own.
constexpr size_t kMaxWordBytes = 512;

template <typename T>
std::optional<T> OptionalOf(bool has, T value) {
  return has ? std::optional<T>(value) : std::nullopt;
}

Command CommandOf(const v1::RegisterNode& m, FieldErrors& errors) {
  RegisterNode command{.node = m.node(),
                       .incarnation = m.incarnation(),
                       .address = TextOf(m.address(), kMaxWordBytes, "address", errors),
                       .zone = TextOf(m.zone(), kMaxWordBytes, "zone", errors),
                       .rack = TextOf(m.rack(), kMaxWordBytes, "rack", errors)};
  if (m.offered_piece_key().empty()) return command;
  return RegisterWithKey{.node = std::move(command), .offered_piece_key = m.offered_piece_key()};
}
Command CommandOf(const v1::FenceNode& m, FieldErrors&) { return FenceNode{.node = FromProto(m.node())}; }
Command CommandOf(const v1::MarkNode& m, FieldErrors&) {
  return MarkNode{.node = m.node(),
                  .draining = OptionalOf(m.has_draining(), m.draining()),
                  .quarantined = OptionalOf(m.has_quarantined(), m.quarantined())};
}

Command CommandOf(const v1::AcquireCreate& m, FieldErrors& errors) {
  return AcquireCreate{.object = FromProto(m.object()),
                       .holder = FromProto(m.holder()),
                       .overwrite = m.overwrite(),
                       .lease = DurationOf(m.lease_ms(), "lease_ms", errors)};
}
Command CommandOf(const v1::RenewCreates& m, FieldErrors& errors) {
  return RenewCreates{.holder = FromProto(m.holder()), .lease = DurationOf(m.lease_ms(), "lease_ms", errors)};
}
Command CommandOf(const v1::Seal& m, FieldErrors& errors) {
  return Seal{.object = FromProto(m.object()),
              .epoch = Epoch{m.epoch()},
              .author = FromProto(m.author()),
              .kind = FromProto(m.kind(), errors),
              .meta = FromProto(m.meta(), errors)};
}
Command CommandOf(const v1::Abandon& m, FieldErrors&) {
  return Abandon{.object = FromProto(m.object()), .epoch = Epoch{m.epoch()}, .author = FromProto(m.author())};
}
Command CommandOf(const v1::Publish& m, FieldErrors& errors) {
  return Publish{.object = FromProto(m.object()),
                 .alias = Epoch{m.alias()},
                 .author = FromProto(m.author()),
                 .kind = FromProto(m.kind(), errors),
                 .meta = FromProto(m.meta(), errors),
                 .overwrite = m.overwrite()};
}

Command CommandOf(const v1::AddLocation& m, FieldErrors& errors) {
  return AddLocation{.blob = BlobId{m.blob()},
                     .epoch = Epoch{m.epoch()},
                     .holder = FromProto(m.holder()),
                     .kind = FromProto(m.kind(), errors)};
}
Command CommandOf(const v1::GiveUp& m, FieldErrors&) {
  return GiveUp{.blob = BlobId{m.blob()},
                .epoch = Epoch{m.epoch()},
                .holder = FromProto(m.holder()),
                .evict_last = m.evict_last()};
}
Command CommandOf(const v1::ReportBad& m, FieldErrors&) {
  return ReportBad{.blob = BlobId{m.blob()},
                   .epoch = Epoch{m.epoch()},
                   .holder = FromProto(m.holder()),
                   .version = LocationVersion{m.version()}};
}

uint8_t BucketNumber(uint32_t bucket, FieldErrors& errors) {
  if (bucket >= kBuckets) errors.Bad("bucket", fmt::format("is not below {}", kBuckets));
  return static_cast<uint8_t>(bucket);
}
Command CommandOf(const v1::ConfirmBuckets& m, FieldErrors& errors) {
  ConfirmBuckets command{.holder = FromProto(m.holder())};
  for (int i = 0; i < m.buckets_size(); ++i) {
    const FieldErrors::Inside inside(errors, "buckets", i);
    command.buckets.push_back({.bucket = BucketNumber(m.buckets(i).bucket(), errors), .hash = m.buckets(i).hash()});
  }
  return command;
}
Command CommandOf(const v1::SyncBucket& m, FieldErrors& errors) {
  SyncBucket command{.holder = FromProto(m.holder()),
                     .bucket = BucketNumber(m.bucket(), errors),
                     .from = BlobId{m.from()},
                     .to = BlobId{m.to()}};
  for (int i = 0; i < m.items_size(); ++i) {
    const FieldErrors::Inside inside(errors, "items", i);
    const v1::InventoryItem& item = m.items(i);
    command.items.push_back(
        {.blob = BlobId{item.blob()}, .epoch = Epoch{item.epoch()}, .kind = FromProto(item.kind(), errors)});
  }
  return command;
}

Command CommandOf(const v1::Delete& m, FieldErrors&) {
  return Delete{.object = FromProto(m.object()), .epoch = Epoch{m.epoch()}};
}
Command CommandOf(const v1::SetMeta& m, FieldErrors& errors) {
  SetMeta command{.object = FromProto(m.object()),
                  .epoch = Epoch{m.epoch()},
                  .pinned = OptionalOf(m.has_pinned(), m.pinned()),
                  .wanted = OptionalOf(m.has_wanted_replicas(), m.wanted_replicas())};
  if (m.has_ttl_ms()) command.ttl = DurationOf(m.ttl_ms(), "ttl_ms", errors);
  if (m.has_tags()) command.tags = TagsOf(m.tags().tags(), "tags.tags", errors);
  return command;
}
Command CommandOf(const v1::Rename& m, FieldErrors&) {
  return Rename{.object = FromProto(m.object()), .to = m.to(), .epoch = Epoch{m.epoch()}};
}
Command CommandOf(const v1::MakeDir& m, FieldErrors&) { return MakeDir{.directory = FromProto(m.directory())}; }
Command CommandOf(const v1::RemoveDir& m, FieldErrors&) { return RemoveDir{.directory = FromProto(m.directory())}; }

Command CommandOf(const v1::BeginUpload& m, FieldErrors& errors) {
  return BeginUpload{.blob = BlobId{m.blob()},
                     .epoch = Epoch{m.epoch()},
                     .uploader = FromProto(m.uploader()),
                     .ttl = DurationOf(m.ttl_ms(), "ttl_ms", errors)};
}
Command CommandOf(const v1::CommitOrigin& m, FieldErrors& errors) {
  return CommitOrigin{.ticket = UploadTicket{m.ticket()},
                      .etag = TextOf(m.etag(), kMaxWordBytes, "etag", errors),
                      .crc32c = m.crc32c()};
}
Command CommandOf(const v1::ForgetTicket& m, FieldErrors&) { return ForgetTicket{.ticket = UploadTicket{m.ticket()}}; }

Command CommandOf(const v1::GrantLease& m, FieldErrors& errors) {
  return GrantLease{.name = m.name(),
                    .holder = TextOf(m.holder(), kMaxWordBytes, "holder", errors),
                    .ttl = DurationOf(m.ttl_ms(), "ttl_ms", errors)};
}
Command CommandOf(const v1::RenewLease& m, FieldErrors& errors) {
  return RenewLease{.name = m.name(), .token = LeaseToken{m.token()}, .ttl = DurationOf(m.ttl_ms(), "ttl_ms", errors)};
}
Command CommandOf(const v1::ReleaseLease& m, FieldErrors&) {
  return ReleaseLease{.name = m.name(), .token = LeaseToken{m.token()}};
}
Command CommandOf(const v1::PutPlan& m, FieldErrors&) {
  return PutPlan{.name = m.name(), .token = LeaseToken{m.token()}, .plan = m.plan()};
}

Command CommandOf(const v1::OpenSession&, FieldErrors&) { return OpenSession{}; }
Command CommandOf(const v1::CloseSession& m, FieldErrors&) {
  return CloseSession{.session = ClientSession{m.session()}};
}

Command CommandOf(const v1::Command& message, FieldErrors& errors) {
  const auto in = [&errors](std::string_view field, const auto& m) {
    const FieldErrors::Inside inside(errors, field);
    return CommandOf(m, errors);
  };
  switch (message.command_case()) {
    case v1::Command::kRegisterNode:
      return in("register_node", message.register_node());
    case v1::Command::kFenceNode:
      return in("fence_node", message.fence_node());
    case v1::Command::kMarkNode:
      return in("mark_node", message.mark_node());
    case v1::Command::kAcquireCreate:
      return in("acquire_create", message.acquire_create());
    case v1::Command::kRenewCreates:
      return in("renew_creates", message.renew_creates());
    case v1::Command::kSeal:
      return in("seal", message.seal());
    case v1::Command::kAbandon:
      return in("abandon", message.abandon());
    case v1::Command::kPublish:
      return in("publish", message.publish());
    case v1::Command::kAddLocation:
      return in("add_location", message.add_location());
    case v1::Command::kGiveUp:
      return in("give_up", message.give_up());
    case v1::Command::kReportBad:
      return in("report_bad", message.report_bad());
    case v1::Command::kDelete:
      return in("delete", message.delete_());
    case v1::Command::kSetMeta:
      return in("set_meta", message.set_meta());
    case v1::Command::kRename:
      return in("rename", message.rename());
    case v1::Command::kMakeDir:
      return in("make_dir", message.make_dir());
    case v1::Command::kRemoveDir:
      return in("remove_dir", message.remove_dir());
    case v1::Command::kBeginUpload:
      return in("begin_upload", message.begin_upload());
    case v1::Command::kCommitOrigin:
      return in("commit_origin", message.commit_origin());
    case v1::Command::kForgetTicket:
      return in("forget_ticket", message.forget_ticket());
    case v1::Command::kGrantLease:
      return in("grant_lease", message.grant_lease());
    case v1::Command::kRenewLease:
      return in("renew_lease", message.renew_lease());
    case v1::Command::kReleaseLease:
      return in("release_lease", message.release_lease());
    case v1::Command::kPutPlan:
      return in("put_plan", message.put_plan());
    case v1::Command::kOpenSession:
      return in("open_session", message.open_session());
    case v1::Command::kCloseSession:
      return in("close_session", message.close_session());
    case v1::Command::kConfirmBuckets:
      return in("confirm_buckets", message.confirm_buckets());
    case v1::Command::kSyncBucket:
      return in("sync_bucket", message.sync_bucket());
    case v1::Command::COMMAND_NOT_SET:
      break;
  }
  errors.Bad("command", "is missing, or of a newer version");
  return OpenSession{};
}

}  // namespace

absl::StatusOr<Proposal> FromProto(const v1::ApplyRequest& request) {
  const int count = request.commands_size();
  if (count == 0 || static_cast<uint32_t>(count) > kMaxBatch) {
    return base::InvalidArgument("BAD_BATCH", "commands has {} elements; 1 to {} are possible", count, kMaxBatch);
  }
  FieldErrors errors;
  Proposal proposal;
  if (request.has_request_id()) {
    const v1::RequestId& id = request.request_id();
    proposal.request =
        RequestId{.session = ClientSession{id.session()}, .sequence = id.sequence(), .low_water = id.low_water()};
  }
  if (request.has_fence()) {
    proposal.fence = Fence{.lease = request.fence().lease(), .token = LeaseToken{request.fence().token()}};
  }
  proposal.commands.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const FieldErrors::Inside inside(errors, "commands", i);
    proposal.commands.push_back(CommandOf(request.commands(i), errors));
  }
  LARDER_RETURN_IF_ERROR(errors.status());
  return proposal;
}

}  // namespace larder::tracker
