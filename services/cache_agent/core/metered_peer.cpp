#include "core/metered_peer.h"

#include <utility>

#include "larder/base/status.h"

namespace larder::cache_agent {

using object::CreateGrant;
using object::Done;
using object::Epoch;
using object::LeaseId;
using object::PeerUsage;
using object::ReadGrant;
using object::SealResult;
using object::SessionId;

namespace {

constexpr observe::GaugeDecl<observe::Word> kLeases = {
    .name = "larder_lease_active", .help = "Leases that clients hold.", .labels = {"kind"}};
constexpr observe::CounterDecl<observe::Word> kReclaimed = {
    .name = "larder_lease_reclaimed_total",
    .help = "Leases taken back: their client was gone (closed), or silent for the lease TTL (lapsed).",
    .labels = {"reason"}};
constexpr observe::CounterDecl<Tier, observe::Word> kEvictions = {
    .name = "larder_agent_evictions_total",
    .help =
        "Objects dropped: the node's room was short (room), their namespace's quota was (quota), a read found them "
        "damaged (damaged).",
    .labels = {"tier", "reason"}};
constexpr observe::CounterDecl<> kCompacted = {.name = "larder_agent_compacted_total",
                                               .help = "Objects moved together, so that what lay between is free."};
constexpr observe::GaugeDecl<Tier, observe::NamespaceLabel> kBytes = {
    .name = "larder_agent_bytes", .help = "Bytes of sealed objects.", .labels = {"tier", "namespace"}};
constexpr observe::GaugeDecl<observe::Word> kObjects = {
    .name = "larder_agent_objects", .help = "Objects on this node: sealed, or being created.", .labels = {"state"}};

const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

}  // namespace

MeteredPeer::MeteredPeer(std::unique_ptr<object::Peer> peer, observe::Registry& registry, const base::Clock& clock)
    : PeerDecorator(std::move(peer)), clock_(clock), metrics_(registry) {
  using observe::Sample;
  using observe::Word;
  watches_.push_back(registry.AddWatch(kLeases, [this](const Sample<Word>& sample) {
    const PeerUsage usage = inner().usage();
    sample(static_cast<double>(usage.create_leases), "create");
    sample(static_cast<double>(usage.read_leases), "read");
  }));
  watches_.push_back(registry.AddWatch(kReclaimed, [this](const Sample<Word>& sample) {
    const PeerUsage usage = inner().usage();
    sample(static_cast<double>(usage.reclaimed_closed), "closed");
    sample(static_cast<double>(usage.reclaimed_lapsed), "lapsed");
  }));
  watches_.push_back(registry.AddWatch(kEvictions, [this](const Sample<Tier, Word>& sample) {
    const PeerUsage usage = inner().usage();
    sample(static_cast<double>(usage.evicted_room), TierOf(usage.tier), "room");
    sample(static_cast<double>(usage.evicted_quota), TierOf(usage.tier), "quota");
    sample(static_cast<double>(usage.damaged), TierOf(usage.tier), "damaged");
  }));
  watches_.push_back(registry.AddWatch(kCompacted, [this] { return static_cast<double>(inner().usage().compacted); }));
  watches_.push_back(registry.AddWatch(kBytes, [this](const Sample<Tier, observe::NamespaceLabel>& sample) {
    for (const PeerUsage::Stored& stored : inner().usage().stored) {
      sample(static_cast<double>(stored.bytes), TierOf(stored.tier), observe::NamespaceLabel(stored.ns));
    }
  }));
  watches_.push_back(registry.AddWatch(kObjects, [this](const Sample<Word>& sample) {
    const PeerUsage usage = inner().usage();
    sample(static_cast<double>(usage.objects), "sealed");
    sample(static_cast<double>(usage.create_leases), "creating");
  }));
}

MeteredPeer::~MeteredPeer() {
  watches_.clear();
  EndInner();
}

template <typename Call>
auto MeteredPeer::Timed(Op op, Call call) {
  const base::MonotonicTime begun = clock_.Now();
  auto result = call();
  metrics_.Done(op, Tier::kNone, StatusOf(result).code(), clock_.Now() - begun);
  return result;
}

absl::StatusOr<SessionId> MeteredPeer::OpenSession(const object::SessionOwner& owner, object::LapsedFn lapsed) {
  return Timed(Op::kOpen, [&] { return inner().OpenSession(owner, std::move(lapsed)); });
}

void MeteredPeer::Create(SessionId session, object::CreateRequest request, base::Deadline deadline,
                         Done<absl::StatusOr<CreateGrant>> done) {
  inner().Create(session, std::move(request), deadline,
                 [this, begun = clock_.Now(), done = std::move(done)](absl::StatusOr<CreateGrant> grant) {
                   metrics_.Done(Op::kCreate, Tier::kNone, grant.status().code(), clock_.Now() - begun);
                   done(std::move(grant));
                 });
}

absl::Status MeteredPeer::Append(SessionId session, LeaseId lease, Epoch epoch, base::ByteSpan bytes) {
  return Timed(Op::kAppend, [&] { return inner().Append(session, lease, epoch, bytes); });
}

void MeteredPeer::Seal(SessionId session, LeaseId lease, Epoch epoch, const object::SealRequest& request,
                       Done<absl::StatusOr<SealResult>> done) {
  inner().Seal(session, lease, epoch, request,
               [this, begun = clock_.Now(), done = std::move(done)](absl::StatusOr<SealResult> result) {
                 const Tier tier = result.ok() ? TierOf(result->info.tier) : Tier::kNone;
                 metrics_.Done(Op::kSeal, tier, result.status().code(), clock_.Now() - begun);
                 if (result.ok()) metrics_.Sealed(result->info.size);
                 done(std::move(result));
               });
}

absl::Status MeteredPeer::Discard(SessionId session, LeaseId lease, Epoch epoch) {
  return Timed(Op::kDiscard, [&] { return inner().Discard(session, lease, epoch); });
}

Done<absl::StatusOr<ReadGrant>> MeteredPeer::TimedRead(Done<absl::StatusOr<ReadGrant>> done) {
  return [this, begun = clock_.Now(), done = std::move(done)](absl::StatusOr<ReadGrant> grant) {
    const Tier tier = grant.ok() ? TierOf(grant->info.tier) : Tier::kNone;
    metrics_.Done(Op::kGet, tier, grant.status().code(), clock_.Now() - begun);
    if (grant.ok() && !grant->brought) {
      metrics_.Hit(tier, grant->info.size);
    } else if (grant.ok() || base::Reason(grant.status()) == "NO_OBJECT") {
      metrics_.Miss();
    }
    done(std::move(grant));
  };
}

void MeteredPeer::Get(SessionId session, const std::string& key, base::Deadline deadline,
                      Done<absl::StatusOr<ReadGrant>> done) {
  inner().Get(session, key, deadline, TimedRead(std::move(done)));
}

void MeteredPeer::GetRange(SessionId session, const std::string& key, const object::ByteRange& range,
                           base::Deadline deadline, Done<absl::StatusOr<ReadGrant>> done) {
  inner().GetRange(session, key, range, deadline, TimedRead(std::move(done)));
}

void MeteredPeer::Release(SessionId session, LeaseId lease) {
  Timed(Op::kRelease, [&] {
    inner().Release(session, lease);
    return absl::OkStatus();
  }).IgnoreError();
}

absl::StatusOr<std::vector<LeaseId>> MeteredPeer::Renew(SessionId session) {
  return Timed(Op::kRenew, [&] { return inner().Renew(session); });
}

template <typename T>
Done<T> MeteredPeer::Timed(Op op, Done<T> done) {
  return [this, op, begun = clock_.Now(), done = std::move(done)](T answer) {
    metrics_.Done(op, Tier::kNone, StatusOf(answer).code(), clock_.Now() - begun);
    done(std::move(answer));
  };
}

void MeteredPeer::Stat(SessionId session, const std::string& key, Done<absl::StatusOr<object::ObjectStat>> done) {
  inner().Stat(session, key, Timed(Op::kStat, std::move(done)));
}

void MeteredPeer::List(SessionId session, const object::ListRequest& request,
                       Done<absl::StatusOr<object::ListPage>> done) {
  inner().List(session, request, Timed(Op::kList, std::move(done)));
}

void MeteredPeer::Delete(SessionId session, const std::string& key, Done<absl::Status> done) {
  inner().Delete(session, key, Timed(Op::kDelete, std::move(done)));
}

void MeteredPeer::SetPinned(SessionId session, const std::string& key, bool pinned, Done<absl::Status> done) {
  inner().SetPinned(session, key, pinned, Timed(Op::kPin, std::move(done)));
}

}  // namespace larder::cache_agent
