// GetMany and PutMany on the wire.
#include <gmock/gmock.h>

#include "tests/scripted_test.h"

namespace larder::transport::uds {
namespace {

using base::IsOk;
using base::StatusIs;

std::string BytesOf(const absl::StatusOr<std::unique_ptr<object::ObjectReader>>& reader) {
  if (!reader.ok()) return base::Reason(reader.status());
  return std::string(base::AsText((*reader)->Bytes().value()));
}

class ManyAtOnce : public ScriptedTest {
 protected:
  void SetUp() override { channel_ = Dial(agent_end_); }
  AgentEnd& agent() { return *agent_end_; }
  static std::string KeyOf(const Item& get) {
    base::ByteReader in = get.in();
    in.U32();
    in.U32();
    return std::string(in.Str());
  }
  static base::ByteWriter SealedAs(const std::string& key, uint64_t epoch) {
    base::ByteWriter out;
    PutSealed(out, {.info = Sealed(key, epoch, 0)});
    return out;
  }
  static std::vector<std::string> Keys(size_t count, size_t length = 8) {
    std::vector<std::string> keys;
    for (size_t i = 0; i < count; ++i) keys.push_back(fmt::format("{:0{}}", i, length));
    return keys;
  }
  // Answers BATCHes of GETs, all inline, with each object's key for its bytes, until `count` items came.
  void AnswerKeys(size_t count) {
    for (size_t done = 0; done < count;) {
      ScriptedRequest batch;
      const std::vector<Item> items = agent().ExpectBatch(batch);
      std::vector<Answer> answers;
      for (const Item& item : items) answers.push_back({item.number, 0, InlineObject("k", 1, KeyOf(item))});
      agent().Answers(batch, answers);
      done += items.size();
    }
  }

  std::optional<AgentEnd> agent_end_;
  std::unique_ptr<object::Channel> channel_;
};

TEST_F(ManyAtOnce, EachKeyGetsItsOwnAnswerInWhateverOrderAndFormItComes) {
  Slab one = MakeSlab('a'), two = MakeSlab('b');
  const std::vector<std::string> keys = {"inline", "missing", "two", "one", "stream"};
  auto got = Beside([&] { return channel_->GetMany(keys, base::kNoDeadline); });
  ScriptedRequest batch;
  const std::vector<Item> items = agent().ExpectBatch(batch);
  ASSERT_EQ(items.size(), keys.size());
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(KeyOf(items[i]), keys[i]);
  // The second record speaks of a segment that came with the first.
  agent().Answers(batch,
                  {{3, 0, SharedObject(11, "one", 1, {one.Extent(true, 0, 5)})},
                   {1, 5, ErrorText("NO_OBJECT")},
                   {2, 0, SharedObject(12, "two", 2, {two.Extent(true), one.Extent(false)})}},
                  {one.fd.get(), two.fd.get()});
  agent().Answers(batch, {{4, 0, StreamObject(13, "stream", 3, 1)}, {0, 0, InlineObject("inline", 4, "bytes")}});
  auto readers = got.get();
  ASSERT_EQ(readers.size(), keys.size());
  EXPECT_EQ(BytesOf(readers[0]), "bytes");
  EXPECT_EQ(BytesOf(readers[1]), "NO_OBJECT");
  EXPECT_EQ(BytesOf(readers[2]), std::string(base::kMiB, 'b') + std::string(base::kMiB, 'a'));
  EXPECT_EQ(BytesOf(readers[3]), "aaaaa");
  ASSERT_THAT(readers[4].status(), IsOk());
  EXPECT_EQ((*readers[4])->info().epoch.value, 3u);
  EXPECT_FALSE((*readers[4])->Bytes().has_value());
}

TEST_F(ManyAtOnce, ARecordHoldsWhatFitsAndSeveralAreOnTheirWay) {
  const std::vector<std::string> keys = Keys(300);
  auto got = Beside([&] { return channel_->GetMany(keys, base::kNoDeadline); });
  std::vector<ScriptedRequest> batches(4);
  for (ScriptedRequest& batch : batches) EXPECT_EQ(agent().ExpectBatch(batch).size(), kMaxBatch);
  for (size_t b = 4; b > 0; --b) {  // the last first
    std::vector<Answer> answers;
    for (uint16_t i = kMaxBatch; i > 0; --i) {
      const uint16_t item = i - 1;
      answers.push_back({item, 0, InlineObject("k", 1, keys[(b - 1) * kMaxBatch + item])});
    }
    agent().Answers(batches[b - 1], answers);
  }
  AnswerKeys(300 - 4 * kMaxBatch);
  const auto readers = got.get();
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(BytesOf(readers[i]), keys[i]);
}

TEST_F(ManyAtOnce, PutsGoTogetherAsFarAsTheyFitARecordAndOthersAlone) {
  const std::string small(1000, 's'), half(40'000, 'h'), large(kInlineLimit + 1, 'l');
  const std::vector<object::PutRequest> puts = {{.request = {.key = "a"}, .bytes = base::AsBytes(half)},
                                                {.request = {.key = "big"}, .bytes = base::AsBytes(large)},
                                                {.request = {.key = "b"}, .bytes = base::AsBytes(half)},
                                                {.request = {.key = "c"}, .bytes = base::AsBytes(half)},
                                                {.request = {.key = "d"}, .bytes = base::AsBytes(small)}};
  auto put = Beside([&] { return channel_->PutMany(puts, base::kNoDeadline); });
  ScriptedRequest first, second;
  std::vector<Item> items = agent().ExpectBatch(first);
  ASSERT_EQ(items.size(), 2u) << "a third does not fit";
  base::ByteReader in = items[1].in();
  EXPECT_EQ(TakeCreation(in).request.key, "b");
  TakeDigest(in);
  EXPECT_EQ(base::AsText(in.rest()), half);
  ASSERT_EQ(agent().ExpectBatch(second).size(), 2u);
  agent().Answers(second, {{0, 6, ErrorText("EXISTS")}, {1, 0, SealedAs("d", 4)}});
  agent().Answers(first, {{0, 0, SealedAs("a", 1)}});
  agent().Answers(first, {{1, 0, SealedAs("b", 2)}});
  agent().Refuse(agent().Expect(Op::kCreate), absl::StatusCode::kResourceExhausted, "ARENA_FULL");
  const auto results = put.get();
  ASSERT_THAT(results[0].status(), IsOk());
  EXPECT_EQ(results[0]->info.epoch.value, 1u);
  EXPECT_EQ(results[0]->info.id.ns, "default");
  EXPECT_THAT(results[1].status(), StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  EXPECT_THAT(results[2].status(), IsOk());
  EXPECT_THAT(results[3].status(), StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS"));
  EXPECT_THAT(results[4].status(), IsOk());
}

TEST_F(ManyAtOnce, APutThatMayNotWaitWithTheOthersIsAskedAlone) {
  const std::vector<object::PutRequest> puts = {{.request = {.key = "a"}}, {.request = {.key = "b"}}};
  auto put = Beside([&] { return channel_->PutMany(puts, base::kNoDeadline); });
  ScriptedRequest batch;
  ASSERT_EQ(agent().ExpectBatch(batch).size(), 2u);
  agent().Answers(batch, {{0, 8, ErrorText("TOO_MANY_WAITING")}, {1, 0, SealedAs("b", 2)}});
  agent().Reply(agent().Expect(Op::kPut), SealedAs("a", 3));
  const auto results = put.get();
  ASSERT_THAT(results[0].status(), IsOk());
  EXPECT_EQ(results[0]->info.epoch.value, 3u);
}

TEST_F(ManyAtOnce, WhatWasAnsweredBeforeTheConnectionWasLostIsKept) {
  const std::vector<std::string> keys = {"a", "b", "c"};
  auto got = Beside([&] { return channel_->GetMany(keys, base::kNoDeadline); });
  ScriptedRequest batch;
  agent().ExpectBatch(batch);
  agent().Answers(batch, {{1, 0, InlineObject("b", 1, "bb")}});
  agent().Close();
  const auto readers = got.get();
  EXPECT_EQ(BytesOf(readers[0]), "CONNECTION_LOST");
  EXPECT_EQ(BytesOf(readers[1]), "bb");
  EXPECT_EQ(BytesOf(readers[2]), "CONNECTION_LOST");
}

TEST_F(ManyAtOnce, AnswersOfNoItemEndTheConnection) {
  const std::vector<std::vector<Answer>> nonsense = {{{1, 0, InlineObject("b", 1, "bb")}},
                                                     {{0, 5, ErrorText("X")}, {0, 5, ErrorText("X")}}};
  for (const std::vector<Answer>& answers : nonsense) {
    std::optional<AgentEnd> agent;
    auto channel = Dial(agent);
    const std::vector<std::string> keys = {"a"};
    auto got = Beside([&] { return channel->GetMany(keys, base::kNoDeadline); });
    ScriptedRequest batch;
    agent->ExpectBatch(batch);
    agent->Answers(batch, answers);
    EXPECT_THAT(got.get()[0].status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_RECORD"));
    EXPECT_TRUE(channel->broken());
  }
}

TEST_F(ManyAtOnce, ReadersReleasedTogetherCostOneRecord) {
  Slab slab = MakeSlab('a');
  const std::vector<std::string> keys = Keys(10);
  auto got = Beside([&] { return channel_->GetMany(keys, base::kNoDeadline); });
  ScriptedRequest batch;
  agent().ExpectBatch(batch);
  std::vector<Answer> answers;
  for (uint16_t i = 0; i < 10; ++i) {
    answers.push_back({i, 0, SharedObject(100u + i, keys[i], 1, {slab.Extent(i == 0, 0, 10)})});
  }
  agent().Answers(batch, answers, {slab.fd.get()});
  auto readers = got.get();
  readers.clear();
  const std::vector<Item> releases = agent().ExpectBatch(batch);
  EXPECT_EQ(batch.header.request_id, 0u) << "nobody waits for an answer";
  ASSERT_EQ(releases.size(), 10u);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(releases[i].op, Op::kRelease);
    EXPECT_EQ(releases[i].in().U64(), 100 + i);
  }
}

TEST_F(ManyAtOnce, ReleasesThatWaitForTheirGroupGoOutBeforeWhatMayNeedTheMemory) {
  Slab slab = MakeSlab('a');
  const std::vector<std::string> keys = Keys(2);
  auto got = Beside([&] { return channel_->GetMany(keys, base::kNoDeadline); });
  ScriptedRequest batch;
  agent().ExpectBatch(batch);
  agent().Answers(batch,
                  {{0, 0, SharedObject(100, keys[0], 1, {slab.Extent(true, 0, 10)})},
                   {1, 0, SharedObject(101, keys[1], 1, {slab.Extent(false, 0, 10)})}},
                  {slab.fd.get()});
  auto readers = got.get();
  readers.pop_back();
  auto deleted = Beside([&] { return channel_->Delete("k", base::kNoDeadline); });
  EXPECT_EQ(LeaseOf(agent().Expect(Op::kRelease)), 101u);
  agent().Reply(agent().Expect(Op::kDelete), {});
  EXPECT_THAT(deleted.get(), IsOk());
  readers.pop_back();
  EXPECT_EQ(LeaseOf(agent().Expect(Op::kRelease)), 100u);
  // Without any further call they go within a second.
  auto again = Beside([&] { return channel_->GetMany(keys, base::kNoDeadline); });
  agent().ExpectBatch(batch);
  agent().Answers(batch, {{0, 0, SharedObject(102, keys[0], 1, {slab.Extent(false, 0, 10)})},
                          {1, 0, SharedObject(103, keys[1], 1, {slab.Extent(false, 0, 10)})}});
  readers = again.get();
  readers.pop_back();
  EXPECT_EQ(LeaseOf(agent().Expect(Op::kRelease)), 103u);
}

// An agent reads nothing from a client that does not read, and the sockets hold only so much.
TEST_F(ManyAtOnce, AClientThatCannotSendReadsMeanwhile) {
  const std::vector<std::string> keys = Keys(4 * kMaxBatch, 1000);  // more than a socket's buffer
  auto got = Beside([&] { return channel_->GetMany(keys, base::kNoDeadline); });
  const std::string bytes(60'000, 'x');
  for (size_t done = 0; done < keys.size();) {
    ScriptedRequest batch;
    const std::vector<Item> items = agent().ExpectBatch(batch);
    for (const Item& item : items) agent().Answers(batch, {{item.number, 0, InlineObject("k", 1, bytes)}});
    done += items.size();
  }
  for (const auto& reader : got.get()) ASSERT_EQ(BytesOf(reader).size(), bytes.size());
}

TEST_F(ManyAtOnce, ADeadlineEndsEachCallOfOneObjectAsWell) {
  const base::Deadline over(std::chrono::nanoseconds(1));
  const auto no_answer = StatusIs(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER");
  const std::function<absl::Status(object::Channel&)> calls[] = {
      [&](object::Channel& channel) { return channel.Stat("k", over).status(); },
      [&](object::Channel& channel) { return channel.List({}, over).status(); },
      [&](object::Channel& channel) { return channel.Delete("k", over); },
      [&](object::Channel& channel) { return channel.SetPinned("k", true, over); }};
  for (const auto& call : calls) {
    std::optional<AgentEnd> agent;  // who says nothing
    EXPECT_THAT(call(*Dial(agent)), no_answer);
  }
}

TEST_F(ManyAtOnce, ADeadlineEndsIt) {
  const std::vector<std::string> keys = Keys(200);
  const auto readers = channel_->GetMany(keys, base::Deadline(std::chrono::nanoseconds(1)));
  for (const auto& reader : readers) {
    ASSERT_THAT(reader.status(), StatusIs(absl::StatusCode::kDeadlineExceeded, "NO_ANSWER"));
  }
}

}  // namespace
}  // namespace larder::transport::uds
