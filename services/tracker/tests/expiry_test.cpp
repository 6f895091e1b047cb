// Log time, and what ends by it.
#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

class Expiry : public RegistryTest {
 protected:
  LogTime Due() {
    const auto due = NextDue(*Snapshot());
    EXPECT_THAT(due, base::IsOk());
    return due.value_or(LogTime{});
  }
  Expired Expire(uint32_t limit = 1000) { return Get<Expired>(ExpireDue{limit}); }

  NodeRef a_ = Register("a");
};

TEST_F(Expiry, LogTimeNeverGoesBack) {
  Put(a_, id_, {.ttl = seconds(5)});
  const LogTime before = now_;
  Pass(seconds(5));
  Expire();
  EXPECT_EQ(state_->now(), now_);
  now_ = before;
  Put(a_, id_, {.ttl = seconds(5)});
  EXPECT_EQ(state_->now(), After(before, seconds(5)));
  EXPECT_EQ(StatOf(id_).sealed->sealed_at, After(before, seconds(5)));
}

TEST_F(Expiry, ATtlEndsWithItsTimeAndNotBeforeWhetherOrNotSomebodyExpiredIt) {
  Put(a_, id_, {.ttl = seconds(5)});
  Pass(seconds(5) - base::Duration(1));
  EXPECT_EQ(Expire().count, 0u);
  EXPECT_EQ(StatOf(id_).state, ObjectState::kSealed);
  Pass(base::Duration(1));
  Ok(CloseSession{});  // any entry
  EXPECT_EQ(StatOf(id_).state, ObjectState::kAbsent);
  EXPECT_THAT(Run(Delete{id_}), Refused("NOT_FOUND"));
}

TEST_F(Expiry, ExpireDueLeavesNothingOfAnObject) {
  const Sealed sealed = Put(a_, id_, {.ttl = seconds(5)}, CopyKind::kStaged);
  Pass(seconds(40));
  EXPECT_EQ(Expire().count, 2u) << "the object and the node's creates";
  EXPECT_EQ(Due(), kNever);
  EXPECT_THAT(Run(AddLocation{sealed.blob, sealed.epoch, a_}), Refused("DELETED"));
  int objects = 0;
  Snapshot()->Scan("", "", [&](std::string_view key, std::string_view) {
    objects += key.find("a/b") != key.npos;
    return true;
  });
  EXPECT_EQ(objects, 0);
}

TEST_F(Expiry, AChangedTtlIsDueAtItsNewTime) {
  Put(a_, id_, {.ttl = seconds(5)});
  Ok(SetMeta{.object = id_, .ttl = seconds(20)});
  Pass(seconds(19));
  EXPECT_EQ(Expire().count, 0u);
  EXPECT_EQ(StatOf(id_).state, ObjectState::kSealed);
  Ok(SetMeta{.object = id_, .ttl = base::Duration::zero()});
  Pass(hours(1000));
  Expire();
  EXPECT_EQ(StatOf(id_).state, ObjectState::kSealed);
  Ok(SetMeta{.object = id_, .ttl = seconds(2)});
  Pass(seconds(1));
  Expire();
  EXPECT_EQ(StatOf(id_).state, ObjectState::kSealed) << "it counts from now";
  Pass(seconds(1));
  Expire();
  EXPECT_EQ(StatOf(id_).state, ObjectState::kAbsent);
}

TEST_F(Expiry, ATtlTooLongToCountIsNever) {
  Put(a_, id_, {.ttl = base::Duration::max()});
  Pass(base::Duration::max());
  Ok(CloseSession{});
  EXPECT_EQ(StatOf(id_).state, ObjectState::kAbsent);
  Put(a_, id_, {.ttl = base::Duration::max()});
  EXPECT_EQ(StatOf(id_).sealed->expires(), kNever);
}

TEST_F(Expiry, TheLimitBoundsAnEntryAndMoreSaysSo) {
  for (const char* key : {"1", "2", "3"}) Put(a_, {"team", key}, {.ttl = seconds(5)});
  Pass(seconds(5));
  EXPECT_EQ(Expire(2), (Expired{.count = 2, .more = true}));
  EXPECT_EQ(Expire(2), (Expired{.count = 1, .more = false}));
  EXPECT_THAT(Run(ExpireDue{0}), Refused("BAD_LIMIT"));
}

TEST_F(Expiry, NextDueIsTheEarliestOfAllKinds) {
  EXPECT_EQ(Due(), kNever);
  const LogTime start = now_;
  Get<SessionOpened>(OpenSession{});
  EXPECT_EQ(Due(), After(start, kSessionIdle));
  const Sealed sealed = Get<Sealed>(Publish{.object = id_, .author = a_, .meta = {.ttl = seconds(50)}});
  EXPECT_EQ(Due(), After(start, seconds(50)));
  const auto ticket = Get<TicketGranted>(BeginUpload{sealed.blob, sealed.epoch, a_, seconds(40)});
  EXPECT_EQ(Due(), After(start, seconds(40)));
  Create(a_, {"team", "c"});
  EXPECT_EQ(Due(), After(start, seconds(30)));
  Get<LeaseGranted>(GrantLease{"l", "x", seconds(20)});
  EXPECT_EQ(Due(), After(start, seconds(20)));
  Get<RespSetDone>(RespSet{.database = {"team", 0}, .key = "k", .ttl = seconds(10)});
  EXPECT_EQ(Due(), After(start, seconds(10)));
  Pass(kSessionIdle);
  EXPECT_EQ(Expire(), (Expired{.count = 5})) << "the object takes its ticket along";
  EXPECT_EQ(Due(), kNever);
  EXPECT_THAT(Run(CommitOrigin{ticket.ticket, "etag", 1}), Refused("DELETED"));
}

TEST_F(Expiry, WhatWasRenewedIsDueLater) {
  Create(a_, id_);
  const ClientSession session = Get<SessionOpened>(OpenSession{}).session;
  Pass(seconds(20));
  Ok(RenewCreates{a_, seconds(30)});
  Pass(seconds(10));
  Expire();
  EXPECT_EQ(StatOf(id_).state, ObjectState::kCreating);
  EXPECT_EQ(Due(), After(now_, seconds(20)));
  RunEntry({.request = RequestId{session, 1, 1}, .commands = {RenewCreates{a_, hours(2)}}});
  Pass(kSessionIdle - seconds(1));
  Expire();
  const auto replies = RunEntry({.request = RequestId{session, 2, 1}, .commands = {Abandon{id_, Epoch{1}, a_}}});
  EXPECT_EQ(replies[0], Reply(Done{}));
  EXPECT_EQ(StatOf(id_).state, ObjectState::kCreating);
}

}  // namespace
}  // namespace larder::tracker
