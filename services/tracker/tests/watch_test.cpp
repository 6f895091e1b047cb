// What watchers are told, and how they go on.
#include "core/watch.h"

#include "core/layout.h"
#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

using base::IsOk;
using base::StatusIs;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Watch : public RegistryTest {
 protected:
  WatchPosition End() {
    const auto end = EndOfHistory(*Snapshot());
    EXPECT_THAT(end, IsOk());
    return end.value_or(WatchPosition());
  }
  WatchPage Page(const WatchPosition& from, const WatchFilter& filter = {}, uint32_t limit = kMaxPage) {
    auto page = Events(*Snapshot(), from, filter, limit);
    EXPECT_THAT(page, IsOk());
    return page.ok() ? *std::move(page) : WatchPage();
  }
  std::vector<WatchedEvent> All(WatchPosition from = {}, const WatchFilter& filter = {}) {
    std::vector<WatchedEvent> all;
    for (bool more = true; more;) {
      const WatchPage page = Page(from, filter);
      all.insert(all.end(), page.events.begin(), page.events.end());
      from = page.next;
      more = page.more;
    }
    return all;
  }
  // What one command tells.
  std::vector<Event> Told(Command command) {
    const WatchPosition before = End();
    Run(std::move(command));
    std::vector<Event> told;
    for (const WatchedEvent& watched : Page(before).events) {
      EXPECT_EQ(watched.revision, state_->applied().at.index);
      EXPECT_EQ(watched.at, state_->now());
      told.push_back(watched.event);
    }
    return told;
  }
  static Event Of(EventKind kind, const ObjectId& id, const Sealed& version, std::optional<NodeRef> node = {}) {
    return {kind, EventObject{id, version.blob, version.epoch, ""}, std::move(node)};
  }
  static Event OfNode(EventKind kind, const NodeRef& node) { return {.kind = kind, .node = node}; }

  NodeRef a_ = Register("a");
  NodeRef b_ = Register("b");
};

TEST_F(Watch, ACreationIsToldFromItsGrantToItsEnd) {
  const auto granted = Told(AcquireCreate{id_, a_, false, seconds(30)});
  const CreateGranted create = Create(a_, id_);
  const Sealed version{create.blob, create.epoch};
  ASSERT_THAT(granted, SizeIs(1));
  EXPECT_EQ(granted[0].kind, EventKind::kCreateGranted);
  EXPECT_THAT(Told(Abandon{id_, create.epoch, a_}), ElementsAre(Of(EventKind::kCreateEnded, id_, version, a_)));
  EXPECT_THAT(Told(Abandon{id_, create.epoch, a_}), IsEmpty()) << "a repeat";
  const CreateGranted fenced = Create(b_, id_);
  EXPECT_THAT(Told(FenceNode{b_}), ElementsAre(Of(EventKind::kCreateEnded, id_, {fenced.blob, fenced.epoch}, b_),
                                               OfNode(EventKind::kNodeFenced, b_)));
}

TEST_F(Watch, ASealTellsWhatItSupersedes) {
  const Sealed old = Put(a_, id_);
  const CreateGranted create = Create(b_, id_, true);
  const Sealed now{create.blob, create.epoch};
  EXPECT_THAT(Told(Seal{id_, now.epoch, b_}),
              ElementsAre(Of(EventKind::kSuperseded, id_, old), Of(EventKind::kLocationGone, id_, old, a_),
                          Of(EventKind::kSealed, id_, now, b_), Of(EventKind::kLocationAdded, id_, now, b_)));
  EXPECT_THAT(Told(Seal{id_, now.epoch, b_}), IsEmpty()) << "a repeat";
}

TEST_F(Watch, PublishEndsTheNodesOwnCreate) {
  const CreateGranted create = Create(a_, id_);
  const auto told = Told(Publish{.object = id_, .author = a_});
  ASSERT_THAT(told, SizeIs(3));
  EXPECT_EQ(told[0], Of(EventKind::kCreateEnded, id_, {create.blob, create.epoch}, a_));
  EXPECT_EQ(told[1].kind, EventKind::kSealed);
  EXPECT_EQ(told[2].kind, EventKind::kLocationAdded);
}

TEST_F(Watch, CopiesComeAndGo) {
  const Sealed sealed = Put(a_, id_);
  const AddLocation add{sealed.blob, sealed.epoch, b_};
  EXPECT_THAT(Told(add), ElementsAre(Of(EventKind::kLocationAdded, id_, sealed, b_)));
  EXPECT_THAT(Told(add), IsEmpty()) << "a repeat";
  EXPECT_THAT(Told(GiveUp{sealed.blob, sealed.epoch, b_}), ElementsAre(Of(EventKind::kLocationGone, id_, sealed, b_)));
  Ok(add);
  EXPECT_THAT(Told(ReportBad{sealed.blob, sealed.epoch, b_, StatOf(id_).copies.at(1).version}),
              ElementsAre(Of(EventKind::kLocationGone, id_, sealed, b_)));
  EXPECT_THAT(Told(GiveUp{sealed.blob, sealed.epoch, a_, true}),
              ElementsAre(Of(EventKind::kLocationGone, id_, sealed, a_), Of(EventKind::kDeleted, id_, sealed)));
}

TEST_F(Watch, AnObjectEndsByDeletionOrItsTime) {
  const Sealed deleted = Put(a_, id_);
  EXPECT_THAT(Told(Delete{id_}),
              ElementsAre(Of(EventKind::kDeleted, id_, deleted), Of(EventKind::kLocationGone, id_, deleted, a_)));
  EXPECT_THAT(Told(Delete{id_}), IsEmpty()) << "refused";
  const Sealed expired = Put(a_, id_, {.ttl = seconds(1)});
  Pass(seconds(1));
  EXPECT_THAT(Told(ExpireDue{}),
              ElementsAre(Of(EventKind::kExpired, id_, expired), Of(EventKind::kLocationGone, id_, expired, a_)));
}

TEST_F(Watch, NamesAndMetaChange) {
  const Sealed sealed = Put(a_, id_);
  EXPECT_THAT(Told(SetMeta{.object = id_, .pinned = true}), ElementsAre(Of(EventKind::kMetaChanged, id_, sealed)));
  Event renamed = Of(EventKind::kRenamed, id_, sealed);
  renamed.object->to = "c";
  EXPECT_THAT(Told(Rename{id_, "c"}), ElementsAre(renamed));
  const ObjectId directory{"team", "d"};
  EXPECT_THAT(Told(MakeDir{directory}), ElementsAre(Of(EventKind::kDirectoryMade, directory, {})));
  EXPECT_THAT(Told(RemoveDir{directory}), ElementsAre(Of(EventKind::kDirectoryRemoved, directory, {})));
}

TEST_F(Watch, AnUploadIsToldWhenTheOriginHasIt) {
  const Sealed sealed = Put(a_, id_, {}, CopyKind::kStaged);
  const auto ticket = Get<TicketGranted>(BeginUpload{sealed.blob, sealed.epoch, b_, seconds(9)}).ticket;
  const CommitOrigin commit{ticket, "etag", 1};
  EXPECT_THAT(Told(commit), ElementsAre(Of(EventKind::kOriginCommitted, id_, sealed, b_)));
  EXPECT_THAT(Told(commit), IsEmpty()) << "a repeat";
}

TEST_F(Watch, NodesAreTold) {
  const Sealed sealed = Put(a_, id_);
  const auto registered = Told(RegisterNode{"a", 1});
  ASSERT_THAT(registered, SizeIs(1));
  EXPECT_EQ(registered[0].kind, EventKind::kNodeRegistered);
  const NodeRef now = *registered[0].node;
  EXPECT_GT(now.epoch, a_.epoch);
  const InventoryItem item{sealed.blob, sealed.epoch, CopyKind::kReplica};
  const ConfirmBuckets confirm{now, {{BucketOf(item.blob), ItemHash(item)}}};
  EXPECT_THAT(Told(confirm), ElementsAre(OfNode(EventKind::kCopiesConfirmed, now)));
  EXPECT_THAT(Told(confirm), IsEmpty()) << "a repeat";
  const SyncBucket page{now, static_cast<uint8_t>(BucketOf(item.blob) + 1), {}, kEndOfBlobs, {}};
  EXPECT_THAT(Told(page), ElementsAre(OfNode(EventKind::kCopiesConfirmed, now)));
  EXPECT_THAT(Told(MarkNode{"a", true, false}), ElementsAre(OfNode(EventKind::kNodeMarked, now)));
  EXPECT_THAT(Told(FenceNode{now}), ElementsAre(OfNode(EventKind::kNodeFenced, now)));
}

TEST_F(Watch, LeasesAreTold) {
  const auto told = [](EventKind kind, LeaseToken token) {
    return Event{.kind = kind, .lease = EventLease{"l", "x", token}};
  };
  const auto granted = Told(GrantLease{"l", "x", seconds(5)});
  ASSERT_THAT(granted, SizeIs(1));
  const LeaseToken token = granted[0].lease.value().token;
  EXPECT_EQ(granted[0], told(EventKind::kLeaseGranted, token));
  EXPECT_THAT(Told(RenewLease{"l", token, seconds(5)}), IsEmpty());
  EXPECT_THAT(Told(ReleaseLease{"l", token}), ElementsAre(told(EventKind::kLeaseEnded, token)));
  const LeaseToken next = Get<LeaseGranted>(GrantLease{"l", "x", seconds(5)}).token;
  Pass(seconds(5));
  EXPECT_THAT(Told(ExpireDue{}), ElementsAre(told(EventKind::kLeaseEnded, next)));
}

TEST_F(Watch, DataOfTheRedisProtocolMakesNoEvents) {
  EXPECT_THAT(Told(RespSet{.database = {"team", 0}, .key = "k", .value = "v", .ttl = seconds(1)}), IsEmpty());
  Pass(seconds(1));
  EXPECT_THAT(Told(ExpireDue{}), IsEmpty());
  EXPECT_THAT(Told(RespDelete{{"team", 0}, {"k"}}), IsEmpty());
}

TEST_F(Watch, ARepeatedRequestTellsNothingAgain) {
  const auto session = Get<SessionOpened>(OpenSession{}).session;
  const WatchPosition before = End();
  for (int i = 0; i < 2; ++i) RunEntry({.request = RequestId{session, 1, 1}, .commands = {MakeDir{id_}}});
  EXPECT_THAT(Page(before).events, SizeIs(1));
}

TEST_F(Watch, FiltersKeepWhatTheyName) {
  const WatchPosition before = End();
  Put(a_, id_);
  Put(b_, {"other", "a/b"});
  Ok(Rename{id_, "moved/b"});
  Ok(MarkNode{"b", true, false});
  const auto kinds = [&](const WatchFilter& filter) {
    std::vector<EventKind> kinds;
    for (const WatchedEvent& watched : Page(before, filter).events) kinds.push_back(watched.event.kind);
    return kinds;
  };
  using enum EventKind;
  EXPECT_THAT(kinds({}), SizeIs(8));
  EXPECT_THAT(kinds({.ns = "team"}), ElementsAre(kCreateGranted, kSealed, kLocationAdded, kRenamed));
  EXPECT_THAT(kinds({.ns = "team", .prefix = "a/"}), ElementsAre(kCreateGranted, kSealed, kLocationAdded, kRenamed));
  EXPECT_THAT(kinds({.ns = "team", .prefix = "moved/"}), ElementsAre(kRenamed)) << "it comes there";
  EXPECT_THAT(kinds({.ns = "team", .prefix = "b"}), IsEmpty());
  EXPECT_THAT(kinds({.node = "b"}), ElementsAre(kCreateGranted, kSealed, kLocationAdded, kNodeMarked));
  EXPECT_THAT(kinds({.ns = "team", .node = "b"}), IsEmpty());
  EXPECT_THAT(kinds({.kinds = {kSealed, kNodeMarked}}), ElementsAre(kSealed, kSealed, kNodeMarked));
  EXPECT_THAT(Events(*Snapshot(), before, {.prefix = "a/"}, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, "BAD_NAMESPACE"));
  EXPECT_THAT(Events(*Snapshot(), before, {}, 0), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_LIMIT"));
}

TEST_F(Watch, APageGoesOnWithinAnEntry) {
  const WatchPosition before = End();
  RunEntry({.commands = {MakeDir{{"team", "x"}}, MakeDir{{"team", "y"}}, MakeDir{{"team", "z"}}}});
  const WatchPage first = Page(before, {}, 2);
  EXPECT_THAT(first.events, SizeIs(2));
  EXPECT_TRUE(first.more);
  EXPECT_EQ(first.next, (WatchPosition{before.revision, 2}));
  const WatchPage second = Page(first.next, {}, 2);
  ASSERT_THAT(second.events, SizeIs(1));
  EXPECT_EQ(second.events[0].event.object->id.key, "z");
  EXPECT_FALSE(second.more);
  EXPECT_EQ(second.next, End());
}

TEST_F(Watch, APositionAheadOfThisMemberWaits) {
  const WatchPosition ahead{End().revision + 5, 1};
  const WatchPage page = Page(ahead);
  EXPECT_THAT(page.events, IsEmpty());
  EXPECT_FALSE(page.more);
  EXPECT_EQ(page.next, ahead);
}

TEST_F(Watch, WhatMatchesNothingComesForthAllTheSame) {
  for (int i = 0; i < 6; ++i) RunEntry({.commands = std::vector<Command>(4096, MarkNode{"a", true, false})});
  Ok(MakeDir{id_});
  const WatchPage page = Page({}, {.ns = "team"});
  EXPECT_THAT(page.events, IsEmpty());
  EXPECT_TRUE(page.more) << "it looks at so many, and no more";
  const WatchPage rest = Page(page.next, {.ns = "team"});
  EXPECT_THAT(rest.events, SizeIs(1));
  EXPECT_FALSE(rest.more);
}

TEST_F(Watch, AtLeastTenMinutesAreKept) {
  Pass(seconds(1));
  Ok(MakeDir{id_});
  const uint64_t revision = state_->applied().at.index;
  Pass(kHistoryTime - base::Duration(1));
  Ok(CloseSession{});
  EXPECT_THAT(All({revision, 0}), SizeIs(1));
  Pass(seconds(60));
  Ok(CloseSession{});
  EXPECT_THAT(Events(*Snapshot(), {revision, 0}, {}, 1), StatusIs(absl::StatusCode::kOutOfRange, "REVISION_GONE"));
  EXPECT_THAT(Events(*Snapshot(), {}, {}, 1), StatusIs(absl::StatusCode::kOutOfRange, "REVISION_GONE"));
  EXPECT_THAT(All({revision + 1, 0}), IsEmpty()) << "nothing is missing from there on";
  EXPECT_THAT(Told(RemoveDir{id_}), SizeIs(1)) << "history begins anew";
}

TEST_F(Watch, ABurstIsForgottenInSteps) {
  const auto rows = [this] {
    int count = 0;
    Snapshot()->Scan(layout::HistoryPrefix(), "", [&](std::string_view, std::string_view) { return ++count > 0; });
    return count;
  };
  for (int i = 0; i < 400; ++i) Ok(MarkNode{"a", true, false});
  const int before = rows();
  Pass(kHistoryTime * 2);
  Ok(CloseSession{});
  EXPECT_EQ(rows(), before - 256);
  Ok(CloseSession{});
  EXPECT_EQ(rows(), 0);
}

TEST_F(Watch, AMillionEventsAreKept) {
  const std::vector<Command> commands(kMaxBatch, MarkNode{"a", true, false});
  uint64_t told = 2;  // the registrations
  while (told <= kHistoryEvents + kHistoryEvents / 64) {
    EXPECT_THAT(Page({}, {}, 1).events, SizeIs(1)) << "all are kept so far";
    RunEntry({.commands = commands});
    told += kMaxBatch;
  }
  const auto meta = Load<Meta>(*Snapshot(), layout::Meta());
  EXPECT_LE(meta->history.events, kHistoryEvents);
  EXPECT_GT(meta->history.events, kHistoryEvents - kMaxBatch);
  EXPECT_THAT(Events(*Snapshot(), {meta->history.gone, 0}, {}, 1),
              StatusIs(absl::StatusCode::kOutOfRange, "REVISION_GONE"));
  const WatchPage page = Page({meta->history.gone + 1, 0}, {}, 1);
  EXPECT_EQ(page.events.at(0).revision, meta->history.gone + 1);
}

}  // namespace
}  // namespace larder::tracker
