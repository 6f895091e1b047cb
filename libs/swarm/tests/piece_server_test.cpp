// What a server does for a child that it cannot trust.
#include "larder/swarm/piece_server.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "larder/base/status.h"
#include "tests/raw_peer.h"
#include "tests/swarm_fixture.h"

namespace larder::swarm {
namespace {

using absl::StatusCode;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using testing::Optional;

constexpr uint32_t kPiece = 256 * kKiB;

std::string Hello(const TestParent& parent) {
  return Encode(HelloFrame{.ticket = parent.Offer(kObject, kEpoch).ticket});
}
std::string Open(object::Epoch epoch = kEpoch, NodeEpoch node_epoch = TestParent::kNodeEpoch) {
  return Encode(OpenFrame{.epoch = epoch, .node_epoch = node_epoch});
}

class Server : public testing::Test {
 protected:
  explicit Server(PieceServerOptions options = {}) : parent_("node-a", std::move(options)) {
    parent_.source.Add(kObject, kEpoch, Sealed(bytes_, kPiece));
  }
  // What the server says to these bytes, first that is wrong.
  std::optional<absl::Status> Refusal(const std::string& frames) {
    RawPeer child(parent_.server->address());
    child.Say(frames);
    return child.NextError();
  }
  const std::string bytes_ = SomeBytes(4 * kMiB);
  TestParent parent_;
};

TEST_F(Server, GivesWhatIsAskedForFromTheByteThatIsAskedFor) {
  RawPeer child(parent_.server->address());
  child.Say(Hello(parent_) + Open() + Encode(GetFrame{.request = 5, .run = {2, 1}, .start = 1000}));
  const auto manifest = child.Next();
  ASSERT_TRUE(manifest.has_value());
  EXPECT_EQ(manifest->header.kind, FrameKind::kManifest);
  EXPECT_EQ(manifest->header.flags, kFlagged);
  const auto piece = child.Next();
  ASSERT_TRUE(piece.has_value());
  LARDER_ASSERT_OK_AND_ASSIGN(const PieceFrame fields,
                              DecodePiece(base::AsBytes(piece->payload).first(kPieceFieldsSize)));
  EXPECT_EQ(fields.request, 5);
  EXPECT_EQ(fields.piece, 2);
  EXPECT_EQ(fields.offset, 1000);
  const std::string data = piece->payload.substr(kPieceFieldsSize);
  EXPECT_TRUE(data == bytes_.substr(2 * kPiece + 1000, kPiece - 1000));
  EXPECT_EQ(piece->header.crc, base::Crc32c(base::AsBytes(data)));
}

TEST_F(Server, HearsOnceWhichPieceAChildDoubtsAndNothingElseOfIt) {
  RawPeer child(parent_.server->address());
  const std::string doubt = Encode(DoubtFrame{.piece = 2});
  child.Say(Hello(parent_) + Open() + doubt + Encode(DoubtFrame{.piece = 3}));
  EXPECT_THAT(parent_.source.AwaitDoubt(), Optional(2 * kPiece));
  while (child.Next()) {
  }
  EXPECT_EQ(parent_.source.doubts(), 1);
  const auto bad_frame = Optional(StatusIs(StatusCode::kInvalidArgument, "BAD_FRAME"));
  EXPECT_THAT(Refusal(Hello(parent_) + Open() + Encode(DoubtFrame{.piece = 16})), bad_frame) << "there are 16";
  EXPECT_THAT(Refusal(Hello(parent_) + doubt), bad_frame) << "of what it did not ask for";
  EXPECT_EQ(parent_.source.doubts(), 1);
}

TEST_F(Server, RefusesTicketsThatNobodySigned) {
  std::string forged = Encode(HelloFrame{.ticket = std::string(200, '\1')});
  EXPECT_THAT(Refusal(forged + Open()), Optional(StatusIs(StatusCode::kUnauthenticated, "BAD_TICKET")));
  EXPECT_EQ(parent_.server->usage().bad_tickets, 1);
}

TEST_F(Server, RefusesStaleEpochs) {
  const auto node_epoch_stale = Optional(StatusIs(StatusCode::kAborted, "NODE_EPOCH_STALE"));
  const auto epoch_stale = Optional(StatusIs(StatusCode::kAborted, "EPOCH_STALE"));
  EXPECT_THAT(Refusal(Hello(parent_) + Open(kEpoch, {2})), node_epoch_stale);
  EXPECT_THAT(Refusal(Hello(parent_) + Open({kEpoch.value + 1})), epoch_stale);
  const std::string before = Hello(parent_) + Open();
  parent_.source.Add(kObject, {kEpoch.value + 1}, Sealed(bytes_, kPiece));
  EXPECT_THAT(Refusal(before), epoch_stale) << "the object was replaced";
  parent_.server->SetNodeEpoch({4});
  EXPECT_THAT(Refusal(before), node_epoch_stale) << "the node is registered anew";
}

TEST_F(Server, RefusesToGoOnOnceItIsRegisteredAnew) {
  RawPeer child(parent_.server->address());
  child.Say(Hello(parent_) + Open());
  ASSERT_TRUE(child.Next().has_value());
  parent_.server->SetNodeEpoch({4});
  child.Say(Encode(GetFrame{.request = 1, .run = {0, 1}}));
  EXPECT_THAT(child.NextError(), Optional(StatusIs(StatusCode::kAborted, "NODE_EPOCH_STALE")));
}

TEST_F(Server, SaysWhatItDoesNotHave) {
  TestParent empty("node-b");
  RawPeer child(empty.server->address());
  child.Say(Encode(HelloFrame{.ticket = empty.Offer(kObject, kEpoch).ticket}) + Open());
  EXPECT_THAT(child.NextError(), Optional(StatusIs(StatusCode::kNotFound, "NO_OBJECT")));
}

TEST_F(Server, EndsConnectionsThatDoNotKeepToTheFrames) {
  const auto get = [](GetFrame frame) { return Encode(frame); };
  std::string damaged = Open();
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  std::string too_long = Open();
  too_long[1] = '\x7F';  // 32 KiB
  std::string many;
  for (uint32_t i = 1; i <= 66; ++i) many += get({.request = i, .run = {0, 16}});
  const std::string opened = Hello(parent_) + Open();
  const std::vector<std::string> bad = {
      Open(),                                               // before HELLO
      Hello(parent_) + Hello(parent_),                      // twice
      opened + Open(),                                      // twice
      Hello(parent_) + get({.request = 1, .run = {0, 1}}),  // before OPEN
      Hello(parent_) + damaged,
      Hello(parent_) + too_long,
      std::string(kHeaderSize, '\xFF'),
      opened + get({.request = 1, .run = {15, 2}}),  // beyond the last piece
      opened + get({.request = 1, .run = {0xFFFFFFFF, 1}}),
      opened + get({.request = 1, .run = {0, 0}}),
      opened + get({.request = 0, .run = {0, 1}}),
      opened + get({.request = 1, .run = {0, 1}, .start = kPiece}),
      opened + many,
      opened + EncodeHave(PieceMap::State::kHeld, std::vector<PieceRun>{{0, 1}}),  // a parent's
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    EXPECT_THAT(Refusal(bad[i]), Optional(StatusIs(StatusCode::kInvalidArgument, "BAD_FRAME"))) << i;
    EXPECT_EQ(parent_.server->usage().malformed, i + 1);
  }
}

TEST_F(Server, TellsAnotherVersionWhichOneItSpeaks) {
  const std::string ticket = parent_.Offer(kObject, kEpoch).ticket;
  EXPECT_THAT(Refusal(Encode(HelloFrame{.version = 2, .ticket = ticket})),
              Optional(StatusIs(StatusCode::kFailedPrecondition, "PROTOCOL_VERSION")));
}

TEST_F(Server, CancellingWhatIsOverIsNoFault) {
  RawPeer child(parent_.server->address());
  child.Say(Hello(parent_) + Open() + Encode(CancelFrame{.request = 9}) +
            Encode(GetFrame{.request = 1, .run = {0, 1}}));
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kManifest);
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kPiece);
}

class ArrivingObject : public Server {
 protected:
  ArrivingObject() {
    ServedObject object = Sealed(bytes_, kPiece);
    object.pieces = pieces_;
    parent_.source.Add(kObject, kEpoch, object);
  }
  const std::shared_ptr<PieceMap> pieces_ = std::make_shared<PieceMap>(PieceSet(16));
};

TEST_F(ArrivingObject, IsToldOfPieceByPiece) {
  pieces_->Set(3, PieceMap::State::kHeld);
  pieces_->Set(4, PieceMap::State::kArriving);
  RawPeer child(parent_.server->address());
  child.Say(Hello(parent_) + Open());
  EXPECT_EQ(child.Next()->header.flags, 0);
  const auto next = [&] { return DecodeHave(base::AsBytes(child.Next()->payload)).value(); };
  const HaveFrame held = next();
  EXPECT_EQ(held.state, PieceMap::State::kHeld);
  EXPECT_THAT(held.runs, testing::ElementsAre(PieceRun{3, 1}));
  const HaveFrame arriving = next();
  EXPECT_EQ(arriving.state, PieceMap::State::kArriving);
  EXPECT_THAT(arriving.runs, testing::ElementsAre(PieceRun{4, 1}));
  pieces_->Set(4, PieceMap::State::kHeld);
  EXPECT_THAT(next().runs, testing::ElementsAre(PieceRun{4, 1}));
  pieces_->Set(5, PieceMap::State::kArriving);
  EXPECT_THAT(next().runs, testing::ElementsAre(PieceRun{5, 1}));
  pieces_->Stop();
  const HaveFrame gone = next();
  EXPECT_EQ(gone.state, PieceMap::State::kAbsent);
  EXPECT_THAT(gone.runs, testing::ElementsAre(PieceRun{5, 1}));
}

TEST_F(ArrivingObject, ARequestForAPieceThatArrivesWaits) {
  pieces_->Set(0, PieceMap::State::kArriving);
  RawPeer child(parent_.server->address());
  child.Say(Hello(parent_) + Open() + Encode(GetFrame{.request = 1, .run = {0, 1}}));
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kManifest);
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kHave);
  pieces_->Set(0, PieceMap::State::kHeld);
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kHave);
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kPiece);
}

TEST_F(ArrivingObject, ARequestWaitsWhileTheBytesMoveAndNothingIsToldOfIt) {
  pieces_->Set(0, PieceMap::State::kHeld);
  RawPeer child(parent_.server->address());
  child.Say(Hello(parent_) + Open());
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kManifest);
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kHave);
  pieces_->SetMoving(true);
  child.Say(Encode(GetFrame{.request = 1, .run = {0, 1}}));
  while (parent_.server->usage().waiting != 1) std::this_thread::yield();
  pieces_->SetMoving(false);
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kPiece);
}

TEST_F(ArrivingObject, UsageTellsOfWhatWaitsAndOfWhatWasSent) {
  pieces_->Set(0, PieceMap::State::kArriving);
  const auto usage = [this] { return parent_.server->usage(); };
  {
    RawPeer child(parent_.server->address());
    child.Say(Hello(parent_) + Open() + Encode(GetFrame{.request = 1, .run = {0, 1}}) +
              Encode(GetFrame{.request = 2, .run = {0, 1}}));
    while (usage().waiting != 2) std::this_thread::yield();
    EXPECT_EQ(usage().sent, 0);
    pieces_->Set(0, PieceMap::State::kHeld);
    while (usage().sent < 2 * kPiece) EXPECT_TRUE(child.Next().has_value());
    EXPECT_EQ(usage().sent, 2 * kPiece);
    pieces_->Set(1, PieceMap::State::kArriving);
    child.Say(Encode(GetFrame{.request = 3, .run = {1, 1}}));
    while (usage().waiting != 1) std::this_thread::yield();
  }
  while (usage().connections != 0) std::this_thread::yield();
  EXPECT_EQ(usage().waiting, 0) << "nobody waits any more";
}

TEST_F(ArrivingObject, ARequestForAPieceThatWillNotComeEnds) {
  pieces_->Set(1, PieceMap::State::kArriving);
  RawPeer child(parent_.server->address());
  child.Say(Hello(parent_) + Open() + Encode(GetFrame{.request = 1, .run = {0, 1}}));
  EXPECT_THAT(child.NextError(), Optional(StatusIs(StatusCode::kNotFound, "NO_PIECE")));
  child.Say(Encode(GetFrame{.request = 2, .run = {1, 1}}));
  pieces_->Stop();
  EXPECT_THAT(child.NextError(), Optional(StatusIs(StatusCode::kNotFound, "NO_PIECE")));
}

TEST_F(ArrivingObject, ACancelledRequestIsOverAfterTheFrameThatIsBeingSent) {
  for (uint32_t piece = 0; piece < 4; ++piece) pieces_->Set(piece, PieceMap::State::kHeld);
  parent_.limiter.SetRate(kKiB);  // one frame, and then nothing for minutes
  RawPeer child(parent_.server->address());
  child.Say(Hello(parent_) + Open() + Encode(GetFrame{.request = 1, .run = {0, 4}}));
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kManifest);
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kHave);
  EXPECT_EQ(child.Next()->header.kind, FrameKind::kPiece);
  child.Say(Encode(CancelFrame{.request = 1}) + Encode(GetFrame{.request = 2, .run = {9, 1}}));
  const auto next = child.Next();
  ASSERT_EQ(next->header.kind, FrameKind::kError) << "it waits no more for the first request's turn";
  EXPECT_EQ(DecodeError(base::AsBytes(next->payload))->request, 2);
}

std::string OpenSuperSeeding() {
  return Encode(OpenFrame{.epoch = kEpoch, .node_epoch = TestParent::kNodeEpoch, .super_seeding = true});
}

// What the child is told of next that it may ask for.
PieceSet NextOffers(RawPeer& child) {
  PieceSet offers(16);
  const auto frame = child.Next();
  if (!frame || frame->header.kind != FrameKind::kHave) return offers;
  const HaveFrame have = DecodeHave(base::AsBytes(frame->payload)).value();
  for (const PieceRun& run : have.runs) offers.Add(run);
  return offers;
}

class PatientServer : public Server {
 protected:
  PatientServer() : Server({.seed_patience = std::chrono::hours(1)}) {}
};

TEST_F(PatientServer, OffersEachPieceOfACompleteCopyToOneChildFirst) {
  RawPeer first(parent_.server->address());
  first.Say(Hello(parent_) + OpenSuperSeeding());
  EXPECT_EQ(first.Next()->header.flags, kSuperSeeding);
  const PieceSet told = NextOffers(first);
  ASSERT_EQ(told.count(), 4);
  RawPeer second(parent_.server->address());
  second.Say(Hello(parent_) + OpenSuperSeeding());
  EXPECT_EQ(second.Next()->header.flags, kSuperSeeding);
  first.Say(Encode(GetFrame{.request = 1, .run = {told.NextFrom(0), 1}}));
  EXPECT_EQ(first.Next()->header.kind, FrameKind::kPiece);
  const PieceSet offers = NextOffers(second);  // when one has left
  ASSERT_FALSE(offers.empty());
  for (const PieceRun& run : offers.Runs()) EXPECT_FALSE(told.Has(run.first));
  second.Say(Encode(GetFrame{.request = 1, .run = {told.NextFrom(0), 1}}));
  EXPECT_EQ(second.Next()->header.kind, FrameKind::kPiece) << "it has all, whatever it offers";
  first.Reset();
  PieceSet left = told;
  left.Remove(told.NextFrom(0));
  bool offered = false;
  while (!offered) {
    const PieceSet more = NextOffers(second);
    ASSERT_FALSE(more.empty());
    for (const PieceRun& run : more.Runs()) offered = offered || left.Has(run.first);
    second.Say(Encode(GetFrame{.request = 2, .run = {more.NextFrom(0), 1}}));
    EXPECT_EQ(second.Next()->header.kind, FrameKind::kPiece);
  }
}

class ImpatientServer : public Server {
 protected:
  ImpatientServer() : Server({.seed_patience = std::chrono::milliseconds(1)}) {}
};

TEST_F(ImpatientServer, TellsWhoTakesNothingOfAllItHas) {
  RawPeer child(parent_.server->address());
  child.Say(Hello(parent_) + OpenSuperSeeding());
  EXPECT_EQ(child.Next()->header.flags, kSuperSeeding);
  PieceSet told = NextOffers(child);
  while (!told.full()) {
    const PieceSet more = NextOffers(child);
    ASSERT_FALSE(more.empty());
    for (const PieceRun& run : more.Runs()) told.Add(run);
  }
}

TEST_F(Server, SuperSeedsNeitherSmallObjectsNorForThoseWhoDoNotAskForIt) {
  RawPeer plain(parent_.server->address());
  plain.Say(Hello(parent_) + Open());
  EXPECT_EQ(plain.Next()->header.flags, kFlagged);
  parent_.source.Add(kObject, kEpoch, Sealed(SomeBytes(15 * kPiece), kPiece));
  RawPeer child(parent_.server->address());
  child.Say(Hello(parent_) + OpenSuperSeeding());
  EXPECT_EQ(child.Next()->header.flags, kFlagged);
}

// Why connections ended, as the server tells.
class Ends {
 public:
  std::function<void(const absl::Status&)> Listener() {
    return [this](const absl::Status& why) {
      base::MutexLock lock(mutex_);
      reasons_.push_back(base::Reason(why));
      changed_.NotifyAll();
    };
  }
  std::string Next() {
    base::MutexLock lock(mutex_);
    while (reasons_.empty()) changed_.Wait(mutex_);
    std::string reason = reasons_.front();
    reasons_.erase(reasons_.begin());
    return reason;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<std::string> reasons_ LARDER_GUARDED_BY(mutex_);
};

TEST(ServerLimits, WhoShowsNoTicketInTimeIsCutOff) {
  Ends ends;
  TestParent parent("node-a", {.hello_timeout = std::chrono::milliseconds(50), .ended = ends.Listener()});
  RawPeer child(parent.server->address());
  child.Say("\x04");
  EXPECT_EQ(ends.Next(), "NO_HELLO");
  child.NextError();
  EXPECT_FALSE(child.Next().has_value());
}

TEST(ServerLimits, WhoAsksForNothingIsCutOff) {
  Ends ends;
  TestParent parent("node-a", {.idle_timeout = std::chrono::milliseconds(50), .ended = ends.Listener()});
  parent.source.Add(kObject, kEpoch, Sealed("x", kPiece));
  RawPeer child(parent.server->address());
  child.Say(Hello(parent) + Open());
  EXPECT_EQ(ends.Next(), "IDLE");
}

TEST(ServerLimits, WhoReadsNothingIsCutOff) {
  Ends ends;
  TestParent parent("node-a", {.stalled_timeout = std::chrono::milliseconds(50), .ended = ends.Listener()});
  parent.source.Add(kObject, kEpoch, Sealed(SomeBytes(64 * kMiB), 1 * kMiB));
  RawPeer child(parent.server->address());
  child.Say(Hello(parent) + Open() + Encode(GetFrame{.request = 1, .run = {0, 64}}));
  EXPECT_EQ(ends.Next(), "STALLED");
}

TEST(ServerLimits, AFullSocketAfterTheRateLimitIsWaitedFor) {
  Ends ends;
  TestParent parent("node-a", {.stalled_timeout = std::chrono::milliseconds(500), .ended = ends.Listener()});
  parent.limiter.SetRate(2 * kMiB);  // some frames wait for it before the socket is full
  parent.source.Add(kObject, kEpoch, Sealed(SomeBytes(64 * kMiB), 1 * kMiB));
  RawPeer child(parent.server->address());
  child.Say(Hello(parent) + Open() + Encode(GetFrame{.request = 1, .run = {0, 64}}));
  EXPECT_EQ(ends.Next(), "STALLED");
  EXPECT_LE(parent.clock.asked(), kManyRounds);
}

TEST(ServerLimits, AlsoWhoGoesOnTalking) {
  Ends ends;
  TestParent parent("node-a", {.stalled_timeout = std::chrono::milliseconds(50), .ended = ends.Listener()});
  parent.source.Add(kObject, kEpoch, Sealed(SomeBytes(64 * kMiB), 1 * kMiB));
  RawPeer child(parent.server->address());
  child.Say(Hello(parent) + Open() + Encode(GetFrame{.request = 1, .run = {0, 64}}));
  std::atomic<bool> ended = false;
  std::thread talks([&] {
    while (!ended) child.Say(Encode(CancelFrame{.request = 99}));
  });
  EXPECT_EQ(ends.Next(), "STALLED");
  ended = true;
  talks.join();
}

TEST(ServerLimits, ConnectionsWithoutATicketAreBounded) {
  Ends ends;
  TestParent parent("node-a", {.threads = 1, .pending_limit = 2, .ended = ends.Listener()});
  parent.source.Add(kObject, kEpoch, Sealed("x", kPiece));
  RawPeer first(parent.server->address());
  RawPeer second(parent.server->address());
  RawPeer third(parent.server->address());
  EXPECT_EQ(ends.Next(), "TOO_MANY_PENDING");
  EXPECT_FALSE(third.Next().has_value());
  first.Say(Hello(parent) + Open());
  EXPECT_EQ(first.Next()->header.kind, FrameKind::kManifest) << "it has shown a ticket, and makes room";
  RawPeer fourth(parent.server->address());
  fourth.Say(Hello(parent) + Open());
  EXPECT_EQ(fourth.Next()->header.kind, FrameKind::kManifest);
}

TEST(ServerLimits, WhoComesWhileThereAreNoDescriptorsIsServedAfterwards) {
  Ends ends;
  TestParent parent("node-a", {.threads = 1, .ended = ends.Listener()});
  parent.source.Add(kObject, kEpoch, Sealed("x", kPiece));
  const std::string address = parent.server->address();
  const int port = std::stoi(address.substr(address.rfind(':') + 1));
  sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(static_cast<uint16_t>(port))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  RawPeer before(address);  // a sanitizer that sees a type for the first time needs descriptors to look at it
  before.Say(Hello(parent) + Open());
  ASSERT_TRUE(before.Next().has_value());
  base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  base::UniqueFd next(::dup(fd.get()));
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit none = {.rlim_cur = static_cast<rlim_t>(next.get()), .rlim_max = files.rlim_max};
  next.Reset();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const int connected = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
  const std::string why = connected == 0 ? ends.Next() : "";
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  ASSERT_EQ(why, "EMFILE");
  RawPeer child = RawPeer::Of(std::move(fd));
  child.Say(Hello(parent) + Open());
  ASSERT_TRUE(child.Next().has_value());
}

TEST(ServerLimits, ConnectionsAreBounded) {
  TestParent parent("node-a", {.connection_limit = 1});
  parent.source.Add(kObject, kEpoch, Sealed("x", kPiece));
  RawPeer first(parent.server->address());
  first.Say(Hello(parent) + Open());
  ASSERT_TRUE(first.Next().has_value());
  RawPeer second(parent.server->address());
  second.Say(Hello(parent) + Open());
  EXPECT_THAT(second.NextError(), Optional(StatusIs(StatusCode::kResourceExhausted, "TOO_MANY_CONNECTIONS")));
}

TEST(ServerLimits, StopTellsWhoIsConnected) {
  TestParent parent("node-a");
  parent.source.Add(kObject, kEpoch, Sealed("x", kPiece));
  RawPeer child(parent.server->address());
  child.Say(Hello(parent) + Open());
  ASSERT_TRUE(child.Next().has_value());
  parent.server->Stop();
  EXPECT_THAT(child.NextError(), Optional(StatusIs(StatusCode::kUnavailable, "STOPPING")));
  EXPECT_EQ(parent.server->usage().connections, 0);
}

}  // namespace
}  // namespace larder::swarm
