// Whole transfers between servers and fetchers, over loopback.
#include <fcntl.h>

#include <future>

#include "larder/base/file.h"
#include "larder/base/sockets.h"
#include "larder/base/status.h"
#include "larder/base/testing/temp_dir.h"
#include "tests/raw_peer.h"
#include "tests/swarm_fixture.h"

namespace larder::swarm {
namespace {

using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using testing::ElementsAre;

FetchRequest RequestFor(const std::shared_ptr<Destination>& destination, std::vector<Parent> parents) {
  return {.id = kObject, .epoch = kEpoch, .parents = std::move(parents), .destination = destination};
}

constexpr uint32_t kPiece = 256 * kKiB;

class Sizes : public testing::TestWithParam<size_t> {};

TEST_P(Sizes, GoFromMemoryToMemory) {
  const std::string bytes = SomeBytes(GetParam());
  TestParent parent("node-a");
  parent.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  const FetchResult result = child.Run(RequestFor(destination, {parent.Offer(kObject, kEpoch)}));
  ASSERT_THAT(result.status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  EXPECT_TRUE(result.held.full());
  EXPECT_EQ(child.Value("larder_transfer_bytes_total{direction=\"in\""), bytes.size());
}

TEST_P(Sizes, GoFromAFile) {
  const std::string bytes = SomeBytes(GetParam());
  const base::TempDir dir;
  ASSERT_THAT(base::WriteFileAtomically(dir / "object", "header " + bytes), IsOk());
  TestParent parent("node-a");
  base::UniqueFd fd(::open((dir / "object").c_str(), O_RDONLY | O_CLOEXEC));
  parent.source.Add(kObject, kEpoch,
                    {.manifest = std::make_shared<const Manifest>(ManifestOf(bytes, kPiece)),
                     .bytes = BytesInFile(std::move(fd), 7)});
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  ASSERT_THAT(child.Run(RequestFor(destination, {parent.Offer(kObject, kEpoch)})).status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
}

TEST_P(Sizes, GoToMemoryInSeveralRanges) {
  const std::string bytes = SomeBytes(GetParam());
  TestParent parent("node-a");
  parent.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  destination->range_sizes = kRaggedRanges;
  ASSERT_THAT(child.Run(RequestFor(destination, {parent.Offer(kObject, kEpoch)})).status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  EXPECT_EQ(child.Value("larder_transfer_bytes_total{direction=\"in\""), bytes.size());
}

INSTANTIATE_TEST_SUITE_P(Bytes, Sizes,
                         testing::Values(size_t{0}, size_t{1}, size_t{kPiece} - 1, size_t{kPiece}, size_t{kPiece} + 1,
                                         size_t{kMiB}, size_t{10 * kMiB}, size_t{100 * kMiB}));

TEST(Loopback, SeveralParentsGiveOneObject) {
  const std::string bytes = SomeBytes(20 * kMiB);
  std::vector<std::unique_ptr<TestParent>> parents;
  std::vector<Parent> offers;
  for (int i = 0; i < 4; ++i) {
    parents.push_back(std::make_unique<TestParent>(fmt::format("node-{}", i)));
    parents.back()->source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
    offers.push_back(parents.back()->Offer(kObject, kEpoch));
  }
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  ASSERT_THAT(child.Run(RequestFor(destination, offers)).status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  EXPECT_EQ(child.Value("larder_transfer_pieces_total{result=\"ok\"}"), 80);
}

TEST(Loopback, AParentWhoseCopyIsInOtherPiecesGivesThoseOfTheManifestThatIsKnown) {
  const std::string bytes = SomeBytes(5 * kMiB + 77);
  TestParent parent("node-a");
  parent.source.Add(kObject, kEpoch, Sealed(bytes, kMiB));
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  FetchRequest request = RequestFor(destination, {parent.Offer(kObject, kEpoch)});
  request.manifest = ManifestDigest(ManifestOf(bytes, kPiece));
  request.piece_length = kPiece;
  ASSERT_THAT(child.Run(std::move(request)).status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  EXPECT_EQ(destination->manifest->piece_length, kPiece);
}

TEST(Loopback, AParentThatIsKilledHalfWayIsReplacedByTheOthers) {
  const std::string bytes = SomeBytes(20 * kMiB);
  TestParent killed("killed");
  TestParent other("other");
  killed.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  other.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  other.limiter.SetRate(40 * kMiB);
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  destination->range_sizes = kRaggedRanges;
  destination->on_verified = [&](uint32_t) {
    if (destination->verified.size() == 20) killed.server->Stop();
  };
  const FetchResult result =
      child.Run(RequestFor(destination, {killed.Offer(kObject, kEpoch), other.Offer(kObject, kEpoch)}));
  ASSERT_THAT(result.status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  EXPECT_GT(MetricValue(other.registry, "larder_transfer_bytes_total{direction=\"out\""), 0);
}

TEST(Loopback, AParentThatLiesIsReportedAndNothingOfItIsKept) {
  const std::string bytes = SomeBytes(10 * kMiB);
  std::string wrong = bytes;
  for (size_t at = 0; at < wrong.size(); at += kPiece) wrong[at] = static_cast<char>(wrong[at] ^ 1);
  TestParent liar("liar");
  TestParent sound("sound");
  liar.source.Add(kObject, kEpoch, SealedWith(ManifestOf(bytes, kPiece), wrong));
  sound.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  FetchRequest request = RequestFor(destination, {liar.Offer(kObject, kEpoch)});
  request.more_parents_may_come = true;
  const std::shared_ptr<Fetch> fetch = child.Begin(std::move(request));
  {
    base::MutexLock lock(child.mutex);
    while (child.failures.empty()) child.changed.Wait(child.mutex);
  }
  fetch->AddParent(sound.Offer(kObject, kEpoch));
  const FetchResult result = child.Await();
  ASSERT_THAT(result.status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  base::MutexLock lock(child.mutex);
  ASSERT_EQ(child.failures.size(), 1);
  EXPECT_EQ(child.failures[0].node, "liar");
  EXPECT_THAT(child.failures[0].why, StatusIs(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH"));
  EXPECT_EQ(child.Value("larder_transfer_digest_mismatch_total"), 1);
  const std::optional<uint64_t> doubted = liar.source.AwaitDoubt();
  ASSERT_TRUE(doubted.has_value()) << "it is told, and can look at its copy";
  EXPECT_EQ(*doubted % kPiece, 0);
}

TEST(Loopback, ACancelledFetchIsResumedFromItsPieces) {
  const std::string bytes = SomeBytes(20 * kMiB);
  TestParent parent("node-a");
  parent.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  std::shared_ptr<Fetch> fetch;
  base::Mutex mutex;
  destination->on_verified = [&](uint32_t) {
    base::MutexLock lock(mutex);
    if (destination->verified.size() == 10) fetch->Cancel();
  };
  {
    base::MutexLock lock(mutex);
    fetch = child.Begin(RequestFor(destination, {parent.Offer(kObject, kEpoch)}));
  }
  const FetchResult first = child.Await();
  ASSERT_THAT(first.status, StatusIs(absl::StatusCode::kCancelled, "CANCELLED"));
  ASSERT_GE(first.held.count(), 10);
  ASSERT_LT(first.held.count(), 80);
  destination->on_verified = nullptr;
  const uint64_t before = child.Value("larder_transfer_pieces_total{result=\"ok\"}");
  FetchRequest again = RequestFor(destination, {parent.Offer(kObject, kEpoch)});
  again.held = first.held;
  ASSERT_THAT(child.Run(again).status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  EXPECT_EQ(child.Value("larder_transfer_pieces_total{result=\"ok\"}") - before, 80 - first.held.count());
}

TEST(Loopback, WishesAreHeardOnTheWay) {
  const std::string bytes = SomeBytes(4 * kMiB + 10);
  TestParent parent("node-a");
  parent.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  FetchRequest request = RequestFor(destination, {parent.Offer(kObject, kEpoch)});
  request.wanted = std::vector<PieceRun>{{15, 2}};
  std::promise<void> first;
  std::promise<void> second;
  destination->on_verified = [&, verified = 0](uint32_t) mutable {
    ++verified;
    if (verified == 2) first.set_value();
    if (verified == 3) second.set_value();
  };
  const std::shared_ptr<Fetch> fetch = child.Begin(request);
  first.get_future().wait();
  fetch->Want({3, 1});
  second.get_future().wait();
  fetch->Cancel();
  const FetchResult result = child.Await();
  EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kCancelled, "CANCELLED"));
  EXPECT_THAT(result.held.Runs(), ElementsAre(PieceRun{3, 1}, PieceRun{15, 2}));
  EXPECT_EQ(destination->bytes.substr(bytes.size() - 11), bytes.substr(bytes.size() - 11));
}

// A serves B, which serves C the pieces that it has while it waits for the others.
TEST(Loopback, PiecesGoOnFromANodeThatIsStillFetching) {
  const std::string bytes = SomeBytes(10 * kMiB);
  TestParent a("node-a");
  a.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  a.limiter.SetRate(50 * kMiB);
  TestParent b("node-b");
  TestChild b_child;
  TestChild c_child;
  const auto at_c = std::make_shared<TestDestination>();
  const auto at_b = std::make_shared<TestDestination>();
  at_b->prepared = [&] {
    b.source.Add(
        kObject, kEpoch,
        {.manifest = at_b->manifest, .bytes = BytesInMemory(base::AsBytes(at_b->bytes), at_b), .pieces = at_b->pieces});
    c_child.Begin(RequestFor(at_c, {b.Offer(kObject, kEpoch)}));
  };
  ASSERT_THAT(b_child.Run(RequestFor(at_b, {a.Offer(kObject, kEpoch)})).status, IsOk());
  ASSERT_THAT(c_child.Await().status, IsOk());
  EXPECT_TRUE(at_c->bytes == bytes);
}

TEST(Loopback, ManyFetchesShareTheThreads) {
  constexpr size_t kFetches = 40;
  TestParent parent("node-a");
  const std::string bytes = SomeBytes(1 * kMiB);
  parent.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  TestChild child({.threads = 2});
  std::vector<std::shared_ptr<TestDestination>> destinations;
  base::Mutex mutex;
  base::CondVar changed;
  size_t done = 0;
  for (size_t i = 0; i < kFetches; ++i) {
    destinations.push_back(std::make_shared<TestDestination>());
    child.fetcher->Begin(RequestFor(destinations.back(), {parent.Offer(kObject, kEpoch)}),
                         {.done = [&](FetchResult result) {
                           EXPECT_THAT(result.status, IsOk());
                           base::MutexLock lock(mutex);
                           ++done;
                           changed.NotifyAll();
                         }});
  }
  base::MutexLock lock(mutex);
  while (done < kFetches) changed.Wait(mutex);
  for (const auto& destination : destinations) EXPECT_TRUE(destination->bytes == bytes);
}

TEST(Loopback, ALimitHoldsInAndOut) {
  const std::string bytes = SomeBytes(10 * kMiB);
  for (const bool out : {true, false}) {
    TestParent parent("node-a");
    if (out) parent.limiter.SetRate(40 * kMiB);
    parent.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
    TestChild child({.rate = out ? 0 : 40 * kMiB});
    const auto destination = std::make_shared<TestDestination>();
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_THAT(child.Run(RequestFor(destination, {parent.Offer(kObject, kEpoch)})).status, IsOk());
    EXPECT_TRUE(destination->bytes == bytes);
    // Less a burst of 100 ms, and less what the bucket may be owed at the end.
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(250 - 100 - 10)) << out;
  }
}

TEST(Loopback, AParentUnderALimitIsNotSilentForLong) {
  const std::string bytes = SomeBytes(2 * kPiece);
  TestParent parent("node-a");
  parent.limiter.SetRate(2 * kPiece);  // between two frames of the longest would be 400 ms
  parent.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  TestChild child({.stall = std::chrono::milliseconds(250)});
  const auto destination = std::make_shared<TestDestination>();
  ASSERT_THAT(child.Run(RequestFor(destination, {parent.Offer(kObject, kEpoch)})).status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  base::MutexLock lock(child.mutex);
  EXPECT_THAT(child.failures, testing::IsEmpty());
}

TEST(Loopback, ASlowDiskIsNotTheParentsStall) {
  const std::string bytes = SomeBytes(8 * kPiece);
  TestParent a("node-a"), b("node-b");
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  destination->on_verified = [&](uint32_t) { child.clock.Skip(std::chrono::seconds(40)); };
  for (TestParent* parent : {&a, &b}) parent->source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  ASSERT_THAT(child.Run(RequestFor(destination, {a.Offer(kObject, kEpoch), b.Offer(kObject, kEpoch)})).status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  base::MutexLock lock(child.mutex);
  EXPECT_THAT(child.failures, testing::IsEmpty());
}

TEST(Loopback, OnesOwnLimitIsNotTheParentsStall) {
  const std::string bytes = SomeBytes(2 * kPiece);
  TestParent parent("node-a");
  parent.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  // The second frame is read a second after the first.
  TestChild child({.rate = kPiece, .stall = std::chrono::milliseconds(250)});
  const auto destination = std::make_shared<TestDestination>();
  ASSERT_THAT(child.Run(RequestFor(destination, {parent.Offer(kObject, kEpoch)})).status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  base::MutexLock lock(child.mutex);
  EXPECT_THAT(child.failures, testing::IsEmpty());
}

// Says how often it was asked for memory.
class CountingDestination final : public Destination {
 public:
  absl::Status Prepare(const std::shared_ptr<const Manifest>& manifest, const std::shared_ptr<PieceMap>&) override {
    bytes_.resize(manifest->size);
    return absl::OkStatus();
  }
  base::MutableByteSpan At(uint64_t offset, uint64_t size) override {
    base::MutexLock lock(mutex_);
    ++asked_;
    changed_.NotifyAll();
    return std::span(bytes_).subspan(offset, size);
  }
  absl::Status Verified(uint32_t) override { return absl::OkStatus(); }
  void Await(int asked) {
    base::MutexLock lock(mutex_);
    while (asked_ < asked) changed_.Wait(mutex_);
  }

 private:
  std::vector<std::byte> bytes_;
  base::Mutex mutex_;
  base::CondVar changed_;
  int asked_ LARDER_GUARDED_BY(mutex_) = 0;
};

TEST(Loopback, AConnectionThatEndsWhileTheLimitKeepsItFromReadingIsWaitedFor) {
  const std::string bytes = SomeBytes(kPiece);
  LARDER_ASSERT_OK_AND_ASSIGN(const base::UniqueFd listener, base::ListenOn("127.0.0.1:0"));
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string address, base::LocalAddress(listener.get()));
  TestChild child({.rate = 1 * kKiB, .no_progress = std::chrono::milliseconds(500)});
  const auto destination = std::make_shared<CountingDestination>();
  child.Begin(RequestFor(destination, {{.node = "raw", .node_epoch = {1}, .address = address, .ticket = "ticket"}}));
  RawPeer parent(listener);
  EXPECT_EQ(parent.Next()->header.kind, FrameKind::kHello);
  EXPECT_EQ(parent.Next()->header.kind, FrameKind::kOpen);
  parent.Say(EncodeManifestFrame(ManifestOf(bytes, kPiece), true));
  const auto get = parent.Next();
  ASSERT_TRUE(get.has_value());
  LARDER_ASSERT_OK_AND_ASSIGN(const GetFrame asked, DecodeGet(base::AsBytes(get->payload)));
  // Two frames, of which the second is not read for seconds.
  for (const uint32_t offset : {0U, 2048U}) {
    const PieceFrame frame{.request = asked.request, .piece = 0, .offset = offset};
    parent.Say(base::AsText(EncodePieceHeader(frame, 2048, std::nullopt)));
    parent.Say(bytes.substr(offset, 2048));
  }
  destination->Await(2);
  parent.Reset();
  const uint64_t before = child.clock.asked();
  FetchRequest other = RequestFor(std::make_shared<TestDestination>(), {});
  other.more_parents_may_come = true;
  EXPECT_THAT(child.Run(other).status, StatusIs(absl::StatusCode::kUnavailable, "NO_PROGRESS"));
  EXPECT_LE(child.clock.asked() - before, kManyRounds);
}

TEST(Loopback, TheOnlyParentIsAskedAgainIfItIsNotReadyYet) {
  const std::string bytes = SomeBytes(1 * kMiB);
  TestParent parent("node-a");
  parent.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  parent.source.RefuseOnce(base::Error(absl::StatusCode::kUnavailable, "NOT_YET", "no epoch"));
  TestChild child({.first_redial = std::chrono::milliseconds(10)});
  const auto destination = std::make_shared<TestDestination>();
  ASSERT_THAT(child.Run(RequestFor(destination, {parent.Offer(kObject, kEpoch)})).status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  base::MutexLock lock(child.mutex);
  ASSERT_EQ(child.failures.size(), 1);
  EXPECT_THAT(child.failures[0].why, StatusIs(absl::StatusCode::kUnavailable, "NOT_YET"));
  EXPECT_FALSE(child.failures[0].final);
}

TEST(Loopback, AnErrorOfTheDestinationIsTheFetchs) {
  TestParent parent("node-a");
  parent.source.Add(kObject, kEpoch, Sealed(SomeBytes(1 * kMiB), kPiece));
  TestChild child;
  std::string room(1000, ' ');
  const auto small = std::make_shared<MemoryDestination>(std::as_writable_bytes(std::span(room)));
  EXPECT_THAT(child.Run(RequestFor(small, {parent.Offer(kObject, kEpoch)})).status,
              StatusIs(absl::StatusCode::kResourceExhausted, "TOO_SMALL"));
}

TEST(Loopback, StopEndsFetchesAndNewOnes) {
  TestChild child({.no_progress = std::chrono::hours(1)});
  const auto destination = std::make_shared<TestDestination>();
  FetchRequest request = RequestFor(destination, {});
  request.more_parents_may_come = true;
  child.Begin(request);
  child.fetcher->Stop();
  EXPECT_THAT(child.Await().status, StatusIs(absl::StatusCode::kCancelled, "STOPPING"));
  EXPECT_THAT(child.Run(request).status, StatusIs(absl::StatusCode::kCancelled, "STOPPING"));
}

TEST(Loopback, ParentsThatCannotBeReachedAreNamed) {
  TestChild child({.no_progress = std::chrono::milliseconds(300)});
  TestParent gone("gone");
  const Parent offer = gone.Offer(kObject, kEpoch);
  gone.server->Stop();
  const FetchResult result = child.Run(RequestFor(std::make_shared<TestDestination>(), {offer}));
  EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kUnavailable, "NO_PROGRESS"));
  EXPECT_THAT(base::Message(result.status), testing::HasSubstr("gone (" + offer.address + "): CANNOT_DIAL"));
}

}  // namespace
}  // namespace larder::swarm
