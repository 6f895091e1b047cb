#include <gmock/gmock.h>

#include <functional>

#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/testing/peer_contract.h"

namespace larder::object {

void LinkErrorRules() {}

namespace {

using base::AsBytes;
using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const auto kNoObject = StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT");
const auto kNoSession = StatusIs(absl::StatusCode::kNotFound, "NO_SESSION");
const auto kBadMeta = StatusIs(absl::StatusCode::kInvalidArgument, "BAD_META");

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

CreateRequest WithTtl(const std::string& key, base::Duration ttl) {
  CreateRequest request{.key = key};
  request.meta.ttl = ttl;
  return request;
}

}  // namespace

// ---- limits and errors

TEST_P(PeerContract, WhatCannotFitIsRefusedAndLeavesNothingBehind) {
  Begin({.arena_bytes = 8 * kMiB, .max_bytes = 8 * kMiB});
  Caller caller = Open();
  const auto full = StatusIs(absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(caller.Create({.key = "k", .size_hint = 100 * kMiB}), full);
  EXPECT_EQ(peer().usage().create_leases, 0u);
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  uint64_t size = 0;
  absl::Status appended;
  while ((appended = caller.Append(grant, SampleBytes(500 * kKiB))).ok()) size += 500 * kKiB;
  EXPECT_THAT(appended, full);
  EXPECT_LE(size, 8 * kMiB);
  EXPECT_THAT(caller.Seal(grant, size), IsOk()) << "what was taken before is still good";
  EXPECT_EQ(peer().usage().bytes, size);
  ASSERT_THAT(caller.Delete("k"), IsOk());
  EXPECT_THAT(caller.PutKey("k", SampleBytes(4 * kMiB)), IsOk());
  ASSERT_THAT(caller.Delete("k"), IsOk());
  caller.Close();
  ExpectNothingLeft();
}

TEST_P(PeerContract, RefusesBadNamespacesKeysAndMeta) {
  EXPECT_THAT(peer().OpenSession({.ns = "Bad_Ns"}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "BAD_NAMESPACE"));
  Caller caller = Open();
  const auto bad_key = StatusIs(absl::StatusCode::kInvalidArgument, "BAD_KEY");
  EXPECT_THAT(caller.CreateKey("a/../b"), bad_key);
  EXPECT_THAT(caller.Get("/a"), bad_key);
  EXPECT_THAT(caller.Stat(""), bad_key);
  EXPECT_THAT(caller.Delete(std::string("a\0b", 3)), bad_key);
  EXPECT_THAT(caller.SetPinned("a//b", true), bad_key);
  for (const AckPolicy ack : {AckPolicy::kTracked, AckPolicy::kReplicated, AckPolicy::kOrigin}) {
    const CreateRequest request{.key = "k", .ack = ack};
    const auto answer = caller.Create(request);
    if (!answer.ok()) {
      EXPECT_THAT(answer, StatusIs(absl::StatusCode::kInvalidArgument, "ACK_IMPOSSIBLE"));
    }
    if (answer.ok()) {
      ASSERT_THAT(caller.Discard(*answer), IsOk());
    }
  }
  const std::vector<std::function<void(ObjectMeta&)>> spoil = {
      [](ObjectMeta& m) { m.ttl = seconds(0); },
      [](ObjectMeta& m) { m.ttl = -seconds(1); },
      [](ObjectMeta& m) { m.ttl = base::Duration::max(); },
      [](ObjectMeta& m) { m.ttl = hours(24) * 365 * 101; },
      [](ObjectMeta& m) { m.tags = {std::string(129, 'x')}; },
      [](ObjectMeta& m) { m.tags.resize(17); },
      [](ObjectMeta& m) { m.application = std::string(129, 'x'); },
      [](ObjectMeta& m) { m.wanted_replicas = 0; },
      [](ObjectMeta& m) { m.wanted_replicas = 65; },
      [](ObjectMeta& m) { m.piece_length = 1; },
      [](ObjectMeta& m) { m.piece_length = 3 << 20; },
      [](ObjectMeta& m) { m.piece_length = 32 << 20; },
  };
  for (size_t i = 0; i < spoil.size(); ++i) {
    CreateRequest request{.key = "k"};
    spoil[i](request.meta);
    EXPECT_THAT(caller.Create(request), kBadMeta) << i;
  }
  EXPECT_EQ(peer().usage().create_leases, 0u);
}

TEST_P(PeerContract, TheLargestKeyAndMetaThatAreAllowedAreKept) {
  Caller caller = Open(std::string(63, 'n'));
  std::string key(255, 'k');
  for (int i = 0; i < 3; ++i) key += "/" + std::string(255, 'k');
  ASSERT_EQ(key.size(), 1023u);
  CreateRequest request = WithTtl(key, hours(24) * 365 * 100);
  request.meta.tags = std::vector<std::string>(16, std::string(128, 't'));
  request.meta.application = std::string(128, 'a');
  request.want_sha256 = true;
  ASSERT_THAT(caller.Put(request, AsBytes("x")), IsOk());
  EXPECT_EQ(caller.Stat(key)->ttl_left, request.meta.ttl);
  Restart();
  if (durable()) {
    LARDER_ASSERT_OK_AND_ASSIGN(const ObjectInfo info, Open(std::string(63, 'n')).Stat(key));
    EXPECT_EQ(info.meta.tags, request.meta.tags);
  }
}

TEST_P(PeerContract, EveryCallOfAClosedSessionSaysSo) {
  Caller other = Open();
  ASSERT_THAT(other.PutKey("k", {}), IsOk());
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("creating"));
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant read, caller.Get("k"));
  caller.Close();
  EXPECT_THAT(caller.CreateKey("new"), kNoSession);
  EXPECT_THAT(caller.Append(grant, {}), kNoSession);
  EXPECT_THAT(caller.Seal(grant, 0), kNoSession);
  EXPECT_THAT(caller.Discard(grant), kNoSession);
  EXPECT_THAT(caller.Get("k"), kNoSession);
  EXPECT_THAT(peer().ViewOf(caller.session(), read.lease).status(), kNoSession);
  EXPECT_THAT(caller.Renew(), kNoSession);
  EXPECT_THAT(caller.Stat("k"), kNoSession);
  EXPECT_THAT(caller.List({}), kNoSession);
  EXPECT_THAT(caller.Delete("k"), kNoSession);
  EXPECT_THAT(caller.SetPinned("k", true), kNoSession);
  caller.Release(read);
}

TEST_P(PeerContract, ADoneMayCallThePeerAgain) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  Answer<absl::StatusOr<ObjectInfo>> seen;
  peer().Create(caller.session(), {.key = "k"}, base::kNoDeadline,
                [&, slot = seen.Slot()](const absl::StatusOr<CreateGrant>&) { slot(caller.Stat("k")); });
  Answer<absl::StatusOr<ListPage>> listed;
  peer().Seal(caller.session(), grant.lease, grant.epoch, {},
              [&, slot = listed.Slot()](const absl::StatusOr<SealResult>&) { slot(caller.List({})); });
  EXPECT_EQ(KeysOf(listed.Get()).size(), 1u);
  EXPECT_THAT(seen.Get(), IsOk());
}

// ---- restarts

TEST_P(PeerContract, ARestartFindsWhatTheBackendKeeps) {
  {
    Caller caller = Open();
    ASSERT_THAT(caller.PutKey("kept", SampleBytes(200 * kKiB)), IsOk());
    ASSERT_THAT(caller.SetPinned("kept", true), IsOk());
    ASSERT_THAT(caller.Put(WithTtl("mortal", seconds(60)), AsBytes("m")), IsOk());
    ASSERT_THAT(caller.PutKey("", AsBytes("content")), IsOk());
    ASSERT_THAT(caller.PutKey("deleted", AsBytes("d")), IsOk());
    ASSERT_THAT(caller.Delete("deleted"), IsOk());
    ASSERT_THAT(caller.CreateKey("creating"), IsOk());
  }
  Restart();  // a second passes
  Caller caller = Open();
  if (!durable()) {
    EXPECT_THAT(KeysOf(caller.List({})), IsEmpty());
    caller.Close();
    ExpectNothingLeft();
    return;
  }
  const std::string content = base::FormatDigest(ShaOf(AsBytes("content")));
  EXPECT_THAT(KeysOf(caller.List({})), ElementsAre("kept", "mortal", content));
  EXPECT_EQ(peer().usage().objects, 3u);
  EXPECT_TRUE(caller.Stat("kept")->pinned);
  EXPECT_EQ(caller.Stat("mortal")->ttl_left, seconds(59));
  EXPECT_TRUE(BytesOf(*caller.Get("kept")->view) == SampleBytes(200 * kKiB));
  EXPECT_TRUE(caller.PutKey("", AsBytes("content"))->existed);
  EXPECT_TRUE(caller.Put({.key = "kept", .accept_same_content = true}, SampleBytes(200 * kKiB))->existed);
  Pass(seconds(59));
  EXPECT_THAT(caller.Get("mortal"), kNoObject);
  for (const std::string& key : {std::string("kept"), content}) ASSERT_THAT(caller.Delete(key), IsOk());
  caller.Close();
  ExpectNothingLeft();
  Restart();
  EXPECT_EQ(peer().usage().objects, 0u);
}

}  // namespace larder::object
