// What a client that does not keep to docs/formats/uds.md can do: get a typed error and lose its own connection.
#include <sys/socket.h>

#include <filesystem>

#include "tests/agent_side.h"

namespace larder::transport::uds {
namespace {

class Hostile : public AgentSide {};
class HostileOverTime : public AgentSideOverTime {};

TEST_F(Hostile, NothingIsAnsweredBeforeHello) {
  base::UniqueFd fd = Connect();
  SendOp(fd.get(), Op::kStat, base::ByteWriter().Str("k"));
  ExpectCutOff(fd.get());
}

TEST_F(Hostile, EveryOperationCutShortAtEveryByteIsRefusedOrAnswered) {
  // The payloads of all operations, complete; each is sent cut off after each byte, on a connection of its own when
  // that ends it.
  base::ByteWriter creation;
  PutCreation(creation, {.request = {.key = "k"}});
  base::ByteWriter put;
  put.Raw(creation.bytes());
  PutDigest(put, {});
  put.Raw(base::AsBytes("abc"));
  base::ByteWriter seal;
  seal.U64(1).U64(2).U64(3);
  PutDigest(seal, base::Sha256DigestOf({}));
  const std::vector<std::pair<Op, base::ByteWriter>> whole = {
      {Op::kCreate, creation},
      {Op::kWindow, base::ByteWriter().U64(1).U64(4096)},
      {Op::kWrite, base::ByteWriter().U64(1).U64(2).U8(1).U64(0).U32(10)},
      {Op::kSeal, seal},
      {Op::kPut, put},
      {Op::kDiscard, base::ByteWriter().U64(1).U64(2)},
      {Op::kGet, base::ByteWriter().U32(0).U32(0).Str("k")},
      {Op::kGetRange, base::ByteWriter().U32(0).U32(0).Str("k").U64(0).U64(9)},
      {Op::kRead, base::ByteWriter().U64(1).U64(0).U32(10)},
      {Op::kUnmapped, base::ByteWriter().U64(0).U16(1).U32(5)},
      {Op::kStat, base::ByteWriter().Str("k")},
      {Op::kList, base::ByteWriter().Str("").Str("").U32(10)},
      {Op::kDelete, base::ByteWriter().Str("k")},
      {Op::kPin, base::ByteWriter().U8(1).Str("k")},
      {Op::kExtents, base::ByteWriter().U64(1).U32(0)},
  };
  for (const auto& [op, payload] : whole) {
    for (size_t cut = 0; cut < payload.size(); ++cut) {
      base::UniqueFd fd = Greeted();
      base::ByteWriter part;
      part.Raw(payload.bytes().first(cut));
      SendOp(fd.get(), op, part);
      const auto reply = Receive(fd.get());
      // PUT's bytes have no length of their own: cut there it is a shorter object.
      if (op == Op::kPut && reply.ok()) {
        SendOp(fd.get(), Op::kDelete, base::ByteWriter().Str("k"));
        EXPECT_THAT(Receive(fd.get()).status(), IsOk());
        continue;
      }
      EXPECT_THAT(reply.status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_RECORD"))
          << static_cast<int>(op) << " cut at " << cut;
    }
  }
}

TEST_F(Hostile, ByOneDoorComeSoManyAndNoMore) {
  const std::filesystem::path door = dir_ / "pod";
  std::filesystem::create_directory(door);
  const auto identify = [](const object::CallerProcess&, const std::string&) -> absl::StatusOr<object::SessionOwner> {
    return object::SessionOwner{.ns = "default"};
  };
  ASSERT_THAT(listener_->OpenDoor({.address = door.string(), .identify = identify, .max_connections = 2}), IsOk());
  const auto greet = [&](base::UniqueFd& fd) {
    fd = *ConnectTo((door / kSocketName).string());
    SendOp(fd.get(), Op::kHello, HelloOf(""));
    return Receive(fd.get()).status();
  };
  base::UniqueFd first, second;
  ASSERT_THAT(greet(first), IsOk());
  ASSERT_THAT(greet(second), IsOk());
  base::UniqueFd third = *ConnectTo((door / kSocketName).string());
  EXPECT_THAT(Receive(third.get()).status(), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_THAT(denied(), testing::ElementsAre("too_many"));
  Greeted();  // by the first door, which is another's
  first.Reset();
  // The agent hears of an end when its loop comes to it: others may go ahead of it.
  ASSERT_TRUE(Eventually([&] { return connections_ == 1; }));
  EXPECT_THAT(greet(third), IsOk());
}

TEST_F(Hostile, ForgedHeadersEndTheConnection) {
  for (int kind = 0; kind < 4; ++kind) {
    base::UniqueFd fd = Greeted();
    std::array<std::byte, kHeaderSize> head;
    EncodeHeader({.op = Op::kPing, .request_id = 1}, head.data());
    if (kind == 0) head[0] = std::byte{'X'};  // magic
    if (kind == 1) head[4] = std::byte{9};    // version
    if (kind == 2) head[16] = std::byte{1};   // length
    if (kind == 3) head[6] = std::byte{99};   // operation
    const std::array<base::ByteSpan, 1> parts{head};
    ASSERT_THAT(SendRecord(fd.get(), parts, {}, true), IsOk());
    ExpectCutOff(fd.get());
  }
}

TEST_F(Hostile, ARecordOverTheLimitEndsTheConnectionAndNoOther) {
  base::UniqueFd other = Greeted();
  base::UniqueFd fd = Greeted();
  base::ByteWriter large;
  large.Raw(std::vector<std::byte>(kMaxRecord));
  SendOp(fd.get(), Op::kPing, large);
  ExpectCutOff(fd.get());
  SendOp(other.get(), Op::kPing, {});
  EXPECT_THAT(Receive(other.get()).status(), IsOk());
  EXPECT_THAT(denied(), testing::ElementsAre("bad_record"));
}

TEST_F(Hostile, AForeignNamespaceIsRefused) {
  base::UniqueFd fd = Connect();
  SendOp(fd.get(), Op::kHello, HelloOf("forbidden"));
  EXPECT_THAT(Receive(fd.get()).status(), StatusIs(absl::StatusCode::kPermissionDenied, "DENIED"));
  EXPECT_THAT(Receive(fd.get()).status(), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
}

TEST_F(Hostile, LeasesOfAnotherConnectionAreNoUse) {
  base::UniqueFd owner = Greeted();
  base::ByteWriter creation;
  PutCreation(creation, {.request = {.key = "mine"}});
  SendOp(owner.get(), Op::kCreate, creation);
  auto granted = Receive(owner.get());
  ASSERT_THAT(granted.status(), IsOk());
  base::ByteReader in(*granted);
  const uint64_t lease = in.U64(), epoch = in.U64();

  base::UniqueFd thief = Greeted();
  SendOp(thief.get(), Op::kWrite, base::ByteWriter().U64(lease).U64(epoch).U8(0).Raw(base::AsBytes("evil")));
  EXPECT_THAT(Receive(thief.get()).status(), StatusIs(absl::StatusCode::kAborted, "LEASE_LOST"));
  SendOp(thief.get(), Op::kSeal, base::ByteWriter().U64(lease).U64(epoch).U64(0).U8(0));
  EXPECT_THAT(Receive(thief.get()).status(), StatusIs(absl::StatusCode::kAborted, "LEASE_LOST"));
  SendOp(thief.get(), Op::kWindow, base::ByteWriter().U64(lease).U64(4096));
  EXPECT_THAT(Receive(thief.get()).status(), StatusIs(absl::StatusCode::kAborted, "LEASE_LOST"));
  SendOp(thief.get(), Op::kDiscard, base::ByteWriter().U64(lease).U64(epoch));
  EXPECT_THAT(Receive(thief.get()).status(), IsOk()) << "idempotent, and without effect";

  SendOp(owner.get(), Op::kWrite, base::ByteWriter().U64(lease).U64(epoch + 1).U8(0).Raw(base::AsBytes("late")));
  EXPECT_THAT(Receive(owner.get()).status(), StatusIs(absl::StatusCode::kAborted, "EPOCH_STALE"));
  SendOp(owner.get(), Op::kWrite, base::ByteWriter().U64(lease).U64(epoch).U8(0).Raw(base::AsBytes("good")));
  EXPECT_THAT(Receive(owner.get()).status(), IsOk());
  SendOp(owner.get(), Op::kSeal, base::ByteWriter().U64(lease).U64(epoch).U64(4).U8(0));
  EXPECT_THAT(Receive(owner.get()).status(), IsOk());
}

TEST_F(Hostile, AWindowIsReadOnlyWithinItsBounds) {
  base::UniqueFd fd = Greeted();
  base::ByteWriter creation;
  PutCreation(creation, {.request = {.key = "w"}});
  SendOp(fd.get(), Op::kCreate, creation);
  auto granted = Receive(fd.get());
  ASSERT_THAT(granted.status(), IsOk());
  base::ByteReader in(*granted);
  const uint64_t lease = in.U64(), epoch = in.U64();
  SendOp(fd.get(), Op::kWindow, base::ByteWriter().U64(lease).U64(8192));
  ASSERT_THAT(Receive(fd.get()).status(), IsOk());
  for (const auto& [offset, length] :
       {std::pair<uint64_t, uint32_t>{8192, 1}, {0, 8193}, {UINT64_MAX, 2}, {1, UINT32_MAX}}) {
    SendOp(fd.get(), Op::kWrite, base::ByteWriter().U64(lease).U64(epoch).U8(1).U64(offset).U32(length));
    EXPECT_THAT(Receive(fd.get()).status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_WINDOW"));
  }
  SendOp(fd.get(), Op::kWindow, base::ByteWriter().U64(lease).U64(8192));
  EXPECT_THAT(Receive(fd.get()).status(), StatusIs(absl::StatusCode::kFailedPrecondition, "WINDOW_TWICE"));
}

TEST_F(Hostile, SilenceBeforeHelloIsEndedAfterASecond) {
  base::UniqueFd fd = Connect();
  EXPECT_THAT(Receive(fd.get()).status(), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_THAT(denied(), testing::ElementsAre("hello_timeout"));
}

TEST_F(Hostile, OneProcessKeepsAtMost64ConnectionsWaitingBeforeHello) {
  std::vector<base::UniqueFd> silent;
  for (int i = 0; i < 70; ++i) silent.push_back(Connect());
  // The last are closed at once, the first when their second is over, and service goes on after.
  EXPECT_THAT(Receive(silent.back().get()).status(), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_THAT(denied(), testing::Contains("too_many"));
  for (base::UniqueFd& fd : silent) Receive(fd.get()).status().IgnoreError();
  base::UniqueFd fd = Greeted();
  SendOp(fd.get(), Op::kPing, {});
  EXPECT_THAT(Receive(fd.get()).status(), IsOk());
}

TEST_F(Hostile, AClientThatAsksAndNeverReadsIsNotReadEither) {
  const auto open_fds = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  base::UniqueFd other = Greeted();
  base::UniqueFd fd = Greeted();
  auto writer = Dial(dir_.path().string(), {});
  ASSERT_THAT((*writer)->Put({.key = "k"}, std::vector<std::byte>(base::kMiB), base::kNoDeadline).status(), IsOk());
  const auto before = open_fds();
  const auto send = [&](Op op, const base::ByteWriter& payload) {
    std::array<std::byte, kHeaderSize> head;
    EncodeHeader({.op = op, .request_id = 2, .length = static_cast<uint32_t>(payload.size())}, head.data());
    const std::array<base::ByteSpan, 2> parts{head, payload.bytes()};
    return SendRecord(fd.get(), parts, {}, false);
  };
  // Each GET is answered with a descriptor, as UNMAPPED says that the client has none.
  int asked = 0;
  absl::Status sent;
  for (; asked < 20000 && sent.ok(); ++asked) {
    sent = send(Op::kGet, base::ByteWriter().U32(0).U32(0).Str("k"));
    if (sent.ok()) {
      base::ByteWriter unmapped;
      unmapped.U64(0).U16(64);
      for (uint32_t segment = 0; segment < 64; ++segment) unmapped.U32(segment);
      sent = send(Op::kUnmapped, unmapped);
    }
    SendOp(other.get(), Op::kPing, {});
    ASSERT_THAT(Receive(other.get()).status(), IsOk()) << "others are served on";
  }
  EXPECT_THAT(sent, StatusIs(absl::StatusCode::kUnavailable, "WOULD_BLOCK"));
  EXPECT_LT(asked, 20000);
  EXPECT_LE(open_fds(), before + 8) << "what it asked for does not pile up in the agent";
}

TEST_F(HostileOverTime, ASilentClientLosesItsWindowWithItsLeaseButNotAFreshOne) {
  base::UniqueFd first = Greeted(), silent = Greeted(), waiting = Greeted();
  const auto create = [&](int fd, std::string_view key) {
    base::ByteWriter creation;
    PutCreation(creation, {.request = {.key = std::string(key)}});
    SendOp(fd, Op::kCreate, creation);
  };
  create(first.get(), "wanted");
  const auto held = Receive(first.get());
  ASSERT_THAT(held.status(), IsOk());
  create(waiting.get(), "wanted");
  create(silent.get(), "other");
  const auto granted = Receive(silent.get());
  ASSERT_THAT(granted.status(), IsOk());
  base::ByteWriter window;
  window.Raw(base::ByteSpan(*granted).first(8)).U64(4096);
  SendOp(silent.get(), Op::kWindow, window);
  ASSERT_THAT(Receive(silent.get()).status(), IsOk());
  ASSERT_GT(arena_->usage().windows, 0u);
  // The window was made on another thread; what follows is read once that has done with this session.
  ASSERT_THAT(Ask(silent.get(), Op::kPing, {}).status(), IsOk());

  manual_.Advance(std::chrono::seconds(20));
  base::ByteWriter discard;
  discard.Raw(*held);
  SendOp(first.get(), Op::kDiscard, discard);
  ASSERT_THAT(Receive(first.get()).status(), IsOk());
  const auto taken_over = Receive(waiting.get());
  ASSERT_THAT(taken_over.status(), IsOk());
  manual_.Advance(std::chrono::seconds(15));
  peer_->Tick();
  EXPECT_TRUE(Eventually([&] { return arena_->usage().windows == 0; })) << "its lease is over, so is its window";
  // Silent for as long, but with a lease of 15 s ago.
  base::ByteWriter write;
  write.Raw(*taken_over).U8(0).Raw(base::AsBytes("late, but in time"));
  SendOp(waiting.get(), Op::kWrite, write);
  EXPECT_THAT(Receive(waiting.get()).status(), IsOk());
}

TEST_F(HostileOverTime, AClientThatNeverReadsIsCutOffAfterHalfAMinute) {
  base::UniqueFd fd = Greeted();
  base::ByteWriter put;
  PutCreation(put, {.request = {.key = "k"}});
  PutDigest(put, {});
  put.Raw(std::vector<std::byte>(60000));
  SendOp(fd.get(), Op::kPut, put);
  ASSERT_THAT(Receive(fd.get()).status(), IsOk());
  absl::Status sent;
  for (int i = 0; i < 20000 && sent.ok(); ++i) {
    std::array<std::byte, kHeaderSize> head;
    const base::ByteWriter get = base::ByteWriter().U32(0).U32(0).Str("k");
    EncodeHeader({.op = Op::kGet, .request_id = 2, .length = static_cast<uint32_t>(get.size())}, head.data());
    const std::array<base::ByteSpan, 2> parts{head, get.bytes()};
    sent = SendRecord(fd.get(), parts, {}, false);
  }
  ASSERT_THAT(sent, StatusIs(absl::StatusCode::kUnavailable, "WOULD_BLOCK"));
  EXPECT_THAT(denied(), testing::IsEmpty());
  // Again, as the agent may just now be filling the last of the socket.
  EXPECT_TRUE(Eventually([&] {
    manual_.Advance(std::chrono::seconds(31));
    return denied() == std::vector<std::string>{"slow"};
  }));
}

TEST_F(Hostile, CreationsThatWaitDoNotHoldUpTheOneTheyWaitFor) {
  base::UniqueFd fd = Greeted();
  base::ByteWriter creation;
  PutCreation(creation, {.request = {.key = "k"}});
  SendOp(fd.get(), Op::kCreate, creation);
  auto granted = Receive(fd.get());
  ASSERT_THAT(granted.status(), IsOk());
  for (size_t i = 0; i < kMaxWaiting; ++i) SendOp(fd.get(), Op::kCreate, creation, 100 + i);
  SendOp(fd.get(), Op::kCreate, creation, 99);
  EXPECT_THAT(Receive(fd.get()).status(), StatusIs(absl::StatusCode::kResourceExhausted, "TOO_MANY_WAITING"));
  base::ByteWriter seal;
  seal.Raw(*granted).U64(0).U8(0);
  SendOp(fd.get(), Op::kSeal, seal, 2);
  EXPECT_THAT(Receive(fd.get()).status(), IsOk()) << "the seal's own answer comes first";
  for (size_t i = 0; i < kMaxWaiting; ++i) {
    EXPECT_THAT(Receive(fd.get()).status(), StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS"));
  }
}

TEST_F(Hostile, DescriptorsSentToTheAgentAreClosed) {
  const auto open_fds = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  base::UniqueFd fd = Greeted();
  const auto before = open_fds();
  for (int i = 0; i < 50; ++i) {
    std::array<std::byte, kHeaderSize> head;
    EncodeHeader({.op = Op::kPing, .request_id = 1}, head.data());
    const std::array<base::ByteSpan, 1> parts{head};
    const std::vector<int> many(32, fd.get());
    ASSERT_THAT(SendRecord(fd.get(), parts, many, true), IsOk());
    ASSERT_THAT(Receive(fd.get()).status(), IsOk());
  }
  EXPECT_EQ(open_fds(), before);
}

}  // namespace
}  // namespace larder::transport::uds
