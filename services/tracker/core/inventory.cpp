#include "larder/object/inventory.h"

#include <algorithm>

#include "core/handlers.h"
#include "core/locations.h"
#include "core/objects.h"

namespace larder::tracker {
namespace {

using absl::StatusCode;

// How many of our items a page is compared with; a page that spans more is done in part.
constexpr size_t kMaxCompared = 2 * kMaxInventoryPage;

using ItemKey = std::pair<BlobId, Epoch>;

ItemKey KeyOf(const InventoryItem& item) { return {item.blob, item.epoch}; }

std::optional<Refusal> RefusePage(const SyncBucket& page) {
  const auto bad = [](std::string_view what) {
    return Refuse(StatusCode::kInvalidArgument, "BAD_PAGE", "a page of an inventory {}", what);
  };
  if (page.items.size() > kMaxInventoryPage) return bad("has at most 1000 items");
  if (page.from >= page.to) return bad("spans a range of blobs");
  if (!std::ranges::is_sorted(page.items, std::ranges::less_equal(), KeyOf)) return bad("has each item once, in order");
  const auto elsewhere = [&page](const InventoryItem& item) {
    return item.blob < page.from || item.blob >= page.to || BucketOf(item.blob) != page.bucket;
  };
  if (std::ranges::any_of(page.items, elsewhere)) return bad("has items of its own range and bucket alone");
  return std::nullopt;
}

// What the registry has in the page's range. If that is too much, `end` comes down to where the rest begins.
std::vector<ItemKey> KnownItems(Change& change, const SyncBucket& page, BlobId& end) {
  const std::string prefix = layout::InventoryPrefix(page.holder.node, page.bucket);
  std::vector<ItemKey> known;
  change.rows().Scan(prefix, prefix + layout::Number(page.from.value), [&](std::string_view key, std::string_view) {
    key.remove_prefix(prefix.size());
    const BlobId blob{layout::ParseNumber(key)};
    if (blob >= end) return false;
    if (known.size() == kMaxCompared) end = blob;
    if (blob < end) known.emplace_back(blob, Epoch{layout::ParseNumber(key.substr(8))});
    return blob < end;
  });
  return known;
}

void TakeItem(Change& change, const NodeRef& holder, const InventoryItem& item, BucketSynced& done) {
  auto object = FindBlob(change, item.blob);
  if (const auto refusal = RefuseEpoch(object, item.epoch)) {
    done.answers.push_back({item, refusal->reason});
    return;
  }
  const std::string row = layout::Location(item.blob, item.epoch, holder.node);
  auto location = change.Load<LocationRecord>(row);
  if (location && location->kind == item.kind) return;
  done.added += location ? 0 : 1;
  AddCopy(change, *object, holder, item.kind);
  Save(change, *object);
  location = change.Load<LocationRecord>(row);
  if (location && location->kind != item.kind) done.answers.push_back({{item.blob, item.epoch, location->kind}, ""});
}

void DropItem(Change& change, const NodeRef& holder, const ItemKey& item, BucketSynced& done) {
  auto object = FindBlob(change, item.first);
  if (RefuseEpoch(object, item.second)) return;  // it was over, and took its copies along
  const auto location = change.Load<LocationRecord>(layout::Location(item.first, item.second, holder.node));
  if (!location || location->node_epoch == holder.epoch) return;
  RemoveCopy(change, *object, holder.node);
  Save(change, *object);
  ++done.dropped;
  done.staged_lost += location->kind == CopyKind::kStaged ? 1 : 0;
}

// Returns whether that is more than was confirmed before.
bool ConfirmBelow(Change& change, const NodeRef& holder, uint8_t bucket, BlobId below) {
  const std::string row = layout::Bucket(holder.node, bucket);
  BucketRecord record = change.Load<BucketRecord>(row).value_or(BucketRecord());
  if (record.told_in == holder.epoch && below <= record.told_below) return false;
  record.told_in = holder.epoch;
  record.told_below = below;
  change.Store(row, record);
  return true;
}

}  // namespace

uint8_t BucketOf(BlobId blob) { return object::InventoryBucket(blob); }

uint64_t ItemHash(const InventoryItem& item) {
  return object::InventoryHash({item.blob, item.epoch}, item.kind == CopyKind::kStaged);
}

Reply Do(Change& change, const ConfirmBuckets& command) {
  if (command.buckets.size() > kBuckets) {
    return Refuse(StatusCode::kInvalidArgument, "BAD_PAGE", "an inventory has {} buckets, not {}", kBuckets,
                  command.buckets.size());
  }
  if (!FindActive(change, command.holder)) return Fenced(command.holder);
  BucketsCompared compared;
  bool confirmed = false;
  for (const BucketHash& told : command.buckets) {
    const auto ours = change.Load<BucketRecord>(layout::Bucket(command.holder.node, told.bucket));
    if (told.hash == (ours ? ours->hash : 0)) {
      confirmed |= ConfirmBelow(change, command.holder, told.bucket, kEndOfBlobs);
    } else {
      compared.differing.push_back(told.bucket);
    }
  }
  if (confirmed) change.Tell(EventKind::kCopiesConfirmed, command.holder);
  return compared;
}

Reply Do(Change& change, const SyncBucket& command) {
  if (const auto refusal = RefusePage(command)) return *refusal;
  if (!FindActive(change, command.holder)) return Fenced(command.holder);
  const auto bucket = change.Load<BucketRecord>(layout::Bucket(command.holder.node, command.bucket));
  const BlobId told = bucket && bucket->told_in == command.holder.epoch ? bucket->told_below : BlobId{};
  if (command.from > told) {
    return Refuse(StatusCode::kFailedPrecondition, "INVENTORY_GAP", "pages of bucket {} came as far as blob {}, not {}",
                  command.bucket, told.value, command.from.value);
  }
  BucketSynced done{.next = command.to};
  const std::vector<ItemKey> known = KnownItems(change, command, done.next);
  for (const InventoryItem& item : command.items) {
    if (item.blob < done.next) TakeItem(change, command.holder, item, done);
  }
  for (const ItemKey& item : known) {
    if (!std::ranges::binary_search(command.items, item, {}, KeyOf)) DropItem(change, command.holder, item, done);
  }
  if (ConfirmBelow(change, command.holder, command.bucket, done.next)) {
    change.Tell(EventKind::kCopiesConfirmed, command.holder);
  }
  return done;
}

}  // namespace larder::tracker
