#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "core/cluster_commands.h"
#include "core/ids.h"
#include "core/object_commands.h"
#include "larder/object/inventory.h"

// How a node that registered and the registry come to agree on the node's copies. Both keep a sum of hashes for each of
// 256 buckets of blobs (docs/formats/inventory.md):
//
//   the node asks for the registry's sums (InventoryHashes in core/queries.h), tells its own of those that are equal
//   (ConfirmBuckets), and pages through the others (SyncBucket), from the first blob to the last.
//
// What a bucket's equal sum, or its pages so far, speak for is confirmed by one row; no location is touched. Both may
// go on meanwhile, by two rules. What the node told of in its current node epoch (Seal, Publish, AddLocation) is newer
// than any page: a page that lacks it does not drop it, GiveUp does. And from the moment it looks what it has in a
// bucket till the page is answered, the node has no GiveUp of that bucket under way, which the page would undo. See
// core/command.h.
namespace larder::tracker {

inline constexpr size_t kBuckets = object::kInventoryBuckets;
inline constexpr size_t kMaxInventoryPage = 1000;
// Behind every blob.
inline constexpr BlobId kEndOfBlobs{std::numeric_limits<uint64_t>::max()};

// A complete copy of a node.
struct InventoryItem {
  BlobId blob;
  Epoch epoch;
  CopyKind kind{};
  bool operator==(const InventoryItem&) const = default;
  static constexpr auto kFields = std::tuple(&InventoryItem::blob, &InventoryItem::epoch, &InventoryItem::kind);
};

uint8_t BucketOf(BlobId blob);
// What an item adds to its bucket's sum, modulo 2^64.
uint64_t ItemHash(const InventoryItem& item);

struct BucketHash {
  uint8_t bucket = 0;
  uint64_t hash = 0;
  bool operator==(const BucketHash&) const = default;
  static constexpr auto kFields = std::tuple(&BucketHash::bucket, &BucketHash::hash);
};

// -> BucketsCompared. All copies in the buckets whose sums are equal are confirmed. NODE_FENCED.
struct ConfirmBuckets {
  NodeRef holder;
  std::vector<BucketHash> buckets;  // at most kBuckets
  bool operator==(const ConfirmBuckets&) const = default;
  static constexpr uint8_t kKind = 27;
  static constexpr auto kFields = std::tuple(&ConfirmBuckets::holder, &ConfirmBuckets::buckets);
};

// -> BucketSynced. The items are all that the node has of the bucket's blobs in [from, to): others of it there are
// dropped, missing ones added, all confirmed. Repeatable. INVENTORY_GAP: in this node epoch no page has come as far as
// `from` yet; NODE_FENCED.
struct SyncBucket {
  NodeRef holder;
  uint8_t bucket = 0;
  BlobId from;
  BlobId to;                         // kEndOfBlobs for the last page
  std::vector<InventoryItem> items;  // by (blob, epoch), at most kMaxInventoryPage
  bool operator==(const SyncBucket&) const = default;
  static constexpr uint8_t kKind = 28;
  static constexpr auto kFields =
      std::tuple(&SyncBucket::holder, &SyncBucket::bucket, &SyncBucket::from, &SyncBucket::to, &SyncBucket::items);
};

}  // namespace larder::tracker
