// Histories of random entries.
#include <algorithm>
#include <map>
#include <set>

#include "core/layout.h"
#include "core/watch.h"
#include "tests/random_commands.h"
#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

using base::IsOk;

// What somebody knows who has heard nothing but events.
struct Mirror {
  using Version = std::pair<BlobId, Epoch>;
  std::map<ObjectId, Version> sealed;
  std::map<ObjectId, Version> pending;
  std::set<ObjectId> directories;
  std::map<Version, std::set<std::string>> locations;
  std::map<std::string, NodeEpoch> nodes;  // none: fenced
  std::map<std::string, LeaseToken> leases;
  bool operator==(const Mirror&) const = default;

  void Hear(const Event& event) {
    using enum EventKind;
    const ObjectId id = event.object ? event.object->id : ObjectId();
    const Version version = event.object ? Version{event.object->blob, event.object->epoch} : Version();
    switch (event.kind) {
      case kCreateGranted:
        EXPECT_TRUE(pending.emplace(id, version).second);
        return;
      case kCreateEnded:
        return ForgetVersion(pending, id, version);
      case kSealed:
        if (pending.contains(id) && pending[id] == version) pending.erase(id);
        EXPECT_TRUE(sealed.emplace(id, version).second) << "the one before is told of first";
        return;
      case kSuperseded:
      case kDeleted:
      case kExpired:
        return ForgetVersion(sealed, id, version);
      case kRenamed:
        ForgetVersion(sealed, id, version);
        EXPECT_TRUE(sealed.emplace(ObjectId{id.ns, event.object->to}, version).second);
        return;
      case kLocationAdded:
        locations[version].insert(event.node->node);
        return;
      case kLocationGone:
        EXPECT_EQ(locations[version].erase(event.node->node), 1u);
        if (locations[version].empty()) locations.erase(version);
        return;
      case kDirectoryMade:
        EXPECT_TRUE(directories.insert(id).second);
        return;
      case kDirectoryRemoved:
        EXPECT_EQ(directories.erase(id), 1u);
        return;
      case kNodeRegistered:
        nodes[event.node->node] = event.node->epoch;
        return;
      case kNodeFenced:
        nodes[event.node->node] = {};
        return;
      case kLeaseGranted:
        leases[event.lease->name] = event.lease->token;
        return;
      case kLeaseEnded:
        EXPECT_EQ(leases[event.lease->name], event.lease->token);
        leases.erase(event.lease->name);
        return;
      case kMetaChanged:
      case kOriginCommitted:
      case kNodeMarked:
      case kCopiesConfirmed:
        return;
    }
  }
  static void ForgetVersion(std::map<ObjectId, Version>& from, const ObjectId& id, const Version& version) {
    EXPECT_TRUE(from.contains(id) && from[id] == version);
    from.erase(id);
  }
};

// The same, from the rows.
Mirror MirrorOf(Reader& reader) {
  Mirror mirror;
  const std::string prefix = layout::ObjectPrefix("team");
  reader.Scan(prefix, "", [&](std::string_view key, std::string_view value) {
    ObjectId id{"team", std::string(key.substr(prefix.size()))};
    if (key.ends_with('/')) {
      id.key.pop_back();
      return mirror.directories.insert(id).second;
    }
    const auto record = DecodeRecord<ObjectRecord>(reader, value);
    if (record->pending) mirror.pending[id] = {record->blob, record->pending->epoch};
    if (record->sealed) mirror.sealed[id] = {record->blob, record->sealed->epoch};
    return true;
  });
  const std::string locations = layout::LocationPrefix({}, {}).substr(0, 2);
  reader.Scan(locations, "", [&](std::string_view key, std::string_view) {
    key.remove_prefix(locations.size());
    const Mirror::Version version{BlobId{layout::ParseNumber(key)}, Epoch{layout::ParseNumber(key.substr(8))}};
    return mirror.locations[version].emplace(key.substr(16)).second;
  });
  reader.Scan(layout::NodePrefix(), "", [&](std::string_view key, std::string_view value) {
    const auto record = DecodeRecord<NodeRecord>(reader, value);
    mirror.nodes[std::string(key.substr(2))] = record->fenced ? NodeEpoch() : record->epoch;
    return true;
  });
  reader.Scan(layout::LeasePrefix(), "", [&](std::string_view key, std::string_view value) {
    mirror.leases[std::string(key.substr(2))] = DecodeRecord<LeaseRecord>(reader, value)->token;
    return true;
  });
  return mirror;
}

class RandomHistory : public RegistryTest, public testing::WithParamInterface<uint64_t> {
 protected:
  void RunRandomEntry() {
    const Entry entry = random_.NextEntry();
    const std::string bytes = EncodeEntry(entry);
    const raft::LogPosition at{.index = state_->applied().at.index + 1 + random_.Below(2), .term = 1};
    const raft::Command command{.at = at, .payload = base::AsBytes(bytes)};
    std::vector<std::string> answers;
    ASSERT_THAT(state_->Apply(std::span(&command, 1), {.at = at, .configuration = "c"}, answers), IsOk());
    for (const auto& [ns, by] : state_->record_changes()) counted_[ns] += by;
    const auto replies = DecodeReplies(base::AsBytes(answers.at(0)));
    for (size_t i = 0; i < std::min(replies->size(), entry.commands.size()); ++i) {
      random_.Saw(entry.commands[i], (*replies)[i]);
    }
  }
  WatchPage Page(const WatchPosition& from, uint32_t limit) {
    const auto page = Events(*Snapshot(), from, {}, limit);
    EXPECT_THAT(page, IsOk());
    return page.value_or(WatchPage());
  }

  RandomCommands random_{GetParam()};
  RecordChanges counted_;
};

TEST_P(RandomHistory, WhoHearsAllKnowsAll) {
  Mirror mirror;
  WatchPosition from;
  std::set<EventKind> kinds;
  for (int step = 0; step < 1500; ++step) {
    RunRandomEntry();
    const WatchPage page = Page(from, kMaxPage);
    ASSERT_FALSE(page.more);
    from = page.next;
    for (const WatchedEvent& watched : page.events) {
      mirror.Hear(watched.event);
      kinds.insert(watched.event.kind);
    }
    ASSERT_EQ(mirror, MirrorOf(*Snapshot())) << "step " << step;
  }
  EXPECT_GE(kinds.size(), 15u);
}

// What entries say that came and went is what is there.
TEST_P(RandomHistory, RecordsAreCountedAsTheyComeAndGo) {
  int64_t most = 0;
  for (int step = 0; step < 1500; ++step) {
    RunRandomEntry();
    RecordChanges there;
    Snapshot()->Scan(layout::ObjectsPrefix(), "", [&there](std::string_view key, std::string_view) {
      if (!key.ends_with('/')) ++there[std::string(layout::NamespaceOfObject(key))];
      return true;
    });
    std::erase_if(counted_, [](const auto& count) { return count.second == 0; });
    ASSERT_EQ(counted_, there) << "step " << step;
    for (const auto& [ns, records] : there) most = std::max(most, records);
  }
  EXPECT_GT(most, 1);
}

// Whoever goes on from any position, in pages of any sizes, while entries are applied, hears each event once.
TEST_P(RandomHistory, PagesOfAnySizesJoinToTheWhole) {
  std::vector<WatchedEvent> whole;
  std::vector<WatchedEvent> paged;
  const auto read = [this](WatchPosition& from, uint32_t limit, std::vector<WatchedEvent>& to) {
    const WatchPage page = Page(from, limit);
    to.insert(to.end(), page.events.begin(), page.events.end());
    EXPECT_LE(from, page.next);
    from = page.next;
    return page.more;
  };
  WatchPosition end;
  WatchPosition from;
  for (int step = 0; step < 1000; ++step) {
    RunRandomEntry();
    EXPECT_FALSE(read(end, kMaxPage, whole));
    if (random_.Below(3) == 0) read(from, static_cast<uint32_t>(1 + random_.Below(9)), paged);
  }
  while (read(from, 7, paged)) continue;
  EXPECT_EQ(from, end);
  EXPECT_TRUE(paged == whole);
  EXPECT_GE(whole.size(), 200u);
  const uint64_t kept = Load<Meta>(*Snapshot(), layout::Meta())->history.gone + 1;
  EXPECT_GT(kept, 1u);
  for (uint64_t revision = kept; revision <= end.revision; ++revision) {
    const auto begin = std::ranges::lower_bound(whole, revision, {}, &WatchedEvent::revision);
    EXPECT_TRUE(Page({revision, 0}, kMaxPage).events == std::vector(begin, whole.end())) << "from " << revision;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomHistory, testing::Range<uint64_t>(1, 11));

}  // namespace
}  // namespace larder::tracker
