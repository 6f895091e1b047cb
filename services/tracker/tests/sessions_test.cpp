// Entries with request ids: done once, however often they come.
#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

class Sessions : public RegistryTest {
 protected:
  Reply Numbered(uint64_t sequence, Command command, uint64_t low_water = 1) {
    return RunEntry({.request = RequestId{session_, sequence, low_water}, .commands = {std::move(command)}}).at(0);
  }
  ClientSession Open() { return Get<SessionOpened>(OpenSession{}).session; }

  NodeRef a_ = Register("a");
  ClientSession session_ = Open();
};

TEST_F(Sessions, ARepeatGetsTheFirstAnswerAndDoesNothing) {
  const Reply first = Numbered(1, RegisterNode{"n", 1});
  const NodeEpoch epoch = std::get<NodeRegistered>(first).epoch;
  EXPECT_EQ(Numbered(1, RegisterNode{"n", 1}), first);
  Ok(RenewCreates{{"n", epoch}, seconds(1)});
  EXPECT_NE(Numbered(2, RegisterNode{"n", 1}), first);
}

TEST_F(Sessions, ARefusalIsAnAnswerToo) {
  EXPECT_THAT(Numbered(1, RemoveDir{id_}), Refused("NOT_FOUND"));
  Ok(MakeDir{id_});
  EXPECT_THAT(Numbered(1, RemoveDir{id_}), Refused("NOT_FOUND"));
  EXPECT_EQ(Numbered(2, RemoveDir{id_}), Reply(Done{}));
}

TEST_F(Sessions, TheWindowIsBoundedBelowAndAbove) {
  Numbered(1, OpenSession{});
  EXPECT_THAT(Numbered(0, OpenSession{}), Refused("REQUEST_FORGOTTEN"));
  EXPECT_TRUE(std::holds_alternative<SessionOpened>(Numbered(kRequestWindow, OpenSession{})));
  EXPECT_THAT(Numbered(kRequestWindow + 1, MakeDir{id_}), Refused("WINDOW_FULL"));
  EXPECT_EQ(Numbered(kRequestWindow + 1, MakeDir{id_}, /*low_water=*/2), Reply(Done{})) << "it had not been done";
  EXPECT_THAT(Numbered(1, OpenSession{}), Refused("REQUEST_FORGOTTEN")) << "the mark does not go back";
}

TEST_F(Sessions, AnswersBelowTheLowWaterMarkAreForgotten) {
  const auto rows = [this] {
    int count = 0;
    Snapshot()->Scan("", "", [&count](std::string_view, std::string_view) { return ++count > 0; });
    return count;
  };
  for (uint64_t i = 1; i <= 5; ++i) Numbered(i, CloseSession{ClientSession{999}});
  const int before = rows();
  Numbered(6, CloseSession{ClientSession{999}}, 6);
  EXPECT_EQ(rows(), before - 4);
}

TEST_F(Sessions, AnUnknownClosedOrIdleSessionExecutesNothing) {
  EXPECT_THAT(RunEntry({.request = RequestId{ClientSession{999}, 1, 1}, .commands = {MakeDir{id_}}})[0],
              Refused("SESSION_EXPIRED"));
  Pass(kSessionIdle - base::Duration(1));
  Numbered(1, CloseSession{ClientSession{999}});
  Pass(kSessionIdle - base::Duration(1));
  Numbered(2, CloseSession{ClientSession{999}});
  Pass(kSessionIdle);
  EXPECT_THAT(Numbered(3, MakeDir{id_}), Refused("SESSION_EXPIRED"));
  session_ = Open();
  Ok(CloseSession{session_});
  Ok(CloseSession{session_});
  EXPECT_THAT(Numbered(1, MakeDir{id_}), Refused("SESSION_EXPIRED"));
  Ok(MakeDir{id_});
}

TEST_F(Sessions, ASessionMayCloseItself) {
  EXPECT_EQ(Numbered(1, CloseSession{session_}), Reply(Done{}));
  EXPECT_THAT(Numbered(1, CloseSession{session_}), Refused("SESSION_EXPIRED"));
}

TEST_F(Sessions, AboveTheLimitTheOneIdleForLongestEnds) {
  Pass(seconds(1));
  const ClientSession second = Open();
  Pass(seconds(1));
  for (uint64_t open = 2; open < kMaxSessions; open += 1000) {
    const uint64_t count = std::min<uint64_t>(1000, kMaxSessions - open);
    RunEntry({.commands = std::vector<Command>(count, OpenSession{})});
  }
  Pass(seconds(1));
  Numbered(1, CloseSession{ClientSession{999'999}});
  Open();
  EXPECT_EQ(Numbered(2, CloseSession{ClientSession{999'999}}), Reply(Done{})) << "was used since";
  session_ = second;
  EXPECT_THAT(Numbered(1, MakeDir{id_}), Refused("SESSION_EXPIRED"));
}

}  // namespace
}  // namespace larder::tracker
