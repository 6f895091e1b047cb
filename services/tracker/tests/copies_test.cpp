#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

using testing::ElementsAre;

class Copies : public RegistryTest {
 protected:
  Sealed PutOnBoth(ObjectMeta meta) {
    const Sealed sealed = Put(a_, id_, std::move(meta));
    Ok(AddLocation{sealed.blob, sealed.epoch, b_});
    return sealed;
  }
  void Upload(const Sealed& sealed) {
    const auto ticket = Get<TicketGranted>(BeginUpload{sealed.blob, sealed.epoch, a_, seconds(60)}).ticket;
    Ok(CommitOrigin{ticket, "etag", 1});
  }

  NodeRef a_ = Register("a");
  NodeRef b_ = Register("b");
};

TEST_F(Copies, AnAddedLocationIsALiveCopy) {
  PutOnBoth({});
  EXPECT_THAT(LiveHolders(id_), ElementsAre("a", "b"));
}

TEST_F(Copies, WhoHasADeletedObjectIsToldSo) {
  const Sealed sealed = Put(a_, id_);
  Ok(Delete{id_});
  EXPECT_THAT(Run(AddLocation{sealed.blob, sealed.epoch, b_}), Refused("DELETED"));
  EXPECT_THAT(Run(GiveUp{sealed.blob, sealed.epoch, a_}), Refused("DELETED"));
  Put(a_, id_);
  EXPECT_THAT(Run(AddLocation{sealed.blob, sealed.epoch, b_}), Refused("DELETED")) << "the key names another blob";
}

TEST_F(Copies, WhoHasAnOlderEpochIsToldSo) {
  const Sealed old = Put(a_, id_);
  const Sealed now = Put(b_, id_);
  EXPECT_EQ(old.blob, now.blob);
  EXPECT_THAT(Run(AddLocation{old.blob, old.epoch, b_}), Refused("SUPERSEDED"));
  EXPECT_THAT(Run(GiveUp{old.blob, old.epoch, a_}), Refused("SUPERSEDED"));
}

TEST_F(Copies, AnEpochDeletedUnderACreateIsDeleted) {
  const Sealed old = Put(a_, id_);
  const CreateGranted next = Create(b_, id_, true);
  Ok(Delete{id_});
  EXPECT_THAT(Run(AddLocation{old.blob, old.epoch, b_}), Refused("DELETED"));
  EXPECT_THAT(Run(AddLocation{next.blob, next.epoch, b_}), Refused("EPOCH_STALE")) << "not sealed yet";
  Get<Sealed>(Seal{id_, next.epoch, b_});
}

TEST_F(Copies, AnAbandonedEpochHasNoLocations) {
  const Sealed sealed = Put(a_, id_);
  const CreateGranted over = Create(b_, id_, true);
  Ok(Abandon{id_, over.epoch, b_});
  EXPECT_THAT(Run(AddLocation{sealed.blob, over.epoch, b_}), Refused("EPOCH_STALE"));
}

TEST_F(Copies, AFencedNodeNeitherAddsNorFrees) {
  const Sealed sealed = PutOnBoth({});
  Ok(FenceNode{b_});
  EXPECT_THAT(Run(AddLocation{sealed.blob, sealed.epoch, b_}), Refused("NODE_FENCED"));
  EXPECT_THAT(Run(GiveUp{sealed.blob, sealed.epoch, b_}), Refused("NODE_FENCED"));
}

TEST_F(Copies, GiveUpIsRefusedWhereFewerThanWantedWouldStay) {
  const Sealed sealed = PutOnBoth({.wanted = 2});
  EXPECT_THAT(Run(GiveUp{sealed.blob, sealed.epoch, a_}), Refused("LAST_COPIES"));
  Ok(SetMeta{.object = id_, .wanted = 1});
  Ok(GiveUp{sealed.blob, sealed.epoch, a_});
  Ok(GiveUp{sealed.blob, sealed.epoch, a_});
  EXPECT_THAT(Holders(id_), ElementsAre("b"));
  EXPECT_THAT(Run(GiveUp{sealed.blob, sealed.epoch, b_}), Refused("LAST_COPIES"));
}

TEST_F(Copies, OfTwoWhoGiveUpAtOnceOneIsRefused) {
  const Sealed sealed = PutOnBoth({});
  const auto replies =
      RunEntry({.commands = {GiveUp{sealed.blob, sealed.epoch, a_}, GiveUp{sealed.blob, sealed.epoch, b_}}});
  EXPECT_EQ(replies[0], Reply(Done{}));
  EXPECT_THAT(replies[1], Refused("LAST_COPIES"));
}

TEST_F(Copies, OnlyLiveCopiesCountForGiveUp) {
  const Sealed sealed = PutOnBoth({});
  const GiveUp give_up{sealed.blob, sealed.epoch, a_};
  Ok(MarkNode{"b", true, false});
  EXPECT_THAT(Run(give_up), Refused("LAST_COPIES")) << "draining";
  Ok(MarkNode{"b", false, true});
  EXPECT_THAT(Run(give_up), Refused("LAST_COPIES")) << "quarantined";
  Ok(MarkNode{"b", false, false});
  Ok(FenceNode{b_});
  EXPECT_THAT(Run(give_up), Refused("LAST_COPIES")) << "fenced";
  b_ = Register("b");
  EXPECT_THAT(Run(give_up), Refused("LAST_COPIES")) << "unconfirmed";
  Ok(AddLocation{sealed.blob, sealed.epoch, b_});
  Ok(give_up);
}

TEST_F(Copies, TheOriginStandsInUnlessPinned) {
  const Sealed sealed = Put(a_, id_, {.pinned = true});
  Upload(sealed);
  EXPECT_THAT(Run(GiveUp{sealed.blob, sealed.epoch, a_}), Refused("LAST_COPIES"));
  Ok(SetMeta{.object = id_, .pinned = false});
  Ok(GiveUp{sealed.blob, sealed.epoch, a_});
  EXPECT_EQ(StatOf(id_).state, ObjectState::kSealed);
}

TEST_F(Copies, EvictLastWaivesTheWantedNumberAndTheLastCopyTakesTheObjectWithIt) {
  const Sealed sealed = PutOnBoth({.wanted = 2});
  Ok(GiveUp{sealed.blob, sealed.epoch, a_, true});
  EXPECT_EQ(StatOf(id_).state, ObjectState::kSealed);
  Ok(GiveUp{sealed.blob, sealed.epoch, b_, true});
  EXPECT_EQ(StatOf(id_).state, ObjectState::kAbsent);
}

TEST_F(Copies, AStagedCopyIsKeptTillTheOriginOrAnotherStagedCopyHasIt) {
  const Sealed sealed = Put(a_, id_, {}, CopyKind::kStaged);
  Ok(AddLocation{sealed.blob, sealed.epoch, b_, CopyKind::kReplica});
  const GiveUp give_up{sealed.blob, sealed.epoch, a_, /*evict_last=*/true};
  EXPECT_THAT(Run(give_up), Refused("LAST_STAGED"));
  Ok(AddLocation{sealed.blob, sealed.epoch, a_, CopyKind::kReplica});
  EXPECT_THAT(Run(give_up), Refused("LAST_STAGED")) << "calling it a replica does not help";
  Ok(AddLocation{sealed.blob, sealed.epoch, b_, CopyKind::kStaged});
  Ok(give_up);
  EXPECT_THAT(Run(GiveUp{sealed.blob, sealed.epoch, b_, true}), Refused("LAST_STAGED"));
  Upload(sealed);
  EXPECT_EQ(StatOf(id_).copies[0].kind, CopyKind::kReplica);
  Ok(GiveUp{sealed.blob, sealed.epoch, b_});
}

TEST_F(Copies, AReportedLocationGoesOnlyIfNothingOfItChanged) {
  const Sealed sealed = PutOnBoth({});
  const auto version = [this] { return StatOf(id_).copies.at(0).version; };
  ReportBad report{sealed.blob, sealed.epoch, a_, version()};
  const NodeRef old = a_;
  a_ = Register("a");
  Ok(AddLocation{sealed.blob, sealed.epoch, a_});
  EXPECT_FALSE(Get<Effect>(report).changed) << "both changed";
  report.version = version();
  EXPECT_FALSE(Get<Effect>(report).changed) << "the node epoch changed";
  report.holder = a_;
  report.version = LocationVersion{1};
  EXPECT_FALSE(Get<Effect>(report).changed) << "the version changed";
  report.version = version();
  EXPECT_TRUE(Get<Effect>(report).changed);
  EXPECT_THAT(Holders(id_), ElementsAre("b"));
  EXPECT_FALSE(Get<Effect>(report).changed) << "a repeat";
  report.epoch = Epoch{sealed.epoch.value + 100};
  EXPECT_FALSE(Get<Effect>(report).changed) << "another epoch";
}

TEST_F(Copies, TellingOfTheSameCopyAgainKeepsItsVersion) {
  const Sealed sealed = Put(a_, id_);
  const LocationVersion before = StatOf(id_).copies[0].version;
  Ok(AddLocation{sealed.blob, sealed.epoch, a_});
  EXPECT_EQ(StatOf(id_).copies[0].version, before);
}

}  // namespace
}  // namespace larder::tracker
