#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Uploads : public RegistryTest {
 protected:
  TicketGranted Begin(const Sealed& sealed) {
    return Get<TicketGranted>(BeginUpload{sealed.blob, sealed.epoch, a_, seconds(60)});
  }
  std::vector<uint64_t> Ended() {
    const auto page = ListEndedTickets(*Snapshot(), 10, "");
    EXPECT_THAT(page, base::IsOk());
    std::vector<uint64_t> tickets;
    for (const TicketEntry& entry : page->entries) tickets.push_back(entry.ticket.value);
    return tickets;
  }
  std::vector<std::string> StagedKeys() {
    const auto page = ListStaged(*Snapshot(), "team", 10, "");
    EXPECT_THAT(page, base::IsOk());
    std::vector<std::string> keys;
    for (const StagedEntry& entry : page->entries) keys.push_back(entry.id.key);
    return keys;
  }

  NodeRef a_ = Register("a");
  Sealed sealed_ = Put(a_, id_, {}, CopyKind::kStaged);
};

TEST_F(Uploads, ACommittedOneIsInTheRecordAndUnstages) {
  EXPECT_THAT(StagedKeys(), ElementsAre("a/b"));
  const TicketGranted granted = Begin(sealed_);
  EXPECT_EQ(granted.object, id_);
  EXPECT_EQ(granted.replaces, "");
  Ok(CommitOrigin{granted.ticket, "etag", 7});
  Ok(CommitOrigin{granted.ticket, "etag", 7});
  const ObjectStat stat = StatOf(id_);
  EXPECT_EQ(stat.sealed->origin, (Origin{granted.ticket, id_, "etag", 7}));
  EXPECT_EQ(stat.copies[0].kind, CopyKind::kReplica);
  EXPECT_THAT(StagedKeys(), IsEmpty());
  EXPECT_THAT(Ended(), IsEmpty());
  EXPECT_THAT(Run(CommitOrigin{granted.ticket, "other", 7}), Refused("TICKET_STALE")) << "no repeat";
}

// Else a namespace with few of them would hold up all who read from the same snapshot.
TEST_F(Uploads, APageLooksAtSoManyOfOthersAndTheNextGoesOn) {
  for (int i = 0; i < 12'000; ++i) {
    Put(a_, {"other", std::to_string(i)}, {}, CopyKind::kStaged);
  }
  Put(a_, {"team", "last"}, {}, CopyKind::kStaged);
  const auto first = ListStaged(*Snapshot(), "team", 10, "");
  ASSERT_THAT(first, base::IsOk());
  EXPECT_THAT(first->entries, testing::SizeIs(1));
  ASSERT_NE(first->next, "");
  const auto second = ListStaged(*Snapshot(), "team", 10, first->next);
  ASSERT_THAT(second, base::IsOk());
  ASSERT_THAT(second->entries, testing::SizeIs(1));
  EXPECT_EQ(second->entries[0].id.key, "last");
  EXPECT_EQ(second->next, "");
}

TEST_F(Uploads, NoTicketForWhatIsDeletedSupersededOrFenced) {
  EXPECT_THAT(Run(BeginUpload{sealed_.blob, sealed_.epoch, a_, {}}), Refused("BAD_DURATION"));
  const Sealed now = Put(a_, id_, {}, CopyKind::kStaged);
  EXPECT_THAT(Run(BeginUpload{sealed_.blob, sealed_.epoch, a_, seconds(60)}), Refused("SUPERSEDED"));
  Ok(Delete{id_});
  EXPECT_THAT(Run(BeginUpload{now.blob, now.epoch, a_, seconds(60)}), Refused("DELETED"));
  Ok(FenceNode{a_});
  EXPECT_THAT(Run(BeginUpload{now.blob, now.epoch, a_, seconds(60)}), Refused("NODE_FENCED"));
}

TEST_F(Uploads, DeletionCancelsAnUploadWhichIsListedTillSwept) {
  const UploadTicket ticket = Begin(sealed_).ticket;
  EXPECT_THAT(Run(ForgetTicket{ticket}), Refused("TICKET_LIVE"));
  Ok(Delete{id_});
  EXPECT_THAT(Run(CommitOrigin{ticket, "etag", 7}), Refused("DELETED"));
  EXPECT_THAT(Ended(), ElementsAre(ticket.value));
  Ok(ForgetTicket{ticket});
  Ok(ForgetTicket{ticket});
  EXPECT_THAT(Ended(), IsEmpty());
  EXPECT_THAT(Run(CommitOrigin{ticket, "etag", 7}), Refused("TICKET_STALE"));
}

TEST_F(Uploads, ANewerEpochCancelsAnUpload) {
  const UploadTicket ticket = Begin(sealed_).ticket;
  Put(a_, id_);
  EXPECT_THAT(Run(CommitOrigin{ticket, "etag", 7}), Refused("SUPERSEDED"));
  EXPECT_THAT(Ended(), ElementsAre(ticket.value));
}

TEST_F(Uploads, ANewerTicketEndsTheOlder) {
  const UploadTicket older = Begin(sealed_).ticket;
  const UploadTicket newer = Begin(sealed_).ticket;
  EXPECT_LT(older, newer);
  EXPECT_THAT(Run(CommitOrigin{older, "etag", 7}), Refused("TICKET_STALE"));
  Ok(CommitOrigin{newer, "etag", 7});
  EXPECT_THAT(Ended(), ElementsAre(older.value));
}

TEST_F(Uploads, ATicketEndsWithItsTimeAndNotBefore) {
  const UploadTicket kept = Begin(sealed_).ticket;
  Pass(seconds(60) - base::Duration(1));
  Ok(CommitOrigin{kept, "etag", 7});
  const UploadTicket late = Begin(sealed_).ticket;
  Pass(seconds(60));
  EXPECT_THAT(Run(CommitOrigin{late, "etag", 8}), Refused("TICKET_STALE"));
  EXPECT_THAT(Ended(), ElementsAre(late.value));
  EXPECT_EQ(StatOf(id_).sealed->origin->etag, "etag");
}

TEST_F(Uploads, AFencedUploadersCommitIsRefused) {
  const UploadTicket ticket = Begin(sealed_).ticket;
  EXPECT_THAT(Run(CommitOrigin{ticket, "", 7}), Refused("BAD_ETAG"));
  Ok(FenceNode{a_});
  EXPECT_THAT(Run(CommitOrigin{ticket, "etag", 7}), Refused("NODE_FENCED"));
  EXPECT_EQ(StatOf(id_).sealed->origin, std::nullopt);
}

TEST_F(Uploads, ANewerEpochsUploadReplacesWhatTheOlderLeft) {
  Ok(CommitOrigin{Begin(sealed_).ticket, "old", 7});
  const Sealed now = Put(a_, id_, {}, CopyKind::kStaged);
  EXPECT_EQ(StatOf(id_).sealed->origin, std::nullopt) << "the origin has the old bytes";
  const TicketGranted granted = Begin(now);
  EXPECT_EQ(granted.replaces, "old");
  Ok(CommitOrigin{granted.ticket, "new", 8});
  EXPECT_THAT(Ended(), IsEmpty());
}

TEST_F(Uploads, WhatADeletedObjectLeftAtTheOriginIsListed) {
  const UploadTicket ticket = Begin(sealed_).ticket;
  Ok(CommitOrigin{ticket, "etag", 7});
  Put(a_, id_);
  Ok(Delete{id_});
  const auto page = ListEndedTickets(*Snapshot(), 10, "");
  ASSERT_THAT(page, base::IsOk());
  ASSERT_THAT(page->entries, testing::SizeIs(1));
  EXPECT_EQ(page->entries[0].ticket, ticket);
  EXPECT_EQ(page->entries[0].record.object, id_);
  EXPECT_EQ(page->entries[0].record.etag, "etag");
}

TEST_F(Uploads, ARenamedObjectsUploadLeavesTheOldPlaceToBeSwept) {
  const UploadTicket ticket = Begin(sealed_).ticket;
  Ok(CommitOrigin{ticket, "etag", 7});
  Ok(Rename{id_, "c"});
  EXPECT_EQ(StatOf({"team", "c"}).sealed->origin->at, id_);
  const TicketGranted granted = Begin(sealed_);
  EXPECT_EQ(granted.object, (ObjectId{"team", "c"}));
  EXPECT_EQ(granted.replaces, "") << "nothing is at the new place";
  Ok(CommitOrigin{granted.ticket, "etag", 7});
  EXPECT_THAT(Ended(), ElementsAre(ticket.value));
}

TEST_F(Uploads, StagedObjectsAreListedTheOldestFirst) {
  Pass(seconds(1));
  Put(a_, {"team", "a/a"}, {}, CopyKind::kStaged);
  Pass(seconds(1));
  Put(a_, {"other", "x"}, {}, CopyKind::kStaged);
  EXPECT_THAT(StagedKeys(), ElementsAre("a/b", "a/a"));
  const auto first = ListStaged(*Snapshot(), "", 1, "");
  ASSERT_THAT(first, base::IsOk());
  EXPECT_EQ(first->entries.at(0).id, id_);
  const auto second = ListStaged(*Snapshot(), "", 2, first->next);
  ASSERT_THAT(second, base::IsOk());
  EXPECT_THAT(second->entries, testing::SizeIs(2));
  EXPECT_EQ(second->next, "");
  Ok(Delete{id_});
  EXPECT_THAT(StagedKeys(), ElementsAre("a/a"));
}

}  // namespace
}  // namespace larder::tracker
