#include "core/locations.h"

namespace larder::tracker {
namespace {

// The sum is modulo 2^64: taking off is adding the complement.
void AddToBucket(Change& change, const std::string& node, BlobId blob, uint64_t hash) {
  const std::string row = layout::Bucket(node, BucketOf(blob));
  BucketRecord bucket = change.Load<BucketRecord>(row).value_or(BucketRecord());
  bucket.hash += hash;
  change.Store(row, bucket);
}

}  // namespace

std::vector<Location> LocationsOf(Reader& reader, BlobId blob, Epoch epoch) {
  const std::string prefix = layout::LocationPrefix(blob, epoch);
  std::vector<Location> locations;
  reader.Scan(prefix, prefix, [&](std::string_view key, std::string_view value) {
    auto record = DecodeRecord<LocationRecord>(reader, value);
    if (record) locations.emplace_back(key.substr(prefix.size()), *record);
    return record.has_value();
  });
  return locations;
}

void StoreLocation(Change& change, BlobId blob, Epoch epoch, const Location& location,
                   const std::optional<LocationRecord>& before) {
  const auto& [node, record] = location;
  uint64_t hash = ItemHash({blob, epoch, record.kind});
  if (before) {
    hash -= ItemHash({blob, epoch, before->kind});
  } else {
    change.Store(layout::InventoryItem(node, blob, epoch), Mark{});
  }
  if (hash != 0) AddToBucket(change, node, blob, hash);
  change.Store(layout::Location(blob, epoch, node), record);
}

std::optional<LocationRecord> EraseLocation(Change& change, BlobId blob, Epoch epoch, const std::string& node) {
  const std::string row = layout::Location(blob, epoch, node);
  const auto before = change.Load<LocationRecord>(row);
  if (!before) return std::nullopt;
  AddToBucket(change, node, blob, -ItemHash({blob, epoch, before->kind}));
  change.Erase(layout::InventoryItem(node, blob, epoch));
  change.Erase(row);
  return before;
}

NodeEpoch ToldIn(Reader& reader, BlobId blob, const Location& location, const std::optional<NodeRecord>& node) {
  const auto& [name, record] = location;
  if (!node || record.node_epoch == node->epoch) return record.node_epoch;
  const auto bucket = Load<BucketRecord>(reader, layout::Bucket(name, BucketOf(blob)));
  const bool covered = bucket && bucket->told_in == node->epoch && blob < bucket->told_below;
  return covered ? node->epoch : record.node_epoch;
}

bool IsConfirmed(Reader& reader, BlobId blob, const Location& location, const std::optional<NodeRecord>& node) {
  return node && !node->fenced && ToldIn(reader, blob, location, node) == node->epoch;
}

bool IsLive(Reader& reader, BlobId blob, const Location& location, const std::optional<NodeRecord>& node) {
  return IsConfirmed(reader, blob, location, node) && !node->draining && !node->quarantined;
}

}  // namespace larder::tracker
