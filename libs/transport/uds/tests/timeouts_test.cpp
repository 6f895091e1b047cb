// A client whose agent says nothing, as one that is stopped.
#include <gmock/gmock.h>

#include <functional>

#include "tests/scripted_test.h"

namespace larder::transport::uds {
namespace {

using base::IsOk;
using base::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

constexpr base::Duration kShort = std::chrono::milliseconds(20);

class Timeouts : public ScriptedTest {};

TEST_F(Timeouts, ACallOfAWriterThatTakesTooLongEndsItsCreation) {
  const std::vector<std::byte> bytes(base::kMiB);
  const std::pair<std::string_view, std::function<absl::Status(object::ObjectWriter&)>> calls[] = {
      {"Write", [&](object::ObjectWriter& writer) { return writer.Write(bytes); }},
      {"Prepare", [&](object::ObjectWriter& writer) { return writer.Prepare(base::kMiB).status(); }},
      {"Buffer", [&](object::ObjectWriter& writer) { return writer.Buffer(base::kMiB).status(); }},
      {"Seal", [&](object::ObjectWriter& writer) { return writer.Seal({}).status(); }}};
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    std::optional<AgentEnd> agent;
    auto channel = Dial(agent, {.call_timeout = kShort});
    auto writer = CreateW(*channel, *agent);
    const absl::Status late = call(*writer);
    EXPECT_THAT(late, StatusIs(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER"));
    EXPECT_THAT(base::Message(late), AllOf(HasSubstr("'w'"), HasSubstr("epoch 7")));
    EXPECT_THAT(writer->Write(bytes), StatusIs(absl::StatusCode::kFailedPrecondition, "ENDED"));
    EXPECT_THAT(writer->Discard(), IsOk());
  }
}

TEST_F(Timeouts, ARefusedCallWaitsNoLongerForItsDiscardAndTheConnectionLivesOn) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent, {.call_timeout = std::chrono::seconds(2)});
  auto writer = CreateW(*channel, *agent);
  auto buffer = Beside([&] { return writer->Buffer(base::kMiB).status(); });
  agent->Refuse(agent->Expect(Op::kWindow), absl::StatusCode::kInternal, "OUT_OF_ORDER");
  const ScriptedRequest discard = agent->Expect(Op::kDiscard);
  EXPECT_THAT(buffer.get(), StatusIs(absl::StatusCode::kInternal, "OUT_OF_ORDER"));
  agent->Reply(discard, {});
  auto got = Beside([&] { return channel->Get("k", base::kNoDeadline).status(); });
  agent->Refuse(agent->Expect(Op::kGet), absl::StatusCode::kNotFound, "NO_OBJECT");
  EXPECT_THAT(got.get(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_F(Timeouts, AWriterThatIsDroppedOrDiscardedWaitsNoLongerForBytesOnTheirWay) {
  const std::vector<std::byte> bytes(kInlineLimit + 1);
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent, {.call_timeout = kShort});
  auto writer = CreateW(*channel, *agent);
  ASSERT_THAT(writer->Write(bytes), IsOk());
  agent->Expect(Op::kWrite);
  EXPECT_THAT(writer->Discard().code(), testing::Ne(absl::StatusCode::kOk)) << "nobody said so";
  EXPECT_THAT(writer->Discard(), IsOk()) << "it has ended with its connection";
  EXPECT_TRUE(channel->broken());

  auto again = Dial(agent, {.call_timeout = kShort});
  writer = CreateW(*again, *agent);
  ASSERT_THAT(writer->Write(bytes), IsOk());
  agent->Expect(Op::kWrite);
  writer.reset();
  EXPECT_TRUE(again->broken());
}

TEST_F(Timeouts, APutOfALargeObjectIsDueAsAWhole) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  const std::vector<std::byte> bytes(base::kMiB);
  const base::Deadline deadline = base::SystemClock().Now() + std::chrono::milliseconds(500);
  auto put = Beside([&] { return channel->Put({.key = "w"}, bytes, deadline); });
  agent->Reply(agent->Expect(Op::kCreate), base::ByteWriter().U64(5).U64(7));
  agent->Expect(Op::kWindow);
  EXPECT_THAT(put.get(), StatusIs(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER"));
}

TEST_F(Timeouts, AReadThatTakesTooLongMayBeAskedAgain) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent, {.reconnect_window = std::chrono::seconds(10), .call_timeout = kShort}, kShortTtl);
  auto reader = GetStream(*channel, *agent, "k", 3, 11);
  std::vector<std::byte> one(1);
  EXPECT_THAT(reader->Read(0, one), StatusIs(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER"));
  AgentEnd next = agent_.Accept();
  EXPECT_EQ(reader->Read(0, one).code(), absl::StatusCode::kDeadlineExceeded) << "its lease is not there yet";
  ScriptedRequest batch;
  ASSERT_EQ(next.ExpectBatch(batch).size(), 1u);
  next.Answers(batch, {{.payload = StreamObject(21, "k", 3, base::kMiB)}});
  while (reader->lapsed()) std::this_thread::yield();
  reader->Read(0, one).IgnoreError();
  EXPECT_EQ(LeaseOf(next.Expect(Op::kRead)), 21u);
}

TEST_F(Timeouts, WhoWaitsForAnotherToConnectDoesSoUntilItsDeadline) {
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  agent->Close();
  auto patient = Beside([&] { return channel->Redial(base::kNoDeadline); });
  ScriptedRequest hello;
  AgentEnd next = agent_.Meet(hello);
  const auto other = channel->Redial(base::SystemClock().Now() + kShort);
  EXPECT_THAT(other.status(), StatusIs(absl::StatusCode::kUnavailable, "NO_AGENT"));
  EXPECT_THAT(base::Message(other.status()), AllOf(HasSubstr(directory()), HasSubstr("does not answer")));
  next.Greet(hello);
  EXPECT_THAT(patient.get(), IsOk());
}

TEST_F(Timeouts, AReaderEndsThoughTheAgentTakesNothingAndItsReleaseGoesOutLater) {
  constexpr uint64_t kLeases = 600;  // of which a socket does not take so many RELEASEs
  std::optional<AgentEnd> agent;
  auto channel = Dial(agent);
  std::vector<std::unique_ptr<object::ObjectReader>> readers;
  for (uint64_t lease = 1; lease <= kLeases; ++lease) readers.push_back(GetStream(*channel, *agent, "k", 3, lease));
  for (auto& reader : readers) reader.reset();
  auto asked = Beside([&] { return channel->Get("k", base::kNoDeadline); });
  for (uint64_t lease = 1; lease <= kLeases; ++lease) ASSERT_EQ(LeaseOf(agent->Expect(Op::kRelease)), lease);
  agent->Reply(agent->Expect(Op::kGet), InlineObject("k", 3, "x"));
  EXPECT_THAT(asked.get(), IsOk());
}

}  // namespace
}  // namespace larder::transport::uds
