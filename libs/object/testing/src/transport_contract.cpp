#include "larder/object/testing/transport_contract.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/units.h"
#include "larder/object/testing/test_node.h"

namespace larder::object {

// Of transport_contract_many.cpp: else the linker would drop its tests.
void LinkManyRules();

namespace {

using base::IsOk;
using base::kMiB;
using base::StatusIs;

// Holds once true; the agent learns of a hang-up by itself, soon.
template <typename Condition>
bool Eventually(Condition holds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace

// ---- the fixture

void TransportContract::SetUp() {
  LARDER_ASSERT_OK_AND_ASSIGN(arena_, arena::Arena::Create({.size = 64 * kMiB, .slab_size = 4 * kMiB}));
  LARDER_ASSERT_OK_AND_ASSIGN(
      backend_, GetParam().backend.make({.path = dir_ / "store", .clock = &clock_, .arena = arena_.get()}));
  LARDER_ASSERT_OK_AND_ASSIGN(
      peer_, GetParam().peer.make({.backends = {backend_.get()}, .clock = &clock_, .executor = &pool_}));
  Listen();
}

void TransportContract::TearDown() {
  if (listener_ != nullptr) listener_->Stop(base::kNoDeadline);
  pool_.Stop();
  if (peer_ == nullptr) return;
  // Invariant 7: with no client left there is no lease, and what is not an object is free.
  const PeerUsage usage = peer_->usage();
  EXPECT_EQ(usage.sessions, 0u);
  EXPECT_EQ(usage.create_leases, 0u);
  EXPECT_EQ(usage.read_leases, 0u);
  arena_->Maintain();
  EXPECT_EQ(arena_->usage().quarantined, 0u);
  EXPECT_EQ(arena_->usage().windows, 0u);
}

void TransportContract::Listen() {
  LARDER_ASSERT_OK_AND_ASSIGN(
      listener_, Entry().listen({.address = Address(),
                                 .peer = peer_.get(),
                                 .clock = &clock_,
                                 .executor = &pool_,
                                 .arena = arena_.get(),
                                 .node = "node-0",
                                 .version = "test",
                                 .identify = [](const CallerProcess& caller,
                                                const std::string& ns) -> absl::StatusOr<SessionOwner> {
                                   return SessionOwner{.ns = ns.empty() ? "default" : ns, .pid = caller.pid};
                                 }}));
  ASSERT_THAT(listener_->Start(), IsOk());
}

std::unique_ptr<Channel> TransportContract::Dial(const std::string& ns) {
  auto channel = Entry().dial(Address(), {.ns = ns});
  EXPECT_THAT(channel.status(), IsOk());
  return *std::move(channel);
}

std::vector<std::byte> TransportContract::ReadAll(ObjectReader& reader) {
  std::vector<std::byte> out(reader.info().size);
  EXPECT_THAT(reader.Read(0, out), IsOk());
  if (const auto bytes = reader.Bytes()) {
    EXPECT_EQ(std::vector<std::byte>(bytes->begin(), bytes->end()), out);
  }
  return out;
}

// ---- what it keeps

TEST_P(TransportContract, EverySizeComesBackThroughAnotherClient) {
  auto author = Dial();
  auto reader = Dial();
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{4095}, size_t{65535}, size_t{65536}, size_t{65537}, size_t{262144}, size_t{300001},
        size_t{kMiB}, size_t{kMiB + 1}, size_t{5 * kMiB + 17}, size_t{20 * kMiB}}) {
    const std::vector<std::byte> bytes = SampleBytes(size, size);
    const std::string key = "k/" + std::to_string(size);
    auto writer = author->Create({.key = key}, base::kNoDeadline);
    ASSERT_THAT(writer.status(), IsOk());
    // In uneven parts.
    for (size_t at = 0, step = 1; at < size; at += step, step = step * 3 + 1) {
      step = std::min(step, size - at);
      ASSERT_THAT((*writer)->Write({bytes.data() + at, step}), IsOk());
    }
    auto sealed = (*writer)->Seal({});
    ASSERT_THAT(sealed.status(), IsOk()) << size;
    EXPECT_EQ(sealed->info.size, size);
    EXPECT_EQ(sealed->info.digest, base::Crc32cDigest(base::Crc32c(bytes)));
    auto object = reader->Get(key, base::kNoDeadline);
    ASSERT_THAT(object.status(), IsOk()) << size;
    EXPECT_TRUE(ReadAll(**object) == bytes) << size;
    ASSERT_THAT(author->Delete(key, base::kNoDeadline), IsOk());
  }
}

TEST_P(TransportContract, BytesOfARangeAreReadAsAnyOthers) {
  auto channel = Dial();
  for (const size_t size : {size_t{1000}, size_t{2 * kMiB}}) {
    const std::vector<std::byte> bytes = SampleBytes(size, size);
    ASSERT_THAT(channel->Put({.key = "k", .overwrite = true}, bytes, base::kNoDeadline).status(), IsOk());
    for (const ByteRange& range :
         {ByteRange{.first = 100, .last = 199}, ByteRange{.first = 100}, ByteRange{.last = 900}}) {
      LARDER_ASSERT_OK_AND_ASSIGN(const auto reader, channel->GetRange("k", range, base::kNoDeadline));
      EXPECT_EQ(reader->info().size, size);
      LARDER_ASSERT_OK_AND_ASSIGN(const ByteRun run, BytesOf(range, size));
      std::vector<std::byte> out(run.length);
      ASSERT_THAT(reader->Read(run.offset, out), IsOk());
      EXPECT_TRUE(std::ranges::equal(out, std::span(bytes).subspan(run.offset, run.length)));
    }
  }
  EXPECT_THAT(channel->GetRange("none", {.last = 1}, base::kNoDeadline).status(),
              base::StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_P(TransportContract, ABufferIsZeroUntilWrittenAndBecomesTheObject) {
  auto channel = Dial();
  for (const size_t size : {size_t{5}, size_t{65536}, size_t{65537}, size_t{9 * kMiB + 5}}) {
    for (int round = 0; round < 3; ++round) {
      auto writer = channel->Create({.key = "b", .overwrite = true}, base::kNoDeadline);
      ASSERT_THAT(writer.status(), IsOk());
      auto buffer = (*writer)->Buffer(size);
      ASSERT_THAT(buffer.status(), IsOk());
      ASSERT_EQ(buffer->size(), size);
      EXPECT_TRUE(std::all_of(buffer->begin(), buffer->end(), [](std::byte b) { return b == std::byte{0}; })) << size;
      std::vector<std::byte> expected(size);
      for (size_t i = 0; i < size; i += 7) (*buffer)[i] = expected[i] = static_cast<std::byte>(i + 1);
      EXPECT_THAT((*writer)->Write({}), IsOk());
      EXPECT_THAT((*writer)->Write(base::AsBytes("x")), StatusIs(absl::StatusCode::kFailedPrecondition, "MIXED_WRITE"));
      ASSERT_THAT((*writer)->Seal({}).status(), IsOk());
      auto reader = channel->Get("b", base::kNoDeadline);
      ASSERT_THAT(reader.status(), IsOk());
      EXPECT_TRUE(ReadAll(**reader) == expected) << size;
    }
  }
}

TEST_P(TransportContract, PutIsCreateWriteAndSealInOne) {
  auto channel = Dial();
  for (const size_t size : {size_t{0}, size_t{100}, size_t{65536}, size_t{65537}, size_t{2 * kMiB}}) {
    const auto bytes = SampleBytes(size);
    auto sealed = channel->Put({.key = "p", .overwrite = true}, bytes, base::kNoDeadline);
    ASSERT_THAT(sealed.status(), IsOk());
    auto reader = channel->Get("p", base::kNoDeadline);
    ASSERT_THAT(reader.status(), IsOk());
    EXPECT_TRUE(ReadAll(**reader) == bytes);
  }
  EXPECT_THAT(channel->Put({.key = "p"}, {}, base::kNoDeadline).status(),
              StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS"));
}

TEST_P(TransportContract, ContentAddressedObjectsAreNamedByTheirBytes) {
  auto channel = Dial();
  auto sealed = channel->Put({}, base::AsBytes("hello"), base::kNoDeadline);
  ASSERT_THAT(sealed.status(), IsOk());
  EXPECT_EQ(sealed->info.id.key, "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  EXPECT_FALSE(sealed->existed);
  sealed = channel->Put({}, base::AsBytes("hello"), base::kNoDeadline);
  ASSERT_THAT(sealed.status(), IsOk());
  EXPECT_TRUE(sealed->existed);
}

TEST_P(TransportContract, MetaStatListPinAndDeleteSpeakOfTheSameObject) {
  auto channel = Dial("team");
  EXPECT_EQ(channel->ns(), "team");
  EXPECT_EQ(channel->node(), "node-0");
  CreateRequest request{.key = "dir/a"};
  request.meta.ttl = std::chrono::hours(1);
  request.meta.tags = {"x", "y"};
  request.meta.application = "app";
  request.meta.wanted_replicas = 3;
  ASSERT_THAT(channel->Put(request, base::AsBytes("12345"), base::kNoDeadline).status(), IsOk());
  ASSERT_THAT(channel->SetPinned("dir/a", true, base::kNoDeadline), IsOk());
  auto info = channel->Stat("dir/a", base::kNoDeadline);
  ASSERT_THAT(info.status(), IsOk());
  EXPECT_EQ(info->id.ns, "team");
  EXPECT_EQ(info->state, ObjectState::kSealed);
  EXPECT_EQ(info->size, 5u);
  EXPECT_EQ(info->meta.tags, request.meta.tags);
  EXPECT_EQ(info->meta.application, "app");
  EXPECT_EQ(info->meta.wanted_replicas, 3u);
  EXPECT_EQ(info->meta.piece_length, kMiB);
  EXPECT_TRUE(info->pinned);
  ASSERT_TRUE(info->ttl_left.has_value());
  EXPECT_LE(*info->ttl_left, std::chrono::hours(1));
  EXPECT_GT(*info->ttl_left, std::chrono::minutes(59));

  for (int i = 0; i < 30; ++i) {
    ASSERT_THAT(channel->Put({.key = fmt::format("many/{:02}", i)}, {}, base::kNoDeadline).status(), IsOk());
  }
  std::vector<std::string> keys;
  ListRequest list{.prefix = "many/", .limit = 7};
  while (true) {
    auto page = channel->List(list, base::kNoDeadline);
    ASSERT_THAT(page.status(), IsOk());
    for (const auto& object : page->objects) keys.push_back(object.id.key);
    if (!page->more) break;
    list.after = keys.back();
  }
  EXPECT_EQ(keys.size(), 30u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));

  EXPECT_THAT(Dial("other")->Stat("dir/a", base::kNoDeadline).status(),
              StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  ASSERT_THAT(channel->Delete("dir/a", base::kNoDeadline), IsOk());
  EXPECT_THAT(channel->Stat("dir/a", base::kNoDeadline).status(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(channel->Delete("dir/a", base::kNoDeadline), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(channel->Get("../x", base::kNoDeadline).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "BAD_KEY"));
}

TEST_P(TransportContract, AListLongerThanARecordIsPaged) {
  auto channel = Dial();
  const std::string stem(800, 'k');
  for (int i = 0; i < 200; ++i) {
    // Segments end at 255 bytes.
    std::string key = fmt::format("{:03}", i);
    for (size_t at = 0; at < stem.size(); at += 200) key += "/" + stem.substr(at, 200);
    ASSERT_THAT(channel->Put({.key = key}, {}, base::kNoDeadline).status(), IsOk());
  }
  size_t seen = 0;
  ListRequest list{.limit = 1000};
  while (true) {
    auto page = channel->List(list, base::kNoDeadline);
    ASSERT_THAT(page.status(), IsOk());
    seen += page->objects.size();
    if (!page->more) break;
    list.after = page->objects.back().id.key;
  }
  EXPECT_EQ(seen, 200u);
}

TEST_P(TransportContract, WhatIsNotSealedIsNotThere) {
  auto channel = Dial();
  auto writer = channel->Create({.key = "w"}, base::kNoDeadline);
  ASSERT_THAT(writer.status(), IsOk());
  ASSERT_THAT((*writer)->Write(SampleBytes(3 * kMiB)), IsOk());
  EXPECT_THAT(channel->Get("w", base::kNoDeadline).status(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_EQ(channel->Stat("w", base::kNoDeadline)->state, ObjectState::kCreating);
  writer->reset();  // leaving without a seal discards
  EXPECT_THAT(channel->Stat("w", base::kNoDeadline).status(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_P(TransportContract, AWrongDigestPublishesNothing) {
  auto channel = Dial();
  auto writer = channel->Create({.key = "d", .want_sha256 = true}, base::kNoDeadline);
  ASSERT_THAT(writer.status(), IsOk());
  ASSERT_THAT((*writer)->Write(base::AsBytes("hello")), IsOk());
  EXPECT_THAT((*writer)->Seal(base::Sha256DigestOf({})).status(),
              StatusIs(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH"));
  EXPECT_THAT(channel->Stat("d", base::kNoDeadline).status(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT((*writer)->Seal({}).status(), StatusIs(absl::StatusCode::kFailedPrecondition, "ENDED"));
}

TEST_P(TransportContract, ASecondCreatorWaitsForTheFirst) {
  auto first = Dial();
  auto second = Dial();
  auto writer = first->Create({.key = "k"}, base::kNoDeadline);
  ASSERT_THAT(writer.status(), IsOk());
  auto waiting = std::async(std::launch::async, [&] { return second->Create({.key = "k"}, base::kNoDeadline); });
  // The same connection is not held up by the waiting call.
  ASSERT_THAT(second->Put({.key = "other"}, {}, base::kNoDeadline).status(), IsOk());
  ASSERT_THAT((*writer)->Discard(), IsOk());
  auto taken = waiting.get();
  ASSERT_THAT(taken.status(), IsOk());
  EXPECT_GT((*taken)->epoch(), (*writer)->epoch());
  auto late = std::async(std::launch::async, [&] { return first->Create({.key = "k"}, base::kNoDeadline); });
  ASSERT_THAT((*taken)->Seal({}).status(), IsOk());
  EXPECT_THAT(late.get().status(), StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS"));
}

TEST_P(TransportContract, AHangUpGivesEverythingBackAtOnce) {
  auto watcher = Dial();
  ASSERT_THAT(watcher->Put({.key = "r"}, SampleBytes(8 * kMiB), base::kNoDeadline).status(), IsOk());
  const uint64_t before = arena_->usage().live;
  {
    auto doomed = Dial();
    auto reader = doomed->Get("r", base::kNoDeadline);
    ASSERT_THAT(reader.status(), IsOk());
    auto writer = doomed->Create({.key = "k"}, base::kNoDeadline);
    ASSERT_THAT(writer.status(), IsOk());
    ASSERT_THAT((*writer)->Write(SampleBytes(6 * kMiB)), IsOk());
    EXPECT_EQ(peer_->usage().create_leases, 1u);
    EXPECT_EQ(peer_->usage().read_leases, 1u);
  }
  EXPECT_TRUE(Eventually([&] { return peer_->usage().sessions == 1; }));
  EXPECT_EQ(peer_->usage().create_leases, 0u);
  EXPECT_EQ(peer_->usage().read_leases, 0u);
  EXPECT_TRUE(Eventually([&] {
    arena_->Maintain();
    return arena_->usage().live == before && arena_->usage().quarantined == 0;
  }));
}

TEST_P(TransportContract, ManyThreadsShareOneChannel) {
  auto channel = Dial();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 60; ++i) {
        const std::string key = fmt::format("t{}/{}", t, i % 5);
        const auto bytes = SampleBytes(static_cast<size_t>(1) << (i % 21), static_cast<uint64_t>(t * 100 + i));
        auto sealed = channel->Put({.key = key, .overwrite = true}, bytes, base::kNoDeadline);
        ASSERT_THAT(sealed.status(), IsOk());
        auto reader = channel->Get(key, base::kNoDeadline);
        ASSERT_THAT(reader.status(), IsOk());
        ASSERT_TRUE(ReadAll(**reader) == bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(TransportContract, ReadersOutliveDeleteOverwriteAndTheAgentsListener) {
  auto channel = Dial();
  const auto bytes = SampleBytes(6 * kMiB);
  ASSERT_THAT(channel->Put({.key = "r"}, bytes, base::kNoDeadline).status(), IsOk());
  auto reader = channel->Get("r", base::kNoDeadline);
  ASSERT_THAT(reader.status(), IsOk());
  ASSERT_THAT(channel->Put({.key = "r", .overwrite = true}, SampleBytes(6 * kMiB, 2), base::kNoDeadline).status(),
              IsOk());
  ASSERT_THAT(channel->Delete("r", base::kNoDeadline), IsOk());
  EXPECT_TRUE(ReadAll(**reader) == bytes);
  listener_->Stop(base::kNoDeadline);
  if ((*reader)->Bytes()) {
    EXPECT_TRUE(ReadAll(**reader) == bytes) << "a mapping needs no agent";
  }
  EXPECT_THAT(channel->Stat("r", base::kNoDeadline).status(),
              StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_THAT(Entry().dial(Address(), {}).status(), StatusIs(absl::StatusCode::kUnavailable, "NO_AGENT"));
  listener_.reset();
  Listen();
  EXPECT_THAT(Dial()->Stat("r", base::kNoDeadline).status(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_P(TransportContract, ASecondListenerAtTheSamePlaceIsRefused) {
  auto second = Entry().listen({.address = Address(), .peer = peer_.get(), .clock = &clock_, .executor = &pool_});
  ASSERT_THAT(second.status(), IsOk());
  EXPECT_THAT((*second)->Start(), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(Dial()->Put({.key = "still"}, {}, base::kNoDeadline).status(), IsOk());
}

TEST_P(TransportContract, WithoutRoomForWindowsAndObjectsTheErrorSaysSoAndNothingIsLeft) {
  auto channel = Dial();
  auto writer = channel->Create({.key = "big"}, base::kNoDeadline);
  ASSERT_THAT(writer.status(), IsOk());
  auto buffer = (*writer)->Buffer(30 * kMiB);  // over a third of the arena: travels in the records instead
  ASSERT_THAT(buffer.status(), IsOk());
  std::fill(buffer->begin(), buffer->end(), std::byte{7});
  EXPECT_THAT((*writer)->Seal({}).status(), IsOk());
  auto reader = channel->Get("big", base::kNoDeadline);
  ASSERT_THAT(reader.status(), IsOk());
  EXPECT_EQ(ReadAll(**reader)[30 * kMiB - 1], std::byte{7});
}

TEST_P(TransportContract, AnExaminationFindsNothingWrongAndLeavesNothing) {
  if (Entry().examine == nullptr) return;  // a transport need not have one
  for (const bool read_only : {true, false}) {
    const Examination found = Entry().examine(Address(), {.read_only = read_only});
    EXPECT_FALSE(found.findings.empty());
    for (const Finding& finding : found.findings) {
      EXPECT_EQ(finding.verdict, Finding::Verdict::kOk) << finding.name << ": " << finding.what;
    }
    EXPECT_EQ(found.node, "node-0");
    EXPECT_EQ(found.version, "test");
    EXPECT_EQ(peer_->usage().objects, 0u);
  }
}

// ---- cases

std::vector<TransportCase> TransportCasesOf(const TransportRegistry& transports, const PeerRegistry& peers,
                                            const BackendRegistry& backends) {
  LinkManyRules();
  std::vector<TransportCase> cases;
  for (const std::string& transport : transports.Names()) {
    for (const std::string& peer : peers.Names()) {
      for (const std::string& backend : backends.Names()) {
        cases.push_back({**transports.Get(transport), **peers.Get(peer), **backends.Get(backend)});
      }
    }
  }
  return cases;
}

std::string NameOfTransportCase(const testing::TestParamInfo<TransportCase>& info) {
  return testing::PrintToString(info.param);
}

void PrintTo(const TransportCase& transport_case, std::ostream* out) {
  *out << transport_case.transport.name << "_" << transport_case.peer.name << "_" << transport_case.backend.name;
}

// A registry without entries is for its own test to find.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TransportContract);

}  // namespace larder::object
