#include <algorithm>
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

namespace {

// What was brought here may be gone again before it is read: room may be short.
constexpr int kTries = 3;

}  // namespace

void TrackedPeer::FetchBy(swarm::Fetcher& fetcher, const swarm::TicketSigner& tickets, ArrivingCopies& arriving,
                          FetchBoard* board, observe::Logger& log) {
  fetches_ = std::make_unique<Fetches>(
      Fetches::Parts{.node = node_,
                     .peer = inner(),
                     .registry = registry_,
                     .fetcher = fetcher,
                     .tickets = tickets,
                     .arriving = arriving,
                     .board = board,
                     .executor = executor_,
                     .clock = clock_,
                     .log = log,
                     .received = [this](const object::ObjectInfo& info) { OnReceived(info); }});
}

void TrackedPeer::Get(SessionId session, const std::string& key, base::Deadline deadline,
                      Done<absl::StatusOr<ReadGrant>> done) {
  GetOrBring(session, key, std::nullopt, deadline, kTries, done);
}

void TrackedPeer::GetRange(SessionId session, const std::string& key, const object::ByteRange& range,
                           base::Deadline deadline, Done<absl::StatusOr<ReadGrant>> done) {
  GetOrBring(session, key, range, deadline, kTries, done);
}

void TrackedPeer::GetOrBring(SessionId session, const std::string& key, const std::optional<object::ByteRange>& range,
                             base::Deadline deadline, int tries, const Done<absl::StatusOr<ReadGrant>>& done) {
  inner().Get(session, key, deadline, [=, this](absl::StatusOr<ReadGrant> grant) {
    const std::optional<ObjectId> id = IdOf(session, key);
    if (grant.ok() || fetches_ == nullptr || !id || base::Reason(grant.status()) != "NO_OBJECT") {
      if (grant.ok()) grant->brought = tries < kTries;
      return done(std::move(grant));
    }
    if (tries == 0) {
      return done(
          base::Error(absl::StatusCode::kResourceExhausted, "NO_ROOM",
                      "'{}' was brought here {} times, and went again before it could be read: this node has too "
                      "little room",
                      key, kTries));
    }
    const Fetches::Lent lent = [=, this](absl::StatusOr<std::optional<ReadGrant>> part) {
      if (!part.ok()) return done(part.status());
      if (*part) return done(**std::move(part));
      GetOrBring(session, key, range, deadline, tries - 1, done);
    };
    range ? fetches_->BringRange(session, *id, *range, deadline, lent)
          : fetches_->Bring(session, *id, deadline,
                            [lent](const absl::Status& brought) { brought.ok() ? lent(std::nullopt) : lent(brought); });
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
  if (told.ok()) {
    // It may have gone before the cluster heard of it.
    const std::optional<object::ObjectInfo> here = inner().FindSealed(info.id);
    if (!here || here->tracked != info.tracked) inventory_.GiveUp(info.id, *info.tracked);
  } else if (reason == "DELETED" || reason == "SUPERSEDED" || reason == "EPOCH_STALE") {
    // Unless the same content was put here again meanwhile, it goes.
    CheckLater(info.id, {});
  } else {
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
  // An object goes from pending to being marked to marked. Looked at in this order, whatever goes on meanwhile is seen
  // at one of the three: who is told that it is not here takes the copy off the cluster's list.
  bool undecided = publisher_.PendingEpoch(id) != Epoch{};
  bool marking = false;
  {
    base::MutexLock lock(mutex_);
    const auto [begin, end] = marking_.equal_range(id);
    undecided = undecided || begin != end;
    marking = std::any_of(begin, end, [epoch](const auto& item) { return item.second.epoch == epoch; });
  }
  const std::optional<object::ObjectInfo> here = inner().FindSealed(id);
  const bool is_it = here && (here->tracked ? here->tracked->epoch == epoch : marking);
  std::shared_ptr<const object::BlobView> view;
  if (is_it) view = inner().SealedView(id, here->epoch);
  if (view != nullptr) return Served{.info = *here, .view = std::move(view)};
  if (undecided) return base::Error(absl::StatusCode::kUnavailable, "NOT_YET", "the cluster is being told of it");
  if (here && here->tracked && !is_it) {
    return base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "epoch {} of '{}' is here, not {}",
                       here->tracked->epoch.value, id.key, epoch.value);
  }
  return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "there is no object '{}' here", id.key);
}

}  // namespace larder::cache_agent
