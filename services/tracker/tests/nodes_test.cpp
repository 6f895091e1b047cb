#include "core/layout.h"
#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Nodes = RegistryTest;

TEST_F(Nodes, EachRegistrationGetsAHigherEpoch) {
  const NodeRef first = Register("a", 5);
  const NodeRef second = Register("a", 5);
  EXPECT_LT(first.epoch, second.epoch);
  EXPECT_LT(second.epoch, Register("a", 6).epoch);
}

TEST_F(Nodes, AnOlderIncarnationIsRefused) {
  const NodeRef node = Register("a", 5);
  EXPECT_THAT(Run(RegisterNode{"a", 4}), Refused("INCARNATION_STALE"));
  Ok(RenewCreates{node, seconds(1)});
}

TEST_F(Nodes, NamesThatAreNoneAreRefused) {
  using namespace std::string_literals;
  EXPECT_THAT(Run(RegisterNode{"", 1}), Refused("BAD_NODE"));
  EXPECT_THAT(Run(RegisterNode{"a\0b"s, 1}), Refused("BAD_NODE"));
  EXPECT_THAT(Run(RegisterNode{std::string(254, 'a'), 1}), Refused("BAD_NODE"));
  Register(std::string(253, 'a'));
}

TEST_F(Nodes, TheFirstKeyThatIsOfferedIsEveryNodesForEver) {
  const std::string first(kPieceKeyBytes, '1');
  const std::string second(kPieceKeyBytes, '2');
  Get<NodeRegistered>(RegisterNode{"a", 1});
  EXPECT_EQ(Get<RegisteredWithKey>(RegisterWithKey{{"b", 1}, first}).piece_key, first);
  const auto other = Get<RegisteredWithKey>(RegisterWithKey{{"c", 1}, second});
  EXPECT_EQ(other.piece_key, first);
  EXPECT_EQ(other.piece_key_id, 1u);
  const auto without = Get<RegisteredWithKey>(RegisterNode{"a", 1});
  EXPECT_EQ(without.piece_key, first);
  EXPECT_LT(other.epoch, without.epoch);

  auto reopened = TrackerState::Open(table_);
  ASSERT_THAT(reopened, base::IsOk());
  state_ = *std::move(reopened);
  EXPECT_EQ(Get<RegisteredWithKey>(RegisterWithKey{{"a", 2}, second}).piece_key, first);
}

TEST_F(Nodes, AKeyOfARegistrationThatIsRefusedIsNotKept) {
  for (const size_t size : {size_t{0}, kPieceKeyBytes - 1, kPieceKeyBytes + 1}) {
    EXPECT_THAT(Run(RegisterWithKey{{"a", 2}, std::string(size, 'k')}), Refused("BAD_NODE")) << size;
  }
  Get<NodeRegistered>(RegisterNode{"a", 2});
  EXPECT_THAT(Run(RegisterWithKey{{"a", 1}, std::string(kPieceKeyBytes, 'k')}), Refused("INCARNATION_STALE"));
  EXPECT_THAT(Run(RegisterWithKey{{"", 1}, std::string(kPieceKeyBytes, 'k')}), Refused("BAD_NODE"));
  Get<NodeRegistered>(RegisterNode{"a", 2});
}

TEST_F(Nodes, TheKeyIsInNoRefusalListOrEvent) {
  const std::string key = "0123456789abcdef0123456789abcdef";
  Get<RegisteredWithKey>(RegisterWithKey{{"a", 2}, key});
  const Reply stale = Run(RegisterWithKey{{"a", 1}, key});
  const Reply long_one = Run(RegisterWithKey{{"a", 2}, key + "x"});
  EXPECT_THAT(std::get<Refusal>(stale).message, testing::Not(testing::HasSubstr(key)));
  EXPECT_THAT(std::get<Refusal>(long_one).message, testing::Not(testing::HasSubstr(key)));
  // What clients can read is made of these rows.
  int rows = 0;
  const auto snapshot = Snapshot();
  for (const std::string& prefix : {layout::NodePrefix(), layout::HistoryPrefix()}) {
    snapshot->Scan(prefix, "", [&](std::string_view, std::string_view value) {
      EXPECT_THAT(std::string(value), testing::Not(testing::HasSubstr(key)));
      return ++rows > 0;
    });
  }
  EXPECT_EQ(rows, 2);
}

TEST_F(Nodes, ANewRegistrationMakesItsCopiesUnconfirmedTillItTellsOfThem) {
  NodeRef a = Register("a");
  const Sealed sealed = Put(a, id_);
  a = Register("a");
  ASSERT_THAT(Holders(id_), ElementsAre("a")) << "unknown is not absent";
  EXPECT_FALSE(StatOf(id_).copies[0].confirmed);
  EXPECT_EQ(StatOf(id_).live_replicas, 0u);
  Ok(AddLocation{sealed.blob, sealed.epoch, a});
  EXPECT_TRUE(StatOf(id_).copies[0].confirmed);
  EXPECT_EQ(StatOf(id_).live_replicas, 1u);
}

TEST_F(Nodes, AFencedNodesCopiesAreNotLive) {
  const NodeRef a = Register("a");
  Put(a, id_);
  Ok(FenceNode{a});
  Ok(FenceNode{a});
  EXPECT_FALSE(StatOf(id_).copies[0].confirmed);
  EXPECT_THAT(LiveHolders(id_), IsEmpty());
}

TEST_F(Nodes, OnlyTheCurrentEpochIsFenced) {
  const NodeRef old = Register("a");
  const NodeRef now = Register("a");
  EXPECT_THAT(Run(FenceNode{old}), Refused("EPOCH_STALE"));
  EXPECT_THAT(Run(FenceNode{{"nobody", NodeEpoch{1}}}), Refused("NOT_FOUND"));
  Ok(RenewCreates{now, seconds(1)});
}

TEST_F(Nodes, MarkedNodesCopiesAreConfirmedButNotLiveAndMarksOutliveRegistrations) {
  NodeRef a = Register("a");
  const Sealed sealed = Put(a, id_);
  for (const bool drain : {true, false}) {
    Ok(MarkNode{"a", drain ? std::optional(true) : std::nullopt, drain ? std::nullopt : std::optional(true)});
    EXPECT_TRUE(StatOf(id_).copies[0].confirmed);
    EXPECT_THAT(LiveHolders(id_), IsEmpty());
    a = Register("a");
    Ok(AddLocation{sealed.blob, sealed.epoch, a});
    EXPECT_THAT(LiveHolders(id_), IsEmpty());
    Ok(MarkNode{"a", false, false});
    EXPECT_THAT(LiveHolders(id_), ElementsAre("a"));
  }
  EXPECT_THAT(Run(MarkNode{"nobody", true, std::nullopt}), Refused("NOT_FOUND"));
}

TEST_F(Nodes, ANodeIsSeenWhenItRegistersAndRenews) {
  const NodeRef a = Register("a");
  Pass(seconds(5));
  Ok(RenewCreates{a, seconds(1)});
  const auto page = ListNodes(*Snapshot(), 10, "");
  ASSERT_THAT(page, base::IsOk());
  ASSERT_THAT(page->entries, testing::SizeIs(1));
  EXPECT_EQ(page->entries[0].record.last_seen, now_);
}

}  // namespace
}  // namespace larder::tracker
