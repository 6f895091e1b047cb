#include "larder/object/testing/peer_contract.h"

#include <gmock/gmock.h>

#include "larder/base/testing/status_matchers.h"

namespace larder::object {

// Of peer_contract_objects.cpp, peer_contract_errors.cpp and peer_contract_room.cpp: else the linker would drop their
// tests.
void LinkObjectRules();
void LinkErrorRules();
void LinkRoomRules();
void LinkCopyRules();
void LinkLendingRules();

namespace {

using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const auto kNoObject = StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT");
const auto kNoSession = StatusIs(absl::StatusCode::kNotFound, "NO_SESSION");
const auto kExists = StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS");
const auto kLeaseLost = StatusIs(absl::StatusCode::kAborted, "LEASE_LOST");
const auto kEpochStale = StatusIs(absl::StatusCode::kAborted, "EPOCH_STALE");

}  // namespace

// ---- Caller

Answer<absl::StatusOr<CreateGrant>> Caller::CreateLater(CreateRequest request, base::Deadline deadline) {
  Answer<absl::StatusOr<CreateGrant>> answer;
  peer_->Create(session_, std::move(request), deadline, answer.Slot());
  return answer;
}

absl::StatusOr<SealResult> Caller::Seal(const CreateGrant& grant, uint64_t size, const base::Digest& expected) {
  Answer<absl::StatusOr<SealResult>> answer;
  peer_->Seal(session_, grant.lease, grant.epoch, {.size = size, .expected = expected}, answer.Slot());
  return answer.Get();
}

absl::StatusOr<SealResult> Caller::Put(CreateRequest request, base::ByteSpan bytes) {
  request.size_hint = bytes.size();
  LARDER_ASSIGN_OR_RETURN(const CreateGrant grant, Create(std::move(request)));
  LARDER_RETURN_IF_ERROR(Append(grant, bytes));
  return Seal(grant, bytes.size());
}

absl::StatusOr<ReadGrant> Caller::Get(const std::string& key) {
  Answer<absl::StatusOr<ReadGrant>> answer;
  peer_->Get(session_, key, base::kNoDeadline, answer.Slot());
  return answer.Get();
}

absl::StatusOr<ObjectInfo> Caller::Stat(const std::string& key) {
  Answer<absl::StatusOr<ObjectStat>> answer;
  peer_->Stat(session_, key, answer.Slot());
  LARDER_ASSIGN_OR_RETURN(ObjectStat stat, answer.Get());
  return std::move(stat.info);
}

absl::StatusOr<ListPage> Caller::List(const ListRequest& request) {
  Answer<absl::StatusOr<ListPage>> answer;
  peer_->List(session_, request, answer.Slot());
  return answer.Get();
}

absl::Status Caller::Delete(const std::string& key) {
  Answer<absl::Status> answer;
  peer_->Delete(session_, key, answer.Slot());
  return answer.Get();
}

absl::Status Caller::SetPinned(const std::string& key, bool pinned) {
  Answer<absl::Status> answer;
  peer_->SetPinned(session_, key, pinned, answer.Slot());
  return answer.Get();
}

// ---- the fixture

PeerSettings PeerContract::Settings() {
  return {.backends = {&node_->backend()},
          .clock = &node_->clock(),
          .executor = &executor_,
          .rules = [this](const std::string& ns) { return rules_[ns]; },
          .lease_ttl = kLeaseTtl,
          .node = "node-1"};
}

void PeerContract::Begin(const TestNode::Options& options) {
  peer_.reset();
  node_.reset();
  node_ = std::make_unique<TestNode>(GetParam().backend, options);
  used_at_start_ = node_->Used();
  auto made = GetParam().peer.make(Settings());
  ASSERT_THAT(made.status(), IsOk());
  peer_ = *std::move(made);
}

void PeerContract::Restart() {
  peer_.reset();
  node_->Restart();
  node_->clock().Advance(seconds(1));  // no restart takes no time
  auto made = GetParam().peer.make(Settings());
  ASSERT_THAT(made.status(), IsOk());
  peer_ = *std::move(made);
}

Caller PeerContract::Open(const std::string& ns) {
  const auto session = peer().OpenSession({.ns = ns, .pid = 1});
  EXPECT_THAT(session.status(), IsOk());
  return Caller(peer(), session.value_or(SessionId{}));
}

void PeerContract::Pass(base::Duration by) {
  node_->clock().Advance(by);
  peer().Tick();
}

void PeerContract::MakeRoom() {
  // Twice at least: what one round frees, those that wait find in the next.
  for (int round = 0; round < 2; ++round) {
    peer().Tick();
    node_->arena().Maintain();
  }
}

void PeerContract::ExpectNothingLeft() {
  const PeerUsage usage = peer().usage();
  EXPECT_EQ(usage.sessions, 0u);
  EXPECT_EQ(usage.create_leases, 0u);
  EXPECT_EQ(usage.read_leases, 0u);
  EXPECT_EQ(usage.objects, 0u);
  EXPECT_EQ(usage.bytes, 0u);
  EXPECT_EQ(Used(), used_at_start_);
}

// ---- the rules of leases

TEST_P(PeerContract, Lease01_ACreateLeaseEndsWithItsSession) {
  Caller first = Open();
  Caller second = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, first.Create({.key = "k", .size_hint = 2 * kMiB}));
  ASSERT_THAT(first.Append(grant, SampleBytes(2 * kMiB)), IsOk());
  EXPECT_EQ(peer().usage().create_leases, 1u);
  first.Close();
  EXPECT_EQ(peer().usage().create_leases, 0u);
  EXPECT_EQ(Used(), used_at_start_);
  EXPECT_THAT(second.Stat("k"), kNoObject);
  EXPECT_THAT(second.PutKey("k", base::AsBytes("new")), IsOk());
  EXPECT_THAT(first.Append(grant, base::AsBytes("late")), kNoSession);
  EXPECT_THAT(first.Seal(grant, 2 * kMiB), kNoSession);
}

TEST_P(PeerContract, Lease01_AReadLeaseEndsWithItsSession) {
  Caller writer = Open();
  Caller reader = Open();
  ASSERT_THAT(writer.PutKey("k", SampleBytes(100 * kKiB)), IsOk());
  LeaseId lease;
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant grant, reader.Get("k"));
    lease = grant.lease;
  }
  EXPECT_EQ(peer().usage().read_leases, 1u);
  ASSERT_THAT(writer.Delete("k"), IsOk());
  EXPECT_GT(Used(), used_at_start_);
  reader.Close();
  EXPECT_EQ(peer().usage().read_leases, 0u);
  EXPECT_EQ(Used(), used_at_start_);
  EXPECT_THAT(peer().ViewOf(reader.session(), lease).status(), kNoSession);
  writer.Close();
  ExpectNothingLeft();
}

TEST_P(PeerContract, Lease01_ClosingTwiceOrAnUnknownSessionIsHarmless) {
  Caller caller = Open();
  Caller other = Open();
  caller.Close();
  caller.Close();
  peer().CloseSession(SessionId{999'999});
  EXPECT_EQ(peer().usage().sessions, 1u);
  EXPECT_THAT(other.PutKey("k", {}), IsOk());
}

TEST_P(PeerContract, Lease02_ReclaimTouchesOnlyThatSessionsCreations) {
  Caller dying = Open();
  Caller living = Open();
  ASSERT_THAT(dying.CreateKey("lost"), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant kept, living.CreateKey("kept"));
  ASSERT_THAT(living.Append(kept, base::AsBytes("ab")), IsOk());
  ASSERT_THAT(dying.PutKey("sealed", base::AsBytes("sealed")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant read, living.Get("sealed"));
  dying.Close();
  EXPECT_EQ(peer().usage().create_leases, 1u);
  EXPECT_EQ(peer().usage().read_leases, 1u);
  ASSERT_THAT(living.Append(kept, base::AsBytes("c")), IsOk());
  EXPECT_THAT(living.Seal(kept, 3), IsOk());
  EXPECT_TRUE(std::ranges::equal(BytesOf(*read.view), base::AsBytes("sealed")));
  EXPECT_THAT(living.Stat("sealed"), IsOk()) << "what is sealed is nobody's";
}

TEST_P(PeerContract, Lease03_EpochsGrowAndAStaleOneIsRefused) {
  Caller caller = Open();
  Epoch last;
  for (int i = 0; i < 5; ++i) {
    LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.Create({.key = "k", .overwrite = true}));
    EXPECT_GT(grant.epoch, last);
    const CreateGrant stale{.lease = grant.lease, .epoch = Epoch{grant.epoch.value - 1}};
    EXPECT_THAT(caller.Append(stale, base::AsBytes("x")), kEpochStale);
    EXPECT_THAT(caller.Seal(stale, 0), kEpochStale);
    EXPECT_THAT(caller.Discard(stale), kEpochStale);
    EXPECT_EQ(peer().usage().create_leases, 1u);
    LARDER_ASSERT_OK_AND_ASSIGN(const SealResult sealed, caller.Seal(grant, 0));
    EXPECT_EQ(sealed.info.epoch, grant.epoch);
    last = grant.epoch;
  }
  Restart();
  Caller later = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, later.Create({.key = "k", .overwrite = true}));
  EXPECT_GT(grant.epoch, last) << "epochs never repeat, over restarts too";
}

TEST_P(PeerContract, Lease03_ALeaseIsWorthNothingToAnotherSession) {
  Caller owner = Open();
  Caller other = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, owner.CreateKey("k"));
  EXPECT_THAT(other.Append(grant, base::AsBytes("x")), kLeaseLost);
  EXPECT_THAT(other.Seal(grant, 0), kLeaseLost);
  other.Discard(grant).IgnoreError();
  EXPECT_THAT(owner.Seal(grant, 0), IsOk());
  EXPECT_THAT(other.Seal(grant, 0), kLeaseLost) << "a repeat answers the one who sealed";
}

TEST_P(PeerContract, Lease04_ALateWriterIsRefusedAndHitsNobody) {
  Caller slow = Open();
  Caller quick = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, slow.Create({.key = "k", .size_hint = 100}));
  ASSERT_THAT(slow.Append(grant, SampleBytes(50)), IsOk());
  Pass(kLeaseTtl + seconds(1));
  EXPECT_EQ(peer().usage().create_leases, 0u);
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant next, quick.CreateKey("k"));
  EXPECT_GT(next.epoch, grant.epoch);
  EXPECT_THAT(slow.Append(grant, SampleBytes(50)), kLeaseLost);
  EXPECT_THAT(slow.Seal(grant, 50), kLeaseLost);
  EXPECT_THAT(slow.Discard(grant), IsOk());
  ASSERT_THAT(quick.Append(next, base::AsBytes("quick")), IsOk());
  ASSERT_THAT(quick.Seal(next, 5), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant read, quick.Get("k"));
  EXPECT_TRUE(std::ranges::equal(BytesOf(*read.view), base::AsBytes("quick")));
}

TEST_P(PeerContract, Lease04_ARenewedSessionKeepsItsLeasesAndALapsedOneIsToldOnce) {
  Caller renewing = Open();
  Caller silent = Open();
  ASSERT_THAT(silent.PutKey("object", base::AsBytes("x")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant kept, renewing.CreateKey("kept"));
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant lost, silent.CreateKey("lost"));
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant read, silent.Get("object"));
  EXPECT_EQ(kept.lease_ttl, kLeaseTtl);
  EXPECT_EQ(read.lease_ttl, kLeaseTtl);
  for (int i = 0; i < 6; ++i) {
    Pass(kLeaseTtl / 3);
    EXPECT_THAT(*renewing.Renew(), IsEmpty());
  }
  EXPECT_THAT(renewing.Append(kept, base::AsBytes("x")), IsOk());
  EXPECT_THAT(peer().ViewOf(silent.session(), read.lease).status(), kLeaseLost);
  EXPECT_EQ(peer().usage().read_leases, 0u);
  EXPECT_THAT(*silent.Renew(), testing::UnorderedElementsAre(lost.lease, read.lease));
  EXPECT_THAT(*silent.Renew(), IsEmpty());
  EXPECT_THAT(silent.PutKey("after", {}), IsOk()) << "the session itself lives on";
}

TEST_P(PeerContract, Lease04_ALeaseGrantedLateLivesItsWholeTtl) {
  Caller caller = Open();
  Pass(10 * kLeaseTtl);
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  Pass(kLeaseTtl - seconds(1));
  EXPECT_THAT(caller.Append(grant, base::AsBytes("x")), IsOk());
}

TEST_P(PeerContract, Lease04_ALeaseLivesThroughItsTtlAndNoLonger) {
  Caller granted = Open();
  Caller renewed = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant short_one, granted.CreateKey("short"));
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant long_one, renewed.CreateKey("long"));
  Pass(seconds(1));
  ASSERT_THAT(renewed.Renew(), IsOk());
  Pass(kLeaseTtl - seconds(1));
  EXPECT_THAT(granted.Append(short_one, base::AsBytes("x")), IsOk());
  Pass(std::chrono::nanoseconds(1));
  EXPECT_THAT(granted.Append(short_one, base::AsBytes("x")), kLeaseLost);
  Pass(seconds(1) - std::chrono::nanoseconds(1));
  EXPECT_THAT(renewed.Append(long_one, base::AsBytes("x")), IsOk());
  Pass(std::chrono::nanoseconds(1));
  EXPECT_THAT(renewed.Append(long_one, base::AsBytes("x")), kLeaseLost);
}

TEST_P(PeerContract, Lease05_DeleteHidesAtOnceAndFreesAfterTheLastReader) {
  Caller writer = Open();
  Caller reader = Open();
  const std::vector<std::byte> bytes = SampleBytes(3 * kMiB);
  ASSERT_THAT(writer.PutKey("k", bytes), IsOk());
  absl::StatusOr<ReadGrant> one = reader.Get("k");
  absl::StatusOr<ReadGrant> two = writer.Get("k");
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_NE(one->lease, two->lease);
  ASSERT_THAT(writer.Delete("k"), IsOk());
  EXPECT_THAT(reader.Get("k"), kNoObject);
  EXPECT_THAT(reader.Stat("k"), kNoObject);
  EXPECT_THAT(reader.List({})->objects, IsEmpty());
  EXPECT_THAT(writer.Delete("k"), kNoObject);
  EXPECT_EQ(peer().usage().objects, 0u);
  EXPECT_EQ(peer().usage().bytes, 0u);
  EXPECT_GE(Used(), used_at_start_ + bytes.size());
  EXPECT_TRUE(BytesOf(*one->view) == bytes);
  reader.Release(*one);
  one = absl::CancelledError();
  EXPECT_GE(Used(), used_at_start_ + bytes.size());
  EXPECT_TRUE(BytesOf(**peer().ViewOf(writer.session(), two->lease)) == bytes);
  writer.Release(*two);
  two = absl::CancelledError();
  EXPECT_EQ(Used(), used_at_start_);
}

TEST_P(PeerContract, Lease07_ReleaseIsIdempotentAndPerSession) {
  Caller first = Open();
  Caller second = Open();
  ASSERT_THAT(first.PutKey("k", base::AsBytes("bytes")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant a, first.Get("k"));
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant b, first.Get("k"));
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant creating, first.CreateKey("other"));
  second.Release(a);
  EXPECT_EQ(peer().usage().read_leases, 2u) << "only its own session ends it";
  EXPECT_THAT(peer().ViewOf(second.session(), a.lease).status(), kLeaseLost);
  first.Release(a);
  first.Release(a);
  EXPECT_EQ(peer().usage().read_leases, 1u) << "twice is once";
  EXPECT_THAT(peer().ViewOf(first.session(), a.lease).status(), kLeaseLost);
  EXPECT_THAT(peer().ViewOf(first.session(), b.lease).status(), IsOk());
  peer().Release(first.session(), creating.lease);
  EXPECT_EQ(peer().usage().create_leases, 1u) << "a create lease ends by seal or discard";
  peer().Release(first.session(), LeaseId{424'242});
  peer().Release(SessionId{424'242}, b.lease);
  EXPECT_EQ(peer().usage().read_leases, 1u);
}

TEST_P(PeerContract, Lease08_NamespacesAreApart) {
  Caller a = Open("team-a");
  Caller b = Open("team-b");
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant of_a, a.CreateKey("k"));
  auto answer = b.CreateLater({.key = "k"}, node_->clock().Now());
  ASSERT_TRUE(answer.ready()) << "waits for nobody of another namespace";
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant of_b, answer.Get());
  EXPECT_THAT(b.Append(of_a, base::AsBytes("x")), kLeaseLost);
  ASSERT_THAT(a.Append(of_a, base::AsBytes("from a")), IsOk());
  ASSERT_THAT(a.Seal(of_a, 6), IsOk());
  EXPECT_THAT(b.Get("k"), kNoObject);
  ASSERT_THAT(b.Append(of_b, base::AsBytes("of b")), IsOk());
  ASSERT_THAT(b.Seal(of_b, 4), IsOk());
  ASSERT_THAT(a.PutKey("only-a", {}), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant read_a, a.Get("k"));
  LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant read_b, b.Get("k"));
  EXPECT_TRUE(std::ranges::equal(BytesOf(*read_a.view), base::AsBytes("from a")));
  EXPECT_TRUE(std::ranges::equal(BytesOf(*read_b.view), base::AsBytes("of b")));
  EXPECT_THAT(peer().ViewOf(b.session(), read_a.lease).status(), kLeaseLost);
  EXPECT_EQ(a.List({})->objects.size(), 2u);
  EXPECT_EQ(b.List({})->objects.size(), 1u);
  EXPECT_THAT(b.Delete("only-a"), kNoObject);
  EXPECT_THAT(b.SetPinned("only-a", true), kNoObject);
  ASSERT_THAT(b.Delete("k"), IsOk());
  EXPECT_THAT(a.Stat("k"), IsOk());
}

TEST_P(PeerContract, Lease09_TheWallClockEndsNoLeaseAndNoLeaseSurvivesARestart) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", base::AsBytes("x")), IsOk());
  CreateRequest with_ttl{.key = "ttl"};
  with_ttl.meta.ttl = hours(1);
  ASSERT_THAT(caller.Put(with_ttl, base::AsBytes("x")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("creating"));
  LeaseId read;
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const ReadGrant got, caller.Get("k"));
    read = got.lease;
  }
  for (const base::Duration ahead : {base::Duration(hours(24 * 365)), base::Duration(-hours(24 * 365))}) {
    node_->clock().SetWallAhead(ahead);
    peer().Tick();
    EXPECT_THAT(caller.Append(grant, base::AsBytes("x")), IsOk());
    EXPECT_THAT(peer().ViewOf(caller.session(), read).status(), IsOk());
    EXPECT_THAT(caller.Stat("ttl"), IsOk());
  }
  node_->clock().SetWallAhead({});
  Restart();
  EXPECT_EQ(peer().usage().sessions, 0u);
  EXPECT_EQ(peer().usage().create_leases, 0u);
  EXPECT_EQ(peer().usage().read_leases, 0u);
  EXPECT_THAT(peer().Append(caller.session(), grant.lease, grant.epoch, {}), kNoSession);
  EXPECT_THAT(Open().Stat("creating"), kNoObject);
}

TEST_P(PeerContract, Lease11_ASecondCreatorLearnsThatTheFirstSealed) {
  Caller first = Open();
  Caller second = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, first.CreateKey("k"));
  const auto plain = second.CreateLater({.key = "k"});
  const auto overwriting = second.CreateLater({.key = "k", .overwrite = true});
  EXPECT_FALSE(plain.ready());
  EXPECT_FALSE(overwriting.ready());
  ASSERT_THAT(first.Seal(grant, 0), IsOk());
  EXPECT_THAT(plain.Get(), kExists);
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant second_grant, overwriting.Get());
  EXPECT_GT(second_grant.epoch, grant.epoch);
  EXPECT_THAT(second.Seal(second_grant, 0), IsOk());
}

TEST_P(PeerContract, Lease11_ASecondCreatorTakesOverByAHigherEpochWhenTheFirstIsOver) {
  const auto end_first = [&](int how, Caller& first, const CreateGrant& grant) {
    if (how == 0) {
      ASSERT_THAT(first.Discard(grant), IsOk());
    }
    if (how == 1) first.Close();
    if (how == 2) Pass(kLeaseTtl + seconds(1));
    if (how == 3) {
      ASSERT_FALSE(first.Seal(grant, 0, base::Crc32cDigest(77)).ok());
    }
  };
  for (int how = 0; how < 4; ++how) {
    SCOPED_TRACE(how);
    Caller first = Open();
    Caller second = Open();
    LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, first.CreateKey("k"));
    const auto waiting = second.CreateLater({.key = "k"});
    ASSERT_FALSE(waiting.ready());
    end_first(how, first, grant);
    LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant taken, waiting.Get());
    EXPECT_GT(taken.epoch, grant.epoch);
    EXPECT_THAT(second.Discard(taken), IsOk());
  }
}

TEST_P(PeerContract, Lease11_WaitersAreServedInTheirOrder) {
  Caller first = Open();
  std::vector<Caller> callers;
  std::vector<Answer<absl::StatusOr<CreateGrant>>> answers;
  LARDER_ASSERT_OK_AND_ASSIGN(CreateGrant grant, first.CreateKey("k"));
  for (int i = 0; i < 4; ++i) {
    callers.push_back(Open());
    answers.push_back(callers.back().CreateLater({.key = "k", .overwrite = true}));
  }
  Caller holder = first;
  for (int i = 0; i < 4; ++i) {
    if (i % 2 == 0) {
      ASSERT_THAT(holder.Discard(grant), IsOk());
    } else {
      ASSERT_THAT(holder.Seal(grant, 0), IsOk());
    }
    for (int j = i + 1; j < 4; ++j) EXPECT_FALSE(answers[j].ready()) << i << " " << j;
    LARDER_ASSERT_OK_AND_ASSIGN(grant, answers[i].Get());
    holder = callers[i];
  }
}

TEST_P(PeerContract, Lease11_AWaiterIsAnsweredAtItsDeadline) {
  Caller first = Open();
  Caller second = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, first.CreateKey("k"));
  const auto short_one = second.CreateLater({.key = "k"}, node_->clock().Now() + seconds(5));
  const auto long_one = second.CreateLater({.key = "k"}, node_->clock().Now() + seconds(20));
  Pass(seconds(4));
  EXPECT_FALSE(short_one.ready());
  Pass(seconds(1));
  EXPECT_THAT(short_one.Get(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_FALSE(long_one.ready());
  ASSERT_THAT(first.Discard(grant), IsOk());
  EXPECT_THAT(long_one.Get(), IsOk());
  EXPECT_EQ(short_one.calls(), 1);
  EXPECT_EQ(long_one.calls(), 1);
}

TEST_P(PeerContract, Lease11_AWaiterWhoseTimeIsOverIsNotGrantedTheKey) {
  Caller first = Open();
  Caller second = Open();
  Caller third = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, first.CreateKey("k"));
  const auto over = second.CreateLater({.key = "k"}, node_->clock().Now() + seconds(5));
  const auto patient = third.CreateLater({.key = "k"});
  node_->clock().Advance(seconds(6));  // and nobody ticked since
  ASSERT_THAT(first.Discard(grant), IsOk());
  EXPECT_THAT(over.Get(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(patient.Get(), IsOk());
  EXPECT_EQ(peer().usage().create_leases, 1u);
}

TEST_P(PeerContract, Lease11_AWaiterIsAnsweredWhenItsOwnSessionCloses) {
  Caller first = Open();
  Caller second = Open();
  ASSERT_THAT(first.CreateKey("k"), IsOk());
  const auto others = second.CreateLater({.key = "k"});
  const auto own = first.CreateLater({.key = "k"});
  second.Close();
  ASSERT_TRUE(others.ready());
  EXPECT_THAT(others.Get(), kNoSession);
  first.Close();
  ASSERT_TRUE(own.ready());
  EXPECT_THAT(own.Get(), kNoSession);
  ExpectNothingLeft();
}

TEST_P(PeerContract, Lease11_AWaiterThatCannotBeServedMakesWayForTheNext) {
  Begin({.arena_bytes = 8 * kMiB, .max_bytes = 8 * kMiB});
  Caller first = Open();
  Caller second = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, first.CreateKey("k"));
  const auto greedy = second.CreateLater({.key = "k", .size_hint = 100 * kMiB});
  const auto modest = second.CreateLater({.key = "k"});
  ASSERT_THAT(first.Discard(grant), IsOk());
  EXPECT_THAT(greedy.Get(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(modest.Get(), IsOk());
}

// ---- cases

std::vector<PeerCase> CasesOf(const PeerRegistry& peers, const BackendRegistry& backends) {
  LinkObjectRules();
  LinkErrorRules();
  LinkRoomRules();
  LinkCopyRules();
  LinkLendingRules();
  std::vector<PeerCase> cases;
  for (const std::string& peer : peers.Names()) {
    for (const std::string& backend : backends.Names()) cases.push_back({**peers.Get(peer), **backends.Get(backend)});
  }
  return cases;
}

std::string NameOfCase(const testing::TestParamInfo<PeerCase>& info) {
  return info.param.peer.name + "_" + info.param.backend.name;
}

void PrintTo(const PeerCase& peer_case, std::ostream* out) {
  *out << peer_case.peer.name << " over " << peer_case.backend.name;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PeerContract);

}  // namespace larder::object
