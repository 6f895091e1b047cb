#include "core/queries.h"

#include "tests/registry_under_test.h"

namespace larder::tracker {
namespace {

using base::StatusIs;
using testing::ElementsAre;
using testing::IsEmpty;

class Queries : public RegistryTest {
 protected:
  void PutAll(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) Put(a_, {"team", key});
  }
  std::vector<std::string> Keys(const ListRequest& request, std::string* next = nullptr) {
    const auto page = List(*Snapshot(), request);
    EXPECT_THAT(page, base::IsOk());
    std::vector<std::string> keys;
    for (const ListEntry& entry : page->entries) {
      EXPECT_EQ(entry.key.ends_with('/'), !entry.object.has_value());
      keys.push_back(entry.key);
    }
    if (next != nullptr) *next = page->next;
    return keys;
  }

  NodeRef a_ = Register("a");
};

TEST_F(Queries, LocateAnswersEachInTheOrderAsked) {
  PutAll({"x", "y"});
  Create(a_, {"team", "new"});
  const std::vector<ObjectId> ids = {{"team", "y"}, {"team", "none"}, {"team", "new"}, {"team", "x"}, {"other", "x"}};
  const auto found = Locate(*Snapshot(), ids);
  ASSERT_THAT(found, base::IsOk());
  std::vector<ObjectState> states;
  for (size_t i = 0; i < found->size(); ++i) {
    EXPECT_EQ((*found)[i].id, ids[i]);
    states.push_back((*found)[i].state);
  }
  EXPECT_THAT(states, ElementsAre(ObjectState::kSealed, ObjectState::kAbsent, ObjectState::kCreating,
                                  ObjectState::kSealed, ObjectState::kAbsent));
  EXPECT_EQ((*found)[2].creator->node, "a");
}

TEST_F(Queries, LocateSaysAllThatAReaderNeedsOfACopy) {
  Put(a_, id_, {}, CopyKind::kStaged);
  const Copy copy = StatOf(id_).copies.at(0);
  EXPECT_EQ(copy.address, "a:7461");
  EXPECT_EQ(copy.kind, CopyKind::kStaged);
  EXPECT_EQ(copy.node_epoch, a_.epoch);
  EXPECT_NE(copy.version, LocationVersion{});
  EXPECT_TRUE(copy.confirmed);
  EXPECT_EQ(copy.last_seen, now_);
}

TEST_F(Queries, APageLooksAtSoManyThatAreOverAndTheNextGoesOn) {
  for (int i = 0; i < 12'000; ++i) Put(a_, {"team", fmt::format("d/{:05}", i)}, {.ttl = seconds(1)});
  Pass(seconds(2));
  PutAll({"c", "d/last", "e"});
  for (const bool delimited : {false, true}) {
    ListRequest request{.ns = "team", .delimited = delimited};
    EXPECT_THAT(Keys(request, &request.token), ElementsAre("c"));
    ASSERT_NE(request.token, "");
    EXPECT_THAT(Keys(request, &request.token), ElementsAre(delimited ? "d/" : "d/last", "e"));
    EXPECT_EQ(request.token, "");
  }
}

TEST_F(Queries, ListGoesByPrefix) {
  PutAll({"a", "a/b", "a/c/d", "ab", "b"});
  Put(a_, {"other", "a"});
  EXPECT_THAT(Keys({.ns = "team"}), ElementsAre("a", "a/b", "a/c/d", "ab", "b"));
  EXPECT_THAT(Keys({.ns = "team", .prefix = "a/"}), ElementsAre("a/b", "a/c/d"));
  EXPECT_THAT(Keys({.ns = "team", .prefix = "z"}), IsEmpty());
  EXPECT_THAT(Keys({.ns = "tea"}), IsEmpty());
}

TEST_F(Queries, DelimitedListHasDirectoriesOnceAmongTheObjects) {
  PutAll({"a", "a/b", "a/c/d", "a/c/e", "ab", "b/x"});
  Ok(MakeDir{{"team", "empty"}});
  Ok(MakeDir{{"team", "b"}});
  EXPECT_THAT(Keys({.ns = "team", .delimited = true}), ElementsAre("a", "a/", "ab", "b/", "empty/"));
  EXPECT_THAT(Keys({.ns = "team", .prefix = "a/", .delimited = true}), ElementsAre("a/b", "a/c/"));
  EXPECT_THAT(Keys({.ns = "team", .prefix = "b/", .delimited = true}), ElementsAre("b/x"))
      << "not the directory itself";
  EXPECT_THAT(Keys({.ns = "team"}), ElementsAre("a", "a/b", "a/c/d", "a/c/e", "ab", "b/x"));
}

TEST_F(Queries, PagesHaveWhatExistsThroughoutOnce) {
  PutAll({"a", "a/b", "a/c", "ab", "b/x", "b/y", "c"});
  for (const bool delimited : {false, true}) {
    const std::vector<std::string> all = Keys({.ns = "team", .delimited = delimited});
    for (uint32_t limit = 1; limit <= all.size(); ++limit) {
      std::vector<std::string> paged;
      std::string token;
      do {
        const auto page = Keys({.ns = "team", .delimited = delimited, .limit = limit, .token = token}, &token);
        EXPECT_LE(page.size(), limit);
        paged.insert(paged.end(), page.begin(), page.end());
      } while (!token.empty());
      EXPECT_EQ(paged, all) << limit;
    }
  }
}

TEST_F(Queries, APageGoesOnBehindAKeyThatWasDeleted) {
  PutAll({"a", "b", "c"});
  std::string token;
  EXPECT_THAT(Keys({.ns = "team", .limit = 2}, &token), ElementsAre("a", "b"));
  Ok(Delete{{"team", "b"}});
  EXPECT_THAT(Keys({.ns = "team", .limit = 2, .token = token}, &token), ElementsAre("c"));
}

TEST_F(Queries, ListLeavesOutWhatIsOverAndItsDirectories) {
  Put(a_, {"team", "d/x"}, {.ttl = seconds(5)});
  Put(a_, {"team", "e"});
  Pass(seconds(5));
  Ok(CloseSession{});
  EXPECT_THAT(Keys({.ns = "team"}), ElementsAre("e"));
  EXPECT_THAT(Keys({.ns = "team", .delimited = true}), ElementsAre("e"));
}

TEST_F(Queries, PagesAndNamespacesAreChecked) {
  EXPECT_THAT(List(*Snapshot(), {.ns = "team", .limit = 0}), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_LIMIT"));
  EXPECT_THAT(List(*Snapshot(), {.ns = "team", .limit = kMaxPage + 1}),
              StatusIs(absl::StatusCode::kInvalidArgument, "BAD_LIMIT"));
  EXPECT_THAT(List(*Snapshot(), {.ns = "NO"}), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_NAMESPACE"));
  EXPECT_THAT(ListNodes(*Snapshot(), 0, ""), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_LIMIT"));
}

TEST_F(Queries, NodesAndLeasesArePaged) {
  Register("b");
  const auto first = ListNodes(*Snapshot(), 1, "");
  ASSERT_THAT(first, base::IsOk());
  EXPECT_EQ(first->entries.at(0).name, "a");
  const auto second = ListNodes(*Snapshot(), 1, first->next);
  ASSERT_THAT(second, base::IsOk());
  EXPECT_EQ(second->entries.at(0).name, "b");
  EXPECT_EQ(second->next, "");
  Get<LeaseGranted>(GrantLease{"long", "x", seconds(10)});
  Get<LeaseGranted>(GrantLease{"short", "x", seconds(5)});
  Pass(seconds(5));
  Ok(CloseSession{});
  const auto leases = ListLeases(*Snapshot(), 10, "");
  ASSERT_THAT(leases, base::IsOk());
  ASSERT_THAT(leases->entries, testing::SizeIs(1)) << "those in force";
  EXPECT_EQ(leases->entries[0].name, "long");
}

TEST_F(Queries, ASnapshotAnswersAsItWas) {
  PutAll({"x"});
  const auto before = Snapshot();
  Ok(Delete{{"team", "x"}});
  const auto stat = Stat(*before, {"team", "x"});
  ASSERT_THAT(stat, base::IsOk());
  EXPECT_EQ(stat->state, ObjectState::kSealed);
}

TEST_F(Queries, ADamagedRecordIsAnErrorNotAnAbsence) {
  Put(a_, id_);
  const auto batch = table_.NewBatch();
  std::string row;
  batch->Scan("\2o", "", [&row](std::string_view key, std::string_view) {
    row = key;
    return false;
  });
  batch->Put(row, "damage");
  ASSERT_THAT(batch->Commit(), base::IsOk());
  EXPECT_THAT(Stat(*Snapshot(), id_), StatusIs(absl::StatusCode::kDataLoss, "TABLE_DAMAGED"));
  EXPECT_THAT(List(*Snapshot(), {.ns = "team"}), StatusIs(absl::StatusCode::kDataLoss, "TABLE_DAMAGED"));
}

}  // namespace
}  // namespace larder::tracker
