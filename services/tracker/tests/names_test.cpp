#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

class Names : public RegistryTest {
 protected:
  NodeRef a_ = Register("a");
  NodeRef b_ = Register("b");
};

TEST_F(Names, DeleteHidesAtOnce) {
  Put(a_, id_);
  Ok(Delete{id_});
  EXPECT_EQ(StatOf(id_).state, ObjectState::kAbsent);
  EXPECT_THAT(Run(Delete{id_}), Refused("NOT_FOUND"));
}

TEST_F(Names, DeleteAndSetMetaAndRenameOfAnotherEpochAreRefused) {
  const Sealed old = Put(a_, id_);
  const Sealed now = Put(a_, id_);
  EXPECT_THAT(Run(Delete{id_, old.epoch}), Refused("EPOCH_STALE"));
  EXPECT_THAT(Run(SetMeta{.object = id_, .epoch = old.epoch, .pinned = true}), Refused("EPOCH_STALE"));
  EXPECT_THAT(Run(Rename{id_, "c", old.epoch}), Refused("EPOCH_STALE"));
  Ok(SetMeta{.object = id_, .epoch = now.epoch, .pinned = true});
  Ok(Delete{id_, now.epoch});
}

TEST_F(Names, WhatIsOnlyBeingCreatedIsNotThere) {
  Create(a_, id_);
  EXPECT_THAT(Run(Delete{id_}), Refused("NOT_FOUND"));
  EXPECT_THAT(Run(SetMeta{.object = id_, .pinned = true}), Refused("NOT_FOUND"));
  EXPECT_THAT(Run(Rename{id_, "c"}), Refused("NOT_FOUND"));
}

TEST_F(Names, SetMetaChangesWhatItNamesOnly) {
  ObjectMeta meta = Content("x");
  meta.tags = {"t"};
  Put(a_, id_, meta);
  Ok(SetMeta{.object = id_, .wanted = 3});
  meta.wanted = 3;
  EXPECT_EQ(StatOf(id_).sealed->meta, meta);
  Ok(SetMeta{.object = id_, .ttl = seconds(5), .pinned = true, .tags = std::vector<std::string>{"u", "v"}});
  meta.ttl = seconds(5);
  meta.pinned = true;
  meta.tags = {"u", "v"};
  EXPECT_EQ(StatOf(id_).sealed->meta, meta);
  EXPECT_THAT(Run(SetMeta{.object = id_, .wanted = 0}), Refused("BAD_REPLICAS"));
}

TEST_F(Names, RenameMovesTheKeyNotTheBlob) {
  const Sealed sealed = Put(a_, id_);
  Ok(Rename{id_, "c"});
  EXPECT_EQ(StatOf(id_).state, ObjectState::kAbsent);
  const ObjectStat stat = StatOf({"team", "c"});
  EXPECT_EQ(stat.blob, sealed.blob);
  EXPECT_EQ(stat.live_replicas, 1u);
  Ok(AddLocation{sealed.blob, sealed.epoch, b_});
  EXPECT_EQ(StatOf({"team", "c"}).live_replicas, 2u);
}

TEST_F(Names, RenameNeedsAFreeTargetAndNoCreateUnderWay) {
  const ObjectId target{"team", "c"};
  Put(a_, id_);
  Put(a_, target);
  EXPECT_THAT(Run(Rename{id_, "c"}), Refused("EXISTS"));
  EXPECT_THAT(Run(Rename{id_, "a/b"}), Refused("EXISTS")) << "itself";
  Ok(Delete{target});
  const Epoch on_target = Create(b_, target).epoch;
  EXPECT_THAT(Run(Rename{id_, "c"}), Refused("HELD"));
  Ok(Abandon{target, on_target, b_});
  const Epoch on_source = Create(b_, id_, true).epoch;
  EXPECT_THAT(Run(Rename{id_, "c"}), Refused("HELD"));
  Ok(Abandon{id_, on_source, b_});
  Ok(MakeDir{target});
  EXPECT_THAT(Run(Rename{id_, "c"}), Refused("EXISTS")) << "a directory";
  EXPECT_THAT(Run(Rename{id_, "c/../d"}), Refused("BAD_KEY"));
  Ok(Rename{id_, "c/d"});
}

TEST_F(Names, DirectoriesAreMadeOnceAndNotOverObjects) {
  const ObjectId directory{"team", "d"};
  Ok(MakeDir{directory});
  EXPECT_THAT(Run(MakeDir{directory}), Refused("EXISTS"));
  Put(a_, id_);
  EXPECT_THAT(Run(MakeDir{id_}), Refused("EXISTS"));
  EXPECT_THAT(Run(MakeDir{{"team", "d/"}}), Refused("BAD_KEY"));
}

TEST_F(Names, ADirectoryIsRemovedOnlyEmpty) {
  const ObjectId directory{"team", "d"};
  const ObjectId child{"team", "d/x"};
  EXPECT_THAT(Run(RemoveDir{directory}), Refused("NOT_FOUND"));
  Ok(MakeDir{directory});
  Put(a_, child, {.ttl = seconds(5)});
  EXPECT_THAT(Run(RemoveDir{directory}), Refused("NOT_EMPTY"));
  Ok(MakeDir{{"team", "d/e"}});
  Pass(seconds(5));
  EXPECT_THAT(Run(RemoveDir{directory}), Refused("NOT_EMPTY"));
  Ok(RemoveDir{{"team", "d/e"}});
  Ok(RemoveDir{directory});  // the object's time is over
  EXPECT_THAT(Run(RemoveDir{directory}), Refused("NOT_FOUND"));
}

TEST_F(Names, WhatIsOverInADirectoryIsEndedAThousandAtATime) {
  const ObjectId directory{"team", "d"};
  Ok(MakeDir{directory});
  for (int i = 0; i < 1001; ++i) Put(a_, {"team", "d/" + std::to_string(i)}, {.ttl = seconds(5)});
  Pass(seconds(5));
  EXPECT_THAT(Run(RemoveDir{directory}), Refused("NOT_EMPTY"));
  Ok(RemoveDir{directory});
}

}  // namespace
}  // namespace larder::tracker
