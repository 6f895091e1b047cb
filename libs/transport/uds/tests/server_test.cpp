// What the agent does of its own accord, and for many at once: batches, memory asked back, leases that lapse, writers
// that wait for room, memory left to earlier agents.
#include <sys/mman.h>

#include <map>

#include "tests/agent_side.h"

namespace larder::transport::uds {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr uint64_t kMiB = base::kMiB;

class Server : public AgentSide {
 protected:
  static base::ByteWriter PutOf(const std::string& key, base::ByteSpan bytes) {
    base::ByteWriter put;
    PutCreation(put, {.request = {.key = key}});
    PutDigest(put, {});
    put.Raw(bytes);
    return put;
  }
  static base::ByteWriter GetOf(std::string_view key) {
    base::ByteWriter get;
    get.U32(0).U32(0).Str(key);
    return get;
  }
  // Creates, writes through a window and seals an object of `size` bytes.
  static void PutLarge(int fd, const std::string& key, uint64_t size) {
    base::ByteWriter creation;
    PutCreation(creation, {.request = {.key = key, .size_hint = size}});
    const auto granted = Ask(fd, Op::kCreate, creation);
    ASSERT_THAT(granted.status(), IsOk());
    const std::vector<std::byte> part(kInlineLimit, std::byte{7});
    for (uint64_t at = 0; at < size; at += part.size()) {
      base::ByteWriter write;
      write.Raw(*granted).U8(0).Raw(base::ByteSpan(part).first(std::min<uint64_t>(part.size(), size - at)));
      ASSERT_THAT(Ask(fd, Op::kWrite, write).status(), IsOk());
    }
    base::ByteWriter seal;
    seal.Raw(*granted).U64(size).U8(0);
    ASSERT_THAT(Ask(fd, Op::kSeal, seal).status(), IsOk());
  }
  struct Answer {
    uint32_t code = 0;
    std::vector<std::byte> payload;
  };
  // Sends a batch and gathers its answers, by item.
  static std::map<uint16_t, Answer> AskBatch(int fd, const std::vector<std::pair<Op, base::ByteWriter>>& items,
                                             size_t* records = nullptr) {
    std::vector<BatchItem> batch;
    for (const auto& [op, payload] : items) batch.push_back({op, payload.bytes()});
    base::ByteWriter out;
    PutBatch(out, batch);
    SendOp(fd, Op::kBatch, out, 77);
    std::map<uint16_t, Answer> answers;
    while (answers.size() < items.size()) {
      const auto record = ReceiveAny(fd);
      EXPECT_THAT(record.status(), IsOk());
      if (!record.ok()) break;
      EXPECT_EQ(record->header.op, Op::kBatch);
      EXPECT_EQ(record->header.request_id, 77u);
      if (records != nullptr) ++*records;
      base::ByteReader in(record->payload);
      for (const BatchAnswer& one : TakeBatchAnswers(in)) {
        EXPECT_TRUE(answers.try_emplace(one.item, Answer{one.code, {one.payload.begin(), one.payload.end()}}).second);
      }
      EXPECT_TRUE(in.done());
    }
    return answers;
  }
  // The segment and lease of a GET's answer in extents.
  struct Got {
    uint64_t lease = 0;
    uint32_t segment = 0;
  };
  static Got GetShared(int fd, std::string_view key) {
    const auto answer = Ask(fd, Op::kGet, GetOf(key));
    EXPECT_THAT(answer.status(), IsOk());
    if (!answer.ok()) return {};
    base::ByteReader in(*answer);
    Got got{.lease = in.U64()};
    TakeObject(in);
    EXPECT_EQ(in.U8(), static_cast<uint8_t>(Form::kShared));
    in.U32();
    const std::vector<WireExtent> extents = TakeExtents(in);
    EXPECT_FALSE(extents.empty());
    if (!extents.empty()) got.segment = extents.front().segment;
    return got;
  }
};

class ServerOverTime : public Server {
 protected:
  const base::Clock* clock() const override { return &manual_; }
  base::ManualClock manual_;
};

// ---- BATCH

TEST_F(Server, ABatchAnswersEachItemAndOneFailureFailsNoNeighbour) {
  base::UniqueFd fd = Greeted();
  const auto put = AskBatch(fd.get(), {{Op::kPut, PutOf("a", base::AsBytes("one"))},
                                       {Op::kPut, PutOf("../bad", base::AsBytes("two"))},
                                       {Op::kPut, PutOf("c", base::AsBytes("three"))}});
  EXPECT_EQ(put.at(0).code, 0u);
  EXPECT_EQ(put.at(1).code, static_cast<uint32_t>(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(put.at(2).code, 0u);
  const auto got =
      AskBatch(fd.get(), {{Op::kGet, GetOf("c")}, {Op::kGet, GetOf("none")}, {Op::kStat, base::ByteWriter().Str("a")}});
  base::ByteReader in(got.at(0).payload);
  EXPECT_EQ(in.U64(), 0u) << "inline: nothing is held";
  TakeObject(in);
  in.U8();
  EXPECT_EQ(base::AsText(in.rest()), "three");
  EXPECT_EQ(got.at(1).code, static_cast<uint32_t>(absl::StatusCode::kNotFound));
  EXPECT_EQ(got.at(2).code, 0u);
}

TEST_F(Server, ABatchOfManyIsAnsweredInFewRecords) {
  base::UniqueFd fd = Greeted();
  const std::vector<std::byte> bytes(4096);
  std::vector<std::pair<Op, base::ByteWriter>> puts, gets;
  for (size_t i = 0; i < 16; ++i) puts.emplace_back(Op::kPut, PutOf(std::to_string(i), bytes));
  for (size_t i = 0; i < kMaxBatch; ++i) gets.emplace_back(Op::kGet, GetOf(std::to_string(i % 16)));
  size_t records = 0;
  AskBatch(fd.get(), puts, &records);
  EXPECT_EQ(records, 1u);
  records = 0;
  const auto got = AskBatch(fd.get(), gets, &records);
  EXPECT_EQ(records, 3u) << "256 KiB in records of 96 KiB";
  for (const auto& [item, answer] : got) EXPECT_EQ(answer.code, 0u) << item;
}

TEST_F(Server, AnItemThatWaitsForAnotherCreatorHoldsUpNoNeighbour) {
  base::UniqueFd creator = Greeted(), fd = Greeted();
  base::ByteWriter creation;
  PutCreation(creation, {.request = {.key = "slow"}});
  const auto granted = Ask(creator.get(), Op::kCreate, creation);
  ASSERT_THAT(granted.status(), IsOk());
  const base::ByteWriter slow = PutOf("slow", {}), quick = PutOf("quick", {});
  base::ByteWriter out;
  PutBatch(out, std::vector<BatchItem>{{Op::kPut, slow.bytes()}, {Op::kPut, quick.bytes()}});
  SendOp(fd.get(), Op::kBatch, out, 5);
  const auto item_of = [](const absl::StatusOr<Record>& record) {
    EXPECT_THAT(record.status(), IsOk());
    base::ByteReader in(record->payload);
    const std::vector<BatchAnswer> answers = TakeBatchAnswers(in);
    EXPECT_EQ(answers.size(), 1u);
    return answers.empty() ? 99 : answers.front().item;
  };
  EXPECT_EQ(item_of(ReceiveAny(fd.get())), 1);
  base::ByteWriter discard;
  discard.Raw(*granted);
  ASSERT_THAT(Ask(creator.get(), Op::kDiscard, discard).status(), IsOk());
  EXPECT_EQ(item_of(ReceiveAny(fd.get())), 0);
}

TEST_F(Server, WhatIsNoBatchAndWhatMayNotBeInOneIsRefused) {
  base::UniqueFd fd = Greeted();
  const auto alone = AskBatch(fd.get(), {{Op::kRenew, {}}, {Op::kPut, PutOf("k", {})}, {Op::kBatch, {}}});
  EXPECT_EQ(alone.at(0).code, static_cast<uint32_t>(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(alone.at(1).code, 0u);
  EXPECT_EQ(alone.at(2).code, static_cast<uint32_t>(absl::StatusCode::kInvalidArgument));
  SendOp(fd.get(), Op::kBatch, base::ByteWriter().U16(0));
  ExpectCutOff(fd.get());
  base::UniqueFd many = Greeted();
  base::ByteWriter items;
  items.U16(kMaxBatch + 1);
  for (size_t i = 0; i <= kMaxBatch; ++i) items.U16(static_cast<uint16_t>(Op::kStat)).U32(0);
  SendOp(many.get(), Op::kBatch, items);
  ExpectCutOff(many.get());
  base::UniqueFd cut = Greeted();
  SendOp(cut.get(), Op::kBatch, base::ByteWriter().U16(1).U16(static_cast<uint16_t>(Op::kStat)).U32(3));
  ExpectCutOff(cut.get());
}

TEST_F(Server, AnItemThatIsNoRecordEndsTheConnectionAfterWhatItsNeighboursAreToldWasDone) {
  base::UniqueFd fd = Greeted();
  const base::ByteWriter put = PutOf("done", base::AsBytes("one"));
  base::ByteWriter cut, out;
  cut.U16(100);
  PutBatch(out, std::vector<BatchItem>{{Op::kPut, put.bytes()}, {Op::kStat, cut.bytes()}});
  SendOp(fd.get(), Op::kBatch, out, 5);
  const auto record = ReceiveAny(fd.get());
  ASSERT_THAT(record.status(), IsOk());
  EXPECT_EQ(record->header.op, Op::kBatch);
  base::ByteReader in(record->payload);
  const std::vector<BatchAnswer> answers = TakeBatchAnswers(in);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers.front().item, 0);
  EXPECT_EQ(answers.front().code, 0u);
  ExpectCutOff(fd.get());
}

// ---- REVOKE

TEST_F(ServerOverTime, ASegmentWithoutObjectsIsAskedBackAndServesAgain) {
  base::UniqueFd fd = Greeted();
  PutLarge(fd.get(), "k", 3 * kMiB);
  const Got got = GetShared(fd.get(), "k");
  base::ByteWriter release, key;
  release.U64(got.lease);
  key.Str("k");
  // Still mapped, as a client may keep it: here a descriptor in flight stands for that.
  const auto again = Ask(fd.get(), Op::kRelease, release);
  ASSERT_THAT(again.status(), IsOk());
  base::UniqueFd keeps = Greeted();
  SendOp(keeps.get(), Op::kGet, GetOf("k"));
  auto held = ReceiveAny(keeps.get());
  ASSERT_THAT(held.status(), IsOk());
  ASSERT_FALSE(held->fds.empty());
  base::ByteReader in(held->payload);
  ASSERT_THAT(Ask(keeps.get(), Op::kRelease, base::ByteWriter().U64(in.U64())).status(), IsOk());
  ASSERT_THAT(Ask(fd.get(), Op::kDelete, key).status(), IsOk());
  arena_->Maintain();
  ASSERT_GT(arena_->usage().quarantined, 0u);
  EXPECT_EQ(arena_->HeldBeside("default"), arena_->usage().quarantined);

  const auto revoke = ReceiveAny(keeps.get());
  ASSERT_THAT(revoke.status(), IsOk());
  EXPECT_EQ(revoke->header.op, Op::kRevoke);
  EXPECT_EQ(revoke->header.request_id, 0u);
  base::ByteReader asked(revoke->payload);
  const std::vector<uint32_t> segments = TakeSegments(asked);
  EXPECT_THAT(segments, testing::Contains(got.segment));
  held->fds.clear();
  base::ByteWriter unmapped;
  PutUnmapped(unmapped, {.segments = segments});
  ASSERT_THAT(Ask(keeps.get(), Op::kUnmapped, unmapped).status(), IsOk());
  arena_->Maintain();
  EXPECT_EQ(arena_->usage().quarantined, 0u);
  manual_.Advance(std::chrono::seconds(60));
  ASSERT_THAT(Ask(keeps.get(), Op::kPing, {}).status(), IsOk()) << "it gave back what it was asked for";
}

TEST_F(ServerOverTime, WhoDoesNotGiveBackWithinFiveSecondsIsCutOffAndOnlyHe) {
  base::UniqueFd fd = Greeted(), other = Greeted();
  PutLarge(fd.get(), "k", 3 * kMiB);
  SendOp(fd.get(), Op::kGet, GetOf("k"));
  const auto held = ReceiveAny(fd.get());
  ASSERT_THAT(held.status(), IsOk());
  base::ByteReader in(held->payload);
  ASSERT_THAT(Ask(fd.get(), Op::kRelease, base::ByteWriter().U64(in.U64())).status(), IsOk());
  ASSERT_THAT(Ask(other.get(), Op::kDelete, base::ByteWriter().Str("k")).status(), IsOk());
  arena_->Maintain();
  const auto revoke = ReceiveAny(fd.get());
  ASSERT_THAT(revoke.status(), IsOk());
  EXPECT_EQ(revoke->header.op, Op::kRevoke);
  EXPECT_THAT(denied(), ElementsAre());
  manual_.Advance(std::chrono::milliseconds(5001));
  EXPECT_TRUE(Eventually([&] { return denied() == std::vector<std::string>{"revoked"}; }));
  EXPECT_THAT(Ask(other.get(), Op::kPing, {}).status(), IsOk());
  EXPECT_GT(arena_->usage().quarantined, 0u) << "the kernel, not the cut, decides when it serves again";
}

TEST_F(ServerOverTime, MemoryThatServesAgainIsAnotherSegment) {
  base::UniqueFd fd = Greeted(), other = Greeted();
  const auto let_go = [&](int client) {
    PutLarge(other.get(), "k", 3 * kMiB);
    SendOp(client, Op::kGet, GetOf("k"));
    auto held = ReceiveAny(client);
    EXPECT_THAT(held.status(), IsOk());
    base::ByteReader in(held->payload);
    EXPECT_THAT(Ask(client, Op::kRelease, base::ByteWriter().U64(in.U64())).status(), IsOk());
    EXPECT_THAT(Ask(other.get(), Op::kDelete, base::ByteWriter().Str("k")).status(), IsOk());
    arena_->Maintain();
    const auto revoke = ReceiveAny(client);
    EXPECT_THAT(revoke.status(), IsOk());
    EXPECT_EQ(revoke->header.op, Op::kRevoke);
    return std::move(held->fds);
  };
  let_go(fd.get()).clear();  // but it does not say so
  arena_->Maintain();
  ASSERT_EQ(arena_->usage().quarantined, 0u);
  manual_.Advance(std::chrono::seconds(4));
  base::UniqueFd third = Greeted();
  const std::vector<base::UniqueFd> kept = let_go(third.get());
  ASSERT_FALSE(kept.empty());
  manual_.Advance(std::chrono::seconds(4));
  ASSERT_THAT(Ask(fd.get(), Op::kPing, {}).status(), IsOk()) << "what it was asked for before is gone";
  EXPECT_THAT(denied(), ElementsAre());
}

// ---- LAPSED

TEST_F(ServerOverTime, AStoppedClientIsToldOfItsLeasesAndCanNeitherWriteNorSeal) {
  base::UniqueFd fd = Greeted(), other = Greeted();
  base::ByteWriter creation;
  PutCreation(creation, {.request = {.key = "k"}});
  const auto granted = Ask(fd.get(), Op::kCreate, creation);
  ASSERT_THAT(granted.status(), IsOk());
  base::ByteReader lease(*granted);
  const object::LeaseId id{lease.U64()};
  manual_.Advance(std::chrono::seconds(31));
  Maintain();
  const auto lapsed = ReceiveAny(fd.get());
  ASSERT_THAT(lapsed.status(), IsOk());
  EXPECT_EQ(lapsed->header.op, Op::kLapsed);
  base::ByteReader in(lapsed->payload);
  EXPECT_THAT(TakeLeases(in), ElementsAre(id));

  ASSERT_THAT(Ask(other.get(), Op::kPut, PutOf("k", base::AsBytes("theirs"))).status(), IsOk());
  base::ByteWriter write, seal;
  write.Raw(*granted).U8(0).Raw(base::AsBytes("mine"));
  seal.Raw(*granted).U64(0).U8(0);
  for (const auto& [op, record] : {std::pair(Op::kWrite, &write), std::pair(Op::kSeal, &seal)}) {
    const absl::Status status = Ask(fd.get(), op, *record).status();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kAborted, "LEASE_LOST"));
    EXPECT_THAT(base::Message(status), testing::HasSubstr("'k', epoch "));
  }
  const auto got = Ask(other.get(), Op::kGet, GetOf("k"));
  ASSERT_THAT(got.status(), IsOk());
  EXPECT_THAT(base::AsText(*got), testing::EndsWith("theirs"));
}

// ---- room

class ServerInNarrowRoom : public Server {
 protected:
  object::PeerSettings peer_settings() const override {
    return {.clock = clock(),
            .rules = [](const std::string&) -> object::NamespaceRules { return {.evict_last = true}; }};
  }
};

TEST_F(ServerInNarrowRoom, AWriterWaitsForRoomAndItsWritesKeepTheirOrder) {
  base::UniqueFd fd = Greeted(), reader = Greeted();
  for (int i = 0; i < 3; ++i) PutLarge(fd.get(), "old-" + std::to_string(i), 3 * kMiB);
  std::jthread maintenance([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) Maintain();
  });
  // Without a size nothing is reserved: it is the writes that find the arena full.
  base::ByteWriter creation;
  PutCreation(creation, {.request = {.key = "new"}});
  const auto granted = Ask(fd.get(), Op::kCreate, creation);
  ASSERT_THAT(granted.status(), IsOk());
  constexpr int kWrites = 130;  // 8 MiB and a bit
  for (int i = 0; i < kWrites; ++i) {
    base::ByteWriter write;
    write.Raw(*granted).U8(0).Raw(std::vector<std::byte>(kInlineLimit, static_cast<std::byte>(i)));
    SendOp(fd.get(), Op::kWrite, write, 1000 + static_cast<uint64_t>(i));
  }
  for (int i = 0; i < kWrites; ++i) {
    const auto record = ReceiveAny(fd.get());
    ASSERT_THAT(record.status(), IsOk());
    ASSERT_EQ(record->header.code, 0u) << base::Message(TakeError(record->header.code, record->payload));
    EXPECT_EQ(record->header.request_id, 1000u + static_cast<uint64_t>(i));
  }
  base::ByteWriter seal;
  seal.Raw(*granted).U64(uint64_t{kWrites} * kInlineLimit).U8(0);
  ASSERT_THAT(Ask(fd.get(), Op::kSeal, seal).status(), IsOk());
  for (const int at : {0, 1, 77, kWrites - 1}) {
    base::ByteWriter get;
    get.U32(kGetNoDescriptors).U32(0).Str("new");
    const auto got = Ask(reader.get(), Op::kGet, get);
    ASSERT_THAT(got.status(), IsOk());
    base::ByteReader in(*got);
    const auto read =
        Ask(reader.get(), Op::kRead,
            base::ByteWriter().U64(in.U64()).U64(uint64_t{kInlineLimit} * static_cast<uint64_t>(at)).U32(1));
    ASSERT_THAT(read.status(), IsOk());
    EXPECT_THAT(*read, ElementsAre(static_cast<std::byte>(at)));
  }
}

// ---- memory of earlier agents

TEST_F(ServerOverTime, WhatClientsStillMapOfEarlierAgentsStaysUnused) {
  const uint64_t free = arena_->usage().free;
  base::UniqueFd fd = Connect();
  SendOp(fd.get(), Op::kHello, base::ByteWriter().Str("").U64(5 * kMiB).Str("test"));
  ASSERT_THAT(Receive(fd.get()).status(), IsOk());
  EXPECT_LE(arena_->usage().free, free - 5 * kMiB);
  base::UniqueFd liar = Connect();
  SendOp(liar.get(), Op::kHello, base::ByteWriter().Str("").U64(uint64_t{1} << 50).Str("test"));
  ASSERT_THAT(Receive(liar.get()).status(), IsOk());
  EXPECT_GE(arena_->usage().free, free / 2) << "nobody takes more than half of it by his word";
  base::ByteWriter more, less, nothing;
  PutUnmapped(more, {.earlier_bytes = uint64_t{1} << 50});
  ASSERT_THAT(Ask(fd.get(), Op::kUnmapped, more).status(), IsOk());
  EXPECT_EQ(arena_->usage().live, 5 * kMiB) << "who says too much is believed what he said before";
  PutUnmapped(less, {.earlier_bytes = kMiB});
  PutUnmapped(nothing, {});
  ASSERT_THAT(Ask(fd.get(), Op::kUnmapped, less).status(), IsOk());
  EXPECT_EQ(arena_->usage().live, kMiB);
  ASSERT_THAT(Ask(fd.get(), Op::kUnmapped, nothing).status(), IsOk());
  EXPECT_EQ(arena_->usage().free, free);

  manual_.Advance(std::chrono::minutes(2));
  base::UniqueFd late = Connect();
  SendOp(late.get(), Op::kHello, base::ByteWriter().Str("").U64(5 * kMiB).Str("test"));
  ASSERT_THAT(Receive(late.get()).status(), IsOk());
  EXPECT_EQ(arena_->usage().free, free) << "clients of an earlier agent come soon";
}

}  // namespace
}  // namespace larder::transport::uds
