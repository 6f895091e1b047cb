// GET_RANGE, at both ends.
#include <gmock/gmock.h>

#include <cstring>

#include "larder/object/peer_decorator.h"
#include "src/messages.h"
#include "tests/agent_side.h"
#include "tests/scripted_test.h"

namespace larder::transport::uds {
namespace {

using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using testing::ElementsAre;
using testing::IsEmpty;

// ---- the agent's end

constexpr uint32_t kPart = 256 * kKiB;

// A peer to which "far" lies elsewhere: a test says when bytes of it have come.
class FarPeer final : public object::PeerDecorator {
 public:
  explicit FarPeer(object::Peer& peer) : PeerDecorator(nullptr), peer_(peer) {}
  absl::StatusOr<object::SessionId> OpenSession(const object::SessionOwner& owner, object::LapsedFn lapsed) override {
    return peer_.OpenSession(owner, std::move(lapsed));
  }
  void CloseSession(object::SessionId session) override {
    peer_.CloseSession(session);
    ++closed;
  }
  void GetRange(object::SessionId session, const std::string& key, const object::ByteRange& range,
                base::Deadline deadline, object::Done<absl::StatusOr<object::ReadGrant>> done) override {
    if (key != "far") return peer_.Get(session, key, deadline, std::move(done));
    base::MutexLock lock(mutex);
    asked.push_back({session, range, std::move(done)});
  }
  absl::StatusOr<std::shared_ptr<const object::BlobView>> ViewOf(object::SessionId session,
                                                                 object::LeaseId lease) override {
    return peer_.ViewOf(session, lease);
  }
  void Release(object::SessionId session, object::LeaseId lease) override { peer_.Release(session, lease); }
  void Create(object::SessionId session, object::CreateRequest request, base::Deadline deadline,
              object::Done<absl::StatusOr<object::CreateGrant>> done) override {
    peer_.Create(session, std::move(request), deadline, std::move(done));
  }
  absl::Status Append(object::SessionId session, object::LeaseId lease, object::Epoch epoch,
                      base::ByteSpan bytes) override {
    return peer_.Append(session, lease, epoch, bytes);
  }
  void Seal(object::SessionId session, object::LeaseId lease, object::Epoch epoch, const object::SealRequest& request,
            object::Done<absl::StatusOr<object::SealResult>> done) override {
    peer_.Seal(session, lease, epoch, request, std::move(done));
  }
  object::PeerUsage usage() const override { return peer_.usage(); }
  bool blocks() const override { return false; }

  struct Asked {
    object::SessionId session;
    object::ByteRange range;
    object::Done<absl::StatusOr<object::ReadGrant>> done;
  };
  base::Mutex mutex;
  std::vector<Asked> asked LARDER_GUARDED_BY(mutex);
  std::atomic<int> closed = 0;

 private:
  object::Peer& peer_;
};

class RangesAtAgent : public AgentSide {
 protected:
  void Change(object::ListenSettings& settings) override {
    far_ = std::make_unique<FarPeer>(*peer_);
    settings.peer = far_.get();
  }
  static base::ByteWriter RangeOf(const std::string& key, const object::ByteRange& range, uint32_t flags = 0) {
    base::ByteWriter out;
    PutGetRange(out, {.get = {.flags = flags, .wait_ms = kNoWaitLimit, .key = key}, .range = range});
    return out;
  }
  static base::ByteWriter ReadOf(uint64_t lease, uint64_t offset, uint32_t length) {
    return base::ByteWriter().U64(lease).U64(offset).U32(length);
  }
  FarPeer::Asked NextAsked() {
    FarPeer::Asked next;
    EXPECT_TRUE(Eventually([&] {
      base::MutexLock lock(far_->mutex);
      if (far_->asked.empty()) return false;
      next = std::move(far_->asked.back());
      far_->asked.pop_back();
      return true;
    }));
    return next;
  }
  // A copy of 1 MiB, of which the second quarter has come.
  std::unique_ptr<object::IncomingCopy> Coming() {
    std::unique_ptr<object::IncomingCopy> copy;
    peer_->Receive({.id = {"default", "far"}, .size = kMiB, .meta = {.piece_length = kPart}}, base::Deadline(),
                   [&](auto received) { copy = *std::move(received); });
    const base::MutableByteSpan place = copy->At(kPart, kPart);
    std::memset(place.data(), 'f', place.size());
    EXPECT_THAT(copy->Keep(1), IsOk());
    return copy;
  }
  std::unique_ptr<FarPeer> far_;
};

TEST_F(RangesAtAgent, OfWhatIsSealedIsAnsweredAsAGet) {
  const base::UniqueFd fd = Greeted();
  base::ByteWriter put;
  PutCreation(put, {.request = {.key = "near"}});
  PutDigest(put, {});
  put.Raw(base::AsBytes("abcdef"));
  ASSERT_THAT(Ask(fd.get(), Op::kPut, put).status(), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const auto payload,
                              Ask(fd.get(), Op::kGetRange, RangeOf("near", {.first = 2, .last = 3})));
  base::ByteReader in(payload);
  const GetAnswer answer = TakeGetAnswer(in);
  EXPECT_EQ(answer.form, Form::kInline);
  EXPECT_EQ(base::AsText(answer.bytes), "abcdef") << "all of it, as it is here";
}

TEST_F(RangesAtAgent, OfACopyIsAStreamOfThoseBytesAndNoOthers) {
  const auto copy = Coming();
  for (const bool batched : {false, true}) {
    const base::UniqueFd fd = Greeted();
    const base::ByteWriter get = RangeOf("far", {.first = kPart + 10, .last = kPart + 29});
    base::ByteWriter batch;
    PutBatch(batch, std::vector<BatchItem>{{.op = Op::kGetRange, .payload = get.bytes()}});
    batched ? SendOp(fd.get(), Op::kBatch, batch) : SendOp(fd.get(), Op::kGetRange, get);
    const FarPeer::Asked asked = NextAsked();
    EXPECT_EQ(asked.range, (object::ByteRange{.first = kPart + 10, .last = kPart + 29}));
    asked.done(copy->Lend(asked.session, {.offset = kPart + 10, .length = 20}));
    LARDER_ASSERT_OK_AND_ASSIGN(const Record record, ReceiveAny(fd.get()));
    EXPECT_THAT(record.fds, IsEmpty()) << "the slab still fills";
    base::ByteSpan payload = record.payload;
    base::ByteReader answers(payload);
    if (batched) payload = TakeBatchAnswers(answers).at(0).payload;
    base::ByteReader in(payload);
    const GetAnswer answer = TakeGetAnswer(in);
    ASSERT_THAT(Finished(in, "GET_RANGE"), IsOk());
    EXPECT_EQ(answer.form, Form::kStream);
    EXPECT_EQ(answer.info.size, kMiB);
    const uint64_t lease = answer.lease.value;
    LARDER_ASSERT_OK_AND_ASSIGN(const auto bytes, Ask(fd.get(), Op::kRead, ReadOf(lease, kPart + 10, 20)));
    EXPECT_EQ(base::AsText(bytes), std::string(20, 'f'));
    const auto beside = StatusIs(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE");
    EXPECT_THAT(Ask(fd.get(), Op::kRead, ReadOf(lease, kPart + 9, 2)).status(), beside);
    EXPECT_THAT(Ask(fd.get(), Op::kRead, ReadOf(lease, kPart + 29, 2)).status(), beside);
    EXPECT_THAT(Ask(fd.get(), Op::kRead, ReadOf(lease, 0, 1)).status(), beside);
    SendOp(fd.get(), Op::kExtents, base::ByteWriter().U64(lease).U32(0));
    LARDER_ASSERT_OK_AND_ASSIGN(const Record extents, ReceiveAny(fd.get()));
    EXPECT_THAT(extents.fds, IsEmpty());
    EXPECT_EQ(base::ByteReader(extents.payload).U32(), 0u);
    EXPECT_EQ(peer_->usage().read_leases, 1u);
    ASSERT_THAT(Ask(fd.get(), Op::kRelease, base::ByteWriter().U64(lease)).status(), IsOk());
    EXPECT_EQ(peer_->usage().read_leases, 0u);
  }
}

TEST_F(RangesAtAgent, TheAnswerIsAwaitedByNobody) {
  base::UniqueFd fd = Greeted();
  SendOp(fd.get(), Op::kGetRange, RangeOf("far", {.last = 5}), 7);
  const FarPeer::Asked asked = NextAsked();
  EXPECT_EQ(asked.range, (object::ByteRange{.last = 5}));
  ASSERT_THAT(Ask(fd.get(), Op::kPing, {}).status(), IsOk()) << "the connection is served on";
  const auto copy = Coming();
  fd.Reset();
  EXPECT_TRUE(Eventually([&] { return far_->closed > 0; }));
  EXPECT_THAT(copy->Lend(asked.session, {.offset = kPart, .length = 1}).status(),
              StatusIs(absl::StatusCode::kNotFound, "NO_SESSION"));
  asked.done(base::Error(absl::StatusCode::kUnavailable, "NO_HOLDER", "too late"));
  EXPECT_EQ(peer_->usage().read_leases, 0u);
}

// ---- the client's end

constexpr object::ByteRange kRange{.first = 100, .last = 299};

class RangesAtClient : public ScriptedTest {
 protected:
  static auto GetLater(object::Channel& channel) {
    return Beside([&] { return channel.GetRange("k", kRange, base::kNoDeadline); });
  }
  // The next thing asked, which must be for the range.
  static ScriptedRequest ExpectRange(AgentEnd& agent, uint32_t flags) {
    ScriptedRequest batch;
    const std::vector<Item> items = agent.ExpectBatch(batch);
    EXPECT_EQ(items.size(), 1u);
    EXPECT_EQ(items.at(0).op, Op::kGetRange);
    base::ByteReader in = items.at(0).in();
    const GetRangeRequest request = TakeGetRange(in);
    EXPECT_TRUE(in.done());
    EXPECT_EQ(request.get.key, "k");
    EXPECT_EQ(request.get.flags, flags);
    EXPECT_EQ(request.range, kRange);
    return batch;
  }
  static Answer Stream(uint64_t lease, uint64_t epoch, uint64_t size = kMiB) {
    return {.payload = StreamObject(lease, "k", epoch, size)};
  }
  // A reader of the range, under lease 11.
  static std::unique_ptr<object::ObjectReader> Open(object::Channel& channel, AgentEnd& agent) {
    auto got = GetLater(channel);
    agent.Answers(ExpectRange(agent, 0), {Stream(11, 3)});
    auto reader = got.get();
    EXPECT_THAT(reader.status(), IsOk());
    return *std::move(reader);
  }
  static auto ReadLater(object::ObjectReader& reader) {
    return Beside([&]() -> absl::StatusOr<std::string> {
      std::string bytes(3, '\0');
      LARDER_RETURN_IF_ERROR(reader.Read(100, std::as_writable_bytes(std::span(bytes))));
      return bytes;
    });
  }
  static void AnswerRead(AgentEnd& agent, uint64_t lease) {
    const ScriptedRequest read = agent.Expect(Op::kRead);
    EXPECT_EQ(LeaseOf(read), lease);
    agent.Reply(read, base::ByteWriter().Raw(base::AsBytes("abc")));
  }
  std::unique_ptr<object::Channel> DialPatient(std::optional<AgentEnd>& agent) {
    return Dial(agent, {.reconnect_window = std::chrono::seconds(10)}, kShortTtl);
  }
};

TEST_F(RangesAtClient, AreReadAndReleased) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  auto reader = Open(*channel, *agent);
  EXPECT_FALSE(reader->Bytes());
  auto read = ReadLater(*reader);
  AnswerRead(*agent, 11);
  EXPECT_THAT(read.get(), base::IsOkAndHolds("abc"));
  reader.reset();
  EXPECT_EQ(LeaseOf(agent->Expect(Op::kRelease)), 11u);
}

TEST_F(RangesAtClient, OfAnAgentThatDoesNotKnowThemAreReadOfTheWhole) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  auto got = GetLater(*channel);
  agent->Answers(ExpectRange(*agent, 0), {{.code = 3, .payload = ErrorText("NOT_IN_BATCH")}});
  agent->Reply(agent->Expect(Op::kGet), InlineObject("k", 3, "all of it"));
  LARDER_ASSERT_OK_AND_ASSIGN(const auto reader, got.get());
  EXPECT_EQ(base::AsText(*reader->Bytes()), "all of it");
}

TEST_F(RangesAtClient, ThatAreRefusedSayWhy) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  auto got = GetLater(*channel);
  agent->Answers(ExpectRange(*agent, 0), {{.code = 11, .payload = ErrorText("BAD_RANGE")}});
  EXPECT_THAT(got.get().status(), StatusIs(absl::StatusCode::kOutOfRange, "BAD_RANGE"));
}

TEST_F(RangesAtClient, AreAskedForAnewByTheirReaderAtTheNextAgent) {
  std::optional<AgentEnd> agent;
  auto channel = DialPatient(agent);
  auto reader = Open(*channel, *agent);
  agent->Close();
  AgentEnd next = agent_.Accept(kShortTtl);
  auto read = ReadLater(*reader);
  // Another agent's epochs are its own.
  next.Answers(ExpectRange(next, kGetNoDescriptors), {Stream(21, 8)});
  AnswerRead(next, 21);
  EXPECT_THAT(read.get(), base::IsOkAndHolds("abc"));
  reader.reset();
  EXPECT_EQ(LeaseOf(next.Expect(Op::kRelease)), 21u);
}

TEST_F(RangesAtClient, WhatPassesFailsOneReadAndNotTheNext) {
  std::optional<AgentEnd> agent;
  auto channel = DialPatient(agent);
  auto reader = Open(*channel, *agent);
  agent->Close();
  AgentEnd next = agent_.Accept(kShortTtl);
  auto read = ReadLater(*reader);
  next.Answers(ExpectRange(next, kGetNoDescriptors), {{.code = 14, .payload = ErrorText("NO_HOLDER")}});
  EXPECT_THAT(read.get().status(), StatusIs(absl::StatusCode::kUnavailable, "NO_HOLDER"));
  auto again = ReadLater(*reader);
  next.Answers(ExpectRange(next, kGetNoDescriptors), {Stream(21, 3)});
  AnswerRead(next, 21);
  EXPECT_THAT(again.get(), base::IsOkAndHolds("abc"));
}

TEST_F(RangesAtClient, OfAnotherObjectAreNoneOfThisReadersAndTheirLeaseGoes) {
  std::optional<AgentEnd> agent;
  auto channel = DialPatient(agent);
  auto reader = Open(*channel, *agent);
  agent->Close();
  AgentEnd next = agent_.Accept(kShortTtl);
  auto read = ReadLater(*reader);
  next.Answers(ExpectRange(next, kGetNoDescriptors), {Stream(21, 3, 2 * kMiB)});
  EXPECT_EQ(LeaseOf(next.Expect(Op::kRelease)), 21u);
  EXPECT_THAT(read.get().status(), StatusIs(absl::StatusCode::kAborted, "EPOCH_STALE"));
}

TEST_F(RangesAtClient, WhoseLeaseLapsedAreAskedForAnew) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  auto reader = Open(*channel, *agent);
  auto read = ReadLater(*reader);
  agent->Refuse(agent->Expect(Op::kRead), absl::StatusCode::kAborted, "LEASE_LOST");
  agent->Answers(ExpectRange(*agent, kGetNoDescriptors), {Stream(12, 3)});
  AnswerRead(*agent, 12);
  EXPECT_THAT(read.get(), base::IsOkAndHolds("abc"));
}

// A lease that is lost each time is asked for so often and no more.
TEST_F(RangesAtClient, WhoseLeaseIsLostEachTimeFailTheRead) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  auto reader = Open(*channel, *agent);
  auto read = ReadLater(*reader);
  agent->Refuse(agent->Expect(Op::kRead), absl::StatusCode::kAborted, "LEASE_LOST");
  for (uint64_t lease = 12; lease < 14; ++lease) {
    agent->Answers(ExpectRange(*agent, kGetNoDescriptors), {Stream(lease, 3)});
    agent->Refuse(agent->Expect(Op::kRead), absl::StatusCode::kAborted, "LEASE_LOST");
  }
  EXPECT_THAT(read.get().status(), StatusIs(absl::StatusCode::kAborted, "LEASE_LOST"));
}

// Both ask; one lease is enough.
TEST_F(RangesAtClient, OfTwoLeasesForOneReaderOneIsReleased) {
  std::optional<AgentEnd> agent;
  auto channel = DialPatient(agent);
  auto reader = Open(*channel, *agent);
  agent->Close();
  AgentEnd next = agent_.Accept(kShortTtl);
  auto one = ReadLater(*reader);
  auto two = ReadLater(*reader);
  const ScriptedRequest first = ExpectRange(next, kGetNoDescriptors);
  const ScriptedRequest second = ExpectRange(next, kGetNoDescriptors);
  next.Answers(first, {Stream(21, 3)});
  AnswerRead(next, 21);
  next.Answers(second, {Stream(22, 3)});
  const auto [released, read] = next.Expect(Op::kRelease, Op::kRead);
  EXPECT_EQ(LeaseOf(released), 22u);
  EXPECT_EQ(LeaseOf(read), 21u);
  next.Reply(read, base::ByteWriter().Raw(base::AsBytes("abc")));
  EXPECT_THAT(one.get(), base::IsOkAndHolds("abc"));
  EXPECT_THAT(two.get(), base::IsOkAndHolds("abc"));
}

}  // namespace
}  // namespace larder::transport::uds
