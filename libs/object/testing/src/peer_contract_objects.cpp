#include <gmock/gmock.h>

#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/testing/peer_contract.h"

namespace larder::object {

void LinkObjectRules() {}

namespace {

using base::AsBytes;
using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const auto kNoObject = StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT");
const auto kExists = StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS");
const auto kLeaseLost = StatusIs(absl::StatusCode::kAborted, "LEASE_LOST");
const auto kMismatch = StatusIs(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH");

base::Digest ShaOf(base::ByteSpan bytes) {
  base::Sha256 sha;
  sha.Update(bytes);
  return base::Sha256DigestOf(sha.Finish());
}

std::vector<std::string> KeysOf(const absl::StatusOr<ListPage>& page) {
  std::vector<std::string> keys;
  EXPECT_THAT(page.status(), IsOk());
  if (!page.ok()) return keys;
  for (const ObjectInfo& info : page->objects) keys.push_back(info.id.key);
  return keys;
}

std::string TextOf(const absl::StatusOr<ReadGrant>& grant) {
  EXPECT_THAT(grant.status(), IsOk());
  return grant.ok() ? std::string(base::AsText(BytesOf(*grant->view))) : "";
}

CreateRequest WithTtl(const std::string& key, base::Duration ttl) {
  CreateRequest request{.key = key};
  request.meta.ttl = ttl;
  return request;
}

}  // namespace

// ---- creating and sealing

TEST_P(PeerContract, AnObjectIsVisibleFromItsSealOn) {
  Caller writer = Open();
  Caller reader = Open();
  CreateRequest request{.key = "k"};
  request.meta = {.tags = {"x"}, .application = "trainer", .wanted_replicas = 2};
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, writer.Create(request));
  ASSERT_THAT(writer.Append(grant, AsBytes("hello ")), IsOk());
  EXPECT_THAT(reader.Get("k"), kNoObject);
  EXPECT_THAT(reader.List({})->objects, IsEmpty());
  EXPECT_THAT(reader.Delete("k"), kNoObject);
  LARDER_ASSERT_OK_AND_ASSIGN(const ObjectInfo creating, reader.Stat("k"));
  EXPECT_EQ(creating.state, ObjectState::kCreating);
  EXPECT_EQ(creating.epoch, grant.epoch);
  ASSERT_THAT(writer.Append(grant, AsBytes("world")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult sealed, writer.Seal(grant, 11));
  EXPECT_EQ(sealed.durability, node_->backend().durability());
  EXPECT_FALSE(sealed.existed);
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant read, reader.Get("k"));
  EXPECT_EQ(base::AsText(BytesOf(*read.view)), "hello world");
  LARDER_ASSERT_OK_AND_ASSIGN(const ObjectInfo stat, reader.Stat("k"));
  for (const ObjectInfo& info : {sealed.info, read.info, stat}) {
    EXPECT_EQ(info.id, (ObjectId{"team-a", "k"}));
    EXPECT_EQ(info.state, ObjectState::kSealed);
    EXPECT_EQ(info.epoch, grant.epoch);
    EXPECT_EQ(info.size, 11u);
    EXPECT_EQ(info.digest, base::Crc32cDigest(base::Crc32c(AsBytes("hello world"))));
    EXPECT_THAT(info.meta.tags, ElementsAre("x"));
    EXPECT_EQ(info.meta.application, "trainer");
    EXPECT_EQ(info.meta.wanted_replicas, 2u);
    EXPECT_EQ(info.meta.piece_length, PieceLengthFor(11));
    EXPECT_EQ(info.ttl_left, std::nullopt);
    EXPECT_EQ(info.tier, node_->backend().tier());
    EXPECT_FALSE(info.pinned);
  }
  EXPECT_EQ(peer().usage().objects, 1u);
  EXPECT_EQ(peer().usage().bytes, 11u);
}

TEST_P(PeerContract, ARepeatedSealAnswersAsTheFirstDid) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult first, caller.Seal(grant, 0));
  ASSERT_THAT(caller.Put({.key = "k", .overwrite = true}, AsBytes("newer")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult again, caller.Seal(grant, 0));
  EXPECT_EQ(again.info.epoch, first.info.epoch);
  EXPECT_EQ(again.info.size, 0u);
  EXPECT_THAT(caller.Seal({.lease = grant.lease, .epoch = {grant.epoch.value + 1}}, 0),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(TextOf(caller.Get("k")), "newer") << "a repeat changes nothing";
  EXPECT_THAT(caller.Append(grant, AsBytes("x")), kLeaseLost);
}

TEST_P(PeerContract, ARepeatedSealThatFailedFailsTheSameWay) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  EXPECT_THAT(caller.Seal(grant, 0, base::Crc32cDigest(5)), kMismatch);
  EXPECT_THAT(caller.Seal(grant, 0, base::Crc32cDigest(5)), kMismatch);
  EXPECT_THAT(caller.Discard(grant), IsOk()) << "nothing was sealed";
}

TEST_P(PeerContract, TheAnswerOfTheLatestSealIsKeptHoweverOldItsLease) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant oldest, caller.CreateKey("oldest"));
  for (int i = 0; i < 200; ++i) ASSERT_THAT(caller.PutKey("k" + std::to_string(i), {}), IsOk());
  ASSERT_THAT(caller.Seal(oldest, 0), IsOk());
  EXPECT_THAT(caller.Seal(oldest, 0), IsOk());
  EXPECT_THAT(caller.Discard(oldest), StatusIs(absl::StatusCode::kFailedPrecondition, "SEALED"));
}

TEST_P(PeerContract, ASealOfTheWrongSizeLeavesTheObjectWritable) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.Create({.key = "k", .want_sha256 = true}));
  ASSERT_THAT(caller.Append(grant, AsBytes("ab")), IsOk());
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{3}, ~uint64_t{0}}) {
    EXPECT_THAT(caller.Seal(grant, size), StatusIs(absl::StatusCode::kInvalidArgument, "SIZE_MISMATCH"));
  }
  EXPECT_EQ(peer().usage().create_leases, 1u);
  ASSERT_THAT(caller.Append(grant, AsBytes("c")), IsOk());
  EXPECT_THAT(caller.Seal(grant, 3, ShaOf(AsBytes("abc"))), IsOk());
  EXPECT_EQ(TextOf(caller.Get("k")), "abc");
}

TEST_P(PeerContract, AWrongDigestPublishesNothingAndKeepsWhatWasThere) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("old")), IsOk());
  const uint64_t used = Used();
  for (const base::Digest& wrong : {base::Crc32cDigest(1), ShaOf(AsBytes("not it"))}) {
    LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant,
                                caller.Create({.key = "k", .overwrite = true, .want_sha256 = true}));
    ASSERT_THAT(caller.Append(grant, AsBytes("new")), IsOk());
    EXPECT_THAT(caller.Seal(grant, 3, wrong), kMismatch);
    EXPECT_EQ(peer().usage().create_leases, 0u);
    EXPECT_EQ(Used(), used);
    EXPECT_EQ(TextOf(caller.Get("k")), "old");
  }
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant,
                              caller.Create({.key = "k", .overwrite = true, .want_sha256 = true}));
  ASSERT_THAT(caller.Append(grant, AsBytes("new")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult sealed, caller.Seal(grant, 3, ShaOf(AsBytes("new"))));
  EXPECT_EQ(sealed.info.digest, ShaOf(AsBytes("new")));
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant plain, caller.CreateKey("crc"));
  ASSERT_THAT(caller.Append(plain, AsBytes("new")), IsOk());
  EXPECT_THAT(caller.Seal(plain, 3, base::Crc32cDigest(base::Crc32c(AsBytes("new")))), IsOk());
}

TEST_P(PeerContract, ASha256IsCheckedOnlyIfItWasAskedFor) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  EXPECT_THAT(caller.Seal(grant, 0, ShaOf({})), StatusIs(absl::StatusCode::kInvalidArgument, "NO_SHA256"));
  EXPECT_THAT(caller.Get("k"), kNoObject);
}

TEST_P(PeerContract, DiscardFreesEverythingAndIsIdempotent) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.Create({.key = "k", .size_hint = 3 * kMiB}));
  ASSERT_THAT(caller.Append(grant, SampleBytes(kMiB)), IsOk());
  EXPECT_THAT(caller.Discard(grant), IsOk());
  EXPECT_THAT(caller.Discard(grant), IsOk());
  EXPECT_THAT(caller.Append(grant, {}), kLeaseLost);
  EXPECT_EQ(Used(), used_at_start_);
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant sealed, caller.CreateKey("k"));
  ASSERT_THAT(caller.Seal(sealed, 0), IsOk());
  EXPECT_THAT(caller.Discard(sealed), StatusIs(absl::StatusCode::kFailedPrecondition, "SEALED"));
  EXPECT_THAT(caller.Stat("k"), IsOk());
}

TEST_P(PeerContract, AnExistingKeyIsRefusedUnlessOverwritten) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("one")), IsOk());
  EXPECT_THAT(caller.CreateKey("k"), kExists);
  ASSERT_THAT(caller.Put({.key = "k", .overwrite = true}, AsBytes("two")), IsOk());
  EXPECT_EQ(TextOf(caller.Get("k")), "two");
  EXPECT_EQ(peer().usage().objects, 1u);
  EXPECT_EQ(peer().usage().bytes, 3u);
}

TEST_P(PeerContract, AnOverwriteShowsTheOldBytesUntilItsSealAndToOldReadersFurther) {
  Caller caller = Open();
  const std::vector<std::byte> old_bytes = SampleBytes(200 * kKiB, 1);
  const std::vector<std::byte> new_bytes = SampleBytes(2 * kMiB, 2);
  ASSERT_THAT(caller.PutKey("k", old_bytes), IsOk());
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant old_read, caller.Get("k"));
    LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.Create({.key = "k", .overwrite = true}));
    ASSERT_THAT(caller.Append(grant, new_bytes), IsOk());
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant meanwhile, caller.Get("k"));
    EXPECT_EQ(meanwhile.info.epoch, old_read.info.epoch);
    ASSERT_THAT(caller.Seal(grant, new_bytes.size()), IsOk());
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant new_read, caller.Get("k"));
    EXPECT_TRUE(BytesOf(*old_read.view) == old_bytes);
    EXPECT_TRUE(BytesOf(**peer().ViewOf(caller.session(), old_read.lease)) == old_bytes);
    EXPECT_TRUE(BytesOf(*new_read.view) == new_bytes);
    EXPECT_EQ(peer().usage().bytes, new_bytes.size());
  }
  ASSERT_THAT(caller.Delete("k"), IsOk());
  caller.Close();
  ExpectNothingLeft();
}

TEST_P(PeerContract, AnOverwriteThatIsGivenUpKeepsTheOldObject) {
  Caller caller = Open();
  Caller other = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("old")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.Create({.key = "k", .overwrite = true}));
  ASSERT_THAT(caller.Append(grant, AsBytes("new")), IsOk());
  caller.Close();
  EXPECT_EQ(TextOf(other.Get("k")), "old");
  Restart();
  if (durable()) {
    EXPECT_EQ(TextOf(Open().Get("k")), "old");
  }
}

TEST_P(PeerContract, AnEmptyKeyIsNamedByItsContent) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult one, caller.PutKey("", AsBytes("content")));
  const base::Digest sha = ShaOf(AsBytes("content"));
  EXPECT_EQ(one.info.id.key, base::FormatDigest(sha));
  EXPECT_EQ(one.info.digest, sha);
  EXPECT_FALSE(one.existed);
  EXPECT_EQ(TextOf(caller.Get(one.info.id.key)), "content");
}

TEST_P(PeerContract, EqualContentIsKeptOnce) {
  Caller first = Open();
  Caller second = Open();
  Caller elsewhere = Open("team-b");
  const std::vector<std::byte> bytes = SampleBytes(kMiB);
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant a, first.CreateKey(""));
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant b, second.CreateKey(""));
  ASSERT_THAT(first.Append(a, bytes), IsOk());
  ASSERT_THAT(second.Append(b, bytes), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult one, first.Seal(a, bytes.size()));
  const uint64_t used = Used();
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult two, second.Seal(b, bytes.size()));
  EXPECT_LT(Used(), used) << "the second copy is dropped";
  EXPECT_TRUE(two.existed);
  EXPECT_EQ(two.info.epoch, one.info.epoch);
  EXPECT_EQ(peer().usage().objects, 1u);
  EXPECT_TRUE((*second.Seal(b, bytes.size())).existed) << "also when repeated";
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult third, elsewhere.PutKey("", bytes));
  EXPECT_FALSE(third.existed) << "other namespaces share nothing";
}

TEST_P(PeerContract, AContentKeyGivenByTheCallerMustBeThatOfTheBytes) {
  Caller caller = Open();
  const std::string key = base::FormatDigest(ShaOf(AsBytes("right")));
  EXPECT_THAT(caller.PutKey(key, AsBytes("wrong")), kMismatch);
  EXPECT_THAT(caller.Get(key), kNoObject);
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult sealed, caller.PutKey(key, AsBytes("right")));
  EXPECT_EQ(sealed.info.digest, ShaOf(AsBytes("right")));
  EXPECT_TRUE(caller.PutKey("", AsBytes("right"))->existed);
  EXPECT_THAT(caller.PutKey("sha256:nonsense", AsBytes("right")), kMismatch);
}

TEST_P(PeerContract, AContentKeyIsTheirsWhoSealsFirst) {
  Caller named = Open();
  Caller unnamed = Open();
  const std::string key = base::FormatDigest(ShaOf(AsBytes("same")));
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, named.CreateKey(key));
  ASSERT_THAT(named.Append(grant, AsBytes("same")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult first, unnamed.PutKey("", AsBytes("same")));
  EXPECT_FALSE(first.existed);
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult second, named.Seal(grant, 4));
  EXPECT_TRUE(second.existed);
  EXPECT_EQ(second.info.epoch, first.info.epoch);
}

TEST_P(PeerContract, AcceptSameContentSucceedsForEqualBytes) {
  Caller caller = Open();
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB + 5);
  for (const bool sha : {false, true}) {
    const std::string key = sha ? "by-sha" : "by-crc";
    LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.Create({.key = key, .want_sha256 = sha}));
    ASSERT_THAT(caller.Append(grant, bytes), IsOk());
    LARDER_ASSERT_OK_AND_ASSIGN(const SealResult first, caller.Seal(grant, bytes.size()));
    const uint64_t used = Used();
    LARDER_ASSERT_OK_AND_ASSIGN(const SealResult second, caller.Put({.key = key, .accept_same_content = true}, bytes));
    EXPECT_TRUE(second.existed);
    EXPECT_EQ(second.info.epoch, first.info.epoch);
    EXPECT_EQ(Used(), used);
  }
}

TEST_P(PeerContract, AcceptSameContentRefusesOtherBytes) {
  Caller caller = Open();
  std::vector<std::byte> bytes = SampleBytes(kMiB + 5);
  ASSERT_THAT(caller.PutKey("k", bytes), IsOk());
  bytes.back() ^= std::byte{1};
  EXPECT_THAT(caller.Put({.key = "k", .accept_same_content = true}, bytes), kExists);
  bytes.pop_back();
  EXPECT_THAT(caller.Put({.key = "k", .accept_same_content = true}, bytes), kExists);
  EXPECT_THAT(caller.Put({.key = "k", .accept_same_content = true}, {}), kExists);
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult fresh, caller.Put({.key = "new", .accept_same_content = true}, bytes));
  EXPECT_FALSE(fresh.existed);
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult over,
                              caller.Put({.key = "k", .overwrite = true, .accept_same_content = true}, bytes));
  EXPECT_FALSE(over.existed);
}

TEST_P(PeerContract, EqualContentUnderOtherSettingsIsPublishedWithThem) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("same")), IsOk());
  CreateRequest mortal = WithTtl("k", seconds(10));
  mortal.accept_same_content = true;
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult second, caller.Put(mortal, AsBytes("same")));
  EXPECT_FALSE(second.existed);
  EXPECT_EQ(caller.Stat("k")->ttl_left, seconds(10));
  EXPECT_EQ(caller.Stat("k")->epoch, second.info.epoch);
  Pass(seconds(4));
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult third, caller.Put(mortal, AsBytes("same")));
  EXPECT_FALSE(third.existed) << "a TTL counts from the seal that asked for it";
  EXPECT_EQ(caller.Stat("k")->ttl_left, seconds(10));
}

TEST_P(PeerContract, AcceptSameContentPublishesWhenTheOldObjectWentAway) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("old")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.Create({.key = "k", .accept_same_content = true}));
  ASSERT_THAT(caller.Append(grant, AsBytes("new")), IsOk());
  ASSERT_THAT(caller.Delete("k"), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult sealed, caller.Seal(grant, 3));
  EXPECT_FALSE(sealed.existed);
  EXPECT_EQ(TextOf(caller.Get("k")), "new");
}

// ---- time to live, pins, lists

TEST_P(PeerContract, AnObjectIsHiddenWhenItsTtlHasPassedAndTickFreesIt) {
  Caller caller = Open();
  const std::vector<std::byte> bytes = SampleBytes(kMiB);
  ASSERT_THAT(caller.Put(WithTtl("k", seconds(10)), bytes), IsOk());
  absl::StatusOr<ReadGrant> early = caller.Get("k");
  ASSERT_THAT(early.status(), IsOk());
  node_->clock().Advance(seconds(4));
  EXPECT_EQ(caller.Stat("k")->ttl_left, seconds(6));
  node_->clock().Advance(seconds(6) - std::chrono::nanoseconds(1));
  EXPECT_EQ(caller.Stat("k")->ttl_left, std::chrono::nanoseconds(1));
  node_->clock().Advance(std::chrono::nanoseconds(1));
  EXPECT_THAT(caller.Get("k"), kNoObject);
  EXPECT_THAT(caller.Stat("k"), kNoObject);
  EXPECT_THAT(KeysOf(caller.List({})), IsEmpty());
  EXPECT_THAT(caller.Delete("k"), kNoObject);
  EXPECT_THAT(caller.SetPinned("k", true), kNoObject);
  EXPECT_TRUE(BytesOf(**peer().ViewOf(caller.session(), early->lease)) == bytes) << "TTL decides who may start";
  peer().Tick();
  EXPECT_EQ(peer().usage().objects, 0u);
  EXPECT_GE(Used(), used_at_start_ + kMiB);
  caller.Release(*early);
  early = absl::CancelledError();
  EXPECT_EQ(Used(), used_at_start_);
}

TEST_P(PeerContract, AnExpiredObjectMakesWayBeforeItIsFreed) {
  Caller caller = Open();
  ASSERT_THAT(caller.Put(WithTtl("k", seconds(10)), AsBytes("old")), IsOk());
  node_->clock().Advance(seconds(10));
  ASSERT_THAT(caller.PutKey("k", AsBytes("new")), IsOk());
  EXPECT_EQ(peer().usage().objects, 1u);
  Pass(seconds(100));
  EXPECT_EQ(TextOf(caller.Get("k")), "new") << "the old one's end is not the new one's";
  Restart();
  if (durable()) {
    EXPECT_EQ(TextOf(Open().Get("k")), "new");
  }
}

TEST_P(PeerContract, AnOverwriteBringsItsOwnTtl) {
  Caller caller = Open();
  ASSERT_THAT(caller.Put(WithTtl("k", seconds(10)), AsBytes("old")), IsOk());
  CreateRequest longer = WithTtl("k", seconds(100));
  longer.overwrite = true;
  ASSERT_THAT(caller.Put(longer, AsBytes("new")), IsOk());
  ASSERT_THAT(caller.SetPinned("k", true), IsOk());
  ASSERT_THAT(caller.SetPinned("k", false), IsOk());
  Pass(seconds(99));
  EXPECT_EQ(TextOf(caller.Get("k")), "new");
  Pass(seconds(1));
  EXPECT_THAT(caller.Get("k"), kNoObject);
  caller.Close();
  ExpectNothingLeft();
}

TEST_P(PeerContract, PinsShowUntilTakenAwayAndNotOnTheNextObject) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("x")), IsOk());
  ASSERT_THAT(caller.SetPinned("k", true), IsOk());
  ASSERT_THAT(caller.SetPinned("k", true), IsOk());
  EXPECT_TRUE(caller.Stat("k")->pinned);
  EXPECT_TRUE(caller.Get("k")->info.pinned);
  EXPECT_EQ(peer().usage().objects, 1u);
  EXPECT_EQ(peer().usage().bytes, 1u);
  ASSERT_THAT(caller.SetPinned("k", false), IsOk());
  EXPECT_FALSE(caller.Stat("k")->pinned);
  ASSERT_THAT(caller.SetPinned("k", true), IsOk());
  ASSERT_THAT(caller.Put({.key = "k", .overwrite = true}, AsBytes("y")), IsOk());
  EXPECT_FALSE(caller.Stat("k")->pinned);
  EXPECT_THAT(caller.SetPinned("none", true), kNoObject);
}

TEST_P(PeerContract, ListsSealedObjectsByKeyInPages) {
  Caller caller = Open();
  EXPECT_THAT(KeysOf(caller.List({})), IsEmpty());
  for (const std::string key : {"a", "a/1", "a/2", "a/2/x", "a0", "ab", "b", "b/1", "ä"}) {
    ASSERT_THAT(caller.PutKey(key, {}), IsOk());
  }
  ASSERT_THAT(caller.CreateKey("a/creating"), IsOk());
  EXPECT_THAT(KeysOf(caller.List({})), ElementsAre("a", "a/1", "a/2", "a/2/x", "a0", "ab", "b", "b/1", "ä"));
  EXPECT_THAT(KeysOf(caller.List({.prefix = "a/"})), ElementsAre("a/1", "a/2", "a/2/x"));
  EXPECT_THAT(KeysOf(caller.List({.prefix = "a/2"})), ElementsAre("a/2", "a/2/x"));
  EXPECT_THAT(KeysOf(caller.List({.prefix = "c"})), IsEmpty());
  EXPECT_THAT(KeysOf(caller.List({.prefix = "b", .after = "a/1"})), ElementsAre("b", "b/1"))
      << "after is before prefix";
  EXPECT_THAT(KeysOf(caller.List({.prefix = "a/", .after = "a/"})), ElementsAre("a/1", "a/2", "a/2/x"));
  EXPECT_THAT(KeysOf(caller.List({.prefix = "a/", .after = "a/2"})), ElementsAre("a/2/x"));
  EXPECT_THAT(KeysOf(caller.List({.prefix = "a/", .after = "a/15"})), ElementsAre("a/2", "a/2/x"));
  EXPECT_THAT(KeysOf(caller.List({.prefix = "a/", .after = "b"})), IsEmpty());
  EXPECT_THAT(KeysOf(caller.List({.prefix = "b", .after = "b"})), ElementsAre("b/1")) << "greater than this";
  for (uint32_t limit = 1; limit <= 10; ++limit) {
    std::vector<std::string> keys;
    ListPage page;
    do {
      page = *caller.List({.after = keys.empty() ? "" : keys.back(), .limit = limit});
      EXPECT_LE(page.objects.size(), limit);
      EXPECT_TRUE(!page.more || page.objects.size() == limit);
      for (const ObjectInfo& info : page.objects) keys.push_back(info.id.key);
    } while (page.more);
    EXPECT_EQ(keys.size(), 9u) << limit;
  }
  EXPECT_FALSE(caller.List({.limit = 9})->more) << "exactly all";
  EXPECT_TRUE(caller.List({.limit = 8})->more);
  for (const uint32_t bad : {0u, 1001u}) {
    EXPECT_THAT(caller.List({.limit = bad}), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_LIMIT"));
  }
}

TEST_P(PeerContract, APageIsNotAnnouncedWhenOnlyExpiredObjectsFollow) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("a", {}), IsOk());
  ASSERT_THAT(caller.Put(WithTtl("b", seconds(1)), {}), IsOk());
  EXPECT_TRUE(caller.List({.limit = 1})->more);
  node_->clock().Advance(seconds(1));
  EXPECT_FALSE(caller.List({.limit = 1})->more);
}

// ---- for whoever keeps a registry in step

TEST_P(PeerContract, WhatIsSealedIsListedOverAllNamespacesPageByPage) {
  Caller a = Open("team-a"), b = Open("team-b");
  for (const std::string key : {"x", "y"}) {
    ASSERT_THAT(a.PutKey(key, {}), IsOk());
    ASSERT_THAT(b.PutKey(key, {}), IsOk());
  }
  ASSERT_THAT(b.Put(WithTtl("over", seconds(1)), {}), IsOk());
  ASSERT_THAT(b.CreateKey("creating"), IsOk());
  node_->clock().Advance(seconds(2));
  for (const size_t limit : {1u, 2u, 3u, 4u, 100u}) {
    std::vector<std::string> names;
    ObjectId after;
    for (bool more = true; more;) {
      const std::vector<ObjectInfo> page = peer().ListSealed(after, limit);
      ASSERT_LE(page.size(), limit);
      for (const ObjectInfo& info : page) names.push_back(info.id.ns + "/" + info.id.key);
      more = !page.empty();
      if (more) after = page.back().id;
    }
    EXPECT_THAT(names, ElementsAre("team-a/x", "team-a/y", "team-b/x", "team-b/y")) << limit;
  }
}

TEST_P(PeerContract, WhatTheClusterKnowsAnEpochAsIsKeptWithThatEpoch) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult put, caller.PutKey("k", AsBytes("old")));
  const ObjectId id = put.info.id;
  EXPECT_EQ(peer().FindSealed(id)->tracked, std::nullopt);
  EXPECT_THAT(peer().SetTracked(id, {put.info.epoch.value + 1}, {{3}, {5}}), kNoObject);
  EXPECT_THAT(peer().SetTracked({"team-b", "k"}, put.info.epoch, {{3}, {5}}), kNoObject);
  ASSERT_THAT(peer().SetTracked(id, put.info.epoch, {{3}, {5}}), IsOk());
  EXPECT_EQ(peer().FindSealed(id)->tracked, (TrackedAs{{3}, {5}}));
  EXPECT_EQ(TextOf(caller.Get("k")), "old");
  if (durable()) {
    Restart();
    EXPECT_EQ(peer().FindSealed(id)->tracked, (TrackedAs{{3}, {5}}));
  }
  ASSERT_THAT(Open().Put({.key = "k", .overwrite = true}, AsBytes("new")), IsOk());
  EXPECT_EQ(peer().FindSealed(id)->tracked, std::nullopt);
}

TEST_P(PeerContract, ADropIsOfItsEpochAlone) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult old, caller.PutKey("k", AsBytes("old")));
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult put, caller.Put({.key = "k", .overwrite = true}, AsBytes("new")));
  EXPECT_THAT(peer().Drop(put.info.id, old.info.epoch), kNoObject);
  EXPECT_EQ(TextOf(caller.Get("k")), "new");
  EXPECT_THAT(peer().Drop(put.info.id, put.info.epoch), IsOk());
  EXPECT_THAT(caller.Get("k"), kNoObject);
  EXPECT_EQ(peer().FindSealed(put.info.id), std::nullopt);
  EXPECT_THAT(peer().Drop(put.info.id, put.info.epoch), kNoObject);
}

TEST_P(PeerContract, WhatGoesByItselfIsToldOfAndWhatIsDeletedOrReplacedIsNot) {
  std::vector<std::string> dropped;
  peer().OnDropped([&](const std::vector<ObjectInfo>& gone) {
    for (const ObjectInfo& info : gone) {
      dropped.push_back(fmt::format("{} {}", info.id.key, info.tracked ? info.tracked->blob.value : 0));
    }
  });
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult expires, caller.Put(WithTtl("expires", seconds(5)), {}));
  ASSERT_THAT(peer().SetTracked(expires.info.id, expires.info.epoch, {{3}, {5}}), IsOk());
  ASSERT_THAT(caller.PutKey("damaged", {}), IsOk());
  for (const std::string key : {"deleted", "replaced"}) ASSERT_THAT(caller.PutKey(key, {}), IsOk());
  ASSERT_THAT(caller.Delete("deleted"), IsOk());
  ASSERT_THAT(caller.Put({.key = "replaced", .overwrite = true}, {}), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant read, caller.Get("damaged"));
  EXPECT_THAT(dropped, IsEmpty());
  peer().ReportDamage(caller.session(), read.lease);
  EXPECT_THAT(dropped, ElementsAre("damaged 0"));
  Pass(seconds(6));
  EXPECT_THAT(dropped, ElementsAre("damaged 0", "expires 3"));
}

}  // namespace larder::object
