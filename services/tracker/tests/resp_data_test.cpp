#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

using testing::Optional;

class RespData : public RegistryTest {
 protected:
  RespSetDone Set(RespSet set) {
    set.database = db_;
    return Get<RespSetDone>(std::move(set));
  }
  std::optional<std::string> Read(const RespDatabase& database, std::string_view key) {
    const auto value = RespGet(*Snapshot(), database, key);
    EXPECT_THAT(value, base::IsOk());
    return value.value_or(std::nullopt);
  }
  std::optional<std::string> Read(std::string_view key) { return Read(db_, key); }

  const RespDatabase db_{"team", 0};
};

TEST_F(RespData, SetStoresAnyBytes) {
  using namespace std::string_literals;
  EXPECT_TRUE(Set({.key = "\0\xff"s, .value = "\0v"s}).stored);
  EXPECT_THAT(Read("\0\xff"s), Optional("\0v"s));
  EXPECT_EQ(Read(""), std::nullopt);
}

TEST_F(RespData, WhatWasOverBeforeItWasSetIsNotThere) {
  EXPECT_TRUE(Set({.key = "k", .value = "1"}).stored);
  EXPECT_TRUE(Set({.key = "k", .value = "2", .ttl = kRespOver}).stored) << "Redis says OK, too";
  EXPECT_EQ(Read("k"), std::nullopt);
  EXPECT_EQ(Set({.key = "k", .value = "3", .condition = RespSetIf::kAbsent, .get = true}).old, std::nullopt);
}

TEST_F(RespData, NxAndXxLookWhetherTheKeyIsThere) {
  EXPECT_FALSE(Set({.key = "k", .value = "1", .condition = RespSetIf::kPresent}).stored);
  EXPECT_EQ(Read("k"), std::nullopt);
  EXPECT_TRUE(Set({.key = "k", .value = "1", .condition = RespSetIf::kAbsent}).stored);
  EXPECT_FALSE(Set({.key = "k", .value = "2", .condition = RespSetIf::kAbsent}).stored);
  EXPECT_THAT(Read("k"), Optional(std::string("1")));
  EXPECT_TRUE(Set({.key = "k", .value = "2", .condition = RespSetIf::kPresent}).stored);
  EXPECT_THAT(Read("k"), Optional(std::string("2")));
}

TEST_F(RespData, GetAnswersWithTheValueBeforeStoredOrNot) {
  EXPECT_EQ(Set({.key = "k", .value = "1", .get = true}).old, std::nullopt);
  EXPECT_THAT(Set({.key = "k", .value = "2", .get = true}).old, Optional(std::string("1")));
  EXPECT_THAT(Set({.key = "k", .value = "3", .condition = RespSetIf::kAbsent, .get = true}).old,
              Optional(std::string("2")));
  EXPECT_EQ(Set({.key = "k", .value = "4"}).old, std::nullopt) << "not asked for";
}

TEST_F(RespData, AKeyEndsWithItsTimeAndNotBefore) {
  Set({.key = "k", .value = "1", .ttl = seconds(5)});
  Pass(seconds(5) - base::Duration(1));
  Ok(CloseSession{});
  EXPECT_THAT(Read("k"), Optional(std::string("1")));
  Pass(base::Duration(1));
  Ok(CloseSession{});
  EXPECT_EQ(Read("k"), std::nullopt);
  EXPECT_EQ(Get<Count>(RespDelete{db_, {"k"}}).count, 0u);
  EXPECT_EQ(Get<Expired>(ExpireDue{}).count, 0u) << "nothing of it is left";
}

TEST_F(RespData, SetTakesAnExpiredKeyForAbsent) {
  Set({.key = "k", .value = "1", .ttl = seconds(5)});
  Pass(seconds(5));
  const RespSetDone done =
      Set({.key = "k", .value = "2", .keep_ttl = true, .condition = RespSetIf::kAbsent, .get = true});
  EXPECT_EQ(done, (RespSetDone{.stored = true}));
  Pass(seconds(5));
  Get<Expired>(ExpireDue{});
  EXPECT_THAT(Read("k"), Optional(std::string("2"))) << "there was no time to keep";
}

TEST_F(RespData, SetTakesTheTimeOffUnlessItKeepsIt) {
  Set({.key = "kept", .value = "1", .ttl = seconds(5)});
  Set({.key = "kept", .value = "2", .keep_ttl = true});
  Set({.key = "taken", .value = "1", .ttl = seconds(5)});
  Set({.key = "taken", .value = "2"});
  Pass(seconds(5));
  EXPECT_EQ(Get<Expired>(ExpireDue{}).count, 1u);
  EXPECT_EQ(Read("kept"), std::nullopt);
  EXPECT_THAT(Read("taken"), Optional(std::string("2")));
}

TEST_F(RespData, DeleteCountsWhatWasThere) {
  Set({.key = "a", .value = "1"});
  Set({.key = "b", .value = "1"});
  EXPECT_EQ(Get<Count>(RespDelete{db_, {"a", "x", "b", "a"}}).count, 2u);
  EXPECT_EQ(Read("a"), std::nullopt);
}

TEST_F(RespData, NamespacesAndDatabasesAreApart) {
  Set({.key = "k", .value = "1"});
  EXPECT_EQ(Read({"team", 1}, "k"), std::nullopt);
  EXPECT_EQ(Read({"other", 0}, "k"), std::nullopt);
  EXPECT_EQ(Get<Count>(RespDelete{{"team", 1}, {"k"}}).count, 0u);
  EXPECT_THAT(Run(RespSet{.database = {"team", 16}}), Refused("BAD_DATABASE"));
  EXPECT_THAT(Run(RespDelete{.database = {"team", 16}}), Refused("BAD_DATABASE"));
  EXPECT_THAT(Run(RespSet{.database = {"", 0}}), Refused("BAD_NAMESPACE"));
}

// Rows outside the area of the Redis protocol, the one that every entry changes excepted.
TEST_F(RespData, NoCommandOfItTouchesTheRegistry) {
  const NodeRef a = Register("a");
  Put(a, id_);
  const auto registry = [this] {
    std::string rows;
    Snapshot()->Scan("\2", "", [&rows](std::string_view key, std::string_view value) {
      rows.append(key).append("=").append(value).append("\n");
      return true;
    });
    return rows;
  };
  const std::string before = registry();
  ASSERT_NE(before, "");
  using namespace std::string_literals;
  for (const std::string& key : {"a/b"s, "\2oteam\0a/b"s, "\2na"s, ""s, "../../a/b"s}) {
    Set({.key = key, .value = "x", .ttl = seconds(1)});
    EXPECT_EQ(Get<Count>(RespDelete{db_, {key, "team/" + key}}).count, 1u);
    Set({.key = key, .value = "x", .ttl = seconds(1)});
  }
  Pass(seconds(1));
  Get<Expired>(ExpireDue{});
  EXPECT_EQ(registry(), before);
}

}  // namespace
}  // namespace larder::tracker
