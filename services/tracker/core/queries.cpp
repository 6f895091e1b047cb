#include "core/queries.h"

#include <algorithm>
#include <utility>

#include "core/layout.h"
#include "core/locations.h"
#include "core/objects.h"
#include "larder/base/status.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;

std::optional<NodeRecord> FindNode(Reader& snapshot, std::string_view name) {
  return Load<NodeRecord>(snapshot, layout::Node(name));
}

// The record without what is over at `now`; nullopt if nothing is left.
std::optional<ObjectRecord> AsOf(Reader& snapshot, LogTime now, ObjectRecord record) {
  if (record.sealed && record.sealed->expires() <= now) record.sealed.reset();
  if (record.pending) {
    const auto node = FindNode(snapshot, record.pending->author.node);
    if (!node || node->creates_until <= now) record.pending.reset();
  }
  return record.sealed || record.pending ? std::optional(std::move(record)) : std::nullopt;
}

Copy CopyOf(Reader& snapshot, BlobId blob, const Location& location) {
  const auto node = FindNode(snapshot, location.first);
  Copy copy{.node = location.first,
            .kind = location.second.kind,
            .node_epoch = ToldIn(snapshot, blob, location, node),
            .version = location.second.version,
            .confirmed = IsConfirmed(snapshot, blob, location, node),
            .live = IsLive(snapshot, blob, location, node)};
  if (node) {
    copy.address = node->address;
    copy.last_seen = node->last_seen;
  }
  return copy;
}

ObjectStat StatAt(Reader& snapshot, LogTime now, const ObjectId& id) {
  ObjectStat stat{.id = id};
  auto record = Load<ObjectRecord>(snapshot, layout::Object(id));
  if (record) record = AsOf(snapshot, now, *std::move(record));
  if (!record) return stat;
  stat.state = record->sealed ? ObjectState::kSealed : ObjectState::kCreating;
  stat.blob = record->blob;
  stat.sealed = std::move(record->sealed);
  stat.pending = std::move(record->pending);
  if (stat.sealed) {
    for (const Location& location : LocationsOf(snapshot, stat.blob, stat.sealed->epoch)) {
      stat.copies.push_back(CopyOf(snapshot, stat.blob, location));
    }
    stat.live_replicas = static_cast<uint32_t>(std::ranges::count_if(stat.copies, &Copy::live));
  }
  if (stat.pending) {
    const NodeRef& author = stat.pending->author;
    stat.creator = CopyOf(snapshot, stat.blob, {author.node, {.node_epoch = author.epoch}});
  }
  return stat;
}

// Of one page: others wait for the same snapshot.
constexpr size_t kMostLookedAt = 10'000;

// Pages through the rows of a prefix. `token` is the part of the last row's key behind it. `take` adds to a page and
// returns its new size. Where few rows belong on it, a page ends before it is full.
template <typename Take>
absl::StatusOr<std::string> ReadPage(Reader& snapshot, const std::string& prefix, uint32_t limit,
                                     const std::string& token, Take take) {
  LARDER_RETURN_IF_ERROR(CheckPage(limit));
  std::string last;
  size_t size = 0;
  size_t looked_at = 0;
  bool more = false;
  const std::string from = token.empty() ? prefix : prefix + token + '\0';
  snapshot.Scan(prefix, from, [&](std::string_view key, std::string_view value) {
    more = size >= limit || looked_at == kMostLookedAt;
    if (more) return false;
    ++looked_at;
    key.remove_prefix(prefix.size());
    size = take(key, value);
    last = key;
    return true;
  });
  LARDER_RETURN_IF_ERROR(snapshot.status());
  return more ? last : "";
}

}  // namespace

absl::Status CheckPage(uint32_t limit) {
  if (limit >= 1 && limit <= kMaxPage) return absl::OkStatus();
  return base::InvalidArgument("BAD_LIMIT", "a page has 1 to {} entries, not {}", kMaxPage, limit);
}

LogTime AppliedTime(Reader& snapshot) {
  const auto meta = Load<Meta>(snapshot, layout::Meta());
  return meta ? meta->now : LogTime{};
}

absl::StatusOr<ObjectStat> Stat(Reader& snapshot, const ObjectId& id) {
  ObjectStat stat = StatAt(snapshot, AppliedTime(snapshot), id);
  LARDER_RETURN_IF_ERROR(snapshot.status());
  return stat;
}

absl::StatusOr<std::vector<ObjectStat>> Locate(Reader& snapshot, std::span<const ObjectId> ids) {
  const LogTime now = AppliedTime(snapshot);
  std::vector<ObjectStat> found;
  for (const ObjectId& id : ids) found.push_back(StatAt(snapshot, now, id));
  LARDER_RETURN_IF_ERROR(snapshot.status());
  return found;
}

absl::StatusOr<ListPage> List(Reader& snapshot, const ListRequest& request) {
  LARDER_RETURN_IF_ERROR(CheckPage(request.limit));
  LARDER_RETURN_IF_ERROR(object::CheckNamespace(request.ns));
  const LogTime now = AppliedTime(snapshot);
  const std::string ns = layout::ObjectPrefix(request.ns);
  // A token with '/' at its end is a directory: everything in it is done.
  std::string from = ns;
  if (!request.token.empty()) {
    from += request.token + '\0';
    if (request.delimited && request.token.ends_with('/')) from = ns + request.token + '\xff';
  }
  ListPage page;
  bool more = false;
  size_t looked_at = 0;
  std::string last;  // what the next page begins behind
  // A directory is one entry: begin again behind it, as it may hold millions of rows.
  for (bool jump = true; jump;) {
    jump = false;
    snapshot.Scan(ns + request.prefix, from, [&](std::string_view row, std::string_view value) {
      more = looked_at == kMostLookedAt;
      if (more) return false;
      ++looked_at;
      const std::string_view key = row.substr(ns.size());
      const size_t slash = request.delimited ? key.find('/', request.prefix.size()) : key.npos;
      const bool marks_directory = key.ends_with('/');
      if (marks_directory && slash == key.npos) {  // not asked for
        // As a token the prefix itself would be all that is in it.
        if (!request.delimited) last = key;
        return true;
      }
      std::optional<ObjectRecord> object;
      if (!marks_directory) {
        object = DecodeRecord<ObjectRecord>(snapshot, value);
        if (object) object = AsOf(snapshot, now, *std::move(object));
        if (!object) {  // it is over
          last = key;
          return snapshot.status().ok();
        }
      }
      more = page.entries.size() >= request.limit;
      if (more) return false;
      if (slash == key.npos) {
        page.entries.push_back({last = key, std::move(object)});
        return true;
      }
      page.entries.push_back({last = key.substr(0, slash + 1), std::nullopt});
      from = ns + last + '\xff';
      jump = true;
      return false;
    });
  }
  LARDER_RETURN_IF_ERROR(snapshot.status());
  if (more) page.next = std::move(last);
  return page;
}

absl::StatusOr<StagedPage> ListStaged(Reader& snapshot, const std::string& ns, uint32_t limit,
                                      const std::string& token) {
  StagedPage page;
  const LogTime now = AppliedTime(snapshot);
  auto next = ReadPage(snapshot, layout::StagedPrefix(), limit, token, [&](std::string_view key, std::string_view) {
    const LogTime since{layout::ParseNumber(key)};
    const BlobId blob{layout::ParseNumber(key.substr(8))};
    const auto name = Load<NameRecord>(snapshot, layout::Blob(blob));
    if (!name || (!ns.empty() && name->object.ns != ns)) return page.entries.size();
    const auto record = Load<ObjectRecord>(snapshot, layout::Object(name->object));
    if (record && record->sealed && record->sealed->expires() > now) {
      page.entries.push_back({name->object, blob, record->sealed->epoch, since});
    }
    return page.entries.size();
  });
  if (!next.ok()) return next.status();
  page.next = *std::move(next);
  return page;
}

absl::StatusOr<NodePage> ListNodes(Reader& snapshot, uint32_t limit, const std::string& token) {
  NodePage page;
  auto next = ReadPage(snapshot, layout::NodePrefix(), limit, token, [&](std::string_view key, std::string_view value) {
    if (auto record = DecodeRecord<NodeRecord>(snapshot, value)) page.entries.push_back({std::string(key), *record});
    return page.entries.size();
  });
  if (!next.ok()) return next.status();
  page.next = *std::move(next);
  return page;
}

absl::Status CheckActive(Reader& snapshot, const NodeRef& node) {
  const auto record = FindNode(snapshot, node.node);
  LARDER_RETURN_IF_ERROR(snapshot.status());
  if (record && record->epoch == node.epoch && !record->fenced) return absl::OkStatus();
  const Refusal refusal = Fenced(node);
  return base::MakeError(refusal.code, refusal.reason, refusal.message);
}

absl::StatusOr<Inventory> InventoryHashes(Reader& snapshot, std::string_view node) {
  Inventory inventory;
  const auto record = FindNode(snapshot, node);
  if (record) inventory.node_epoch = record->epoch;
  for (size_t i = 0; i < kBuckets; ++i) {
    const auto bucket = Load<BucketRecord>(snapshot, layout::Bucket(node, static_cast<uint8_t>(i)));
    if (!bucket) continue;
    inventory.hashes[i] = bucket->hash;
    inventory.confirmed[i] = bucket->told_in == inventory.node_epoch && bucket->told_below == kEndOfBlobs;
  }
  LARDER_RETURN_IF_ERROR(snapshot.status());
  return inventory;
}

absl::StatusOr<LeasePage> ListLeases(Reader& snapshot, uint32_t limit, const std::string& token) {
  LeasePage page;
  const LogTime now = AppliedTime(snapshot);
  auto next =
      ReadPage(snapshot, layout::LeasePrefix(), limit, token, [&](std::string_view key, std::string_view value) {
        auto record = DecodeRecord<LeaseRecord>(snapshot, value);
        if (record && record->until > now) page.entries.push_back({std::string(key), *record});
        return page.entries.size();
      });
  if (!next.ok()) return next.status();
  page.next = *std::move(next);
  return page;
}

absl::StatusOr<std::optional<PlanRecord>> FindPlan(Reader& snapshot, std::string_view lease) {
  auto plan = Load<PlanRecord>(snapshot, layout::Plan(lease));
  LARDER_RETURN_IF_ERROR(snapshot.status());
  return plan;
}

absl::StatusOr<TicketPage> ListEndedTickets(Reader& snapshot, uint32_t limit, const std::string& token) {
  TicketPage page;
  auto next =
      ReadPage(snapshot, layout::EndedTicketPrefix(), limit, token, [&](std::string_view key, std::string_view value) {
        auto record = DecodeRecord<TicketRecord>(snapshot, value);
        if (record) page.entries.push_back({UploadTicket{layout::ParseNumber(key)}, *record});
        return page.entries.size();
      });
  if (!next.ok()) return next.status();
  page.next = *std::move(next);
  return page;
}

absl::StatusOr<std::optional<std::string>> RespGet(Reader& snapshot, const RespDatabase& database,
                                                   std::string_view key) {
  auto record = Load<RespRecord>(snapshot, layout::Resp(database, key));
  const bool there = record && record->until > AppliedTime(snapshot);
  LARDER_RETURN_IF_ERROR(snapshot.status());
  return there ? std::optional(std::move(record->value)) : std::nullopt;
}

absl::StatusOr<LogTime> NextDue(Reader& snapshot) {
  LogTime next = kNever;
  for (int i = 0; i < layout::kDueKinds; ++i) {
    snapshot.Scan(layout::DuePrefix(static_cast<layout::DueKind>(i)), "", [&](std::string_view key, std::string_view) {
      next = std::min(next, layout::ParseDue(key).when);
      return false;
    });
  }
  LARDER_RETURN_IF_ERROR(snapshot.status());
  return next;
}

}  // namespace larder::tracker
