// A node that registered and the registry come to agree on its copies.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "core/handlers.h"
#include "core/layout.h"
#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

InventoryItem ItemOf(const Sealed& sealed, CopyKind kind = CopyKind::kReplica) {
  return {sealed.blob, sealed.epoch, kind};
}
BucketHash HashOf(const InventoryItem& item) { return {BucketOf(item.blob), ItemHash(item)}; }

class Inventories : public RegistryTest {
 protected:
  // The whole bucket of `of`.
  SyncBucket Page(const Sealed& of, std::vector<InventoryItem> items) {
    return {a_, BucketOf(of.blob), BlobId{}, kEndOfBlobs, std::move(items)};
  }
  Inventory Hashes(const std::string& node = "a") {
    const auto inventory = InventoryHashes(*Snapshot(), node);
    EXPECT_THAT(inventory, base::IsOk());
    return inventory.value_or(Inventory());
  }
  // All rows of locations.
  std::map<std::string, std::string> Locations() {
    std::map<std::string, std::string> rows;
    const std::string prefix = layout::LocationPrefix({}, {}).substr(0, 2);
    Snapshot()->Scan(prefix, "",
                     [&rows](std::string_view key, std::string_view value) { return rows.emplace(key, value), true; });
    return rows;
  }
  bool Confirmed(const ObjectId& id) { return StatOf(id).copies.at(0).confirmed; }

  NodeRef a_ = Register("a");
  const ObjectId other_{"team", "other"};
};

// As on docs/formats/inventory.md.
TEST(InventoryFormat, BucketsAndHashesAreForEver) {
  EXPECT_EQ(BucketOf(BlobId{1}), 145);
  EXPECT_EQ(BucketOf(BlobId{1'000'000}), 104);
  EXPECT_EQ(ItemHash({BlobId{1}, Epoch{2}, CopyKind::kReplica}), 0xe68e6fc01df08360);
  EXPECT_EQ(ItemHash({BlobId{1}, Epoch{2}, CopyKind::kStaged}), 0xb815246f417cade2);
  EXPECT_EQ(ItemHash({BlobId{1'000'000}, Epoch{999'999}, CopyKind::kReplica}), 0x58cd7f350934d75b);
}

TEST(InventoryFormat, ConsecutiveBlobsFillAllBuckets) {
  std::map<uint8_t, int> buckets;
  for (uint64_t blob = 3; blob <= 3 * 25'600; blob += 3) ++buckets[BucketOf(BlobId{blob})];
  ASSERT_EQ(buckets.size(), kBuckets);
  for (const auto& [bucket, count] : buckets) EXPECT_NEAR(count, 100, 50) << int{bucket};
}

TEST_F(Inventories, ASumFollowsItsCopies) {
  EXPECT_EQ(Hashes("nobody").node_epoch, NodeEpoch{});
  const Sealed sealed = Put(a_, id_, {}, CopyKind::kStaged);
  const uint8_t bucket = BucketOf(sealed.blob);
  EXPECT_EQ(Hashes().hashes[bucket], ItemHash(ItemOf(sealed, CopyKind::kStaged)));
  Ok(CommitOrigin{Get<TicketGranted>(BeginUpload{sealed.blob, sealed.epoch, a_, seconds(9)}).ticket, "etag", 1});
  EXPECT_EQ(Hashes().hashes[bucket], ItemHash(ItemOf(sealed)));
  Ok(Delete{id_});
  EXPECT_EQ(Hashes().hashes, Inventory().hashes);
}

TEST_F(Inventories, AnEqualSumConfirmsWithoutTouchingALocation) {
  const Sealed sealed = Put(a_, id_);
  const auto before = Locations();
  a_ = Register("a");
  EXPECT_FALSE(Confirmed(id_));
  EXPECT_THAT(Get<BucketsCompared>(ConfirmBuckets{a_, {HashOf(ItemOf(sealed))}}).differing, IsEmpty());
  EXPECT_TRUE(Confirmed(id_));
  EXPECT_EQ(StatOf(id_).copies[0].node_epoch, a_.epoch);
  EXPECT_EQ(StatOf(id_).live_replicas, 1u);
  EXPECT_TRUE(Hashes().confirmed[BucketOf(sealed.blob)]);
  EXPECT_EQ(Locations(), before);
}

TEST_F(Inventories, AnotherSumConfirmsNothingAndIsNamed) {
  const Sealed sealed = Put(a_, id_);
  a_ = Register("a");
  BucketHash told = HashOf(ItemOf(sealed));
  const auto empty = static_cast<uint8_t>(told.bucket + 1);
  ++told.hash;
  EXPECT_THAT(Get<BucketsCompared>(ConfirmBuckets{a_, {told, {empty, 0}}}).differing, ElementsAre(told.bucket));
  EXPECT_FALSE(Confirmed(id_));
  EXPECT_EQ(Hashes().confirmed.count(), 1u) << "the empty one";
}

TEST_F(Inventories, AConfirmationEndsWithTheRegistration) {
  const Sealed sealed = Put(a_, id_);
  a_ = Register("a");
  Get<BucketsCompared>(ConfirmBuckets{a_, {HashOf(ItemOf(sealed))}});
  Ok(FenceNode{a_});
  EXPECT_FALSE(Confirmed(id_));
  EXPECT_THAT(Run(ConfirmBuckets{a_, {HashOf(ItemOf(sealed))}}), Refused("NODE_FENCED"));
  EXPECT_THAT(Run(Page(sealed, {})), Refused("NODE_FENCED"));
  a_ = Register("a");
  EXPECT_FALSE(Confirmed(id_));
  EXPECT_EQ(Hashes().confirmed.count(), 0u);
}

TEST_F(Inventories, ConfirmedByItsBucketACopyCountsForGiveUp) {
  const NodeRef b = Register("b");
  const Sealed sealed = Put(a_, id_);
  Ok(AddLocation{sealed.blob, sealed.epoch, b});
  a_ = Register("a");
  EXPECT_THAT(Run(GiveUp{sealed.blob, sealed.epoch, b}), Refused("LAST_COPIES"));
  Get<BucketsCompared>(ConfirmBuckets{a_, {HashOf(ItemOf(sealed))}});
  Ok(GiveUp{sealed.blob, sealed.epoch, b});
}

TEST_F(Inventories, AReportFromBeforeTheConfirmationHasNoEffect) {
  const NodeRef old = a_;
  const Sealed sealed = Put(a_, id_);
  const LocationVersion version = StatOf(id_).copies.at(0).version;
  a_ = Register("a");
  Get<BucketsCompared>(ConfirmBuckets{a_, {HashOf(ItemOf(sealed))}});
  EXPECT_FALSE(Get<Effect>(ReportBad{sealed.blob, sealed.epoch, old, version}).changed);
  EXPECT_TRUE(Get<Effect>(ReportBad{sealed.blob, sealed.epoch, a_, version}).changed);
}

TEST_F(Inventories, APageAddsWhatIsMissing) {
  const NodeRef b = Register("b");
  const Sealed sealed = Put(b, id_);
  const BucketSynced done = Get<BucketSynced>(Page(sealed, {ItemOf(sealed)}));
  EXPECT_EQ(done, (BucketSynced{.next = kEndOfBlobs, .added = 1}));
  EXPECT_THAT(LiveHolders(id_), ElementsAre("a", "b"));
  EXPECT_EQ(Get<BucketSynced>(Page(sealed, {ItemOf(sealed)})), BucketSynced{kEndOfBlobs}) << "a repeat";
}

TEST_F(Inventories, APageDropsWhatTheNodeHasNoMore) {
  const Sealed sealed = Put(a_, id_);
  a_ = Register("a");
  EXPECT_EQ(Get<BucketSynced>(Page(sealed, {})), (BucketSynced{.next = kEndOfBlobs, .dropped = 1}));
  EXPECT_THAT(Holders(id_), IsEmpty());
  EXPECT_EQ(StatOf(id_).state, ObjectState::kSealed) << "another node may yet come back with it";
}

TEST_F(Inventories, ALostStagedCopyIsCounted) {
  const Sealed sealed = Put(a_, id_, {}, CopyKind::kStaged);
  a_ = Register("a");
  EXPECT_EQ(Get<BucketSynced>(Page(sealed, {})), (BucketSynced{.next = kEndOfBlobs, .dropped = 1, .staged_lost = 1}));
  const auto staged = ListStaged(*Snapshot(), "", 10, "");
  ASSERT_THAT(staged, base::IsOk());
  EXPECT_THAT(staged->entries, IsEmpty());
}

TEST_F(Inventories, WhatTheNodeToldOfInThisRegistrationIsNewerThanAPage) {
  const Sealed sealed = Put(a_, id_);
  EXPECT_EQ(Get<BucketSynced>(Page(sealed, {})), BucketSynced{kEndOfBlobs});
  EXPECT_THAT(LiveHolders(id_), ElementsAre("a"));
  Ok(GiveUp{sealed.blob, sealed.epoch, a_, true});
  EXPECT_EQ(StatOf(id_).state, ObjectState::kAbsent);
}

TEST_F(Inventories, APageConfirmsWhatIsThereWithoutTouchingIt) {
  const Sealed sealed = Put(a_, id_);
  const auto before = Locations();
  a_ = Register("a");
  EXPECT_EQ(Get<BucketSynced>(Page(sealed, {ItemOf(sealed)})), BucketSynced{kEndOfBlobs});
  EXPECT_TRUE(Confirmed(id_));
  EXPECT_EQ(Locations(), before);
}

TEST_F(Inventories, ItemsThatAreNoCopiesAreAnsweredWhy) {
  const NodeRef b = Register("b");
  const Sealed old = Put(b, id_);
  Put(b, id_);
  const CreateGranted next = Create(b, id_, true);
  const Sealed gone = Put(b, other_);
  Ok(Delete{other_});
  const InventoryItem creating{next.blob, next.epoch, {}};
  EXPECT_THAT(
      Get<BucketSynced>(Page(old, {ItemOf(old), creating})).answers,
      ElementsAre(BucketSynced::Answer{ItemOf(old), "SUPERSEDED"}, BucketSynced::Answer{creating, "EPOCH_STALE"}));
  EXPECT_THAT(Get<BucketSynced>(Page(gone, {ItemOf(gone)})).answers,
              ElementsAre(BucketSynced::Answer{ItemOf(gone), "DELETED"}));
  EXPECT_THAT(Holders(id_), ElementsAre("b"));
}

TEST_F(Inventories, AKindThatDiffersIsSettledAndAnswered) {
  const Sealed staged = Put(a_, id_, {}, CopyKind::kStaged);
  a_ = Register("a");
  EXPECT_THAT(Get<BucketSynced>(Page(staged, {ItemOf(staged)})).answers,
              ElementsAre(BucketSynced::Answer{ItemOf(staged, CopyKind::kStaged), ""}))
      << "a staged copy stays that till the origin has it";
  const Sealed replica = Put(a_, other_);
  a_ = Register("a");
  EXPECT_THAT(Get<BucketSynced>(Page(replica, {ItemOf(replica, CopyKind::kStaged)})).answers, IsEmpty());
  EXPECT_EQ(StatOf(other_).copies.at(0).kind, CopyKind::kStaged);
}

TEST_F(Inventories, AnExpiredObjectIsDeletedWhetherOrNotSomebodyExpiredIt) {
  const Sealed sealed = Put(a_, id_, {.ttl = seconds(5)});
  const Sealed absent = Put(a_, other_, {.ttl = seconds(5)}, CopyKind::kStaged);
  a_ = Register("a");
  Pass(seconds(5));
  EXPECT_THAT(Get<BucketSynced>(Page(sealed, {ItemOf(sealed)})).answers,
              ElementsAre(BucketSynced::Answer{ItemOf(sealed), "DELETED"}));
  EXPECT_EQ(Get<BucketSynced>(Page(absent, {})), BucketSynced{kEndOfBlobs}) << "over, not lost";
}

TEST_F(Inventories, APageTouchesItsRangeOfItsBucketAlone) {
  const Sealed sealed = Put(a_, id_);
  const Sealed other = Put(a_, other_);
  ASSERT_NE(BucketOf(sealed.blob), BucketOf(other.blob));
  a_ = Register("a");
  const BlobId blob = sealed.blob;
  SyncBucket page = Page(sealed, {});
  page.to = blob;
  EXPECT_EQ(Get<BucketSynced>(page), BucketSynced{blob});
  EXPECT_FALSE(Confirmed(id_));
  page.from = BlobId{blob.value + 1};
  page.to = kEndOfBlobs;
  EXPECT_THAT(Run(page), Refused("INVENTORY_GAP"));
  page.from = blob;
  page.to = BlobId{blob.value + 1};
  page.items = {ItemOf(sealed)};
  EXPECT_EQ(Get<BucketSynced>(page), BucketSynced{page.to});
  EXPECT_TRUE(Confirmed(id_));
  EXPECT_FALSE(Confirmed(other_));
  EXPECT_FALSE(Hashes().confirmed[page.bucket]) << "the rest of the bucket is not told yet";
  page.from = BlobId{};
  EXPECT_EQ(Get<BucketSynced>(page), BucketSynced{page.to}) << "it may begin anew";
}

TEST_F(Inventories, PagesThatAreNoneAreRefused) {
  const Sealed sealed = Put(a_, id_);
  const InventoryItem item = ItemOf(sealed);
  EXPECT_THAT(Run(Page(sealed, {item, item})), Refused("BAD_PAGE")) << "twice";
  SyncBucket page = Page(sealed, {item});
  ++page.bucket;
  EXPECT_THAT(Run(page), Refused("BAD_PAGE")) << "of another bucket";
  page = Page(sealed, {item});
  page.to = item.blob;
  EXPECT_THAT(Run(page), Refused("BAD_PAGE")) << "behind its range";
  page.items.clear();
  page.from = page.to;
  EXPECT_THAT(Run(page), Refused("BAD_PAGE")) << "no range";
  page = Page(sealed, {});
  for (uint64_t epoch = 0; epoch <= kMaxInventoryPage; ++epoch) page.items.push_back({item.blob, Epoch{epoch + 1}});
  EXPECT_THAT(Run(page), Refused("BAD_PAGE")) << "too many";
  page.items.pop_back();
  Get<BucketSynced>(page);
  EXPECT_THAT(Run(ConfirmBuckets{a_, std::vector<BucketHash>(kBuckets + 1)}), Refused("BAD_PAGE"));
}

// More copies of one bucket than an entry compares: the page is done in part and says how far.
TEST_F(Inventories, APageOverTooMuchIsDoneInPart) {
  constexpr size_t kCopies = 2 * kMaxInventoryPage + 1;
  const auto batch = table_.NewBatch();
  auto meta = *Load<Meta>(*batch, layout::Meta());
  Change change(*batch, meta);
  std::vector<BlobId> blobs;
  for (uint64_t blob = 1000; blobs.size() < kCopies; blob += 3) {
    if (BucketOf(BlobId{blob}) != 0) continue;
    meta.last_id = blob - 1;
    Do(change, Publish{.object = {"team", fmt::format("{}", blob)}, .author = a_});
    blobs.push_back(BlobId{blob});
  }
  change.Store(layout::Meta(), meta);
  ASSERT_THAT(batch->Commit(), base::IsOk());
  state_ = *TrackerState::Open(table_);
  a_ = Register("a");

  SyncBucket page{.holder = a_, .to = kEndOfBlobs};
  EXPECT_EQ(Get<BucketSynced>(page), (BucketSynced{.next = blobs.back(), .dropped = kCopies - 1}));
  EXPECT_FALSE(Hashes().confirmed[0]);
  page.from = blobs.back();
  EXPECT_EQ(Get<BucketSynced>(page), (BucketSynced{.next = kEndOfBlobs, .dropped = 1}));
  EXPECT_TRUE(Hashes().confirmed[0]);
  EXPECT_EQ(Hashes().hashes[0], 0u);
}

// A node as an agent is one: it has items, and syncs as core/inventory_commands.h says.
class Convergence : public Inventories, public testing::WithParamInterface<uint64_t> {
 protected:
  using Disk = std::map<std::pair<BlobId, Epoch>, CopyKind>;

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  CopyKind AnyKind() { return static_cast<CopyKind>(Below(2)); }
  ObjectId AnyName() { return {"team", fmt::format("{}", Below(150))}; }

  // What happens while pages are on their way: the node gains copies, others delete and overwrite.
  void Meanwhile() {
    const ObjectId id = AnyName();
    if (Below(4) == 0) {
      Run(Delete{id});
    } else if (const auto sealed = Run(Publish{.object = id, .author = b_, .kind = AnyKind(), .overwrite = true});
               Below(2) == 0 && std::holds_alternative<Sealed>(sealed)) {
      const Sealed copy = std::get<Sealed>(sealed);
      const CopyKind kind = AnyKind();
      Ok(AddLocation{copy.blob, copy.epoch, a_, kind});
      disk_[{copy.blob, copy.epoch}] = kind;
    }
  }
  Disk Registered() {
    Disk items;
    const auto page = List(*Snapshot(), {.ns = "team"});
    for (const ListEntry& entry : page->entries) {
      for (const Copy& copy : StatOf({"team", entry.key}).copies) {
        if (copy.node != "a") continue;
        EXPECT_TRUE(copy.confirmed) << entry.key;
        items[{entry.object->blob, entry.object->sealed->epoch}] = copy.kind;
      }
    }
    return items;
  }
  std::array<uint64_t, kBuckets> Sums() const {
    std::array<uint64_t, kBuckets> sums{};
    for (const auto& [item, kind] : disk_) sums[BucketOf(item.first)] += ItemHash({item.first, item.second, kind});
    return sums;
  }
  void Take(const std::vector<BucketSynced::Answer>& answers) {
    for (const auto& [item, reason] : answers) {
      if (reason.empty()) {
        disk_[{item.blob, item.epoch}] = item.kind;
      } else {
        ASSERT_THAT(reason, testing::AnyOf("DELETED", "SUPERSEDED"));
        disk_.erase({item.blob, item.epoch});
      }
    }
  }
  // Pages of a few items each.
  void Sync(uint8_t bucket) {
    BlobId from;
    while (from != kEndOfBlobs) {
      SyncBucket page{.holder = a_, .bucket = bucket, .from = from, .to = kEndOfBlobs};
      for (const auto& [item, kind] : disk_) {
        if (BucketOf(item.first) != bucket || item.first < from) continue;
        if (page.items.size() > Below(3)) {
          page.to = item.first > page.items.back().blob ? item.first : page.to;
          if (page.to == item.first) break;
        }
        page.items.push_back({item.first, item.second, kind});
      }
      Meanwhile();
      const auto done = Get<BucketSynced>(page);
      Take(done.answers);
      from = done.next;
    }
  }

  std::mt19937_64 random_{GetParam()};
  NodeRef b_ = Register("b");
  Disk disk_;
};

TEST_P(Convergence, OnePassMakesBothSidesEqual) {
  for (int i = 0; i < 600; ++i) Meanwhile();
  // While it was away it lost some, was forgotten some, and has some under another kind.
  for (auto item = disk_.begin(); item != disk_.end();) {
    const auto [blob, epoch] = item->first;
    if (Below(6) == 0) Run(ReportBad{blob, epoch, a_, LocationVersion{epoch.value + 1 + Below(3)}});
    if (Below(6) == 0) item->second = AnyKind();
    item = Below(6) == 0 ? disk_.erase(item) : std::next(item);
  }
  a_ = Register("a");
  const auto sums = Sums();
  ConfirmBuckets told{a_};
  for (size_t i = 0; i < kBuckets; ++i) told.buckets.push_back({static_cast<uint8_t>(i), sums[i]});
  const auto differing = Get<BucketsCompared>(told).differing;
  EXPECT_THAT(differing, testing::SizeIs(testing::AllOf(testing::Gt(20u), testing::Lt(kBuckets))));
  for (const uint8_t bucket : differing) Sync(bucket);
  const auto registered = Registered();
  std::erase_if(disk_, [&](const auto& item) {
    if (registered.contains(item.first)) return false;
    // Deleted or overwritten since its bucket was done: a watch tells of that.
    EXPECT_THAT(Run(AddLocation{item.first.first, item.first.second, a_, item.second}),
                testing::AnyOf(Refused("DELETED"), Refused("SUPERSEDED")));
    return true;
  });
  EXPECT_EQ(disk_, registered);
  EXPECT_EQ(Hashes().hashes, Sums());
  EXPECT_TRUE(Hashes().confirmed.all());
}

INSTANTIATE_TEST_SUITE_P(Seeds, Convergence, testing::Range<uint64_t>(1, 11));

}  // namespace
}  // namespace larder::tracker
