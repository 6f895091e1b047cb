#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>

#include "larder/backends/register_all.h"
#include "larder/base/digest.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/testing/peer_contract.h"
#include "larder/object/testing/test_node.h"
#include "larder/peers/single_peer.h"

// Random calls of several sessions, hang-ups and virtual time, against a model that is as simple as the rules are.
namespace larder::peers {
namespace {

using base::AsBytes;
using object::Answer;
using object::Caller;
using object::CreateGrant;
using object::CreateRequest;
using object::Epoch;
using object::LeaseId;
using object::ObjectId;
using object::ReadGrant;
using object::SealResult;
using object::SessionId;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = base::MonotonicTime;

constexpr base::Duration kLeaseTtl = seconds(30);
constexpr int kSeeds = 300;
constexpr int kSteps = 200;

std::string ShaName(const std::string& bytes) {
  base::Sha256 sha;
  sha.Update(AsBytes(bytes));
  return base::FormatDigest(base::Sha256DigestOf(sha.Finish()));
}

base::Digest ShaOf(const std::string& bytes) { return *base::ParseDigest(ShaName(bytes)); }

// An error's reason; "OK" without one.
template <typename T>
std::string ReasonOf(const T& result) {
  const absl::Status& status = base::testing_internal::StatusOf(result);
  return status.ok() ? "OK" : base::Reason(status);
}

struct Object {
  std::string bytes;
  Epoch epoch;
  std::optional<Time> expires;
  bool pinned = false;
};
using ObjectPtr = std::shared_ptr<Object>;

struct Creation {
  SessionId session;
  ObjectId id;
  CreateRequest request;
  bool sha = false;
  std::string bytes;
  std::optional<CreateGrant> grant;  // known once the peer has answered
};
using CreationPtr = std::shared_ptr<Creation>;

// A Create that the peer has not answered, and what the model says the answer is, once it says so.
struct Pending {
  Answer<absl::StatusOr<CreateGrant>> answer;
  SessionId session;
  CreateRequest request;
  base::Deadline deadline;
  std::optional<std::string> reason;
  CreationPtr creation;
};
using PendingPtr = std::shared_ptr<Pending>;

struct Session {
  std::string ns;
  Time renewed;
  std::map<LeaseId, Time> leases;
  std::set<LeaseId> lapsed;
  std::map<LeaseId, std::pair<Epoch, std::string>> answers;  // of seals: their reasons
};

class Model {
 public:
  explicit Model(const base::Clock& clock) : clock_(clock) {}

  std::map<SessionId, Session> sessions;
  std::map<ObjectId, ObjectPtr> objects;
  std::map<LeaseId, CreationPtr> creations;
  std::map<LeaseId, ObjectPtr> reads;
  std::vector<PendingPtr> pending;  // all that were not answered, in their order

  ObjectPtr Find(const ObjectId& id) const {
    auto it = objects.find(id);
    if (it == objects.end() || (it->second->expires && *it->second->expires <= clock_.Now())) return nullptr;
    return it->second;
  }

  void Create(const PendingPtr& call) {
    auto session = sessions.find(call->session);
    if (session == sessions.end()) return Refuse(call, "NO_SESSION");
    const ObjectId id{session->second.ns, call->request.key};
    const ObjectPtr existing = id.key.empty() ? nullptr : Find(id);
    const CreateRequest& request = call->request;
    if (existing && !request.overwrite && !request.accept_same_content) return Refuse(call, "EXISTS");
    if (!id.key.empty() && keys_.contains(id)) {
      if (call->deadline <= clock_.Now()) return Refuse(call, "CREATING");
      waiting_[id].push_back(call);
      return;
    }
    call->reason = "OK";
    call->creation = std::make_shared<Creation>(Creation{.session = call->session, .id = id, .request = request});
    call->creation->sha = id.key.empty() || id.key.starts_with("sha256:") || request.want_sha256 ||
                          (existing && request.accept_same_content && !request.overwrite);
    if (!id.key.empty()) keys_.insert(id);
  }

  // The peer has granted what the model said.
  void Granted(const PendingPtr& call, const CreateGrant& grant) {
    call->creation->grant = grant;
    creations.emplace(grant.lease, call->creation);
    sessions.at(call->session).leases.emplace(grant.lease, clock_.Now());
  }

  void EndCreation(const CreationPtr& creation) {
    const LeaseId lease = creation->grant->lease;
    creations.erase(lease);
    if (auto session = sessions.find(creation->session); session != sessions.end()) session->second.leases.erase(lease);
    if (creation->id.key.empty()) return;
    keys_.erase(creation->id);
    for (const PendingPtr& call : std::exchange(waiting_[creation->id], {})) {
      if (call->deadline <= clock_.Now()) {
        Refuse(call, "CREATING");
      } else {
        Create(call);
      }
    }
  }

  void EndLease(LeaseId lease) {
    if (auto it = creations.find(lease); it != creations.end()) {
      EndCreation(CreationPtr(it->second));
    } else {
      reads.erase(lease);
    }
  }

  void Close(SessionId id) {
    auto it = sessions.find(id);
    if (it == sessions.end()) return;
    const std::map<LeaseId, Time> leases = it->second.leases;
    sessions.erase(it);
    GiveUp("NO_SESSION", [&](const Pending& call) { return call.session == id; });
    for (const auto& [lease, granted] : leases) EndLease(lease);
  }

  void Tick() {
    const Time now = clock_.Now();
    std::vector<LeaseId> lapsed;
    for (auto& [id, session] : sessions) {
      if (now - session.renewed <= kLeaseTtl) continue;
      for (const auto& [lease, granted] : session.leases) {
        if (now - granted > kLeaseTtl) lapsed.push_back(lease), session.lapsed.insert(lease);
      }
      for (const LeaseId lease : session.lapsed) session.leases.erase(lease);
    }
    GiveUp("CREATING", [&](const Pending& call) { return call.deadline <= now; });
    for (const LeaseId lease : lapsed) EndLease(lease);
    std::erase_if(objects, [&](const auto& slot) { return slot.second->expires && *slot.second->expires <= now; });
  }

  // What Seal answers; the creation is ended by it if it must be.
  std::string Seal(SessionId id, const CreateGrant& grant, uint64_t size, const base::Digest& expected, ObjectId* name,
                   bool* existed) {
    auto session = sessions.find(id);
    if (session == sessions.end()) return "NO_SESSION";
    auto it = creations.find(grant.lease);
    if (it == creations.end() || it->second->session != id) {
      auto answer = session->second.answers.find(grant.lease);
      const bool repeat = answer != session->second.answers.end() && answer->second.first == grant.epoch;
      return repeat ? answer->second.second : "LEASE_LOST";
    }
    const CreationPtr creation = it->second;
    if (creation->grant->epoch != grant.epoch) return "EPOCH_STALE";
    if (size != creation->bytes.size()) return "SIZE_MISMATCH";
    const std::string reason = SealWhole(*creation, expected, name, existed);
    session->second.answers[grant.lease] = {grant.epoch, reason};
    EndCreation(creation);
    return reason;
  }

 private:
  std::string SealWhole(const Creation& creation, const base::Digest& expected, ObjectId* name, bool* existed) {
    const std::string& bytes = creation.bytes;
    *name = creation.id;
    if (name->key.empty()) name->key = ShaName(bytes);
    if (name->key.starts_with("sha256:") && name->key != ShaName(bytes)) return "DIGEST_MISMATCH";
    if (expected.kind == base::Digest::Kind::kSha256) {
      if (!creation.sha) return "NO_SHA256";
      if (expected != ShaOf(bytes)) return "DIGEST_MISMATCH";
    }
    if (expected.kind == base::Digest::Kind::kCrc32c && expected != base::Crc32cDigest(base::Crc32c(AsBytes(bytes)))) {
      return "DIGEST_MISMATCH";
    }
    if (const ObjectPtr existing = Find(*name); existing && !creation.request.overwrite) {
      if (!creation.sha || existing->bytes != bytes) return "EXISTS";
      // Equal bytes under equal settings are there already; a TTL, old or new, makes another object of them.
      *existed = !existing->expires && !creation.request.meta.ttl;
      if (*existed) return "OK";
    }
    auto object = std::make_shared<Object>(Object{.bytes = bytes, .epoch = creation.grant->epoch});
    if (creation.request.meta.ttl) object->expires = clock_.Now() + *creation.request.meta.ttl;
    objects[*name] = object;
    return "OK";
  }
  void Refuse(const PendingPtr& call, std::string reason) { call->reason = std::move(reason); }
  template <typename Which>
  void GiveUp(const std::string& reason, const Which& which) {
    for (auto& [id, queue] : waiting_) {
      std::erase_if(queue, [&](const PendingPtr& call) {
        if (which(*call)) Refuse(call, reason);
        return which(*call);
      });
    }
  }

  const base::Clock& clock_;
  std::set<ObjectId> keys_;  // with a creator
  std::map<ObjectId, std::vector<PendingPtr>> waiting_;
};

// One seed: the peer and the model, step by step.
class Seed {
 public:
  Seed(object::TestNode& node, uint64_t seed)
      : node_(node),
        random_(seed),
        model_(node.clock()),
        peer_(node.backend(), {.backends = {&node.backend()}, .clock = &node.clock(), .lease_ttl = kLeaseTtl}) {
    for (int i = 0; i < 5; ++i) {
      const uint64_t size = std::vector<uint64_t>{0, 10, 10, 3'000, 70'000}[i];
      samples_.emplace_back(base::AsText(object::SampleBytes(size, i)));
    }
    keys_ = {"a", "a/b", "c", ShaName(samples_[1]), ""};
  }

  void Steps() {
    for (int step = 0; step < kSteps && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE(testing::Message() << "step " << step);
      Step();
      Settle();
      Invariants();
    }
    for (const auto& [id, session] : std::map(model_.sessions)) {
      Close(id);
      Settle();
      Invariants();
    }
    EXPECT_TRUE(model_.creations.empty() && model_.reads.empty() && model_.pending.empty());
    // Only sealed objects are left: with them gone, nothing is.
    for (const std::string ns : {"team-a", "team-b"}) {
      const SessionId cleaner = *peer_.OpenSession({.ns = ns});
      Caller cleaning(peer_, cleaner);
      const auto left = cleaning.List({});
      for (const object::ObjectInfo& info : left->objects) {
        EXPECT_THAT(cleaning.Delete(info.id.key), base::IsOk());
      }
      peer_.CloseSession(cleaner);
    }
    peer_.Tick();
    node_.arena().Maintain();
    EXPECT_EQ(node_.arena().usage().free, node_.arena().usage().limit);
    EXPECT_EQ(peer_.usage().objects, 0u);
    EXPECT_TRUE(peer_.usage().stored.empty());
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  template <typename Map>
  auto AnyOf(const Map& map) {
    return std::next(map.begin(), static_cast<ptrdiff_t>(Below(map.size())));
  }
  // One that lives, mostly; sometimes one of before.
  SessionId AnySession() {
    if (model_.sessions.empty() || OneIn(40)) return SessionId{1 + Below(12)};
    return AnyOf(model_.sessions)->first;
  }
  std::string AnyKey() { return keys_[Below(keys_.size() - 1)]; }
  std::string NsOf(SessionId id) const {
    auto it = model_.sessions.find(id);
    return it == model_.sessions.end() ? "" : it->second.ns;
  }
  // A creation that lives, by its owner, mostly; sometimes another's, an ended one's, or with a wrong epoch.
  std::pair<SessionId, CreateGrant> AnyCreation() {
    if (granted_.empty()) return {AnySession(), CreateGrant{}};
    if (!model_.creations.empty() && !OneIn(6)) {
      const Creation& creation = *AnyOf(model_.creations)->second;
      CreateGrant grant = *creation.grant;
      if (OneIn(12)) grant.epoch.value -= 1;
      return {OneIn(12) ? AnySession() : creation.session, grant};
    }
    return granted_[Below(granted_.size())];
  }

  void Step() {
    switch (Below(20)) {
      case 0:
        return OneIn(2) || model_.sessions.size() < 3 ? Open() : Close(AnySession());
      case 1:
      case 2:
      case 3:
      case 4:
        return Create();
      case 5:
      case 6:
      case 7:
        return Append();
      case 8:
      case 9:
      case 10:
      case 11:
        return Seal();
      case 12:
        return Discard();
      case 13:
      case 14:
        return Get();
      case 15:
        return Release();
      case 16:
        return Renew();
      case 17:
        return StatAndList();
      case 18:
        return OneIn(2) ? Delete() : Pin();
      default:
        return Pass();
    }
  }

  void Open() {
    if (model_.sessions.size() >= 5) return;
    const std::string ns = OneIn(4) ? "team-b" : "team-a";
    model_.sessions.emplace(*peer_.OpenSession({.ns = ns}), Session{.ns = ns, .renewed = node_.clock().Now()});
  }

  void Close(SessionId id) {
    peer_.CloseSession(id);
    model_.Close(id);
  }

  void Create() {
    auto call = std::make_shared<Pending>();
    call->session = AnySession();
    call->request = {.key = keys_[Below(keys_.size())], .overwrite = OneIn(3), .accept_same_content = OneIn(4)};
    call->request.want_sha256 = OneIn(5);
    call->request.size_hint = OneIn(2) ? 0 : Below(100'000);
    if (OneIn(3)) call->request.meta.ttl = milliseconds(1 + Below(60'000));
    call->deadline = OneIn(3) ? base::kNoDeadline : node_.clock().Now() + milliseconds(Below(40'000));
    peer_.Create(call->session, call->request, call->deadline, call->answer.Slot());
    model_.Create(call);
    model_.pending.push_back(call);
  }

  void Append() {
    const auto [session, grant] = AnyCreation();
    const std::string& bytes = samples_[OneIn(6) ? 4 : Below(4)];
    auto it = model_.creations.find(grant.lease);
    std::string expected = "OK";
    if (!model_.sessions.contains(session)) {
      expected = "NO_SESSION";
    } else if (it == model_.creations.end() || it->second->session != session) {
      expected = "LEASE_LOST";
    } else if (it->second->grant->epoch != grant.epoch) {
      expected = "EPOCH_STALE";
    } else {
      it->second->bytes += bytes;
    }
    EXPECT_EQ(ReasonOf(peer_.Append(session, grant.lease, grant.epoch, AsBytes(bytes))), expected);
  }

  void Seal() {
    const auto [session, grant] = AnyCreation();
    auto it = model_.creations.find(grant.lease);
    const std::string bytes = it == model_.creations.end() ? "" : it->second->bytes;
    const uint64_t size = bytes.size() + (OneIn(10) ? 1 : 0);
    base::Digest digest;
    if (OneIn(4)) digest = base::Crc32cDigest(base::Crc32c(AsBytes(bytes)) + (OneIn(4) ? 1 : 0));
    if (OneIn(6)) digest = ShaOf(OneIn(4) ? "other" : bytes);
    ObjectId name;
    bool existed = false;
    Answer<absl::StatusOr<SealResult>> answer;
    peer_.Seal(session, grant.lease, grant.epoch, {.size = size, .expected = digest}, answer.Slot());
    const std::string expected = model_.Seal(session, grant, size, digest, &name, &existed);
    ASSERT_TRUE(answer.ready());
    const auto result = answer.Get();
    ASSERT_EQ(ReasonOf(result), expected);
    if (!result.ok() || name.key.empty()) return;  // an error, or a repeat
    EXPECT_EQ(result->info.id, name);
    EXPECT_EQ(result->existed, existed);
    EXPECT_EQ(result->info.epoch, model_.Find(name)->epoch);
    EXPECT_EQ(result->info.size, bytes.size());
  }

  void Discard() {
    const auto [session, grant] = AnyCreation();
    auto it = model_.creations.find(grant.lease);
    std::string expected = "OK";
    if (auto of = model_.sessions.find(session); of == model_.sessions.end()) {
      expected = "NO_SESSION";
    } else if (it == model_.creations.end() || it->second->session != session) {
      auto answer = of->second.answers.find(grant.lease);
      if (answer != of->second.answers.end() && answer->second.second == "OK") expected = "SEALED";
    } else if (it->second->grant->epoch != grant.epoch) {
      expected = "EPOCH_STALE";
    } else {
      model_.EndCreation(CreationPtr(it->second));
    }
    EXPECT_EQ(ReasonOf(peer_.Discard(session, grant.lease, grant.epoch)), expected);
  }

  void Get() {
    const SessionId session = AnySession();
    const ObjectId id{NsOf(session), AnyKey()};
    const ObjectPtr object = model_.Find(id);
    Answer<absl::StatusOr<ReadGrant>> answer;
    peer_.Get(session, id.key, base::kNoDeadline, answer.Slot());
    const auto grant = answer.Get();
    ASSERT_EQ(ReasonOf(grant), id.ns.empty() ? "NO_SESSION" : object ? "OK" : "NO_OBJECT");
    if (!grant.ok()) return;
    EXPECT_EQ(grant->info.epoch, object->epoch);
    EXPECT_EQ(grant->info.pinned, object->pinned);
    EXPECT_EQ(grant->view->size(), object->bytes.size());
    ASSERT_TRUE(model_.reads.emplace(grant->lease, object).second);
    model_.sessions.at(session).leases.emplace(grant->lease, node_.clock().Now());
  }

  void Release() {
    if (model_.reads.empty()) return;
    const LeaseId lease = OneIn(10) ? LeaseId{Below(100)} : AnyOf(model_.reads)->first;
    SessionId session = AnySession();
    for (const auto& [id, one] : model_.sessions) {
      if (one.leases.contains(lease) && !OneIn(5)) session = id;
    }
    peer_.Release(session, lease);
    auto it = model_.sessions.find(session);
    if (it == model_.sessions.end() || !it->second.leases.contains(lease) || !model_.reads.contains(lease)) return;
    it->second.leases.erase(lease);
    model_.reads.erase(lease);
  }

  void Renew() {
    const SessionId session = AnySession();
    const auto lapsed = peer_.Renew(session);
    auto it = model_.sessions.find(session);
    ASSERT_EQ(ReasonOf(lapsed), it == model_.sessions.end() ? "NO_SESSION" : "OK");
    if (!lapsed.ok()) return;
    EXPECT_EQ(std::set(lapsed->begin(), lapsed->end()), it->second.lapsed);
    it->second.lapsed.clear();
    it->second.renewed = node_.clock().Now();
  }

  void StatAndList() {
    const SessionId session = AnySession();
    const std::string ns = NsOf(session);
    std::vector<std::string> visible;
    for (const auto& [id, object] : model_.objects) {
      if (id.ns == ns && model_.Find(id)) visible.push_back(id.key);
    }
    Caller caller(peer_, session);
    const auto page = caller.List({});
    ASSERT_EQ(ReasonOf(page), ns.empty() ? "NO_SESSION" : "OK");
    if (!page.ok()) return;
    std::vector<std::string> listed;
    for (const object::ObjectInfo& info : page->objects) listed.push_back(info.id.key);
    EXPECT_EQ(listed, visible);
    const ObjectId id{ns, AnyKey()};
    const auto stat = caller.Stat(id.key);
    bool creating = false;
    for (const auto& [lease, creation] : model_.creations) creating = creating || creation->id == id;
    const ObjectPtr object = model_.Find(id);
    ASSERT_EQ(ReasonOf(stat), object || creating ? "OK" : "NO_OBJECT");
    if (!stat.ok()) return;
    EXPECT_EQ(stat->state, object ? object::ObjectState::kSealed : object::ObjectState::kCreating);
    if (object) {
      EXPECT_EQ(stat->pinned, object->pinned);
    }
  }

  void Delete() {
    const SessionId session = AnySession();
    const ObjectId id{NsOf(session), AnyKey()};
    const std::string expected = id.ns.empty() ? "NO_SESSION" : model_.Find(id) ? "OK" : "NO_OBJECT";
    EXPECT_EQ(ReasonOf(Caller(peer_, session).Delete(id.key)), expected);
    if (expected == "OK") model_.objects.erase(id);
  }

  void Pin() {
    const SessionId session = AnySession();
    const ObjectId id{NsOf(session), AnyKey()};
    const bool pinned = OneIn(2);
    const ObjectPtr object = model_.Find(id);
    EXPECT_EQ(ReasonOf(Caller(peer_, session).SetPinned(id.key, pinned)), id.ns.empty() ? "NO_SESSION"
                                                                          : object      ? "OK"
                                                                                        : "NO_OBJECT");
    if (object) object->pinned = pinned;
  }

  void Pass() {
    node_.clock().Advance(milliseconds(Below(OneIn(3) ? 40'000 : 3'000)));
    if (OneIn(4)) return;  // nobody ticks for a while
    peer_.Tick();
    model_.Tick();
    if (OneIn(3)) node_.arena().Maintain();
  }

  // Answers that came are those that the model says, and no others came.
  void Settle() {
    for (const PendingPtr& call : std::vector(model_.pending)) {
      ASSERT_EQ(call->answer.ready(), call->reason.has_value()) << call->reason.value_or("not to be answered");
      if (!call->reason) continue;
      ASSERT_EQ(call->answer.calls(), 1);
      const auto grant = call->answer.Get();
      ASSERT_EQ(ReasonOf(grant), *call->reason);
      std::erase(model_.pending, call);
      if (!grant.ok()) continue;
      ASSERT_TRUE(epochs_.insert(grant->epoch).second) << "an epoch came twice";
      Epoch& last = last_epoch_[call->creation->id];
      EXPECT_GT(grant->epoch, last);
      last = grant->epoch;
      model_.Granted(call, *grant);
      granted_.emplace_back(call->session, *grant);
    }
  }

  void Invariants() {
    const object::PeerUsage usage = peer_.usage();
    uint64_t bytes = 0;
    std::set<ObjectPtr> live;
    for (const auto& [id, object] : model_.objects) bytes += object->bytes.size(), live.insert(object);
    ASSERT_EQ(usage.sessions, model_.sessions.size());
    ASSERT_EQ(usage.create_leases, model_.creations.size());
    ASSERT_EQ(usage.read_leases, model_.reads.size());
    ASSERT_EQ(usage.objects, model_.objects.size());
    ASSERT_EQ(usage.bytes, bytes);
    uint64_t stored = 0, stored_objects = 0;
    for (const auto& part : usage.stored) stored += part.bytes, stored_objects += part.objects;
    ASSERT_EQ(stored, bytes);
    ASSERT_EQ(stored_objects, usage.objects);
    // Memory: all that is alive, and not more than rounding and what was reserved.
    for (const auto& [lease, object] : model_.reads) live.insert(object);
    uint64_t least = 0;
    uint64_t most = 0;
    for (const ObjectPtr& object : live) least += object->bytes.size(), most += 2 * object->bytes.size() + 4'096;
    for (const auto& [lease, creation] : model_.creations) {
      least += creation->bytes.size();
      most += 2 * creation->bytes.size() + creation->request.size_hint + 3 * base::kMiB;
    }
    const arena::Arena::Usage arena = node_.arena().usage();
    ASSERT_EQ(arena.free + arena.live + arena.quarantined, arena.limit);
    ASSERT_GE(arena.allocated, least);
    ASSERT_LE(arena.allocated, most);
    // Sealed bytes never change.
    if (model_.reads.empty()) return;
    const auto& [lease, object] = *AnyOf(model_.reads);
    for (const auto& [id, session] : model_.sessions) {
      if (!session.leases.contains(lease)) continue;
      const auto view = peer_.ViewOf(id, lease);
      ASSERT_EQ(ReasonOf(view), "OK");
      ASSERT_TRUE(base::AsText(object::BytesOf(**view)) == object->bytes);
    }
  }

  object::TestNode& node_;
  std::mt19937_64 random_;
  Model model_;
  SinglePeer peer_;
  std::vector<std::string> samples_;
  std::vector<std::string> keys_;
  std::vector<std::pair<SessionId, CreateGrant>> granted_;
  std::set<Epoch> epochs_;
  std::map<ObjectId, Epoch> last_epoch_;
};

TEST(SinglePeerModel, AgreesWithTheModelOverRandomCallsAndLeaksNothing) {
  object::BackendRegistry registry("backend");
  backends::RegisterAll(registry);
  object::TestNode node(**registry.Get("memory"), {.arena_bytes = 64 * base::kMiB});
  for (uint64_t seed = 1; seed <= kSeeds && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Seed(node, seed).Steps();
  }
}

}  // namespace
}  // namespace larder::peers
