// What docs/formats/uds.md promises and no client of ours looks at, and what only another peer, or chance, brings
// about.
#include "larder/transport/uds/uds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <future>

#include "larder/arena/arena.h"
#include "larder/backends/memory/backend.h"
#include "larder/base/executor.h"
#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/object/peer_decorator.h"
#include "larder/peers/single_peer.h"
#include "src/event_loop.h"
#include "src/socket.h"
#include "src/wire.h"
#include "tests/scripted_test.h"

namespace larder::transport::uds {
namespace {

using base::IsOk;

// Answers seals after the call has returned, on a thread of its own, as a peer that asks others would.
class LatePeer final : public object::PeerDecorator {
 public:
  explicit LatePeer(std::unique_ptr<object::Peer> peer) : PeerDecorator(std::move(peer)) {}
  void Seal(object::SessionId session, object::LeaseId lease, object::Epoch epoch, const object::SealRequest& request,
            object::Done<absl::StatusOr<object::SealResult>> done) override {
    late_.Submit([=, this] { inner().Seal(session, lease, epoch, request, done); });
  }
  // Names what it was asked for, and lists nothing.
  void List(object::SessionId, const object::ListRequest& request,
            object::Done<absl::StatusOr<object::ListPage>> done) override {
    done(base::Error(absl::StatusCode::kAborted, "ASKED", "{} of '{}' after '{}'{}", request.limit, request.prefix,
                     request.after, request.local ? ", here" : ""));
  }

 private:
  base::ThreadPool late_{"late", 1};
};

class Uds : public testing::Test {
 protected:
  void SetUp() override {
    listener_ = *Listen(
        {.address = dir_.path().string(),
         .peer = &late_peer_,
         .clock = &clock_,
         .executor = &pool_,
         .arena = arena_.get(),
         .identify = [](const object::CallerProcess&, const std::string&) -> absl::StatusOr<object::SessionOwner> {
           return object::SessionOwner{.ns = "default"};
         }});
    ASSERT_THAT(listener_->Start(), IsOk());
    fd_ = *ConnectTo((dir_.path() / kSocketName).string());
    Ask(Op::kHello, base::ByteWriter().Str("").U64(0).Str("test"));
  }
  void TearDown() override { listener_->Stop(base::kNoDeadline); }

  void Tell(Op op, const base::ByteWriter& payload) {
    std::array<std::byte, kHeaderSize> head;
    EncodeHeader({.op = op, .request_id = 1, .length = static_cast<uint32_t>(payload.size())}, head.data());
    const std::array<base::ByteSpan, 2> parts{head, payload.bytes()};
    EXPECT_THAT(SendRecord(fd_.get(), parts, {}, true), IsOk());
  }
  // The payload of the answer.
  std::vector<std::byte> Ask(Op op, const base::ByteWriter& payload) {
    Tell(op, payload);
    std::vector<std::byte> buffer(kMaxRecord);
    const auto received = ReceiveRecord(fd_.get(), buffer, true);
    EXPECT_THAT(received.status(), IsOk());
    if (!received.ok()) return {};
    buffer.resize(received->size);
    EXPECT_EQ(DecodeHeader(buffer)->code, 0u) << static_cast<int>(op);
    return {buffer.begin() + kHeaderSize, buffer.end()};
  }
  base::ByteWriter CreateLease(const std::string& key) {
    base::ByteWriter creation;
    PutCreation(creation, {.request = {.key = key}});
    base::ByteWriter lease;
    lease.Raw(Ask(Op::kCreate, creation));
    return lease;
  }

  base::TempDir dir_;
  base::SystemClock clock_;
  base::ThreadPool pool_{"test", 1};
  std::unique_ptr<arena::Arena> arena_ = *arena::Arena::Create({.size = 16 * base::kMiB});
  std::unique_ptr<object::Backend> backend_ = *backends::memory::Make({.clock = &clock_, .arena = arena_.get()});
  LatePeer late_peer_{std::make_unique<peers::SinglePeer>(*backend_, object::PeerSettings{.clock = &clock_})};
  std::unique_ptr<object::Listener> listener_;
  base::UniqueFd fd_;
};

TEST_F(Uds, EveryWriteTellsHowManyBytesThereAre) {
  const base::ByteWriter lease = CreateLease("k");
  const auto size_after = [&](const base::ByteWriter& write) {
    const std::vector<std::byte> answer = Ask(Op::kWrite, write);
    base::ByteReader in(answer);
    const uint64_t size = in.U64();
    EXPECT_TRUE(in.done());
    return size;
  };
  EXPECT_EQ(size_after(base::ByteWriter(lease).U8(0).Raw(base::AsBytes("abc"))), 3u);
  Ask(Op::kWindow, base::ByteWriter().Raw(base::ByteSpan(lease.bytes()).first(8)).U64(2 * base::kMiB));
  EXPECT_EQ(size_after(base::ByteWriter(lease).U8(1).U64(0).U32(100)), 103u);
  EXPECT_EQ(size_after(base::ByteWriter(lease).U8(1).U64(0).U32(2 * base::kMiB)), 103 + 2 * base::kMiB);
}

TEST_F(Uds, APeerMayAnswerASealLater) {
  base::ByteWriter seal = CreateLease("k");
  seal.U64(0);
  PutDigest(seal, {});
  const std::vector<std::byte> answer = Ask(Op::kSeal, seal);
  base::ByteReader in(answer);
  EXPECT_EQ(TakeSealed(in).info.id.key, "k");
}

TEST_F(Uds, AListIsAskedForAsTheCallerMeantIt) {
  auto channel = *Dial(dir_.path().string(), {});
  const auto asked = [&](const object::ListRequest& request) {
    return std::string(channel->List(request, base::kNoDeadline).status().message());
  };
  EXPECT_EQ(asked({}), "1000 of '' after ''");
  EXPECT_EQ(asked({.prefix = "a/", .after = "a/b", .limit = 3, .local = true}), "3 of 'a/' after 'a/b', here");
  EXPECT_EQ(asked({.limit = 0, .local = true}), "0 of '' after '', here");
}

// Its pieces and the SEAL are on their way together.
TEST_F(Uds, ASealSaysWhyBytesBeforeItWereRefused) {
  auto channel = *Dial(dir_.path().string(), {});
  const std::vector<std::byte> bytes(2 * base::kMiB);
  absl::Status full;
  for (int i = 0; full.ok(); ++i) full = channel->Put({.key = std::to_string(i)}, bytes, base::kNoDeadline).status();
  ASSERT_THAT(full, base::StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  auto writer = *channel->Create({.key = "k"}, base::kNoDeadline);
  ASSERT_THAT(writer->Write(bytes), IsOk()) << "fewer than the ring holds: nothing waits for the agent yet";
  EXPECT_THAT(writer->Seal({}), base::StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  EXPECT_THAT(channel->Create({.key = "k"}, clock_.Now()), IsOk()) << "the refused creation is over";
}

// One that is being sealed refuses to be discarded, and lives on if the seal fails by its size.
using SealByScript = ScriptedTest;
TEST_F(SealByScript, ARefusedWritesCreationIsDiscardedAfterItsSealIsAnswered) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  auto writer = CreateW(*channel, *agent);
  ASSERT_THAT(writer->Write(base::AsBytes("x")), IsOk());
  auto sealed = Beside([&] { return writer->Seal({}).status(); });
  const ScriptedRequest write = agent->Expect(Op::kWrite);
  const ScriptedRequest seal = agent->Expect(Op::kSeal);
  agent->Refuse(write, absl::StatusCode::kResourceExhausted, "ARENA_FULL");
  EXPECT_TRUE(agent->HearsNothing(std::chrono::milliseconds(50)));
  agent->Refuse(seal, absl::StatusCode::kInvalidArgument, "SIZE_MISMATCH");
  const ScriptedRequest discard = agent->Expect(Op::kDiscard);
  EXPECT_EQ(LeaseOf(discard), 5u);
  EXPECT_EQ(sealed.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  agent->Reply(discard, {});
  EXPECT_THAT(sealed.get(), base::StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
}

TEST_F(SealByScript, WhatFailsIsToldOnceItsCreationHasEnded) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  auto writer = CreateW(*channel, *agent);
  auto buffer = Beside([&] { return writer->Buffer(base::kMiB).status(); });
  agent->Refuse(agent->Expect(Op::kWindow), absl::StatusCode::kInternal, "OUT_OF_ORDER");
  const ScriptedRequest discard = agent->Expect(Op::kDiscard);
  EXPECT_EQ(buffer.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  agent->Reply(discard, {});
  EXPECT_THAT(buffer.get(), base::StatusIs(absl::StatusCode::kInternal, "OUT_OF_ORDER"));
}

// Told that its session has ended, a client would give up; without an answer it connects to the next agent.
TEST_F(Uds, WhoWaitsWhenTheAgentStopsIsNotToldThatItsSessionHasEnded) {
  const object::SessionId other = *late_peer_.OpenSession({.ns = "default"});
  late_peer_.Create(other, {.key = "k"}, base::kNoDeadline, [](const auto& grant) { EXPECT_THAT(grant, IsOk()); });
  base::ByteWriter creation;
  PutCreation(creation, {.request = {.key = "k"}});
  Tell(Op::kCreate, creation);
  Ask(Op::kPing, {});  // so the CREATE was read
  listener_->Stop(base::kNoDeadline);
  std::vector<std::byte> buffer(kMaxRecord);
  EXPECT_THAT(ReceiveRecord(fd_.get(), buffer, true).status(),
              base::StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
}

// Connections that end and begin in one turn of the loop get each other's numbers.
TEST(EventLoop, ADescriptorDoesNotInheritTheEventsOfItsNumber) {
  std::promise<void> turn_over;
  const base::ManualClock still;  // so both are of one turn
  EventLoop loop([] { return false; }, std::chrono::hours(1), still);
  ASSERT_THAT(loop.Start(), IsOk());
  std::array<base::UniqueFd, 2> ready;
  base::UniqueFd successor;
  bool inherited = false;
  loop.Post([&] {
    for (size_t i = 0; i < ready.size(); ++i) {
      ready[i].Reset(::eventfd(1, EFD_CLOEXEC));
      EXPECT_THAT(loop.Add(ready[i].get(), EPOLLIN,
                           [&, i](uint32_t) {
                             base::UniqueFd& other = ready[1 - i];
                             const int number = other.get();
                             loop.Remove(number);
                             other.Reset();
                             successor.Reset(::eventfd(0, EFD_CLOEXEC));
                             ASSERT_EQ(successor.get(), number);
                             EXPECT_THAT(loop.Add(number, EPOLLIN, [&](uint32_t) { inherited = true; }), IsOk());
                             loop.Remove(ready[i].get());
                             loop.Post([&] { turn_over.set_value(); });
                           }),
                  IsOk());
    }
  });
  turn_over.get_future().wait();
  loop.Stop();
  EXPECT_FALSE(inherited);
}

}  // namespace
}  // namespace larder::transport::uds
