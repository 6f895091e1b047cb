// Who may create a key, and what sealing does.
#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

using testing::ElementsAre;

class Creation : public RegistryTest {
 protected:
  NodeRef a_ = Register("a");
  NodeRef b_ = Register("b");
};

TEST_F(Creation, EpochsGrowOverAllKeys) {
  const Epoch first = Create(a_, id_).epoch;
  const Epoch second = Create(b_, {"team", "other"}).epoch;
  EXPECT_LT(first, second);
}

TEST_F(Creation, ASecondNodeIsToldWhoHasTheCreate) {
  Create(a_, id_);
  const Reply reply = Run(AcquireCreate{id_, b_, true, seconds(30)});
  ASSERT_THAT(reply, Refused("HELD"));
  EXPECT_EQ(std::get<Refusal>(reply).holder, "a");
  EXPECT_EQ(std::get<Refusal>(reply).code, absl::StatusCode::kAborted);
}

TEST_F(Creation, TheSameNodeTakesItsOwnCreateOverByAHigherEpoch) {
  const CreateGranted first = Create(a_, id_);
  const CreateGranted second = Create(a_, id_);
  EXPECT_EQ(first.blob, second.blob);
  EXPECT_LT(first.epoch, second.epoch);
  EXPECT_THAT(Run(Seal{id_, first.epoch, a_}), Refused("EPOCH_STALE"));
  EXPECT_EQ(Get<Sealed>(Seal{id_, second.epoch, a_}).epoch, second.epoch);
}

TEST_F(Creation, WhatIsSealedNeedsOverwrite) {
  Put(a_, id_);
  const Reply refused = Run(AcquireCreate{id_, b_, false, seconds(30)});
  EXPECT_THAT(refused, Refused("EXISTS"));
  EXPECT_EQ(std::get<Refusal>(refused).message, "team/a/b exists (overwrite it, or choose another key)");
  Create(b_, id_, /*overwrite=*/true);
}

TEST_F(Creation, ADirectoryIsNoPlaceForAnObject) {
  Ok(MakeDir{id_});
  const Reply refused = Run(AcquireCreate{id_, a_, true, seconds(30)});
  EXPECT_THAT(refused, Refused("EXISTS"));
  EXPECT_EQ(std::get<Refusal>(refused).message, "team/a/b is a directory (choose another key)");
  EXPECT_THAT(Run(Publish{.object = id_, .author = a_, .overwrite = true}), Refused("EXISTS"));
}

TEST_F(Creation, BadNamesLeasesAndWantedCopiesAreRefused) {
  EXPECT_THAT(Run(AcquireCreate{{"team", "a//b"}, a_, false, seconds(30)}), Refused("BAD_KEY"));
  EXPECT_THAT(Run(AcquireCreate{{"Team", "a"}, a_, false, seconds(30)}), Refused("BAD_NAMESPACE"));
  EXPECT_THAT(Run(AcquireCreate{id_, a_, false, {}}), Refused("BAD_DURATION"));
  EXPECT_THAT(Run(Publish{.object = id_, .author = a_, .meta = {.wanted = 0}}), Refused("BAD_REPLICAS"));
  const Epoch epoch = Create(a_, id_).epoch;
  EXPECT_THAT(Run(Seal{id_, epoch, a_, CopyKind::kReplica, {.wanted = 0}}), Refused("BAD_REPLICAS"));
}

TEST_F(Creation, OnlyACurrentRegistrationCreatesSealsAbandonsAndPublishes) {
  const Epoch epoch = Create(a_, id_).epoch;
  Ok(FenceNode{a_});
  EXPECT_THAT(Run(AcquireCreate{id_, a_, false, seconds(30)}), Refused("NODE_FENCED"));
  EXPECT_THAT(Run(Seal{id_, epoch, a_}), Refused("NODE_FENCED"));
  EXPECT_THAT(Run(Abandon{id_, epoch, a_}), Refused("NODE_FENCED"));
  EXPECT_THAT(Run(Publish{.object = id_, .author = a_}), Refused("NODE_FENCED"));
  const NodeRef unknown{"nobody", NodeEpoch{1}};
  EXPECT_THAT(Run(AcquireCreate{id_, unknown, false, seconds(30)}), Refused("NODE_FENCED"));
}

TEST_F(Creation, SealMakesTheObjectVisibleWithTheAuthorsCopy) {
  const CreateGranted create = Create(a_, id_);
  EXPECT_EQ(StatOf(id_).state, ObjectState::kCreating);
  EXPECT_EQ(StatOf(id_).creator->address, "a:7461");
  const Sealed sealed = Get<Sealed>(Seal{id_, create.epoch, a_, CopyKind::kStaged, Content("x")});
  EXPECT_EQ(sealed, (Sealed{create.blob, create.epoch}));
  const ObjectStat stat = StatOf(id_);
  EXPECT_EQ(stat.state, ObjectState::kSealed);
  EXPECT_EQ(stat.sealed->meta, Content("x"));
  EXPECT_EQ(stat.pending, std::nullopt);
  ASSERT_THAT(stat.copies, testing::SizeIs(1));
  EXPECT_EQ(stat.copies[0].kind, CopyKind::kStaged);
  EXPECT_TRUE(stat.copies[0].live);
}

TEST_F(Creation, ARepeatedSealGetsTheSameAnswer) {
  const CreateGranted create = Create(a_, id_);
  const Seal seal{id_, create.epoch, a_, CopyKind::kReplica, Content("x")};
  const Reply first = Run(seal);
  EXPECT_EQ(Run(seal), first);
  EXPECT_THAT(Run(Seal{id_, create.epoch, b_}), Refused("EPOCH_STALE")) << "another's";
}

TEST_F(Creation, TheOldEpochIsReadUntilTheNewOneSeals) {
  const Sealed old = Put(a_, id_, Content("old"));
  const CreateGranted create = Create(b_, id_, true);
  EXPECT_EQ(StatOf(id_).sealed->epoch, old.epoch);
  EXPECT_EQ(StatOf(id_).creator->node, "b");
  EXPECT_THAT(Holders(id_), ElementsAre("a"));
  Get<Sealed>(Seal{id_, create.epoch, b_, CopyKind::kReplica, Content("new")});
  EXPECT_EQ(StatOf(id_).sealed->epoch, create.epoch);
  EXPECT_THAT(Holders(id_), ElementsAre("b"));
}

TEST_F(Creation, AbandonLeavesWhatWasThereBefore) {
  const CreateGranted first = Create(a_, id_);
  Ok(Abandon{id_, first.epoch, a_});
  Ok(Abandon{id_, first.epoch, a_});
  EXPECT_EQ(StatOf(id_).state, ObjectState::kAbsent);
  EXPECT_THAT(Run(Seal{id_, first.epoch, a_}), Refused("EPOCH_STALE"));
  const Sealed sealed = Put(a_, id_);
  const CreateGranted second = Create(b_, id_, true);
  Ok(Abandon{id_, first.epoch, b_});
  EXPECT_NE(StatOf(id_).pending, std::nullopt) << "another epoch's";
  Ok(Abandon{id_, second.epoch, a_});
  EXPECT_NE(StatOf(id_).pending, std::nullopt) << "another node's";
  Ok(Abandon{id_, second.epoch, b_});
  EXPECT_EQ(StatOf(id_).pending, std::nullopt);
  EXPECT_EQ(StatOf(id_).sealed->epoch, sealed.epoch);
}

TEST_F(Creation, AFenceANewRegistrationAndTimeEndCreates) {
  const Epoch fenced = Create(a_, id_).epoch;
  Ok(FenceNode{a_});
  EXPECT_EQ(StatOf(id_).state, ObjectState::kAbsent);
  a_ = Register("a");
  EXPECT_THAT(Run(Seal{id_, fenced, a_}), Refused("EPOCH_STALE"));

  const Epoch before = Create(a_, id_).epoch;
  a_ = Register("a");
  EXPECT_THAT(Run(Seal{id_, before, a_}), Refused("EPOCH_STALE"));

  const Epoch late = Create(a_, id_).epoch;
  Pass(seconds(30));
  Create(b_, id_);
  EXPECT_THAT(Run(Seal{id_, late, a_}), Refused("EPOCH_STALE"));
}

TEST_F(Creation, OneRenewalKeepsAllCreatesOfTheNodeAndNoLeaseEndsEarly) {
  const ObjectId other{"team", "other"};
  const Epoch first = Create(a_, id_).epoch;
  const Epoch second = Create(a_, other).epoch;
  Pass(seconds(29));
  Ok(RenewCreates{a_, seconds(30)});
  Pass(seconds(30) - base::Duration(1));
  EXPECT_THAT(Run(AcquireCreate{id_, b_, false, seconds(30)}), Refused("HELD"));
  Get<Sealed>(Seal{id_, first, a_});
  Get<Sealed>(Seal{other, second, a_});
}

TEST_F(Creation, ACreateThatIsOverDoesNotLiveAgain) {
  const Epoch over = Create(a_, id_).epoch;
  Pass(seconds(30));
  Ok(RenewCreates{a_, seconds(30)});
  EXPECT_EQ(StatOf(id_).state, ObjectState::kAbsent);
  EXPECT_THAT(Run(Seal{id_, over, a_}), Refused("EPOCH_STALE"));
  EXPECT_THAT(Run(RenewCreates{a_, {}}), Refused("BAD_DURATION"));
  Ok(FenceNode{a_});
  EXPECT_THAT(Run(RenewCreates{a_, seconds(30)}), Refused("NODE_FENCED"));
}

TEST_F(Creation, PublishGivesALocalObjectItsEpochAndKeepsTheAlias) {
  const Sealed sealed = Get<Sealed>(Publish{.object = id_, .alias = Epoch{77}, .author = a_, .meta = Content("x")});
  const ObjectStat stat = StatOf(id_);
  EXPECT_EQ(stat.sealed->epoch, sealed.epoch);
  EXPECT_NE(sealed.epoch, Epoch{77});
  EXPECT_EQ(stat.sealed->alias, Epoch{77});
  EXPECT_THAT(Holders(id_), ElementsAre("a"));
}

TEST_F(Creation, PublishOfTheSameContentIsOneMoreCopy) {
  const Sealed first = Get<Sealed>(Publish{.object = id_, .author = a_, .meta = Content("x")});
  EXPECT_EQ(Get<Sealed>(Publish{.object = id_, .author = b_, .meta = Content("x")}), first);
  EXPECT_EQ(Get<Sealed>(Publish{.object = id_, .author = a_, .meta = Content("x")}), first) << "a repeat";
  EXPECT_THAT(Holders(id_), ElementsAre("a", "b"));
}

TEST_F(Creation, PublishOfOtherContentConflictsUnlessItOverwrites) {
  const Sealed first = Get<Sealed>(Publish{.object = id_, .author = a_, .meta = Content("x")});
  const Reply refused = Run(Publish{.object = id_, .author = b_, .meta = Content("y")});
  EXPECT_THAT(refused, Refused("EXISTS"));
  EXPECT_EQ(std::get<Refusal>(refused).message,
            "team/a/b exists with other content (overwrite it, or choose another key)");
  const Sealed second = Get<Sealed>(Publish{.object = id_, .author = b_, .meta = Content("y"), .overwrite = true});
  EXPECT_LT(first.epoch, second.epoch);
  EXPECT_THAT(Holders(id_), ElementsAre("b"));
}

TEST_F(Creation, ContentWithoutADigestIsNeverTheSame) {
  Get<Sealed>(Publish{.object = id_, .author = a_});
  EXPECT_THAT(Run(Publish{.object = id_, .author = a_}), Refused("EXISTS"));
}

TEST_F(Creation, PublishWaitsForACreateElsewhereAndEndsItsOwn) {
  const Epoch epoch = Create(a_, id_).epoch;
  EXPECT_THAT(Run(Publish{.object = id_, .author = b_, .meta = Content("y")}), Refused("HELD"));
  Get<Sealed>(Publish{.object = id_, .author = a_, .meta = Content("y")});
  EXPECT_THAT(Run(Seal{id_, epoch, a_}), Refused("EPOCH_STALE"));
}

}  // namespace
}  // namespace larder::tracker
