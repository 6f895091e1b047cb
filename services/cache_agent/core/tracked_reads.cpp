#include <utility>

#include "core/tracked_peer.h"
#include "larder/base/status.h"
#include "larder/swarm/manifest.h"

// Bytes between nodes: what is read here and lies elsewhere, and what others fetch from here.
namespace larder::cache_agent {

using object::Done;
using object::Epoch;
using object::ObjectId;
using object::ReadGrant;
using object::SessionId;
using object::TrackedAs;

namespace {

// What was brought here may be gone again before it is read: room may be short.
constexpr int kTries = 3;

}  // namespace

void TrackedPeer::FetchBy(swarm::Fetcher& fetcher, const swarm::TicketSigner& tickets, observe::Logger& log) {
  fetches_ = std::make_unique<Fetches>(
      Fetches::Parts{.node = node_,
                     .peer = inner(),
                     .registry = registry_,
                     .fetcher = fetcher,
                     .tickets = tickets,
                     .executor = executor_,
                     .clock = clock_,
                     .log = log,
                     .received = [this](const object::ObjectInfo& info) { OnReceived(info); }});
}

void TrackedPeer::Get(SessionId session, const std::string& key, base::Deadline deadline,
                      Done<absl::StatusOr<ReadGrant>> done) {
  GetOrBring(session, key, deadline, kTries, done);
}

void TrackedPeer::GetOrBring(SessionId session, const std::string& key, base::Deadline deadline, int tries,
                             const Done<absl::StatusOr<ReadGrant>>& done) {
  inner().Get(session, key, deadline, [=, this](absl::StatusOr<ReadGrant> grant) {
    const std::optional<ObjectId> id = IdOf(session, key);
    if (grant.ok() || tries == 0 || fetches_ == nullptr || !id || base::Reason(grant.status()) != "NO_OBJECT") {
      if (grant.ok()) grant->brought = tries < kTries;
      return done(std::move(grant));
    }
    fetches_->Bring(session, *id, deadline, [=, this](const absl::Status& brought) {
      if (!brought.ok()) return done(brought);
      GetOrBring(session, key, deadline, tries - 1, done);
    });
  });
}

void TrackedPeer::StopFetching() {
  if (fetches_ != nullptr) fetches_->Stop();
}

void TrackedPeer::OnReceived(const object::ObjectInfo& info) {
  {
    // Until the cluster knows of it, nobody decides whether it has gone.
    base::MutexLock lock(mutex_);
    marking_.emplace(info.id, *info.tracked);
  }
  registry_.AddCopy(*info.tracked, [this, info](const absl::Status& told) { OnCopyTold(info, told); });
}

void TrackedPeer::OnCopyTold(const object::ObjectInfo& info, const absl::Status& told) {
  EndMarking(info.id, *info.tracked);
  const std::string reason = base::Reason(told);
  if (reason == "DELETED" || reason == "SUPERSEDED" || reason == "EPOCH_STALE") {
    // While the agent stops, it stays: it is compared at the next start.
    Run([this, info] { inner().Drop(info.id, info.epoch).IgnoreError(); });
  } else if (!told.ok()) {
    Compare();
  }
}

object::ObjectInfo TrackedPeer::WithManifest(object::ObjectInfo info) {
  const std::shared_ptr<const object::BlobView> view = inner().SealedView(info.id, info.epoch);
  if (view == nullptr) return info;  // gone already
  const auto manifest = swarm::MakeManifest(info.size, view->grains(), info.meta.piece_length, info.digest);
  if (manifest.ok()) info.manifest = swarm::ManifestDigest(*manifest);
  return info;
}

absl::StatusOr<TrackedPeer::Served> TrackedPeer::Serve(const ObjectId& id, Epoch epoch) {
  const std::optional<object::ObjectInfo> here = inner().FindSealed(id);
  const auto none = [&id] {
    return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "there is no object '{}' here", id.key);
  };
  if (!here) return none();
  std::optional<TrackedAs> tracked = here->tracked;
  if (!tracked) {
    base::MutexLock lock(mutex_);
    if (const auto marking = marking_.find(id); marking != marking_.end()) tracked = marking->second;
  }
  if (!tracked && publisher_.IsPending(id, here->epoch)) {
    return base::Error(absl::StatusCode::kUnavailable, "NOT_YET", "the cluster is being told of it");
  }
  if (!tracked) return none();
  if (tracked->epoch != epoch) {
    return base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "epoch {} of '{}' is here, not {}",
                       tracked->epoch.value, id.key, epoch.value);
  }
  std::shared_ptr<const object::BlobView> view = inner().SealedView(id, here->epoch);
  if (view == nullptr) return none();
  return Served{.info = *here, .view = std::move(view)};
}

}  // namespace larder::cache_agent
