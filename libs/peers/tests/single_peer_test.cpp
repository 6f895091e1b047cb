#include "larder/peers/single_peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/testing/peer_contract.h"
#include "larder/object/testing/test_node.h"

// What happens when calls meet: a backend stands in that runs something of the test's at named points.
namespace larder::peers {
namespace {

using base::AsBytes;
using base::IsOk;
using base::kMiB;
using base::StatusIs;
using object::Answer;
using object::Backend;
using object::Blob;
using object::BlobView;
using object::BytesOf;
using object::Caller;
using object::CreateGrant;
using object::CreateRequest;
using object::Epoch;
using object::ObjectId;
using object::ObjectInfo;
using object::SealResult;
using std::chrono::seconds;
using testing::IsEmpty;

const auto kNoObject = StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT");
const auto kNoSession = StatusIs(absl::StatusCode::kNotFound, "NO_SESSION");
const auto kLeaseLost = StatusIs(absl::StatusCode::kAborted, "LEASE_LOST");
const auto kBusy = StatusIs(absl::StatusCode::kFailedPrecondition, "BUSY");

// Objects on the heap, and a place to step in before or after each call. A step is forgotten when it runs.
class SteppedBackend final : public Backend {
 public:
  struct Steps {
    std::function<void()> in_create;
    std::function<void()> after_append;
    std::function<absl::Status()> in_seal;
    std::function<void()> after_set_pinned;
    std::function<void()> after_set_tracked;
    std::function<void()> in_remove;
  };
  Steps steps;
  absl::Status create_fails;
  absl::Status reserve_fails;      // the next one
  absl::Status set_tracked_fails;  // likewise
  int appends_until_full = 1'000'000;
  std::map<ObjectId, Epoch> sealed;  // what a restart would find
  std::map<ObjectId, bool> pinned;
  std::map<ObjectId, object::TrackedAs> tracked;
  uint64_t live = 0;  // blobs and views

  absl::StatusOr<std::unique_ptr<Blob>> Create(const ObjectId&, Epoch, uint64_t) override {
    Take(steps.in_create)();
    LARDER_RETURN_IF_ERROR(create_fails);
    return std::make_unique<HeapBlob>(*this);
  }
  absl::StatusOr<std::shared_ptr<const BlobView>> Seal(std::unique_ptr<Blob> blob, const ObjectInfo& info) override {
    if (steps.in_seal) LARDER_RETURN_IF_ERROR(std::exchange(steps.in_seal, nullptr)());
    sealed[info.id] = info.epoch;
    return std::make_shared<HeapView>(*this, static_cast<HeapBlob&>(*blob).bytes);
  }
  absl::Status Remove(const ObjectId& id, Epoch epoch) override {
    Take(steps.in_remove)();
    if (auto it = sealed.find(id); it != sealed.end() && it->second == epoch) sealed.erase(it);
    return absl::OkStatus();
  }
  absl::Status SetPinned(const ObjectId& id, Epoch, bool on) override {
    pinned[id] = on;
    Take(steps.after_set_pinned)();
    return absl::OkStatus();
  }
  absl::Status SetTracked(const ObjectId& id, Epoch, const object::TrackedAs& as) override {
    tracked[id] = as;
    Take(steps.after_set_tracked)();
    return std::exchange(set_tracked_fails, absl::OkStatus());
  }
  absl::StatusOr<std::vector<Recovered>> Recover() override { return std::vector<Recovered>(); }
  Usage usage() const override { return {.used = live}; }
  object::Resource resource() const override { return object::Resource::kMemory; }
  uint64_t HeldBeside(const std::string&) const override { return 0; }
  std::shared_ptr<const BlobView> Compact(const ObjectId&, const BlobView&) override { return nullptr; }
  std::string_view tier() const override { return "hot"; }
  object::Durability durability() const override { return object::Durability::kMemory; }
  bool blocks() const override { return false; }

 private:
  struct Counted {
    explicit Counted(SteppedBackend& in) : backend(in) { ++backend.live; }
    Counted(const Counted&) = delete;
    ~Counted() { --backend.live; }
    SteppedBackend& backend;
  };
  struct HeapBlob final : Blob, Counted {
    explicit HeapBlob(SteppedBackend& in) : Counted(in) {}
    absl::Status Append(base::ByteSpan more) override {
      if (backend.appends_until_full-- <= 0) {
        return base::Error(absl::StatusCode::kResourceExhausted, "ARENA_FULL", "full");
      }
      bytes.insert(bytes.end(), more.begin(), more.end());
      Take(backend.steps.after_append)();
      return absl::OkStatus();
    }
    absl::Status Reserve(uint64_t) override { return std::exchange(backend.reserve_fails, absl::OkStatus()); }
    uint64_t size() const override { return bytes.size(); }
    uint32_t crc32c() const override { return base::Crc32c(bytes); }
    absl::Status Expect(uint64_t size, uint32_t) override {
      bytes.resize(size);
      return absl::OkStatus();
    }
    base::MutableByteSpan At(uint64_t offset, uint64_t size) override {
      return base::MutableByteSpan(bytes).subspan(offset, size);
    }
    absl::Status Keep(uint32_t) override { return absl::OkStatus(); }
    std::vector<bool> Kept() override { return {}; }
    absl::Status ReadKept(uint64_t, base::MutableByteSpan) const override { return absl::OkStatus(); }
    std::shared_ptr<const BlobView> View() const override { return nullptr; }
    std::vector<std::byte> bytes;
  };
  struct HeapView final : BlobView, Counted {
    HeapView(SteppedBackend& in, std::vector<std::byte> all) : Counted(in), bytes(std::move(all)) {}
    uint64_t size() const override { return bytes.size(); }
    absl::Status Read(uint64_t offset, base::MutableByteSpan out) const override {
      std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
      return absl::OkStatus();
    }
    std::span<const uint32_t> grains() const override { return {}; }
    const std::vector<std::byte> bytes;
  };
  static std::function<void()> Take(std::function<void()>& step) {
    std::function<void()> taken = std::exchange(step, nullptr);
    return taken ? taken : [] {};
  }
};

class SinglePeerCalls : public testing::Test {
 protected:
  Caller Open() { return Caller(*peer_, *peer_->OpenSession({.ns = "team-a"})); }
  void ExpectNothingLeft() {
    const object::PeerUsage usage = peer_->usage();
    EXPECT_EQ(usage.create_leases, 0u);
    EXPECT_EQ(usage.read_leases, 0u);
    EXPECT_EQ(usage.objects, 0u);
    EXPECT_EQ(backend_.live, 0u);
    EXPECT_THAT(backend_.sealed, IsEmpty());
  }
  // The table and what a restart would find are the same.
  void ExpectBackendHas(const std::string& key, Epoch epoch) {
    const auto it = backend_.sealed.find({"team-a", key});
    ASSERT_NE(it, backend_.sealed.end());
    EXPECT_EQ(it->second, epoch);
  }

  SteppedBackend backend_;
  object::NodeClock clock_;
  std::unique_ptr<SinglePeer> peer_ = std::make_unique<SinglePeer>(
      backend_, object::PeerSettings{.backends = {&backend_}, .clock = &clock_, .lease_ttl = seconds(30)});
};

std::string NameOf(base::ByteSpan bytes) {
  base::Sha256 sha;
  sha.Update(bytes);
  return base::FormatDigest(base::Sha256DigestOf(sha.Finish()));
}

TEST_F(SinglePeerCalls, AContentNameIsThatOfTheBytesThatWereKeptWhateverTheClientWritesMeanwhile) {
  for (const uint64_t size : {uint64_t{100}, 3 * kMiB}) {
    Caller caller = Open();
    std::vector<std::byte> window = object::SampleBytes(size);
    LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.Create({}));
    backend_.steps.after_append = [&] { std::ranges::fill(window, std::byte{0x66}); };  // the client's own memory
    ASSERT_THAT(caller.Append(grant, window), IsOk());
    LARDER_ASSERT_OK_AND_ASSIGN(const SealResult sealed, caller.Seal(grant, size));
    const auto read = caller.Get(sealed.info.id.key);
    ASSERT_THAT(read.status(), IsOk());
    EXPECT_EQ(NameOf(BytesOf(*read->view)), sealed.info.id.key);
  }
}

TEST_F(SinglePeerCalls, AnAppendThatFailsHalfWayOfBytesToBeNamedEndsTheCreation) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant small, caller.Create({}));
  backend_.appends_until_full = 0;
  EXPECT_THAT(caller.Append(small, AsBytes("x")), StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  backend_.appends_until_full = 2;
  EXPECT_THAT(caller.Append(small, AsBytes("x")), IsOk()) << "nothing was torn: it goes on";
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant large, caller.Create({}));
  EXPECT_THAT(caller.Append(large, object::SampleBytes(16 * kMiB)),
              StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  EXPECT_THAT(caller.Append(large, AsBytes("x")), kLeaseLost);
  EXPECT_EQ(peer_->usage().create_leases, 1u);
}

TEST_F(SinglePeerCalls, WhereThereIsNoRoomForAllOfAnAppendNothingOfItIsKept) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.Create({}));
  backend_.reserve_fails = base::Error(absl::StatusCode::kResourceExhausted, "ARENA_FULL", "full");
  const std::vector<std::byte> bytes = object::SampleBytes(4 * kMiB);
  EXPECT_THAT(caller.Append(grant, bytes), StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  ASSERT_THAT(caller.Append(grant, bytes), IsOk()) << "it may be tried again";
  EXPECT_EQ(caller.Seal(grant, bytes.size())->info.id.key, NameOf(bytes));
}

// data-plane.md, rule 13.
TEST_F(SinglePeerCalls, Lease13_PublishedAfterItIsKeptAndHiddenBeforeItIsFreed) {
  Caller caller = Open();
  std::vector<std::string> seen;
  const auto look = [&] {
    const auto info = caller.Stat("k");
    seen.push_back(info.ok() ? std::string(object::StateName(info->state)) : base::Reason(info.status()));
  };
  backend_.steps.in_seal = [&]() -> absl::Status {
    look();
    return absl::OkStatus();
  };
  ASSERT_THAT(caller.PutKey("k", AsBytes("x")), IsOk());
  look();
  backend_.steps.in_remove = look;
  ASSERT_THAT(caller.Delete("k"), IsOk());
  EXPECT_THAT(seen, testing::ElementsAre("CREATING", "SEALED", "NO_OBJECT"));
}

TEST_F(SinglePeerCalls, NoCallWaitsForABackendThatMakesABlob) {
  Caller caller = Open();
  Caller other = Open();
  ASSERT_THAT(other.PutKey("object", AsBytes("x")), IsOk());
  backend_.steps.in_create = [&] {
    EXPECT_THAT(other.Get("object"), IsOk());
    EXPECT_THAT(other.Stat("object"), IsOk());
    EXPECT_EQ(other.Stat("k")->state, object::ObjectState::kCreating);
    EXPECT_FALSE(other.CreateLater({.key = "k"}, clock_.Now() + seconds(1)).ready()) << "the key is taken";
    EXPECT_THAT(other.PutKey("another", {}), IsOk());
    peer_->Tick();
  };
  EXPECT_THAT(caller.CreateKey("k"), IsOk());
}

TEST_F(SinglePeerCalls, ASessionThatClosesWhileItsBlobIsMadeLeavesNothing) {
  Caller caller = Open();
  Caller other = Open();
  Answer<absl::StatusOr<CreateGrant>> waiting;
  backend_.steps.in_create = [&] {
    waiting = other.CreateLater({.key = "k"});
    caller.Close();
  };
  EXPECT_THAT(caller.CreateKey("k"), kNoSession);
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, waiting.Get());
  ASSERT_THAT(other.Discard(grant), IsOk());
  ExpectNothingLeft();
}

TEST_F(SinglePeerCalls, ManyWaitersThatCannotBeServedAreAllAnswered) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  std::vector<Answer<absl::StatusOr<CreateGrant>>> answers;
  for (int i = 0; i < 2'000; ++i) answers.push_back(caller.CreateLater({.key = "k"}));
  backend_.create_fails = base::Error(absl::StatusCode::kResourceExhausted, "ARENA_FULL", "full");
  ASSERT_THAT(caller.Discard(grant), IsOk());
  for (const auto& answer : answers) {
    ASSERT_TRUE(answer.ready());
    ASSERT_THAT(answer.Get(), StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  }
  ExpectNothingLeft();
}

TEST_F(SinglePeerCalls, ASessionThatClosesDuringAnAppendLeavesNothing) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  backend_.steps.after_append = [&] {
    caller.Close();
    EXPECT_EQ(peer_->usage().create_leases, 0u);
  };
  EXPECT_FALSE(caller.Append(grant, AsBytes("x")).ok());
  ExpectNothingLeft();
}

TEST_F(SinglePeerCalls, ASealUnderWaySurvivesItsSession) {
  Caller caller = Open();
  Caller other = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  backend_.steps.in_seal = [&] {
    caller.Close();
    return absl::OkStatus();
  };
  EXPECT_THAT(caller.Seal(grant, 0), IsOk());
  EXPECT_EQ(other.Stat("k")->epoch, grant.epoch);
  EXPECT_EQ(peer_->usage().create_leases, 0u);
  ASSERT_THAT(other.Delete("k"), IsOk());
  ExpectNothingLeft();
}

TEST_F(SinglePeerCalls, ALeaseThatLapsesDuringItsSealIsNotReportedAsLost) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  backend_.steps.in_seal = [&] {
    clock_.Advance(seconds(31));
    peer_->Tick();
    return absl::OkStatus();
  };
  EXPECT_THAT(caller.Seal(grant, 0), IsOk());
  EXPECT_THAT(*caller.Renew(), IsEmpty());
  EXPECT_EQ(peer_->usage().create_leases, 0u);
}

TEST_F(SinglePeerCalls, ATickThatIsLateItselfEndsNoLeasesOneThatIsInTimeDoes) {
  SinglePeer peer(backend_, {.clock = &clock_, .lease_ttl = seconds(30), .late_tick = seconds(10)});
  Caller caller(peer, *peer.OpenSession({.ns = "team-a"}));
  ASSERT_THAT(caller.CreateKey("k"), IsOk());
  clock_.Advance(seconds(100));
  peer.Tick();
  EXPECT_EQ(peer.usage().create_leases, 1u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(peer.usage().create_leases, 1u);
    clock_.Advance(seconds(10));
    peer.Tick();
  }
  EXPECT_EQ(peer.usage().create_leases, 0u);
}

TEST_F(SinglePeerCalls, OneCallAtATimePerCreation) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  backend_.steps.after_append = [&] {
    EXPECT_THAT(caller.Append(grant, AsBytes("y")), kBusy);
    EXPECT_THAT(caller.Seal(grant, 1), kBusy);
  };
  ASSERT_THAT(caller.Append(grant, AsBytes("x")), IsOk());
  backend_.steps.in_seal = [&] {
    EXPECT_THAT(caller.Append(grant, AsBytes("y")), kBusy);
    EXPECT_THAT(caller.Discard(grant), kBusy);
    EXPECT_THAT(caller.Seal(grant, 1), kBusy);
    return absl::OkStatus();
  };
  ASSERT_THAT(caller.Seal(grant, 1), IsOk());
  EXPECT_EQ(caller.Stat("k")->size, 1u);
}

TEST_F(SinglePeerCalls, ADiscardDuringAnAppendEndsIt) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.CreateKey("k"));
  backend_.steps.after_append = [&] { EXPECT_THAT(caller.Discard(grant), IsOk()); };
  EXPECT_THAT(caller.Append(grant, AsBytes("x")), kLeaseLost);
  ExpectNothingLeft();
}

TEST_F(SinglePeerCalls, ASealThatTheBackendFailsKeepsTheOldObjectAndEndsTheCreation) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("old")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.Create({.key = "k", .overwrite = true}));
  const auto waiting = caller.CreateLater({.key = "k", .overwrite = true});
  backend_.steps.in_seal = [] { return base::Error(absl::StatusCode::kInternal, "EIO", "broken"); };
  EXPECT_THAT(caller.Seal(grant, 0), StatusIs(absl::StatusCode::kInternal, "EIO"));
  EXPECT_THAT(caller.Seal(grant, 0), StatusIs(absl::StatusCode::kInternal, "EIO")) << "a repeat answers the same";
  EXPECT_THAT(waiting.Get(), IsOk()) << "the next creator takes over";
  EXPECT_EQ(caller.Stat("k")->size, 3u);
}

TEST_F(SinglePeerCalls, TwoSealsOfTheSameContentAtOnceKeepItOnce) {
  Caller first = Open();
  Caller second = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant a, first.Create({}));
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant b, second.Create({}));
  ASSERT_THAT(first.Append(a, AsBytes("same")), IsOk());
  ASSERT_THAT(second.Append(b, AsBytes("same")), IsOk());
  Answer<absl::StatusOr<SealResult>> of_b;
  backend_.steps.in_seal = [&] {
    peer_->Seal(second.session(), b.lease, b.epoch, {.size = 4}, of_b.Slot());
    return absl::OkStatus();
  };
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult one, first.Seal(a, 4));
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult two, of_b.Get());
  EXPECT_FALSE(one.existed);
  EXPECT_TRUE(two.existed);
  EXPECT_EQ(two.info.epoch, one.info.epoch);
  EXPECT_EQ(peer_->usage().objects, 1u);
  ExpectBackendHas(one.info.id.key, first.Stat(one.info.id.key)->epoch);
  ASSERT_THAT(first.Delete(one.info.id.key), IsOk());
  ExpectNothingLeft();
}

TEST_F(SinglePeerCalls, WhenTheFirstOfTwoSealsOfTheSameContentFailsTheSecondPublishes) {
  Caller first = Open();
  Caller second = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant a, first.Create({}));
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant b, second.Create({}));
  Answer<absl::StatusOr<SealResult>> of_b;
  backend_.steps.in_seal = [&] {
    peer_->Seal(second.session(), b.lease, b.epoch, {}, of_b.Slot());
    second.Close();
    return base::Error(absl::StatusCode::kInternal, "EIO", "broken");
  };
  EXPECT_THAT(first.Seal(a, 0), StatusIs(absl::StatusCode::kInternal, "EIO"));
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult two, of_b.Get());
  EXPECT_FALSE(two.existed);
  ExpectBackendHas(two.info.id.key, b.epoch);
  EXPECT_EQ(peer_->usage().create_leases, 0u);
}

TEST_F(SinglePeerCalls, TwoPinsAtOnceBothSucceedAndTableAndBackendAgree) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", {}), IsOk());
  for (const bool last : {true, false}) {
    backend_.steps.after_set_pinned = [&] { EXPECT_THAT(caller.SetPinned("k", !last), IsOk()); };
    EXPECT_THAT(caller.SetPinned("k", last), IsOk());
    EXPECT_EQ(caller.Stat("k")->pinned, backend_.pinned.at({"team-a", "k"}));
  }
}

TEST_F(SinglePeerCalls, APinOfAnObjectThatIsReplacedMeanwhileIsNotTheNewOnes) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", {}), IsOk());
  backend_.steps.after_set_pinned = [&] { ASSERT_THAT(caller.Put({.key = "k", .overwrite = true}, {}), IsOk()); };
  EXPECT_THAT(caller.SetPinned("k", true), kNoObject);
  EXPECT_FALSE(caller.Stat("k")->pinned);
}

TEST_F(SinglePeerCalls, WhatIsReplacedWhileItIsSaidToBeTrackedIsNotTheNewOne) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult old, caller.PutKey("k", {}));
  backend_.steps.after_set_tracked = [&] { ASSERT_THAT(caller.Put({.key = "k", .overwrite = true}, {}), IsOk()); };
  EXPECT_THAT(peer_->SetTracked(old.info.id, old.info.epoch, {{3}, {5}}), kNoObject);
  EXPECT_EQ(caller.Stat("k")->tracked, std::nullopt);
}

TEST_F(SinglePeerCalls, WhatADiskDoesNotKeepIsTrackedForNow) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult sealed, caller.PutKey("k", {}));
  backend_.set_tracked_fails = base::Error(absl::StatusCode::kInternal, "EIO", "broken");
  EXPECT_THAT(peer_->SetTracked(sealed.info.id, sealed.info.epoch, {{3}, {5}}),
              StatusIs(absl::StatusCode::kInternal, "EIO"));
  EXPECT_EQ(caller.Stat("k")->tracked, (object::TrackedAs{{3}, {5}}));
}

TEST_F(SinglePeerCalls, APinAndATrackedMarkAtOnceAreBothKept) {
  Caller caller = Open();
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult sealed, caller.PutKey("k", {}));
  backend_.steps.after_set_tracked = [&] { ASSERT_THAT(caller.SetPinned("k", true), IsOk()); };
  ASSERT_THAT(peer_->SetTracked(sealed.info.id, sealed.info.epoch, {{3}, {5}}), IsOk());
  EXPECT_TRUE(caller.Stat("k")->pinned);
  EXPECT_EQ(caller.Stat("k")->tracked, (object::TrackedAs{{3}, {5}}));
}

TEST_F(SinglePeerCalls, ADeleteDuringAnOverwritesSealLeavesTheNewObject) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("old")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const CreateGrant grant, caller.Create({.key = "k", .overwrite = true}));
  backend_.steps.in_seal = [&] {
    EXPECT_THAT(caller.Delete("k"), IsOk());
    return absl::OkStatus();
  };
  ASSERT_THAT(caller.Seal(grant, 0), IsOk());
  EXPECT_EQ(caller.Stat("k")->epoch, grant.epoch);
  ExpectBackendHas("k", grant.epoch);
  EXPECT_EQ(peer_->usage().objects, 1u);
  ASSERT_THAT(caller.Delete("k"), IsOk());
  ExpectNothingLeft();
}

TEST_F(SinglePeerCalls, AnOverwriteDuringADeleteIsNotTakenAlong) {
  Caller caller = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("old")), IsOk());
  backend_.steps.in_remove = [&] { ASSERT_THAT(caller.PutKey("k", AsBytes("newer")), IsOk()); };
  ASSERT_THAT(caller.Delete("k"), IsOk());
  EXPECT_EQ(caller.Stat("k")->size, 5u);
  ExpectBackendHas("k", caller.Stat("k")->epoch);
}

TEST_F(SinglePeerCalls, ADeletedObjectIsForgottenAtOnceThoughItsTtlIsLong) {
  Caller caller = Open();
  CreateRequest request{.key = "k", .overwrite = true};
  request.meta.ttl = std::chrono::hours(7 * 24);
  LARDER_ASSERT_OK_AND_ASSIGN(const SealResult first, caller.Put(request, AsBytes("a")));
  std::weak_ptr<const object::BlobView> deleted;
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const object::ReadGrant grant, caller.Get("k"));
    deleted = grant.view;
    peer_->Release(caller.session(), grant.lease);
  }
  ASSERT_THAT(caller.Put(request, AsBytes("b")), IsOk());
  EXPECT_TRUE(deleted.expired()) << "overwritten";
  {
    LARDER_ASSERT_OK_AND_ASSIGN(const object::ReadGrant grant, caller.Get("k"));
    deleted = grant.view;
    peer_->Release(caller.session(), grant.lease);
  }
  ASSERT_THAT(caller.Delete("k"), IsOk());
  EXPECT_TRUE(deleted.expired()) << "deleted";
}

TEST_F(SinglePeerCalls, OneSessionHoldsOnlySoManyLeases) {
  Caller caller = Open(), other = Open();
  ASSERT_THAT(caller.PutKey("k", AsBytes("a")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const object::ReadGrant first, caller.Get("k"));
  for (size_t i = 1; i < SinglePeer::kMaxLeases; ++i) ASSERT_THAT(caller.Get("k"), IsOk());
  EXPECT_THAT(caller.Get("k"), StatusIs(absl::StatusCode::kResourceExhausted, "TOO_MANY_LEASES"));
  EXPECT_THAT(caller.CreateKey("new"), StatusIs(absl::StatusCode::kResourceExhausted, "TOO_MANY_LEASES"));
  EXPECT_THAT(other.Get("k"), IsOk()) << "others are served on";
  peer_->Release(caller.session(), first.lease);
  EXPECT_THAT(caller.Get("k"), IsOk());
}

TEST_F(SinglePeerCalls, APeerThatEndsAnswersWhoStillWaits) {
  Caller caller = Open();
  ASSERT_THAT(caller.CreateKey("k"), IsOk());
  const auto waiting = caller.CreateLater({.key = "k"});
  ASSERT_FALSE(waiting.ready());
  peer_.reset();
  ASSERT_TRUE(waiting.ready());
  EXPECT_THAT(waiting.Get(), kNoSession);
  EXPECT_EQ(backend_.live, 0u);
}

}  // namespace
}  // namespace larder::peers
