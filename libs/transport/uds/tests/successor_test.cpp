// A client when its agent ends and another takes its place.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "tests/scripted_test.h"

namespace larder::transport::uds {
namespace {

using base::IsOk;
using base::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

class Successor : public ScriptedTest {
 protected:
  // Dials a client that looks for the next agent; it renews, and so sees the end of this one, often.
  std::unique_ptr<object::Channel> DialPatient(std::optional<AgentEnd>& agent) {
    return Dial(agent, {.reconnect_window = std::chrono::seconds(10)}, kShortTtl);
  }

  // The new agent's answer to the first thing it is asked, which is for what readers had.
  static void AnswerAgain(AgentEnd& agent, const std::string& key, Answer answer) {
    ScriptedRequest batch;
    const std::vector<Item> items = agent.ExpectBatch(batch);
    ASSERT_EQ(items.size(), 1u);
    base::ByteReader get = items[0].in();
    EXPECT_EQ(get.U32(), kGetNoDescriptors);
    get.U32();
    EXPECT_EQ(get.Str(), key);
    agent.Answers(batch, {std::move(answer)});
  }
  static uint64_t EarlierBytes(const ScriptedRequest& unmapped) { return unmapped.in().U64(); }
};

TEST_F(Successor, ReadersHaveTheirLeasesAgainThoughNobodyCalls) {
  std::optional<AgentEnd> agent;
  auto channel = DialPatient(agent);
  Slab slab = MakeSlab('a'), idle = MakeSlab('b');
  auto reader = GetSlab(*channel, *agent, "k", 3, 11, slab);
  GetSlab(*channel, *agent, "idle", 4, 12, idle).reset();
  agent->Close();
  AgentEnd next = agent_.Accept(kShortTtl);
  EXPECT_EQ(next.earlier_bytes, slab.range.memory()->size()) << "what is read, and not what is only kept";
  EXPECT_TRUE(IsUnmapped(std::move(idle)));
  AnswerAgain(next, "k", {.payload = StreamObject(21, "k", 3, base::kMiB)});
  EXPECT_EQ(reader->Bytes()->back(), std::byte{'a'});
  while (reader->lapsed()) std::this_thread::yield();
  reader.reset();
  const auto [released, unmapped] = next.Expect(Op::kRelease, Op::kUnmapped);
  EXPECT_EQ(LeaseOf(released), 21u);
  EXPECT_EQ(EarlierBytes(unmapped), 0u);
  EXPECT_TRUE(IsUnmapped(std::move(slab)));
}

TEST_F(Successor, BytesOfEarlierAgentsAreAddedUpUntilTheirReadersEnd) {
  std::optional<AgentEnd> agent;
  auto channel = DialPatient(agent);
  Slab one = MakeSlab('a'), two = MakeSlab('b'), three = MakeSlab('c');
  const uint64_t size = one.range.memory()->size();
  auto first = GetSlab(*channel, *agent, "one", 3, 11, one);
  agent->Close();
  AgentEnd second = agent_.Accept(kShortTtl);
  EXPECT_EQ(second.earlier_bytes, size);
  AnswerAgain(second, "one", {.code = 5, .payload = ErrorText("NO_OBJECT")});
  auto again = Beside([&] { return channel->Redial(base::kNoDeadline); }).get();
  ASSERT_THAT(again.status(), IsOk());
  auto other = GetSlab(**again, second, "two", 4, 12, two);
  second.Close();
  AgentEnd third = agent_.Accept(kShortTtl);
  EXPECT_EQ(third.earlier_bytes, 2 * size);
  AnswerAgain(third, "two", {.payload = StreamObject(31, "two", 4, base::kMiB)});
  other.reset();
  const auto [released, unmapped] = third.Expect(Op::kRelease, Op::kUnmapped);
  EXPECT_EQ(LeaseOf(released), 31u);
  EXPECT_EQ(EarlierBytes(unmapped), size);
  first.reset();
  EXPECT_EQ(EarlierBytes(third.Expect(Op::kUnmapped)), 0u);
}

TEST_F(Successor, AWindowThatIsStillWrittenToIsOfAnEarlierAgentToo) {
  std::optional<AgentEnd> agent;
  auto channel = DialPatient(agent);
  Slab slab = MakeSlab('a');
  auto reader = GetSlab(*channel, *agent, "k", 3, 11, slab);
  auto buffered = Beside([&]() -> absl::StatusOr<std::unique_ptr<object::ObjectWriter>> {
    LARDER_ASSIGN_OR_RETURN(auto writer, channel->Create({.key = "w"}, base::kNoDeadline));
    LARDER_RETURN_IF_ERROR(writer->Buffer(2 * base::kMiB).status());
    return writer;
  });
  agent->Reply(agent->Expect(Op::kCreate), base::ByteWriter().U64(5).U64(7));
  GiveWindow(*agent, 2 * base::kMiB);
  auto writer = buffered.get();
  ASSERT_THAT(writer.status(), IsOk());
  agent->Close();
  AgentEnd next = agent_.Accept(kShortTtl);
  EXPECT_EQ(next.earlier_bytes, slab.range.memory()->size() + 2 * base::kMiB);
  AnswerAgain(next, "k", {.payload = StreamObject(21, "k", 3, base::kMiB)});
  EXPECT_THAT((*writer)->Seal({}).status(), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_EQ(EarlierBytes(next.Expect(Op::kUnmapped)), slab.range.memory()->size());
}

TEST_F(Successor, AStreamGoesOnWhereItWas) {
  std::optional<AgentEnd> agent;
  auto channel = DialPatient(agent);
  auto reader = GetStream(*channel, *agent, "k", 3, 11);
  std::vector<std::byte> bytes(2 * kInlineLimit);
  auto read = Beside([&] { return reader->Read(0, bytes); });
  const std::vector<std::byte> part(kInlineLimit, std::byte{'x'});
  agent->Reply(agent->Expect(Op::kRead), base::ByteWriter().Raw(part));
  agent->Expect(Op::kRead);
  agent->Close();
  AgentEnd next = agent_.Accept();
  AnswerAgain(next, "k", {.payload = StreamObject(21, "k", 3, base::kMiB)});
  const ScriptedRequest again = next.Expect(Op::kRead);
  base::ByteReader in = again.in();
  EXPECT_EQ(in.U64(), 21u);
  EXPECT_EQ(in.U64(), kInlineLimit) << "from where it was";
  next.Reply(again, base::ByteWriter().Raw(part));
  EXPECT_THAT(read.get(), IsOk());
  EXPECT_EQ(bytes.back(), std::byte{'x'});
}

TEST_F(Successor, AStreamOfAnObjectThatIsGoneSaysSo) {
  std::optional<AgentEnd> agent;
  auto channel = DialPatient(agent);
  auto reader = GetStream(*channel, *agent, "k", 3, 11);
  agent->Close();
  AgentEnd next = agent_.Accept(kShortTtl);
  AnswerAgain(next, "k", {.payload = StreamObject(21, "k", 9, 5)});
  std::vector<std::byte> bytes(1);
  const absl::Status read = reader->Read(0, bytes);
  EXPECT_THAT(read, StatusIs(absl::StatusCode::kAborted, "EPOCH_STALE"));
  EXPECT_THAT(base::Message(read), AllOf(HasSubstr("'k'"), HasSubstr("epoch 3"), HasSubstr("epoch 9")));
  EXPECT_EQ(LeaseOf(next.Expect(Op::kRelease)), 21u);

  auto again = Beside([&] { return channel->Redial(base::kNoDeadline); }).get();
  ASSERT_THAT(again.status(), IsOk());
  auto other = GetStream(**again, next, "other", 4, 12);
  next.Close();
  AgentEnd last = agent_.Accept();
  AnswerAgain(last, "other", {.code = 5, .payload = ErrorText("NO_OBJECT")});
  const absl::Status gone = other->Read(0, bytes);
  EXPECT_THAT(gone, StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(base::Message(gone), AllOf(HasSubstr("'other'"), HasSubstr("epoch 4")));
}

TEST_F(Successor, AStreamWhoseLeaseLapsedAsksForItAgain) {
  std::optional<AgentEnd> agent;
  auto channel = DialPatient(agent);
  auto reader = GetStream(*channel, *agent, "k", 3, 11);
  std::vector<std::byte> bytes(1);
  auto read = Beside([&] { return reader->Read(0, bytes); });
  agent->Refuse(agent->Expect(Op::kRead), absl::StatusCode::kAborted, "LEASE_LOST");
  AnswerAgain(*agent, "k", {.payload = StreamObject(12, "k", 3, base::kMiB)});
  const ScriptedRequest again = agent->Expect(Op::kRead);
  EXPECT_EQ(LeaseOf(again), 12u);
  agent->Reply(again, base::ByteWriter().U8('x'));
  EXPECT_THAT(read.get(), IsOk());
}

TEST_F(Successor, AStreamGivesUpWhenTheWindowEndsAndSaysWhereAndHowLong) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent, {.reconnect_window = std::chrono::milliseconds(250)});
  auto reader = GetStream(*channel, *agent, "k", 3, 11);
  agent_.Stop();
  agent->Close();
  std::vector<std::byte> bytes(1);
  const absl::Status read = reader->Read(0, bytes);
  EXPECT_THAT(read, StatusIs(absl::StatusCode::kUnavailable, "NO_AGENT"));
  EXPECT_THAT(base::Message(read), AllOf(HasSubstr(directory() + "/data.sock"), HasSubstr("0.25 s")));
  // And tries again when it is asked again.
  agent_ = ScriptedAgent(directory());
  auto later = Beside([&] { return reader->Read(0, bytes); });
  AgentEnd next = agent_.Accept();
  AnswerAgain(next, "k", {.payload = StreamObject(21, "k", 3, base::kMiB)});
  next.Reply(next.Expect(Op::kRead), base::ByteWriter().U8('x'));
  EXPECT_THAT(later.get(), IsOk());
}

TEST_F(Successor, WhoBeginsToWaitAfterManyFailedTriesSeesOneOfItsOwn) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent, {.reconnect_window = std::chrono::milliseconds(250)});
  auto early = GetStream(*channel, *agent, "early", 3, 11), late = GetStream(*channel, *agent, "late", 4, 12);
  agent_.Stop();
  agent->Close();
  std::vector<std::byte> byte_of_early(1), byte_of_late(1);
  for (int window = 0; window < 4; ++window) {
    EXPECT_THAT(early->Read(0, byte_of_early), StatusIs(absl::StatusCode::kUnavailable, "NO_AGENT"));
  }
  // By now a pause between tries would be longer than a window; and one has just begun when `late` comes.
  agent_ = ScriptedAgent(directory());
  auto first = Beside([&] { return early->Read(0, byte_of_early); });
  ScriptedRequest hello;
  agent_.Meet(hello).Close();
  auto second = Beside([&] { return late->Read(0, byte_of_late); });
  AgentEnd next = agent_.Accept();
  ScriptedRequest batch;
  ASSERT_EQ(next.ExpectBatch(batch).size(), 2u);
  next.Answers(batch, {{.code = 5, .payload = ErrorText("NO_OBJECT")},
                       {.item = 1, .code = 5, .payload = ErrorText("NO_OBJECT")}});
  EXPECT_THAT(second.get(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_F(Successor, WithoutAWindowALostConnectionStaysLost) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  auto reader = GetStream(*channel, *agent, "k", 3, 11);
  agent->Close();
  std::vector<std::byte> bytes(1);
  EXPECT_THAT(reader->Read(0, bytes), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
}

TEST_F(Successor, WritersOfALostConnectionFailAndNameTheirCreation) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  auto create = [&](const std::string& key) {
    auto created = Beside([&] { return channel->Create({.key = key}, base::kNoDeadline); });
    agent->Reply(agent->Expect(Op::kCreate), base::ByteWriter().U64(5).U64(7));
    return *created.get();
  };
  auto writes = create("writes"), buffers = create("buffers"), seals = create("seals");
  ASSERT_THAT(seals->Write(base::AsBytes("x")), IsOk());
  auto sealing = Beside([&] { return seals->Seal({}); });
  agent->Expect(Op::kWrite);
  agent->Close();
  for (const absl::Status& failed :
       {sealing.get().status(), writes->Write(base::AsBytes("x")), buffers->Buffer(10).status()}) {
    EXPECT_THAT(failed, StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
    EXPECT_THAT(base::Message(failed), HasSubstr("s' (epoch 7)"));
  }
  EXPECT_THAT(seals->Seal({}).status(), StatusIs(absl::StatusCode::kFailedPrecondition, "ENDED"));
}

TEST_F(Successor, AStoppedAgentIsNotWaitedForLongerThanTheDeadline) {
  const absl::StatusOr<std::unique_ptr<object::Channel>> dialled =
      uds::Dial(directory(), {.deadline = base::SystemClock().Now() + std::chrono::milliseconds(50)});
  EXPECT_THAT(dialled.status(), StatusIs(absl::StatusCode::kUnavailable, "NO_AGENT"));
  EXPECT_THAT(base::Message(dialled.status()), HasSubstr("does not answer"));
}

TEST_F(Successor, AForkedChildKeepsItsHandsOffTheParentsConnection) {
  std::optional<AgentEnd> agent;
  auto channel = DialPatient(agent);
  Slab slab = MakeSlab('a');
  auto reader = GetSlab(*channel, *agent, "k", 3, 11, slab);
  auto stream = GetStream(*channel, *agent, "s", 4, 12);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(10);  // instead of hanging for ever
    std::vector<std::byte> one(1);
    const bool right = channel->broken() && reader->lapsed() && reader->Bytes()->back() == std::byte{'a'} &&
                       base::Reason(channel->Stat("k", base::kNoDeadline).status()) == "CONNECTION_LOST" &&
                       base::Reason(stream->Read(0, one)) == "CONNECTION_LOST" &&
                       (reader.reset(), stream.reset(), channel->Redial(base::kNoDeadline)).ok();
    channel.reset();
    ::_exit(right ? 0 : 1);
  }
  AgentEnd of_child = agent_.Accept();
  EXPECT_EQ(of_child.earlier_bytes, 0u);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(channel->broken());
  reader.reset();
  EXPECT_EQ(LeaseOf(agent->Expect(Op::kRelease)), 11u) << "nothing came before it";
}

// The child would take its parent's answers, and write over its bytes.
TEST_F(Successor, AForkedChildLeavesAWriterToTheParent) {
  constexpr uint64_t kSlot = 256 * base::kKiB, kSlots = 16;  // of the ring
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  auto writer = CreateW(*channel, *agent, base::kMiB);
  const std::vector<std::byte> slot(kSlot, std::byte{'p'});
  auto writing = Beside([&] { return writer->Write(slot); });
  GiveWindow(*agent, kSlots * kSlot);
  ASSERT_THAT(writing.get(), IsOk());
  const ScriptedRequest on_its_way = agent->Expect(Op::kWrite);
  const auto room = writer->Prepare(100);
  ASSERT_THAT(room, IsOk());
  std::ranges::fill(*room, std::byte{'p'});
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(10);  // instead of hanging for ever
    const std::vector<std::byte> bytes(100, std::byte{'c'});
    bool right = true;
    for (const absl::Status& call : {writer->Write(bytes), writer->Commit(100), writer->Prepare(100).status(),
                                     writer->Buffer(100).status(), writer->Seal({}).status(), writer->Discard()}) {
      right = right && call.code() == absl::StatusCode::kUnavailable && base::Reason(call) == "CONNECTION_LOST" &&
              base::Message(call).find("'w'") != std::string::npos;
    }
    writer.reset();
    ::_exit(right ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(std::ranges::count(*room, std::byte{'p'}), 100);
  EXPECT_THAT(writer->Commit(100), IsOk());
  auto sealing = Beside([&] { return writer->Seal({}); });
  agent->Reply(on_its_way, base::ByteWriter().U64(kSlot));
  agent->Reply(agent->Expect(Op::kWrite), base::ByteWriter().U64(kSlot + 100));
  base::ByteWriter sealed;
  PutSealed(sealed, {.info = Sealed("w", 7, kSlot + 100)});
  agent->Reply(agent->Expect(Op::kSeal), sealed);
  EXPECT_THAT(sealing.get(), IsOk());
}

// Whoever sends nothing but what must not be sent twice depends on it.
TEST_F(Successor, AChannelWhoseAgentHasHungUpIsBrokenBeforeAnythingIsAsked) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  EXPECT_FALSE(channel->broken());
  base::ByteWriter none;
  PutSegments(none, {});
  agent->Tell(Op::kRevoke, none);
  EXPECT_FALSE(channel->broken());
  agent->Close();
  EXPECT_TRUE(channel->broken()) << "also behind what is still to be read";
  auto again = Beside([&] { return channel->Redial(base::kNoDeadline); });
  agent_.Accept();
  EXPECT_THAT(again.get(), IsOk());
}

}  // namespace
}  // namespace larder::transport::uds
