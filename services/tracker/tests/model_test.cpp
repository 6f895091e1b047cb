// Random commands about creations and copies, against a model of a few maps: the same answers, the same objects.
#include <algorithm>
#include <map>
#include <optional>

#include "tests/random_commands.h"
#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

// What the pages say, without rows, ends or indexes. Knows no time: run it with leases that do not end.
class Model {
 public:
  struct Version {
    Epoch epoch;
    base::Digest digest;
    std::map<std::string, NodeEpoch> copies;
  };
  struct Object {
    BlobId blob;
    std::optional<Version> sealed;
    std::optional<std::pair<Epoch, NodeRef>> pending;
  };

  // "" for done, else the reason; takes ids from what was answered.
  std::string Do(const RegisterNode& c, const Reply& reply) {
    if (c.incarnation < incarnations_[c.node]) return "INCARNATION_STALE";
    incarnations_[c.node] = c.incarnation;
    EndCreates(c.node);
    if (const auto registered = RegisteredIn(reply)) active_[c.node] = latest_[c.node] = *registered;
    const auto* with_key = std::get_if<RegisteredWithKey>(&reply);
    return (with_key == nullptr ? "" : with_key->piece_key) == piece_key_ ? "" : "another key";
  }
  std::string Do(const RegisterWithKey& c, const Reply& reply) {
    if (piece_key_.empty() && RegisteredIn(reply)) piece_key_ = c.offered_piece_key;
    return Do(c.node, reply);
  }
  std::string Do(const FenceNode& c, const Reply&) {
    if (latest_[c.node.node] != c.node.epoch) return "EPOCH_STALE";
    active_.erase(c.node.node);
    EndCreates(c.node.node);
    return "";
  }
  std::string Do(const AcquireCreate& c, const Reply& reply) {
    if (!Current(c.holder)) return "NODE_FENCED";
    Object* object = Find(c.object.key);
    if (object && object->sealed && !c.overwrite) return "EXISTS";
    if (object && object->pending && object->pending->second.node != c.holder.node) return "HELD";
    if (const auto* granted = std::get_if<CreateGranted>(&reply)) {
      objects[c.object.key].blob = granted->blob;
      objects[c.object.key].pending = {granted->epoch, c.holder};
    }
    return "";
  }
  std::string Do(const Seal& c, const Reply&) {
    Object* object = Find(c.object.key);
    const bool repeat =
        object && object->sealed && object->sealed->epoch == c.epoch && authors_[c.epoch.value] == c.author;
    if (repeat) return "";
    if (!Current(c.author)) return "NODE_FENCED";
    if (!object || object->pending != std::pair(c.epoch, c.author)) return "EPOCH_STALE";
    SealVersion(*object, c.epoch, c.author, c.meta);
    return "";
  }
  std::string Do(const Abandon& c, const Reply&) {
    if (!Current(c.author)) return "NODE_FENCED";
    Object* object = Find(c.object.key);
    if (object && object->pending == std::pair(c.epoch, c.author)) object->pending.reset();
    Sweep();
    return "";
  }
  std::string Do(const Publish& c, const Reply& reply) {
    if (!Current(c.author)) return "NODE_FENCED";
    Object* object = Find(c.object.key);
    if (object && object->sealed && object->sealed->digest == c.meta.digest) {
      object->sealed->copies[c.author.node] = c.author.epoch;
      return "";
    }
    if (object && object->sealed && !c.overwrite) return "EXISTS";
    if (object && object->pending && object->pending->second.node != c.author.node) return "HELD";
    if (const auto* sealed = std::get_if<Sealed>(&reply)) {
      objects[c.object.key].blob = sealed->blob;
      SealVersion(objects[c.object.key], sealed->epoch, c.author, c.meta);
    }
    return "";
  }
  std::string Do(const AddLocation& c, const Reply&) {
    if (!Current(c.holder)) return "NODE_FENCED";
    Object* object = FindBlob(c.blob);
    if (const std::string reason = CopyReason(object, c.epoch); !reason.empty()) return reason;
    object->sealed->copies[c.holder.node] = c.holder.epoch;
    return "";
  }
  std::string Do(const GiveUp& c, const Reply&) {
    if (!Current(c.holder)) return "NODE_FENCED";
    Object* object = FindBlob(c.blob);
    if (const std::string reason = CopyReason(object, c.epoch); !reason.empty()) return reason;
    auto& copies = object->sealed->copies;
    if (!copies.contains(c.holder.node)) return "";
    size_t others = 0;
    for (const auto& [node, epoch] : copies) others += node != c.holder.node && Live(c.blob, node, epoch);
    if (others == 0 && !c.evict_last) return "LAST_COPIES";
    copies.erase(c.holder.node);
    if (copies.empty()) object->sealed.reset();
    Sweep();
    return "";
  }
  std::string Do(const ConfirmBuckets& c, const Reply& reply) {
    if (!Current(c.holder)) return "NODE_FENCED";
    const BucketHash& bucket = c.buckets.at(0);
    const bool equal = bucket.hash == HashOf(c.holder.node, bucket.bucket);
    if (equal) told_[c.holder.node][bucket.bucket] = {c.holder.epoch, kEndOfBlobs};
    const auto* compared = std::get_if<BucketsCompared>(&reply);
    EXPECT_TRUE(compared && compared->differing.empty() == equal);
    return "";
  }
  std::string Do(const SyncBucket& c, const Reply&) {
    if (!Current(c.holder)) return "NODE_FENCED";
    auto& [epoch, below] = told_[c.holder.node][c.bucket];
    if (c.from.value > (epoch == c.holder.epoch ? below.value : 0)) return "INVENTORY_GAP";
    for (auto& [key, object] : objects) {
      const bool spoken_of = BucketOf(object.blob) == c.bucket && object.blob >= c.from && object.blob < c.to;
      if (!spoken_of || !object.sealed) continue;
      auto& copies = object.sealed->copies;
      const InventoryItem item{object.blob, object.sealed->epoch, CopyKind::kReplica};
      if (std::ranges::find(c.items, item) != c.items.end()) {
        copies.try_emplace(c.holder.node, c.holder.epoch);
      } else if (copies.contains(c.holder.node) && copies[c.holder.node] != c.holder.epoch) {
        copies.erase(c.holder.node);
      }
    }
    below = epoch == c.holder.epoch ? std::max(below, c.to) : c.to;
    epoch = c.holder.epoch;
    return "";
  }
  std::string Do(const Delete& c, const Reply&) {
    Object* object = Find(c.object.key);
    if (!object || !object->sealed) return "NOT_FOUND";
    if (c.epoch != Epoch{} && c.epoch != object->sealed->epoch) return "EPOCH_STALE";
    object->sealed.reset();
    Sweep();
    return "";
  }
  std::string Do(const Rename& c, const Reply&) {
    Object* object = Find(c.object.key);
    if (!object || !object->sealed) return "NOT_FOUND";
    if (object->pending) return "HELD";
    const Object* target = Find(c.to);
    if (target && target->sealed) return "EXISTS";
    if (target) return "HELD";
    auto moved = objects.extract(c.object.key);
    moved.key() = c.to;
    objects.insert(std::move(moved));
    return "";
  }
  template <typename Other>
  std::string Do(const Other&, const Reply&) {
    ADD_FAILURE() << "not in the model";
    return "";
  }

  bool Current(const NodeRef& node) const {
    const auto active = active_.find(node.node);
    return active != active_.end() && active->second == node.epoch;
  }

  // The node epoch in which the node told of the copy for the last time.
  NodeEpoch ToldIn(BlobId blob, const std::string& node, NodeEpoch location) const {
    const auto buckets = told_.find(node);
    if (buckets == told_.end() || !buckets->second.contains(BucketOf(blob))) return location;
    const auto& [epoch, below] = buckets->second.at(BucketOf(blob));
    return blob < below && latest_.at(node) == epoch ? epoch : location;
  }
  bool Live(BlobId blob, const std::string& node, NodeEpoch location) const {
    return Current({node, ToldIn(blob, node, location)});
  }

  std::map<std::string, Object> objects;

 private:
  uint64_t HashOf(const std::string& node, uint8_t bucket) const {
    uint64_t sum = 0;
    for (const auto& [key, object] : objects) {
      if (!object.sealed || !object.sealed->copies.contains(node) || BucketOf(object.blob) != bucket) continue;
      sum += ItemHash({object.blob, object.sealed->epoch, CopyKind::kReplica});
    }
    return sum;
  }
  Object* Find(const std::string& key) {
    const auto object = objects.find(key);
    return object == objects.end() ? nullptr : &object->second;
  }
  Object* FindBlob(BlobId blob) {
    for (auto& [key, object] : objects) {
      if (object.blob == blob) return &object;
    }
    return nullptr;
  }
  static std::string CopyReason(const Object* object, Epoch epoch) {
    if (!object) return "DELETED";
    if (!object->sealed) return epoch < object->pending->first ? "DELETED" : "EPOCH_STALE";
    if (epoch > object->sealed->epoch) return "EPOCH_STALE";
    return epoch < object->sealed->epoch ? "SUPERSEDED" : "";
  }
  void SealVersion(Object& object, Epoch epoch, const NodeRef& author, const ObjectMeta& meta) {
    object.sealed = Version{epoch, meta.digest, {{author.node, author.epoch}}};
    object.pending.reset();
    authors_[epoch.value] = author;
  }
  void EndCreates(const std::string& node) {
    for (auto& [key, object] : objects) {
      if (object.pending && object.pending->second.node == node) object.pending.reset();
    }
    Sweep();
  }
  void Sweep() {
    std::erase_if(objects, [](const auto& entry) { return !entry.second.sealed && !entry.second.pending; });
  }

  std::string piece_key_;
  std::map<std::string, uint64_t> incarnations_;
  std::map<std::string, NodeEpoch> latest_;
  std::map<std::string, NodeEpoch> active_;  // not fenced
  std::map<uint64_t, NodeRef> authors_;
  std::map<std::string, std::map<uint8_t, std::pair<NodeEpoch, BlobId>>> told_;  // up to which blob
};

// A random command as the model knows it; nullopt for other kinds.
std::optional<Command> InModel(Command command) {
  const auto plain = [](ObjectMeta& meta) {
    meta.ttl = {};
    meta.wanted = 1;
    meta.pinned = false;
  };
  if (auto* acquire = std::get_if<AcquireCreate>(&command)) {
    acquire->lease = hours(1);
  } else if (auto* seal = std::get_if<Seal>(&command)) {
    plain(seal->meta);
    seal->kind = CopyKind::kReplica;
  } else if (auto* publish = std::get_if<Publish>(&command)) {
    plain(publish->meta);
    publish->kind = CopyKind::kReplica;
  } else if (auto* add = std::get_if<AddLocation>(&command)) {
    add->kind = CopyKind::kReplica;
  } else if (auto* page = std::get_if<SyncBucket>(&command)) {
    for (InventoryItem& item : page->items) item.kind = CopyKind::kReplica;
  } else if (std::holds_alternative<ConfirmBuckets>(command)) {
    return command;
  } else if (!std::holds_alternative<RegisterNode>(command) && !std::holds_alternative<RegisterWithKey>(command) &&
             !std::holds_alternative<FenceNode>(command) && !std::holds_alternative<Abandon>(command) &&
             !std::holds_alternative<GiveUp>(command) && !std::holds_alternative<Delete>(command) &&
             !std::holds_alternative<Rename>(command)) {
    return std::nullopt;
  }
  return command;
}

class ModelTest : public RegistryTest, public testing::WithParamInterface<uint64_t> {
 protected:
  void Compare(const Model& model) {
    for (const std::string key : {"a", "b", "c", "d"}) {
      const ObjectStat stat = StatOf({"team", key});
      const auto object = model.objects.find(key);
      ASSERT_EQ(stat.state != ObjectState::kAbsent, object != model.objects.end()) << key;
      if (object == model.objects.end()) continue;
      ASSERT_EQ(stat.blob, object->second.blob) << key;
      ASSERT_EQ(stat.pending.has_value(), object->second.pending.has_value()) << key;
      ASSERT_EQ(stat.sealed.has_value(), object->second.sealed.has_value()) << key;
      if (!stat.sealed) continue;
      ASSERT_EQ(stat.sealed->epoch, object->second.sealed->epoch) << key;
      std::map<std::string, NodeEpoch> copies;
      for (const Copy& copy : stat.copies) {
        copies[copy.node] = copy.node_epoch;
        ASSERT_EQ(copy.live, model.Current({copy.node, copy.node_epoch})) << key << " on " << copy.node;
      }
      auto expected = object->second.sealed->copies;
      for (auto& [node, epoch] : expected) epoch = model.ToldIn(stat.blob, node, epoch);
      ASSERT_EQ(copies, expected) << key;
    }
  }
};

TEST_P(ModelTest, AnswersAndObjectsAreTheModels) {
  RandomCommands random(GetParam());
  Model model;
  std::map<std::string, int> reasons;
  for (int step = 0; step < 1500; ++step) {
    const auto command = InModel(random.Next());
    if (!command) continue;
    const Reply reply = Run(*command);
    random.Saw(*command, reply);
    const auto* refusal = std::get_if<Refusal>(&reply);
    const std::string expected = std::visit([&](const auto& c) { return model.Do(c, reply); }, *command);
    ASSERT_EQ(refusal ? refusal->reason : "", expected) << "step " << step << ", kind " << command->index();
    Compare(model);
    if (HasFatalFailure()) FAIL() << "step " << step << ", kind " << command->index();
    ++reasons[expected];
  }
  EXPECT_GE(reasons[""], 100) << "most commands were refused";
  EXPECT_GE(reasons.size(), 7u) << "few reasons were met";
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, testing::Range<uint64_t>(1, 21));

}  // namespace
}  // namespace larder::tracker
